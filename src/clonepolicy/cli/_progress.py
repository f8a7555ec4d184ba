"""Progress bars, and the bytes and seconds that an operation takes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import override

from clonepolicy._terminal.errors import printable
from clonepolicy._terminal.render import console
from clonepolicy.ports import Observer

Tick: TypeAlias = Callable[[int], None]
"""Called with the number of bytes since the last call."""


@contextlib.contextmanager
def bar(title: str, total: int | None) -> Iterator[Tick]:
    """Show a progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        transient=True,
        refresh_per_second=5,
    ) as progress:
        task = progress.add_task(printable(title), total=total)
        yield lambda count: progress.advance(task, count)


class Meter(Observer):
    """The bytes that an operation moves, and the seconds that it takes."""

    def __init__(self, tick: Tick) -> None:
        """Start from zero."""
        self.bytes_moved = 0
        """Bytes that passed through, those of failed attempts included."""
        self.seconds = 0.0
        """Set at the end of the operation."""
        self._tick = tick

    @override
    def moved(self, count: int) -> None:
        self.bytes_moved += count
        self._tick(count)

    def moved_so_far(self, so_far: int, _total: int) -> None:
        """Take the bytes since the start in place of the latest bytes."""
        self.moved(so_far - self.bytes_moved)


@contextlib.contextmanager
def measured(title: str, total: int | None) -> Iterator[Meter]:
    """Measure a block, and show a progress bar of ``total`` bytes."""
    with bar(title, total) as tick:
        meter = Meter(tick)
        started = time.perf_counter()
        yield meter
        meter.seconds = time.perf_counter() - started
