"""Extending and cloning volumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    IntegrityError,
    NotFoundError,
)
from clonepolicy.testing.conformance._check import (
    Level,
    expect_error,
    given,
    require,
    require_same,
)
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._suites import (
    ARRAYS,
    BREAKING,
    CLONES,
    EXTENDS,
    OTHER,
    THREADS,
    UPLOADING,
)


@ARRAYS.check(Level.GROWS, EXTENDS)
def extends_a_volume_with_zeros(fixture: Fixture) -> None:
    """An extended volume has its data and then zeros; repeating is allowed."""
    volume = fixture.volume()
    for size in (3, 3, 4):
        fixture.extend(volume, size)
        fixture.require_intact(volume)


@ARRAYS.check(Level.GROWS, EXTENDS)
def refuses_to_shrink_a_volume(fixture: Fixture) -> None:
    """A smaller size is refused, and no data is cut off."""
    volume = fixture.volume(2)
    for size in (1, 0):
        with expect_error(ConflictError, f"from 2 to {size} GiB"):
            fixture.array.extend(volume.id, size)
        fixture.require_intact(volume)


@ARRAYS.check(Level.GROWS, EXTENDS)
def refuses_to_extend_a_missing_volume(fixture: Fixture) -> None:
    """Extending a missing volume fails and creates nothing."""
    absent = fixture.record()
    with expect_error(NotFoundError, "extending"):
        fixture.array.extend(absent.id, 2)
    fixture.require_absent(absent)
    fixture.require_unchanged()


@ARRAYS.check(Level.GROWS, EXTENDS, BREAKING)
def recovers_from_a_failed_extension(fixture: Fixture) -> None:
    """A failed extension loses no data and can be repeated."""
    volume = fixture.volume()
    with fixture.breaking(), expect_error(AdapterError, "extending"):
        fixture.array.extend(volume.id, 2)
    require_old_or_new_size(fixture, volume.id)
    fixture.extend(volume, 2)
    fixture.require_intact(volume)


def require_old_or_new_size(fixture: Fixture, volume_id: str) -> None:
    """Fail unless a volume has the size of 1 or of 2 GiB."""
    size, gib = fixture.harness.size_of(volume_id), fixture.harness.gib
    require(
        size in {gib, 2 * gib},
        f"has {size} bytes, which is neither the old nor the new size",
    )


@ARRAYS.check(Level.GROWS, CLONES, EXTENDS, clones=True)
def extends_a_clone_with_zeros(fixture: Fixture) -> None:
    """An extended clone never shows data that its source got later."""
    gib, source = fixture.harness.gib, fixture.volume()
    clone = fixture.clone(source)
    fixture.extend(clone, 3)
    fixture.extend(source, 2)
    fixture.overwrite(source, gib + 512, 7)
    fixture.overwrite(clone, 2 * gib, 8)
    fixture.require_intact(source, clone)


@ARRAYS.check(Level.GROWS, CLONES, EXTENDS, clones=True)
def clones_an_extended_volume(fixture: Fixture) -> None:
    """A clone of an extended volume has the new size, as has its clone."""
    gib = fixture.harness.gib
    source = fixture.extend(fixture.volume(), 2)
    fixture.overwrite(source, gib + 512, 5)
    clone = fixture.clone(source)
    # an extended clone must not show what is written to the source later
    fixture.overwrite(source, 2 * gib - 1024, 6)
    source = fixture.extend(source, 3)
    fixture.overwrite(source, 2 * gib + 512, 7)
    clone = fixture.extend(clone, 3)
    fixture.require_intact(source, fixture.clone(clone), clone)


_GENERATIONS = 5


@ARRAYS.check(Level.CLONES, CLONES, clones=True)
def clones_every_byte_of_a_volume(fixture: Fixture) -> None:
    """A clone has its source's bytes and size; the source is unchanged."""
    source = fixture.volume(2)
    fixture.require_intact(source, fixture.clone(source))


