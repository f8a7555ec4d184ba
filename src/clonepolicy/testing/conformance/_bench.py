"""What an author writes beside an adapter: how to look at it from behind."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager

import attrs

from clonepolicy import ArrayBackend, GiB, Location, Volume


def _volume(size: int, status: str) -> Volume:
    """Make the record of a volume that nothing else knows of."""
    return Volume(
        id=str(uuid.uuid4()), project_id="bench", size=size, status=status
    )


def _nothing() -> None:
    """Clean nothing up."""


def _nothing_of(_volume_id: str, _status: str) -> None:
    """Leave a record as it is."""


@attrs.frozen(kw_only=True)
class ArrayBench:
    """An array under test, and the author's means to measure it.

    Only the first four are needed by every array; what else is not given
    leaves rows out, visibly, or fails those whose claim it would prove.
    """

    array: ArrayBackend
    overwrite: Callable[[str, int, bytes], None]
    """Write bytes at an offset into a volume, as a guest would."""
    size_of: Callable[[str], int | None]
    """Give a volume's size in bytes by the array's own tools, not through
    the adapter; None: it is not there."""
    holds: Callable[[], Collection[str]]
    """Name all that the array keeps for volumes, by its own tools: files,
    images, snapshots, whatever would be left behind."""
    exclusive: Callable[[str], int] | None = None
    """Give how many bytes of space a volume has for itself alone, by the
    array's own tools; needed by whoever claims a kind of clone."""
    transferred: Callable[[], int] | None = None
    """Give how many bytes this client has exchanged with the array so far;
    needed by whoever claims an offloaded copy."""
    add_image: Callable[[Iterator[bytes]], Location] | None = None
    """Put raw data where stored images lie; needed by whoever claims to
    clone them."""
    remove_image: Callable[[Location], object] | None = None
    """Remove such an image again, whatever still depends on it."""
    other: ArrayBackend | None = None
    """Another array of the same kind, with another identity."""
    breaking: Callable[[], AbstractContextManager[object]] | None = None
    """Enter a context in which the array begins changes and fails."""
    guest: (
        Callable[[str], AbstractContextManager[Callable[[int, bytes], object]]]
        | None
    ) = None
    """Keep a volume open, as a guest does, and give what writes bytes at an
    offset; None: it is open for each `overwrite` only."""
    threads: bool = True
    """Whether calls may come from several threads of this process."""
    again: Callable[[], ArrayBackend] | None = None
    """Open the same array once more, as another process would.  Other
    processes do, and are killed, where this can be pickled: a class and its
    arguments in a `functools.partial`."""
    new_volume: Callable[[int, str], Volume] = _volume
    """Make the record of a volume of so many GiB in a status."""
    set_status: Callable[[str, str], object] = _nothing_of
    """Let the record of a volume say another status, where the array looks
    at records of its own."""
    gib: int = GiB
    """Bytes that the array takes for a GiB; models take fewer."""
    xfail: Mapping[str, str] = attrs.field(factory=dict)
    """Rows that are known to fail, each with the reason."""
    close: Callable[[], None] = _nothing
    """Take everything down."""
