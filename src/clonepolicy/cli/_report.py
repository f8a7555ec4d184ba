"""Measure and report operations on a local cloud."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import override

from clonepolicy import (
    CloneKind,
    Decision,
    Finding,
    Refuse,
    explain,
    wire,
)
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import (
    Json,
    console,
    emit,
    pairs,
    say,
    seconds,
    show,
    size,
)
from clonepolicy._text import printable
from clonepolicy.adapters.local import Created, Uploaded
from clonepolicy.cli._cloud import to_dict, to_rows
from clonepolicy.cli._here import remedies, reword
from clonepolicy.plan import Attempt
from clonepolicy.ports import Observer


class Meter(Observer):
    """The bytes that an operation moves, and the seconds that it takes."""

    def __init__(self, advance: Callable[[int, int | None], None]) -> None:
        """Start from zero; tell ``advance`` of every number of bytes.

        It is also told how many bytes are left, if that is known.
        """
        self.bytes_moved = 0
        """Bytes that passed through, those of failed attempts included."""
        self.bytes_copied = 0
        """Bytes that the file system copied for clones."""
        self.seconds = 0.0
        """Set at the end of the operation."""
        self._advance = advance

    @override
    def moved(self, count: int) -> None:
        self.bytes_moved += count
        self._advance(count, None)

    @override
    def copied(self, count: int, left: int) -> None:
        self.bytes_copied += count
        self._advance(count, left)

    @property
    def cost(self) -> str:
        """Say how many bytes were moved, and copied by the file system."""
        moved = f"{size(self.bytes_moved)} moved"
        if not self.bytes_copied:
            return moved
        return f"{moved}, {size(self.bytes_copied)} copied"

    def moved_so_far(self, so_far: int, _total: int) -> None:
        """Take the bytes since the start in place of the latest bytes."""
        self.moved(so_far - self.bytes_moved)


@contextlib.contextmanager
def measured(title: str, total: int | None) -> Iterator[Meter]:
    """Measure a block, and show ``total`` bytes of progress on a terminal."""
    with contextlib.ExitStack() as stack:
        meter = Meter(lambda _count, _left: None)
        # even a disabled bar of rich before 15 writes a line
        if sys.stderr.isatty():
            bars = stack.enter_context(
                Progress(
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    DownloadColumn(binary_units=True),
                    TimeRemainingColumn(),
                    console=console(sys.stderr),
                    transient=True,
                    refresh_per_second=5,
                )
            )
            task = bars.add_task(printable(title), total=total)
            meter = Meter(partial(_advance, bars, task))
        started = time.perf_counter()
        yield meter
        meter.seconds = time.perf_counter() - started


def _advance(
    bars: Progress, task: TaskID, count: int, left: int | None
) -> None:
    bars.advance(task, count)
    if left is not None:
        bars.update(task, total=bars.tasks[task].completed + left)


_RECOVERY = "the next command that opens this cloud cleans up"


def findings(decision: Decision) -> tuple[Finding, ...]:
    """Return the findings of a refusal, or every other one, by their text."""
    refused = isinstance(decision, Refuse)
    routes = (decision.ordinary,) if refused else ()
    found = {(f.reason, f.meaning): f for f in decision.closing(*routes)}
    return tuple(found.values())


def reason_lines(decision: Decision) -> list[str]:
    """Give each of the reasons with its meaning, in a line."""
    return [f"{f.reason}: {f.meaning}" for f in findings(decision)]


def report(
    made: Created | Uploaded, meter: Meter, *, in_full: bool, as_json: bool
) -> None:
    """Report how a volume or an image was made.

    If the policy refused, exit with 3.

    Raises:
        CliError: every attempt failed.
    """
    noun = "volume" if isinstance(made, Created) else "image"
    row = made.volume if isinstance(made, Created) else made.image
    shown = None if row is None else to_dict(row)
    outcome = made.outcome
    if as_json:
        emit({**_to_dict(made, meter), noun: shown})
    else:
        _show(made, meter, in_full=in_full)
        if shown is not None:
            say()
            show(pairs(to_rows(shown)))
    if outcome is None:
        click.get_current_context().exit(Exit.REFUSED)
    # an error's own message says what to do about the error
    recovery = "" if outcome.settled else _RECOVERY
    if outcome.attempt is None:
        why = "no route is open"
        if outcome.failures:
            why = str(outcome.failures[0].error)
        message = f"the {noun} could not be made: {why}"
        raise CliError(Exit.FAILED, message, recovery)
    if recovery:
        click.echo(f"note: {recovery}", err=True)


def clone_kind(made: Created | Uploaded) -> CloneKind | None:
    """Return how the volume or image was cloned; None: it was not."""
    attempt = None if made.outcome is None else made.outcome.attempt
    if attempt is None or attempt.route is made.decision.ordinary:
        return None
    return made.decision.request.backend.clone_kind


def _to_dict(made: Created | Uploaded, meter: Meter) -> Json:
    outcome = made.outcome
    return {
        "decision": wire.to_dict(made.decision),
        "remedies": [
            wire.remedy_to_dict(remedy)
            for found in findings(made.decision)
            for remedy in remedies(found)
        ],
        "clone_kind": clone_kind(made),
        "outcome": None
        if outcome is None
        else {
            "attempt": _attempt_to_dict(outcome.attempt),
            "settled": outcome.settled,
            "failures": [
                {
                    "attempt": _attempt_to_dict(failure.attempt),
                    "step": type(failure.step).__name__,
                    "error": type(failure.error).__name__,
                    "message": str(failure.error),
                }
                for failure in outcome.failures
            ],
        },
        "seconds": meter.seconds,
        "bytes_moved": meter.bytes_moved,
        "bytes_copied": meter.bytes_copied,
    }


def _attempt_to_dict(attempt: Attempt | None) -> Json | None:
    if attempt is None:
        return None
    return {"route": str(attempt.route), "source": attempt.source}


def _show(made: Created | Uploaded, meter: Meter, *, in_full: bool) -> None:
    decision, outcome = made.decision, made.outcome
    text = explain(decision, reword=reword)
    say(text if in_full else text.splitlines()[0])
    for found in () if in_full else findings(decision):
        say(f"  - {found.reason}: {found.meaning}")
        for remedy in remedies(found) if isinstance(decision, Refuse) else ():
            say(f"    {remedy}")
    if outcome is None:
        return
    for failure in outcome.failures:
        where = failure.attempt or "abandon"
        step = type(failure.step).__name__
        say(printable(f"  ! {where}: {step} failed: {failure.error}"))
    if outcome.attempt is not None:
        took = seconds(meter.seconds)
        say(printable(f"done by {outcome.attempt}: {took}, {meter.cost}"))
        if clone_kind(made) is CloneKind.FULL_COPY:
            say(
                f"The clone is a full copy of {size(meter.bytes_copied)}: the "
                "file system of the pool has no reflinks. See clonepolicy "
                "pool list."
            )
