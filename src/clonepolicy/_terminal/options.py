"""Options and input files that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

import clonepolicy
from clonepolicy import policy as policies
from clonepolicy._terminal.errors import CliError, Exit

T = TypeVar("T")

LIMIT = 16 * 1024 * 1024
"""Size in bytes of the largest input that is read."""

flag = partial(click.option, is_flag=True)
json_option = flag("--json", "as_json", help="Write one JSON document.")
yaml_option = flag(
    "--yaml", "as_yaml", help="Write one YAML document.  [extra yaml]"
)


class PolicyName(click.ParamType):  # type: ignore[type-arg]  # generic since 8.5
    """The name of a shipped policy, in upper or lower case."""

    @property
    @override
    def name(self) -> str:  # type: ignore[override]  # click has a variable
        """The names of all policies."""
        return "|".join(clonepolicy.POLICIES)

    @override
    def convert(
        self,
        value: str | policies.Policy,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> policies.Policy:
        """Find the policy."""
        if isinstance(value, policies.Policy):
            return value
        found = clonepolicy.POLICIES.get(value.upper())
        if found is None:
            names = ", ".join(clonepolicy.POLICIES)
            self.fail(f"{value!r} is not one of {names}", param, ctx)
        return found

    @override
    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the name."""
        return [
            CompletionItem(name)
            for name in clonepolicy.POLICIES
            if name.startswith(incomplete.upper())
        ]


policy_option = click.option(
    "--policy",
    type=PolicyName(),
    default="SAFE",
    show_default=True,
    help="The policy that decides.",
)


def examples(*lines: str) -> str:
    """Format example command lines as the end of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {text}" for text in lines)


def read_input(
    name: str, what: str, parse: Callable[[str], T], remedy: str
) -> T:
    """Parse a whole text file, or standard input for ``-``.

    ``remedy`` is for a text for which ``parse`` raises `ValueError`.

    Raises:
        CliError: the file cannot be opened, is too large, is not UTF-8, or
            cannot be parsed.
    """
    other = f"name a file that holds {what}, or - for standard input"
    try:
        if name == "-":
            data = sys.stdin.buffer.read(LIMIT + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(LIMIT + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CliError(Exit.USAGE, f"{name!r}: {why}", other) from None
    if len(data) > LIMIT:
        raise CliError(Exit.USAGE, f"{name}: larger than 16 MiB", other)
    try:
        return parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"{name}: not UTF-8 text (byte {error.start})"
        raise CliError(Exit.USAGE, message, other) from None
    except ValueError as error:
        raise CliError(Exit.USAGE, f"{name}: {error}", remedy) from None
