"""The man page of the program: one page with all commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from _pages.command_line import meaning, metavar, names
from clonepolicy.cli._program import program

NAME = "clonepolicy"


def man() -> Iterator[str]:
    """Write the page, in the macros of ``man``."""
    yield f".TH {NAME.upper()} 1"
    yield ".SH NAME"
    first, _, rest = inspect.cleandoc(program.help or "").partition("\n\n")
    yield rf"{NAME} \- {_text(first).rstrip('.')}"
    yield ".SH SYNOPSIS"
    yield rf"\fB{NAME}\fR [OPTIONS] COMMAND"
    yield ".SH DESCRIPTION"
    yield _prose(rest)
    yield ".SH OPTIONS"
    yield from _options(program)
    yield from _sections(program)
    yield ".SH COMMANDS"
    yield from _commands(program, NAME)


def _commands(group: click.Group, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        words = [f"{path} {name}", "[OPTIONS]"]
        words += (
            metavar(parameter)
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        )
        if isinstance(command, click.Group):
            words.append("COMMAND")
        yield f".SS {_text(' '.join(words))}"
        yield _prose(inspect.cleandoc(command.help or ""))
        yield from _options(command)
        yield from _sections(command, ".PP")
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option):
            yield ".TP"
            yield rf"\fB{_text(names(option))}\fR"
            yield _prose(meaning(option))


def _sections(command: click.Command, head: str = ".SH") -> Iterator[str]:
    """Write the examples, and of the program also the exit codes."""
    for part in (command.epilog or "").split("\b\n")[1:]:
        title, _, lines = part.partition("\n")
        title = _text(title.rstrip(":"))
        yield f".PP\n{title}:" if head == ".PP" else f".SH {title}"
        yield ".nf"
        yield from map(_text, lines.rstrip().splitlines())
        yield ".fi"


def _prose(text: str) -> str:
    parts = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n.PP\n".join(_text(part.replace("`", "")) for part in parts)


def _text(line: str) -> str:
    """Escape what has a meaning for roff, also at the start of a line."""
    return "\\&" + line.replace("\\", "\\e").replace("-", "\\-")