@ARRAYS.check(Level.CLONES, CLONES, clones=True)
def isolates_writes_between_clone_and_source(fixture: Fixture) -> None:
    """Later writes to a clone or to its source do not reach the other."""
    gib, source = fixture.harness.gib, fixture.volume()
    early = fixture.clone(source)
    for seed, offset in enumerate((0, 8192, gib - 1024)):
        fixture.overwrite(source, offset, 2 * seed)
        fixture.overwrite(early, offset, 2 * seed + 1)
    fixture.require_intact(source, early)
    fixture.array.discard(early.id)
    late = fixture.clone(source)
    fixture.overwrite(late, gib // 4, 99)
    fixture.require_intact(source, late)


@ARRAYS.check(Level.CLONES, CLONES, clones=True)
def refuses_to_clone_over_existing_data(fixture: Fixture) -> None:
    """A volume that has data cannot become a clone."""
    source, full = fixture.volume(), fixture.volume()
    clone = fixture.clone(source)
    # `full` has no clones yet, so that no limit keeps it from being cloned
    for target in (source, clone):
        with expect_error(ConflictError, "cloning over data"):
            fixture.array.clone_volume(target.id, full)
    fixture.require_intact(source, full, clone)


@ARRAYS.check(Level.CLONES, CLONES, clones=True)
def clones_again_after_discard(fixture: Fixture) -> None:
    """A discarded clone leaves nothing behind and can be made again."""
    source, target = fixture.volume(), fixture.target()
    for _ in range(3):
        with fixture.leaving_nothing("after discarding the clone"):
            fixture.clone_to(target, source)
            fixture.require_intact(source, target)
            fixture.array.discard(target.id)
    fixture.require_intact(source)


@ARRAYS.check(Level.CLONES, CLONES, clones=True)
def clones_a_clone_of_a_clone(fixture: Fixture) -> str:
    """Each generation of clones has its own bytes."""
    line = [fixture.volume()]
    for seed in range(_GENERATIONS):
        clone = fixture.clone(line[-1])
        fixture.overwrite(clone, fixture.harness.gib // 8 * (seed + 1), seed)
        line.append(clone)
    fixture.require_intact(*line)
    return f"{_GENERATIONS} generations"


@ARRAYS.check(Level.CLONES, CLONES, clones=True)
def discards_a_source_without_harm_to_its_clones(fixture: Fixture) -> str:
    """A source is discarded without harm, or refused while it has clones."""
    source, array = fixture.volume(), fixture.array
    clones = [fixture.clone(source) for _ in range(fixture.within_limit(2))]
    grandchild = fixture.clone(clones[0])
    with contextlib.suppress(ConflictError):
        array.discard(clones[0].id)
        clones.pop(0)
    fixture.require_intact(source, *clones, grandchild)
    array.discard(grandchild.id)
    result = "discarded"
    try:
        fixture.discard(source)
    except ConflictError:
        result = "refused while there are clones"
        fixture.require_intact(source)
    fixture.require_intact(*clones)
    for volume in (*clones, source):
        array.discard(volume.id)
    fixture.require_absent(source, *clones)
    fixture.require_unchanged()
    return result


@ARRAYS.check(Level.CLONES, CLONES, BREAKING, clones=True)
def leaves_nothing_after_a_failed_clone(fixture: Fixture) -> None:
    """A clone that fails leaves nothing behind; a later clone succeeds."""
    source, target = fixture.volume(), fixture.target()
    clone = partial(fixture.clone_as, target.id, source)
    fixture.expect_clean_failure(target, clone)
    fixture.require_intact(source)
    fixture.require_intact(source, fixture.clone(source))


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
    """A source in use is cloned completely, or refused without a trace.

    It is cloned if ``clone_in_use`` is declared as True, and refused if it is
    declared as False.
    """
    source = fixture.with_status(fixture.volume(), "in-use")
    target, declared = fixture.target(), fixture.backend.clone_in_use
    held = frozenset(fixture.harness.holds())
    try:
        fixture.clone_to(target, source)
    except ConflictError:
        require(
            declared is not True, "refused, which contradicts clone_in_use"
        )
        fixture.require_absent(target)
        require_same(held, fixture.harness.holds(), "after the refusal")
        fixture.require_intact(source)
        return "refused"
    fixture.require_intact(source, target)
    require(declared is not False, "cloned, which contradicts clone_in_use")
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
