"""How a clone is made: its space, its time, and who moves the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

from clonepolicy import CloneKind, Volume
from clonepolicy.testing.conformance._check import Level, given, require
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    CLONES,
    COPIES,
    COPY_ON_WRITE,
    IMAGES,
    IMAGES_OFFLOADED,
    IMAGES_ON_WRITE,
    OFFLOADED,
)

_ROUNDS = 5
_SLOWER = 4
"""How many times longer the clone of a large volume may take; it has four
times the size and sixteen times the data of the small one."""
_NOTHING = 0.1
"""The part of its data that a clone may take while it still shares them."""
_NOISE = 0.002
"""Seconds of difference that mean nothing."""


@ARRAYS.check(Level.CLONES, CLONES)
def harness_measures_the_bytes_written(fixture: Fixture) -> str:
    """The harness's `exclusive` counts the bytes written to a volume."""
    exclusive = given(fixture.harness.exclusive, "exclusive")
    found = exclusive(fixture.volume().id)
    measured = f"{found} bytes for {fixture.data} written"
    require(found >= 0.9 * fixture.data, measured)
    return measured


def _measure_space(
    fixture: Fixture,
    sizes: Iterable[tuple[int, int]],
    clone: Callable[[int, int], Volume],
) -> tuple[float, str]:
    """Compare the space of two clones; return bytes per byte, and words.

    Args:
        fixture: The fixture.
        sizes: GiB and bytes of data of the two sources.
        clone: Make a source of this size, and clone it.
    """
    exclusive = given(fixture.harness.exclusive, "exclusive")
    written, taken = [], []
    for size, data in sizes:
        written.append(data)
        taken.append(exclusive(clone(size, data).id))
    # the difference leaves out what each clone takes, however small
    ratio = (taken[1] - taken[0]) / (written[1] - written[0])
    return ratio, f"clones of {written} bytes take {taken}"


def _measure_volumes(fixture: Fixture) -> tuple[float, str]:
    return _measure_space(
        fixture,
        ((1, fixture.data), (4, 4 * fixture.data)),
        lambda size, data: fixture.clone(fixture.volume(size, data)),
    )


@ARRAYS.check(Level.SHARES, CLONES, COPY_ON_WRITE, clones=True)
def shares_data_between_clone_and_source(fixture: Fixture) -> str:
    """A copy-on-write clone takes almost no space, whatever its size."""
    ratio, measured = _measure_volumes(fixture)
    require(ratio <= _NOTHING, f"{measured}: they are copies")
    return measured


@ARRAYS.check(Level.CLONES, CLONES, COPIES, clones=True)
def copies_data_if_it_declares_copies(fixture: Fixture) -> str:
    """A clone that is declared as a copy takes the space of its data."""
    ratio, measured = _measure_volumes(fixture)
    require(ratio >= 1 - _NOTHING, f"{measured}: declare copy-on-write")
    return measured


@ARRAYS.check(Level.SHARES, IMAGES, clones=True)
def clones_images_by_the_declared_kind(fixture: Fixture) -> str:
    """A copy-on-write clone of an image shares data; a copy does not."""

    def clone(size: int, data: int) -> Volume:
        content = fixture.content(f"{data} bytes", size, data)
        return fixture.clone_image(fixture.image(content))

    sizes = ((1, fixture.data // 2), (1, 2 * fixture.data))
    ratio, measured = _measure_space(fixture, sizes, clone)
    kind = fixture.backend.image_clone_kind
    measured = f"{kind}: {measured}"
    shares = ratio <= _NOTHING
    require(shares is (kind is CloneKind.COPY_ON_WRITE), measured)
    return measured


_Timed: TypeAlias = tuple[int, Callable[[str], None]]
"""GiB of a clone, and a function that makes it under an id."""


@ARRAYS.check(Level.SHARES, CLONES, COPY_ON_WRITE, clones=True)
def clones_in_constant_time(fixture: Fixture) -> str:
    """A copy-on-write clone takes no longer for sixteen times the data."""

    def prepare(size: int, data: int) -> _Timed:
        source = fixture.volume(size, data)
        return size, lambda to: fixture.array.clone_volume(to, source)

    return _compare_times(fixture, prepare)


@ARRAYS.check(Level.SHARES, IMAGES, IMAGES_ON_WRITE, clones=True)
def clones_images_in_constant_time(fixture: Fixture) -> str:
    """A copy-on-write clone takes no longer for sixteen times the data."""

    def prepare(size: int, data: int) -> _Timed:
        content = fixture.content(f"{data} bytes", size, data)
        location = fixture.image(content)
        return size, lambda to: fixture.array.clone_image(to, location)

    return _compare_times(fixture, prepare)


def _compare_times(
    fixture: Fixture, prepare: Callable[[int, int], _Timed]
) -> str:
    """Compare the time of two clones, one of sixteen times the data."""
    part = fixture.data // 4
    small, large = prepare(1, part), prepare(4, 16 * part)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for (size, clone), found in zip((small, large), times, strict=True):
            target = fixture.target(size)
            begin = time.perf_counter()
            clone(target.id)
            found.append(time.perf_counter() - begin)
            fixture.array.discard(target.id)
    little, much = map(min, times)
    ratio = much / little
    require(
        ratio <= _SLOWER or much - little <= _NOISE,
        f"{ratio:.1f} times as long for 16 times the data: it is a copy",
    )
    return f"{ratio:.2f} times as long ({little * 1e3:.1f} ms) for 16 x data"


@ARRAYS.check(Level.SHARES, CLONES, OFFLOADED, clones=True)
def offloads_clones_to_the_array(fixture: Fixture) -> str:
    """An offloaded copy moves almost no data through this client."""
    source = fixture.volume()
    return _count_moved(fixture, lambda: fixture.clone(source))


@ARRAYS.check(Level.SHARES, IMAGES, IMAGES_OFFLOADED, clones=True)
def offloads_image_clones_to_the_array(fixture: Fixture) -> str:
    """An offloaded copy moves almost no data through this client."""
    location = fixture.image()
    return _count_moved(fixture, lambda: fixture.clone_image(location))


def _count_moved(fixture: Fixture, clone: Callable[[], Volume]) -> str:
    """Fail if a clone moves more than a fraction of the data."""
    transferred = given(fixture.harness.transferred, "transferred")
    before = transferred()
    clone()
    moved = transferred() - before
    measured = f"{moved} bytes moved for {fixture.data} of data"
    require(moved <= _NOTHING * fixture.data, measured)
    return measured
