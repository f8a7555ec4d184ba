"""A command that always exits with an exit code, and the version."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import click
from typing_extensions import override

from clonepolicy._terminal.errors import Exit, line, to_cli_error


class CleanExitCommand(click.Command):
    """Reports an expected error as one line on standard error.

    A defect keeps its traceback.  Closed standard streams, and characters
    that the terminal cannot write, do no harm.
    """

    @override
    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        **extra: Any,
    ) -> NoReturn:
        given = list(sys.argv[1:] if args is None else args)
        for name in ("stdin", "stdout", "stderr"):
            if getattr(sys, name) is None:
                null = Path(os.devnull).open("r+")  # noqa: SIM115 - stays open
                setattr(sys, name, null)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        extra["standalone_mode"] = False
        try:
            code = super().main(given, prog_name, **extra)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = Exit.USAGE
        except click.Abort:
            code = Exit.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - defects are raised again
            problem = to_cli_error(error)
            as_json = "--json" in given
            click.echo(line(problem, as_json=as_json), err=True)
            code = problem.code
        sys.exit(code or Exit.DONE)


def version() -> str:
    """Return the installed version."""
    try:
        return metadata.version("clonepolicy")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"
