"""Which sources an array clones, and which it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import attrs

from clonepolicy import ConflictError, IntegrityError, NotFoundError
from clonepolicy.testing.conformance._check import (
    Level,
    given,
    require,
    require_same,
)
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    CLONES,
    OTHER,
    THREADS,
    UPLOADING,
)

_MARK = 512
"""Bytes of a write that carries its number."""
_BUSY = (
    *("attaching", "awaiting-transfer", "backing-up", "creating", "deleting"),
    *("detaching", "downloading", "error", "error_backing-up"),
    *("error_deleting", "error_extending", "error_managing"),
    *("error_restoring", "extending", "maintenance", "managing", "reserved"),
    *("restoring-backup", "retyping", "reverting"),
)
"""Cinder's statuses of volumes that must not be cloned."""


@ARRAYS.check(Level.CLONES, CLONES)
def refuses_to_clone_a_missing_source(fixture: Fixture) -> None:
    """Cloning a missing source fails and creates nothing."""
    gone = fixture.volume()
    fixture.array.discard(gone.id)
    for source in (fixture.record(), gone):
        fixture.expect_clone_error(NotFoundError, source, "a missing source")
    fixture.require_unchanged()


@ARRAYS.check(Level.CLONES, CLONES)
def refuses_to_clone_a_busy_source(fixture: Fixture) -> None:
    """A source that is busy or in error is refused."""
    statuses, source = list(_BUSY), fixture.volume()
    if not fixture.backend.clone_while_uploading:
        statuses.append("uploading")
    for status in statuses:
        busy = fixture.with_status(source, status)
        what = f"a source in status {status}"
        fixture.expect_clone_error(ConflictError, busy, what)
    fixture.require_intact(source)


@ARRAYS.check(Level.CLONES, CLONES)
def clones_or_refuses_a_source_in_use(fixture: Fixture) -> str:
    """A source in use is cloned completely, or refused without a trace."""
    source = fixture.with_status(fixture.volume(), "in-use")
    target = fixture.target()
    held = frozenset(fixture.harness.holds())
    try:
        fixture.clone_to(target, source)
    except ConflictError:
        fixture.require_absent(target)
        require_same(held, fixture.harness.holds(), "after the refusal")
        fixture.require_intact(source)
        return "refused"
    fixture.require_intact(source, target)
    return "cloned"


@ARRAYS.check(Level.CLONES, CLONES, THREADS)
def clones_a_source_in_use_at_one_instant(fixture: Fixture) -> str:
    """If a clone has a guest's write, it has all earlier writes, too."""
    source = fixture.with_status(fixture.volume(), "in-use")
    target, begun, stopped = fixture.target(), Event(), Event()
    offsets = (0, fixture.harness.gib - _MARK)

    def write_numbers() -> int:
        number = 0
        try:
            with fixture.guest(source) as write:
                while not stopped.is_set():
                    number += 1
                    for offset in offsets:
                        write(offset, number.to_bytes(_MARK, "little"))
                    begun.set()
        finally:
            # do not wait for a guest that cannot write
            begun.set()
        return number

    with ThreadPoolExecutor(1) as pool:
        guest = pool.submit(write_numbers)
        begun.wait()
        try:
            fixture.array.clone_volume(target.id, source)
        except ConflictError:
            fixture.require_absent(target)
            return "refused"
        finally:
            stopped.set()
    written = guest.result()
    first, last = _numbers(fixture.array.read(target.id), offsets)
    require(
        0 <= first - last <= 1,
        f"has write {first} at the beginning and write {last} at the end",
    )
    return f"write {first} of {written}"


def _numbers(pieces: Iterator[bytes], offsets: Iterable[int]) -> list[int]:
    """Read the numbers of the writes at these offsets."""
    found = dict.fromkeys(offsets, b"")
    at = 0
    for piece in pieces:
        for offset in found:
            first = max(0, offset - at)
            last = max(0, offset + _MARK - at)
            found[offset] += piece[first:last]
        at += len(piece)
    return [int.from_bytes(mark, "little") for mark in found.values()]


@ARRAYS.check(Level.CLONES, CLONES, UPLOADING, clones=True)
def clones_a_source_that_is_uploading(fixture: Fixture) -> None:
    """A source that is uploading is cloned like an available one."""
    source = fixture.volume()
    uploading = attrs.evolve(
        fixture.with_status(source, "uploading"), previous_status="available"
    )
    fixture.require_intact(source, fixture.clone(uploading))


@ARRAYS.check(Level.CLONES, CLONES)
def refuses_a_source_whose_size_is_not_as_recorded(fixture: Fixture) -> None:
    """If a source's size is not the recorded one, its clone is refused."""
    source = fixture.volume(2)
    for size in (1, 3):
        wrong = attrs.evolve(source, size=size)
        what = f"a source of 2 GiB recorded as {size} GiB"
        fixture.expect_clone_error(IntegrityError, wrong, what)
    fixture.require_intact(source)


@ARRAYS.check(Level.CLONES, CLONES, OTHER)
def refuses_a_source_on_another_array(fixture: Fixture) -> None:
    """A source on another array is not found, and nothing is created."""
    other = given(fixture.harness.other, "other")
    with Fixture(attrs.evolve(fixture.harness, array=other)) as elsewhere:
        source = elsewhere.volume()
        what = "a source on another array"
        fixture.expect_clone_error(NotFoundError, source, what)
        elsewhere.expected[source.id].compare(other.read(source.id), what)
