"""Watch an operation: count its bytes, show a bar, report its outcome."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import override

from clonepolicy import (
    Decision,
    Observer,
    Outcome,
    Path,
    Reason,
    Refuse,
    explain,
    wire,
)
from clonepolicy._terminal.errors import CliError, Exit, printable
from clonepolicy._terminal.render import (
    Json,
    console,
    pairs,
    say,
    seconds,
    show,
    size,
)
from clonepolicy.adapters.local import ImageRow, VolumeRow

Tick: TypeAlias = Callable[[int], None]

_ORDINARY = frozenset({Path.DOWNLOAD, Path.UPLOAD})


@contextlib.contextmanager
def bar(title: str, total: int | None) -> Iterator[Tick]:
    """Show a progress bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield _ignore
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


def _ignore(_count: int) -> None:
    """Show nothing."""


class Watch(Observer):
    """Counts the bytes that pass through, and the time."""

    def __init__(self, tick: Tick = _ignore) -> None:
        """Start the clock."""
        self.bytes_moved = 0
        self.seconds = 0.0
        self._tick = tick
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._started

    @override
    def moved(self, count: int) -> None:
        """Count them; those of an attempt that failed were moved, too."""
        self.bytes_moved += count
        self._tick(count)


@contextlib.contextmanager
def watching(title: str, total: int | None) -> Iterator[Watch]:
    """Watch what happens in a block."""
    with bar(title, total) as tick:
        watch = Watch(tick)
        yield watch
        watch.stop()


def image_to_dict(row: ImageRow) -> Json:
    """Write an image as JSON's own types."""
    image = row.image
    return {
        "id": image.id,
        "name": row.name,
        "status": image.status,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "min_disk": image.min_disk,
        "visibility": image.visibility,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "locations": list(row.locations),
        "bytes_on_disk": row.bytes_on_disk,
    }


def tell_image(row: ImageRow) -> None:
    """Show an image to people."""
    shown = image_to_dict(row)
    shown["locations"] = ", ".join(row.locations) or None
    show(pairs(shown.items()))


def volume_to_dict(row: VolumeRow) -> Json:
    """Write a volume as JSON's own types."""
    volume = row.volume
    return {
        "id": volume.id,
        "name": row.name,
        "project_id": volume.project_id,
        "size": volume.size,
        "status": volume.status,
        "host": None if volume.host is None else str(volume.host),
        "image_owner": volume.image_owner,
        "glance_image_id": volume.glance_image_id,
        "bytes_on_disk": row.bytes_on_disk,
        "path": str(row.path),
    }


def result_to_dict(
    decision: Decision, outcome: Outcome | None, watch: Watch
) -> Json:
    """Write what was decided and how it went as JSON's own types."""
    return {
        "decision": wire.to_dict(decision),
        "outcome": None
        if outcome is None
        else {
            "attempt": outcome.attempt,
            "settled": outcome.settled,
            "failures": [
                {
                    "attempt": failure.attempt,
                    "step": type(failure.step).__name__,
                    "error": type(failure.error).__name__,
                    "message": str(failure.error),
                }
                for failure in outcome.failures
            ],
        },
        "seconds": watch.seconds,
        "bytes_moved": watch.bytes_moved,
    }


def why_not(decision: Decision) -> list[str]:
    """Give each reason for the verdict once, in a line."""
    return [
        f"{reason}: {reason.about.meaning}" for reason in reasons(decision)
    ]


def reasons(decision: Decision) -> tuple[Reason, ...]:
    """Give the reasons against the efficient path, or for a refusal."""
    return tuple(
        dict.fromkeys(
            finding.reason
            for finding in decision.findings
            if not isinstance(decision, Refuse)
            or _ORDINARY.intersection(finding.blocks)
        )
    )


def tell(
    decision: Decision,
    outcome: Outcome | None,
    watch: Watch,
    *,
    in_full: bool,
) -> None:
    """Tell people what was decided, why, and how it went."""
    lines = explain(decision).splitlines()
    say("\n".join(lines if in_full else lines[:1]))
    if not in_full:
        for reason in reasons(decision):
            say(f"  - {reason}: {reason.about.meaning}")
            if isinstance(decision, Refuse):
                say(f"    {reason.about.who}: {reason.about.remedy}")
    if outcome is None:
        return
    for failure in outcome.failures:
        step = type(failure.step).__name__
        say(f"  ! {failure.attempt}: {step} failed: {failure.error}")
    if outcome.attempt is not None:
        moved = size(watch.bytes_moved)
        took = seconds(watch.seconds)
        say(f"done by {outcome.attempt}: {took}, {moved} moved")


def failed(what: str, outcome: Outcome) -> CliError:
    """Complain that every attempt failed."""
    why = (
        str(outcome.failures[0].error)
        if outcome.failures
        else "no attempt was open"
    )
    if not outcome.settled:
        what += " (the next command that opens this cloud clears up)"
    # what can be done about it stands in the message already
    return CliError(Exit.FAILED, f"{what}: {why}", "")


def note_unsettled(outcome: Outcome) -> None:
    """Say what is left to do after a success."""
    if not outcome.settled:
        note = (
            "note: the next command that opens this cloud clears up the rest"
        )
        click.echo(note, err=True)
