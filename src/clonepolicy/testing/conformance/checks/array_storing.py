"""Writing, reading and discarding volumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import chain

from clonepolicy import (
    AdapterError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    UnsupportedError,
)
from clonepolicy.testing.conformance._check import (
    Level,
    Need,
    allow_refusal,
    expect_error,
    fail,
    require_equal,
    require_same,
)
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance._harness import ArrayHarness
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    BREAKING,
    clones,
)


def _can_stat(harness: ArrayHarness) -> bool:
    try:
        harness.array.stat(harness.new_volume(1, "creating").id)
    except UnsupportedError:
        return False
    return True


STAT = Need("the array cannot report sizes, and says so (stat)", _can_stat)


@ARRAYS.check(Level.STORES)
def reads_back_what_was_written(fixture: Fixture) -> str:
    """A volume has the requested size, the data written, and then zeros."""
    gib = fixture.harness.gib
    whole, short = fixture.volume(2), fixture.target(2)
    content = Content(gib // 2 + 512)
    content.put(0, b"head")
    content.put(content.size - 4, b"tail")
    fixture.write(short, content)
    fixture.require_intact(whole, short)
    return f"{2 * 2} GiB compared"


@ARRAYS.check(Level.STORES)
def refuses_data_larger_than_the_volume(fixture: Fixture) -> None:
    """Data beyond the volume's end is refused; the rest can be discarded."""
    gib, target = fixture.harness.gib, fixture.target()
    content = Content(gib + 512)
    content.put(gib, b"x" * 512)
    with expect_error(IntegrityError, "512 bytes too many"):
        fixture.write(target, content)
    fixture.array.discard(target.id)
    fixture.require_absent(target)
    fixture.require_unchanged()


class _StreamError(OSError):
    """An error of the data's own iterator, such as a lost connection."""


def _broken_stream(content: Content, *, at_the_end: bool) -> Iterator[bytes]:
    pieces = content.pieces()
    yield next(pieces)
    if at_the_end:
        yield from pieces
    raise _StreamError


@ARRAYS.check(Level.STORES)
def passes_on_errors_of_the_data_stream(fixture: Fixture) -> None:
    """Errors of the data's iterator reach the caller; a retry succeeds."""
    target, content = fixture.target(), fixture.content("stream")
    for at_the_end in (False, True):
        data = _broken_stream(content, at_the_end=at_the_end)
        try:
            fixture.write(target, content, data)
        except _StreamError:
            pass
        else:
            fail("the volume was created from a stream that broke off")
        fixture.array.discard(target.id)
        fixture.require_absent(target)
        fixture.require_unchanged()
    fixture.write(target, content)
    fixture.require_intact(target)


@ARRAYS.check(Level.STORES)
def refuses_data_in_a_wrong_format(fixture: Fixture) -> None:
    """Data that is not of its stated format, or in a container, is refused."""
    content = fixture.content("no such format")
    for formats in (("qcow2", "bare"), ("none", "bare"), ("raw", "ova")):
        target = fixture.target()
        with expect_error(AdapterError, f"data of {formats}"):
            fixture.write(target, content, formats=formats)
        fixture.array.discard(target.id)
        fixture.require_absent(target)
    fixture.require_unchanged()


@ARRAYS.check(Level.STORES)
def serves_interleaved_reads(fixture: Fixture) -> None:
    """Reads in progress do not disturb each other, even on one volume."""
    one, other = fixture.volume(), fixture.volume()
    reads = [
        (fixture.array.read(volume.id), fixture.expected[volume.id])
        for volume in (one, one, other)
    ]
    heads = [next(read) for read, _ in reads]
    for head, (rest, content) in zip(heads, reads, strict=True):
        content.compare(chain((head,), rest), "an interleaved read")


@ARRAYS.check(Level.STORES, BREAKING)
def recovers_from_a_failed_write(fixture: Fixture) -> None:
    """What a failed write left can be discarded; a later write succeeds."""
    other, target = fixture.volume(), fixture.target()
    content = fixture.content("failed write")
    with fixture.breaking():
        with allow_refusal("writing"):
            fixture.write(target, content)
        with allow_refusal("discarding"):
            fixture.array.discard(target.id)
    fixture.array.discard(target.id)
    fixture.require_absent(target)
    fixture.write(target, content)
    fixture.require_intact(target, other)


@ARRAYS.check(Level.STORES)
def refuses_to_write_over_existing_data(fixture: Fixture) -> None:
    """A volume that has data cannot be written again."""
    volume = fixture.volume()
    with expect_error(ConflictError, "writing again"):
        fixture.write(volume, fixture.content("another"))
    fixture.require_intact(volume)


@ARRAYS.check(Level.STORES)
def reports_a_missing_volume_as_missing(fixture: Fixture) -> None:
    """A missing volume has no size and no data; discarding it is no error."""
    absent = fixture.record()
    with expect_error(NotFoundError, "reading"):
        for _ in fixture.array.read(absent.id):
            pass
    with contextlib.suppress(UnsupportedError):
        require_equal(fixture.array.stat(absent.id), None, "stat")
    fixture.array.discard(absent.id)
    fixture.require_unchanged()


@ARRAYS.check(Level.STORES, STAT)
def reports_the_size_that_its_own_tools_report(fixture: Fixture) -> str:
    """Sizes agree after writing, extending, cloning and discarding."""
    gib, volume = fixture.harness.gib, fixture.volume(2)
    fixture.require_size(volume.id, 2 * gib)
    if fixture.backend.can_extend:
        volume = fixture.extend(volume, 3)
        fixture.require_size(volume.id, 3 * gib)
    if clones(fixture.backend):
        clone = fixture.clone(volume)
        fixture.require_size(clone.id, volume.size * gib)
        fixture.array.discard(clone.id)
    fixture.array.discard(volume.id)
    require_equal(fixture.array.stat(volume.id), None, "stat after discard")
    fixture.require_absent(volume)
    return "sizes agree"


@ARRAYS.check(Level.STORES)
def discards_volumes_idempotently(fixture: Fixture) -> None:
    """Discarding removes all of a volume, and may be repeated."""
    other = fixture.volume()
    held = frozenset(fixture.harness.holds())
    volume = fixture.volume()
    for _ in range(2):
        fixture.array.discard(volume.id)
        fixture.require_absent(volume)
        require_same(held, fixture.harness.holds(), "after discard")
    fixture.require_intact(other)
