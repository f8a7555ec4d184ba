"""Output: JSON, text, tables, sizes and times."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, TypeAlias

import attrs
from rich import box
from rich.console import Console
from rich.filesize import pick_unit_and_suffix
from rich.table import Table
from rich.text import Text

from clonepolicy._text import printable, printable_lines

Json: TypeAlias = dict[str, Any]

_UNBROKEN = 4096
"""Columns of output that is piped: wide enough for every id and path."""


def console(
    file: IO[str] | None = None, *, piped_width: int = _UNBROKEN
) -> Console:
    """Make a console that prints texts unchanged, without markup."""
    stream = sys.stdout if file is None else file
    fits = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(
        file=stream,
        width=None if fits else piped_width,
        markup=False,
        highlight=False,
        emoji=False,
    )


def plain(record: attrs.AttrsInstance) -> Json:
    """Convert a record of simple fields to JSON types."""

    def simple(_: object, __: object, value: object) -> object:
        return sorted(value) if isinstance(value, frozenset) else value

    return attrs.asdict(record, value_serializer=simple)


def emit(value: Json) -> None:
    """Write one JSON document, in ASCII."""
    _write(json.dumps(value, indent=2))


def answer(fields: Json, shown: str | Table, *, as_json: bool) -> None:
    """Write ``fields`` as JSON, or else what people are shown."""
    if as_json:
        emit(fields)
    elif isinstance(shown, str):
        say(shown)
    else:
        show(shown)


def say(text: str = "") -> None:
    """Write text for people."""
    _write(printable_lines(text))


def _write(text: str) -> None:
    # click.echo writes UTF-8 even to an ASCII terminal
    sys.stdout.write(f"{text}\n")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Table:
    """Make a table; None is shown as a dash.

    Columns in ``right`` are right-aligned.  Columns in ``whole`` are not
    wrapped if they fit.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in whole,
        )
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: object) -> Text:
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or None
    return Text("-" if value is None else printable(str(value)))


def show(renderable: object) -> None:
    """Write a table for people, without trailing blanks."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    for text in captured.get().splitlines():
        _write(text.rstrip())


def pairs(rows: Iterable[tuple[str, object]]) -> Table:
    """Make a table of names and values; a list is one line."""
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(_cell(name), _cell(value))
    return made


_FINE = 0.01


def size(count: int) -> str:
    """Format a number of bytes: 0 B, 96.0 MiB."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    unit, name = pick_unit_and_suffix(count, units, 1024)
    return f"{count / unit:.{int(unit > 1)}f} {name}"


def seconds(duration: float) -> str:
    """Format a duration: 2.05 s, 120 ms, 3.1 ms."""
    if duration >= 1:
        return f"{duration:.2f} s"
    return f"{duration * 1000:.{1 if duration < _FINE else 0}f} ms"
