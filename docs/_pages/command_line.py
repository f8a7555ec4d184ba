"""The reference of the command line, from the help of its commands.

The help is read from click's objects.  Formatted help would depend on the
width of the terminal and on the version of click.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from clonepolicy.cli._program import program
from clonepolicy.testing.conformance._program import program as kit

PROGRAMS = {"clonepolicy": program, "python -m clonepolicy.testing": kit}


def command_line() -> Iterator[str]:
    """Write every command: usage, text, options, examples, exit codes."""
    yield "# Command line"
    yield (
        "Every command has the option `--help`, which shows the text of this "
        "page. The exit codes of a program are listed with the program, and "
        "all of its commands use them."
    )
    for name, command in PROGRAMS.items():
        yield from _command(name, command)


def _command(path: str, command: click.Command) -> Iterator[str]:
    yield f"## {path}"
    words = [path, "[OPTIONS]"]
    options = []
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            options.append(f"- `{names(parameter)}`: {meaning(parameter)}")
        else:
            words.append(metavar(parameter))
    if isinstance(command, click.Group):
        words.append("COMMAND")
    yield _block(" ".join(words))
    yield _prose(inspect.cleandoc(command.help or ""))
    if options:
        yield "\n".join(options)
    for part in (command.epilog or "").split("\b\n")[1:]:
        title, _, lines = part.partition("\n")
        yield title
        yield _block(inspect.cleandoc(lines))
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _command(f"{path} {name}", below)


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def _prose(text: str) -> str:
    """Join the lines of paragraphs, and mark options as code."""
    joined = (" ".join(part.split()) for part in text.split("\n\n"))
    option = r"(?<!\S)-(-[\w-]+)?(?=[\s.,;:]|$)"
    return re.sub(option, r"`\g<0>`", "\n\n".join(joined))


def metavar(parameter: click.Parameter) -> str:
    shown = parameter.metavar
    if shown is None and isinstance(parameter.type, click.Choice):
        shown = "|".join(parameter.type.choices)
    elif shown is None and isinstance(parameter, click.Argument):
        name = str(parameter.name).upper()
        shown = name if parameter.required else f"[{name}]"
    return shown or parameter.type.name.upper()


def names(option: click.Option) -> str:
    names = ", ".join(option.opts)
    return names if option.is_flag else f"{names} {metavar(option)}"


def meaning(option: click.Option) -> str:
    meaning = _prose(option.help or "")
    if option.required:
        meaning += " [required]"
    if isinstance(option.type, click.IntRange):
        meaning += f" [at least {option.type.min}]"
    if option.show_default:
        given = isinstance(option.show_default, str)
        default = option.show_default if given else option.default
        meaning += f" [default: {default}]"
    return meaning
