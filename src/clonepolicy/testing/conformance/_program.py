"""The program ``python -m clonepolicy.testing``."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)

from clonepolicy._terminal.command import CleanExitCommand, version
from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import console, emit, say, show
from clonepolicy.testing.conformance._load import (
    KINDS,
    find_bench,
    meant,
    open_bench,
)
from clonepolicy.testing.conformance._report import (
    Told,
    row_to_dict,
    rows_table,
    tell,
    to_dict,
    to_junit,
    to_table,
)
from clonepolicy.testing.conformance._row import Bench, Result, Row, run, told
from clonepolicy.testing.conformance._words import summary

_CODES = """\b
Exit codes:
  0    certified, or all rows of --only passed
  1    a row failed, one that was listed to fail passes, or none made a clone
  2    bad usage, or a bench that cannot be opened
  130  interrupted; the bench is closed
"""


def _check_patterns(patterns: tuple[str, ...]) -> None:
    """Refuse what matches no row, those of imported benches included."""
    known = [row.id for kind in KINDS for row in kind.table.rows]
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            near = meant(pattern, known) or "--rows lists them"
            raise click.BadParameter(
                f"there is no row {pattern!r}; {near}", param_hint="'--only'"
            )


def _chosen(
    rows: Sequence[Row[Any]], patterns: tuple[str, ...]
) -> list[Row[Any]]:
    return [
        row
        for row in rows
        if any(fnmatch.fnmatchcase(row.id, p) for p in patterns or ("*",))
    ]


@click.command(
    cls=CleanExitCommand,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 79,
    },
    epilog=examples(
        "python -m clonepolicy.testing my_array.bench:make_bench",
        "python -m clonepolicy.testing my_array.bench:make_bench --long",
        "python -m clonepolicy.testing my:bench --only 'clones-*' --json",
        "python -m clonepolicy.testing --rows",
    )
    + "\n\n"
    + _CODES,
)
@click.argument("benches", nargs=-1, metavar="PACKAGE.MODULE:FUNCTION...")
@click.option(
    "--only",
    multiple=True,
    metavar="ROW",
    help="Only this row, or those that match; may be repeated.",
)
@click.option("--rows", "list_rows", is_flag=True, help="List the rows.")
@click.option(
    "--long", "promises", is_flag=True, help="Tell what each row promises."
)
@click.option(
    "--junit",
    type=click.File("wb", lazy=False),
    metavar="FILE",
    help="Write JUnit's XML, too.",
)
@json_option
@click.version_option(version())
@click.pass_context
def program(  # noqa: PLR0913 - one for each option
    context: click.Context,
    *,
    benches: tuple[str, ...],
    only: tuple[str, ...],
    list_rows: bool,
    promises: bool,
    junit: Any,  # noqa: ANN401 - a file that click opened
    as_json: bool,
) -> None:
    """Certify adapters: hold each to what it declares, row by row.

    FUNCTION is called without arguments and gives a bench: an adapter, and
    the means to measure it.
    """
    found = [(spec, find_bench(spec)) for spec in benches]
    _check_patterns(only)
    if list_rows:
        _list_rows(only, as_json=as_json)
        return
    if not benches:
        raise click.UsageError("name a function that makes a bench")
    all_told: list[Told] = []
    for spec, make in found:
        ran = _run(spec, make, only)
        if not as_json:
            if all_told:
                say()
            _show(ran, promises=promises)
        all_told.append(ran)
    if junit is not None:
        junit.write(to_junit(all_told))
    if as_json:
        benches_told = [to_dict(ran) for ran in all_told]
        emit({"clonepolicy": version(), "benches": benches_told})
    if any(ran.report.problem for ran in all_told):
        context.exit(Exit.FAILED)


def _run(spec: str, make: Callable[[], Bench], only: tuple[str, ...]) -> Told:
    # what benches and adapters print is not of the report
    with contextlib.redirect_stdout(sys.stderr):
        kind, bench = open_bench(spec, make)
        with _closing(spec, bench):
            rows = _chosen(kind.table.rows, only)
            with _progress(spec, rows) as told_of:
                report = run(kind.table, bench, rows=rows, told_of=told_of)
            return tell(spec, kind, bench, report)


@contextlib.contextmanager
def _closing(spec: str, bench: Bench) -> Iterator[None]:
    """Close a bench in the end; where that fails the report is not lost."""
    try:
        yield
    finally:
        try:
            bench.close()
        except Exception as error:  # noqa: BLE001 - somebody else's
            click.echo(f"warning: bench {spec}: close {told(error)}", err=True)


@contextlib.contextmanager
def _progress(
    spec: str, rows: Sequence[Row[Any]]
) -> Iterator[Callable[[Result], None] | None]:
    """Name the row that is being run, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    titles = iter([*(f"{spec}: {row.id}" for row in rows), ""])
    with Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        console=console(sys.stderr),
        transient=True,
    ) as progress:
        task = progress.add_task(next(titles), total=len(rows))

        def told_of(_: Result) -> None:
            progress.update(task, advance=1, description=next(titles))

        yield told_of


def _show(ran: Told, *, promises: bool) -> None:
    offered = f" of {ran.distribution}" if ran.distribution else ""
    say(f"{ran.spec}: {ran.adapter}{offered}")
    say()
    show(to_table(ran.report, promises=promises))
    say()
    for line in summary(ran.report, ran.kind.table):
        say(line)


def _list_rows(only: tuple[str, ...], *, as_json: bool) -> None:
    chosen = {kind.name: _chosen(kind.table.rows, only) for kind in KINDS}
    if as_json:
        emit(
            {
                name: [row_to_dict(row) for row in rows]
                for name, rows in chosen.items()
            }
        )
        return
    for name, rows in chosen.items():
        if rows:
            say(f"{name}\n")
            show(rows_table(rows))
