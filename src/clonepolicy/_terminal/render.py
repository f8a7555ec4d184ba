"""Output: JSON, text, tables, sizes and times."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, TypeAlias

from clonepolicy._lazy import TYPE_CHECKING
from clonepolicy._text import printable, printable_lines

if TYPE_CHECKING:
    import attrs
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Json: TypeAlias = dict[str, Any]

_UNBROKEN = 4096
"""Columns of output that is piped: wide enough for every id and path."""
_USUAL = 80
"""The width of a terminal that does not report one."""
_NARROW = 8
"""The least width of a column whose cells can be wrapped."""
_GAP = 2
"""The space between two columns of a table."""


def columns_of(stream: IO[str]) -> int | None:
    """Return the width of a terminal; None: the stream is not a terminal."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    if not stream.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns or _USUAL


def console(
    file: IO[str] | None = None, *, piped_width: int = _UNBROKEN
) -> Console:
    """Make a console that prints texts unchanged, without markup."""
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            # rich's own exits with 1
            raise BrokenPipeError

    stream = sys.stdout if file is None else file
    return Ours(
        file=stream,
        width=columns_of(stream) or piped_width,
        markup=False,
        highlight=False,
        emoji=False,
    )


def plain(record: attrs.AttrsInstance) -> Json:
    """Convert a record of simple fields to JSON types."""
    import attrs

    def simple(_: object, __: object, value: object) -> object:
        return sorted(value) if isinstance(value, frozenset) else value

    return attrs.asdict(record, value_serializer=simple)


def emit(value: Json) -> None:
    """Write one JSON document, in ASCII."""
    _write(json.dumps(value, indent=2))


def emit_yaml(value: Json) -> None:
    """Write one YAML document, in ASCII (extra ``yaml``)."""
    from clonepolicy._terminal import yaml

    sys.stdout.write(yaml.dumps(value))


def answer(fields: Json, shown: str | Table, *, as_json: bool) -> None:
    """Write ``fields`` as JSON, or else what people are shown."""
    if as_json:
        emit(fields)
    elif isinstance(shown, str):
        say(shown)
    else:
        show(shown)


def say(text: str = "") -> None:
    """Write text for people, wrapped at the width of a terminal."""
    width = columns_of(sys.stdout)
    for line in printable_lines(text).split("\n"):
        _write(line if width is None else "\n".join(wrap(line, width)))


def wrap(line: str, width: int) -> list[str]:
    """Wrap a line between words, and indent what follows the first line.

    A longer word stays whole, so that an id or a URL can be copied.
    """
    from rich.cells import cell_len

    text = line.lstrip(" ")
    indent = line[: len(line) - len(text)]
    first, *words = text.split(" ")
    lines = [indent + first]
    for word in words:
        longer = f"{lines[-1]} {word}"
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(f"{indent}  {word}")
    return lines


def _write(text: str) -> None:
    # click.echo writes UTF-8 even to an ASCII terminal
    sys.stdout.write(f"{text}\n")


def table(  # noqa: PLR0913 - one for each property of columns
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
    width: int | None = None,
) -> Table:
    """Make a table; None is shown as a dash.

    Columns in ``right`` are right-aligned.  Columns in ``whole`` are not
    wrapped if they fit.  Columns in ``spare`` are left out if the table
    would not fit, first ones first, and the table says so.  Without
    ``width``, it is that of standard output.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    room = width or columns_of(sys.stdout) or _UNBROKEN
    listed = [[_cell(value) for value in row] for row in rows]
    wide = {
        column: max(
            [Text(column).cell_len, *(cell.cell_len for cell in cells)]
        )
        for column, *cells in zip(columns, *listed, strict=True)
    }
    # a cell that takes more than half of the table is wrapped anyway
    kept, left_out = dict(wide), []
    for column in spare:
        if _needed(min(most, room // 2) for most in kept.values()) > room:
            left_out.append(column)
            del kept[column]
    used = _needed(min(most, _NARROW) for most in kept.values())
    unbroken = set()
    for column in sorted(kept.keys() & {*whole}, key=kept.__getitem__):
        used += max(kept[column] - _NARROW, 0)
        if used <= room:
            unbroken.add(column)
    made = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        caption_justify="left",
    )
    if left_out:
        made.caption = Text(
            f"no room for {', '.join(left_out)}; --long shows all",
            style="italic",
        )
    for column in kept:
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in unbroken,
        )
    for cells in listed:
        by_column = dict(zip(columns, cells, strict=True))
        made.add_row(*(by_column[column] for column in kept))
    return made


def _needed(widths: Iterable[int]) -> int:
    """Return the width of a table with columns of these widths."""
    return sum(width + _GAP for width in widths) - _GAP


def _cell(value: object) -> Text:
    """Make a cell: a list is one line, a tuple has a line for each value."""
    from rich.text import Text

    if isinstance(value, list):
        value = ", ".join(map(str, value)) or None
    if value is None or value == ():
        return Text("-")
    lines = value if isinstance(value, tuple) else (value,)
    return Text("\n".join(printable(str(line)) for line in lines))


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
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(_cell(name), _cell(value))
    return made


_FINE = 0.01


def size(count: int) -> str:
    """Format a number of bytes: 0 B, 96.0 MiB."""
    from rich.filesize import pick_unit_and_suffix

    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    unit, name = pick_unit_and_suffix(count, units, 1024)
    return f"{count / unit:.{int(unit > 1)}f} {name}"


def seconds(duration: float) -> str:
    """Format a duration: 2.05 s, 120 ms, 3.1 ms."""
    if duration >= 1:
        return f"{duration:.2f} s"
    return f"{duration * 1000:.{1 if duration < _FINE else 0}f} ms"
