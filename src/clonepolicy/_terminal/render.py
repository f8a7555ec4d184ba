"""How things look: JSON, tables, sizes, times, progress bars."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, TypeAlias

import attrs
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clonepolicy._terminal.errors import printable

Json: TypeAlias = dict[str, Any]

_UNBROKEN = 4096
"""Columns where programs read: ids and paths are never broken."""


def console(
    file: IO[str] | None = None,
    *,
    piped_width: int = _UNBROKEN,
    quiet: bool = False,
) -> Console:
    """Make a console that takes texts as they are."""
    stream = sys.stdout if file is None else file
    fits = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(
        file=stream,
        width=None if fits else piped_width,
        quiet=quiet,
        markup=False,
        highlight=False,
        emoji=False,
    )


def plain(record: attrs.AttrsInstance) -> Json:
    """Write a record of simple fields as JSON's own types."""

    def simple(_: object, __: object, value: object) -> object:
        return sorted(value) if isinstance(value, frozenset) else value

    return attrs.asdict(record, value_serializer=simple)


def emit(value: Json) -> None:
    """Write one JSON document; ASCII, whatever the encoding outside."""
    _write(json.dumps(value, indent=2))


def say(text: str = "") -> None:
    """Write text for people."""
    _write(printable(text))


def _write(text: str) -> None:
    # click would write UTF-8 where the terminal says ASCII
    sys.stdout.write(f"{text}\n")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Table:
    """Make a table; what is not set shows as a dash.

    Columns that are ``whole`` are never broken, as long as they fit.
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
        made.add_row(
            *(Text("-" if v is None else printable(str(v))) for v in row)
        )
    return made


def show(renderable: object) -> None:
    """Write a table for people, without blanks at the ends of lines."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    for text in captured.get().splitlines():
        _write(text.rstrip())


def pairs(rows: Iterable[tuple[str, object]]) -> Table:
    """Make a table of names and values."""
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(overflow="fold")
    for name, value in rows:
        shown = "-" if value is None else printable(str(value))
        made.add_row(Text(name), Text(shown))
    return made


_STEP, _UNITS = 1024, ("KiB", "MiB", "GiB", "TiB")
_FINE = 0.01


def size(count: int) -> str:
    """Write a number of bytes: 0 B, 96.0 MiB."""
    if count < _STEP:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, len(_UNITS))
    return f"{count / _STEP**power:.1f} {_UNITS[power - 1]}"


def seconds(duration: float) -> str:
    """Write a duration, as fine as it means something."""
    if duration >= 1:
        return f"{duration:.2f} s"
    return f"{duration * 1000:.{1 if duration < _FINE else 0}f} ms"
