"""A command that always exits with an exit code, and the version."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
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
        """Run the command, and exit.

        Raises:
            BrokenPipeError: nobody reads the output any more.
            KeyboardInterrupt: the user interrupted the command.
        """
        given = list(sys.argv[1:] if args is None else args)
        for name in ("stdin", "stdout", "stderr"):
            if getattr(sys, name) is None:
                null = Path(os.devnull).open("r+")  # noqa: SIM115 - stays open
                setattr(sys, name, null)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        # click's own main reports a closed pipe as a failure
        self._main_shell_completion(extra, prog_name or "clonepolicy")
        try:
            try:
                with self.make_context(prog_name, list(given), **extra) as at:
                    code = self.invoke(at)
            except click.exceptions.Exit as done:
                code = done.exit_code
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = Exit.USAGE
        except click.Abort:
            code = Exit.INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - defects are raised again
            problem = to_cli_error(error)
            as_json = "--json" in given
            click.echo(line(problem, as_json=as_json), err=True)
            code = problem.code
        sys.exit(code or Exit.DONE)


def version() -> str:
    """Return the installed version."""
    # importlib.metadata takes long to import
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version("clonepolicy")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


def _show_version(
    context: click.Context, _option: click.Parameter, wanted: object
) -> None:
    if wanted:
        name = context.find_root().info_name
        click.echo(f"{name}, version {version()}")
        context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
