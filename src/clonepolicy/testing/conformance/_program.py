"""The program ``python -m clonepolicy.testing``."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from rich import progress

from clonepolicy._terminal.command import (
    CleanExitCommand,
    version,
    version_option,
)
from clonepolicy._terminal.errors import Exit, exit_codes
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import console, emit, say, show
from clonepolicy.testing.conformance._check import Check, describe
from clonepolicy.testing.conformance._harness import Harness
from clonepolicy.testing.conformance._load import (
    KINDS,
    find_harness,
    open_harness,
    suggest,
)
from clonepolicy.testing.conformance._output import (
    AdapterReport,
    adapter_report,
    check_to_dict,
    checks_table,
    report_table,
    report_to_dict,
    to_junit,
)
from clonepolicy.testing.conformance._report import Result, run

_CODES = (
    (Exit.DONE, "certified, or all checks of --only passed"),
    (
        Exit.FAILED,
        "a check failed, a known failure passed, or no check made a clone",
    ),
    (Exit.USAGE, "bad usage, or a harness that cannot be opened"),
    (Exit.INTERRUPTED, "interrupted; the harness was closed"),
    (Exit.UNREAD, Exit.UNREAD.meaning),
)


def _check_patterns(patterns: tuple[str, ...]) -> None:
    """Refuse a pattern that matches no check, an author's own included."""
    known = [check.id for kind in KINDS for check in kind.suite.checks]
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            near = suggest(pattern, known) or "--checks lists them"
            raise click.BadParameter(
                f"there is no check {pattern!r}; {near}", param_hint="'--only'"
            )


def _chosen(
    checks: Sequence[Check[Any]], patterns: tuple[str, ...]
) -> list[Check[Any]]:
    return [
        check
        for check in checks
        if any(fnmatch.fnmatchcase(check.id, p) for p in patterns or ("*",))
    ]


@click.command(
    cls=CleanExitCommand,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 79,
    },
    epilog=examples(
        "python -m clonepolicy.testing my_array.harness:make_harness",
        "python -m clonepolicy.testing my_array.harness:make_harness --long",
        "python -m clonepolicy.testing my:harness --only 'clones-*' --json",
        "python -m clonepolicy.testing --checks",
    )
    + exit_codes(_CODES),
)
@click.argument("harnesses", nargs=-1, metavar="PACKAGE.MODULE:FUNCTION...")
@click.option(
    "--only",
    multiple=True,
    metavar="CHECK",
    help="Run only this check, or those that match; may be repeated.",
)
@click.option("--checks", "list_checks", is_flag=True, help="List the checks.")
@click.option(
    "--long", "promises", is_flag=True, help="Show what each check promises."
)
@click.option(
    "--junit",
    type=click.File("wb", lazy=False),
    metavar="FILE",
    help="Also write a report in JUnit's XML.",
)
@json_option
@version_option
@click.pass_context
def program(  # noqa: PLR0913 - one for each option
    context: click.Context,
    *,
    harnesses: tuple[str, ...],
    only: tuple[str, ...],
    list_checks: bool,
    promises: bool,
    junit: Any,  # noqa: ANN401 - a file that click opened
    as_json: bool,
) -> None:
    """Certify adapters: check that each does what it declares.

    FUNCTION is called without arguments and returns a harness: an adapter,
    and functions that inspect it.
    """
    found = [(spec, find_harness(spec)) for spec in harnesses]
    _check_patterns(only)
    if list_checks:
        _list_checks(only, as_json=as_json)
        return
    if not harnesses:
        raise click.UsageError("name a function that returns a harness")
    reports: list[AdapterReport] = []
    for spec, make in found:
        ran = _run(spec, make, only)
        if not as_json:
            if reports:
                say()
            _show(ran, promises=promises)
        reports.append(ran)
    if junit is not None:
        junit.write(to_junit(reports))
    if as_json:
        emit(
            {
                "clonepolicy": version(),
                "harnesses": [report_to_dict(ran) for ran in reports],
            }
        )
    if any(ran.report.problem for ran in reports):
        context.exit(Exit.FAILED)


def _run(
    spec: str, make: Callable[[], Harness], only: tuple[str, ...]
) -> AdapterReport:
    # what harnesses and adapters print does not belong to the report
    with contextlib.redirect_stdout(sys.stderr):
        kind, harness = open_harness(spec, make)
        try:
            checks = _chosen(kind.suite.checks, only)
            with _progress(spec, checks) as on_result:
                report = run(
                    kind.suite, harness, checks=checks, on_result=on_result
                )
            return adapter_report(spec, kind, harness, report)
        finally:
            _close(spec, harness)


def _close(spec: str, harness: Harness) -> None:
    """Close a harness; if that fails, warn, to keep the report."""
    try:
        harness.close()
    except Exception as error:  # noqa: BLE001 - it may fail in any way
        warning = f"harness {spec}: close raised {describe(error)}"
        click.echo(f"warning: {warning}", err=True)


@contextlib.contextmanager
def _progress(
    spec: str, checks: Sequence[Check[Any]]
) -> Iterator[Callable[[Result], None] | None]:
    """Show which check is running, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    titles = iter([*(f"{spec}: {check.id}" for check in checks), ""])
    with progress.Progress(
        progress.MofNCompleteColumn(),
        progress.BarColumn(),
        progress.TextColumn("{task.description}", markup=False),
        console=console(sys.stderr),
        transient=True,
    ) as bar:
        task = bar.add_task(next(titles), total=len(checks))

        def on_result(_: Result) -> None:
            bar.update(task, advance=1, description=next(titles))

        yield on_result


def _show(ran: AdapterReport, *, promises: bool) -> None:
    package = ran.adapter["distribution"]
    of = f" of {package}" if package else ""
    say(f"{ran.spec}: {ran.adapter['adapter']}{of}")
    say()
    show(report_table(ran.report, promises=promises))
    say()
    for line in ran.report.summary():
        say(line)


def _list_checks(only: tuple[str, ...], *, as_json: bool) -> None:
    chosen = {kind.name: _chosen(kind.suite.checks, only) for kind in KINDS}
    if as_json:
        emit(
            {
                name: [check_to_dict(check) for check in checks]
                for name, checks in chosen.items()
            }
        )
        return
    for name, checks in chosen.items():
        if checks:
            say(f"{name}\n")
            show(checks_table(checks))
