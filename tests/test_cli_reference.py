"""The reference page of the command line, which is made from the help."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from clonepolicy.cli._program import program

MODULE = Path(__file__).parents[1] / "docs" / "_pages" / "command_line.py"


@pytest.fixture(scope="module")
def command_line() -> Callable[[], Iterator[str]]:
    """The function that writes the page."""
    written: Callable[[], Iterator[str]]
    written = runpy.run_path(str(MODULE))["command_line"]
    return written


def _words(command: click.Command, path: str) -> Iterator[str]:
    yield f"\n## {path}\n"
    for parameter in command.params:
        yield from (
            parameter.opts if isinstance(parameter, click.Option) else ()
        )
    for line in (command.epilog or "").splitlines():
        yield line.strip(" \b")
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _words(below, f"{path} {name}")


def test_the_page_has_all_commands_options_examples_and_exit_codes(
    command_line: Callable[[], Iterator[str]],
) -> None:
    """Each command is a section."""
    page = "\n\n".join(command_line())

    words = list(_words(program, "clonepolicy"))
    assert "130  interrupted; nothing incomplete is left behind" in words
    assert [word for word in words if word not in page] == []


MANUAL = MODULE.parents[1] / "man" / "clonepolicy.1"


def test_the_manual_has_all_commands_options_examples_and_exit_codes() -> None:
    """As a reader sees it, and without a complaint of the formatter."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=300n", MANUAL],
        capture_output=True,
        check=True,
        text=True,
    )

    assert "" == done.stderr
    shown = done.stdout
    words = [
        word.removeprefix("\n## ").removesuffix("\n").rstrip(":")
        for word in _words(program, "clonepolicy")
    ]
    assert [word for word in words if word not in shown] == []
    assert "`" not in shown


def test_the_page_does_not_depend_on_the_terminal(
    command_line: Callable[[], Iterator[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No line is wrapped."""
    wide = list(command_line())
    monkeypatch.setenv("COLUMNS", "30")

    assert wide == list(command_line())
