"""Killed processes, and how a clone is made: space, time, traffic."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import attrs

from clonepolicy import CloneKind
from clonepolicy.testing.conformance._check import Level, fail, given, require
from clonepolicy.testing.conformance._fixture import Fixture, Source
from clonepolicy.testing.conformance._killed import Call, call_elsewhere
from clonepolicy.testing.conformance.checks._suites import (
    ARRAYS,
    CLONES,
    COPIES,
    COPY_ON_WRITE,
    EXTENDS,
    IMAGES_OFFLOADED,
    IMAGES_ON_WRITE,
    OFFLOADED,
    PROCESSES,
    STORED_IMAGES,
)
from clonepolicy.testing.conformance.checks.array_cloning import (
    require_old_or_new_size,
)

_KILLS = 6


@ARRAYS.check(Level.STORES, PROCESSES)
def discards_what_a_killed_write_left(fixture: Fixture) -> str:
    """What a killed write left can be discarded."""
    content = fixture.content("killed")
    image = fixture.image_record(content)

    def write() -> tuple[str, Call]:
        target = fixture.target()
        fixture.expected[target.id] = content
        call = _call(fixture, "write", target.id, 1, image)
        return target.id, attrs.evolve(call, content=content)

    return _kill(fixture, write)


@ARRAYS.check(Level.CLONES, CLONES, PROCESSES, clones=True)
def discards_what_a_killed_clone_left(fixture: Fixture) -> str:
    """What a killed clone left can be discarded; the source stays intact."""
    return _kill_clones(fixture, "clone_volume", fixture.volume)


@ARRAYS.check(Level.CLONES, STORED_IMAGES, PROCESSES, clones=True)
def discards_what_a_killed_image_clone_left(fixture: Fixture) -> str:
    """What a killed clone left can be discarded; the image stays intact."""
    location = fixture.image()
    return _kill_clones(fixture, "clone_image", lambda: location)


@ARRAYS.check(Level.GROWS, EXTENDS, PROCESSES)
def extends_again_after_a_killed_extension(fixture: Fixture) -> str:
    """A killed extension loses no data and can be repeated."""
    first = fixture.volume()
    passed = _complete(_call(fixture, "extend", first.id, 2))
    fixture.expected[first.id].size = 2 * fixture.harness.gib
    volumes = {at: fixture.volume() for at in _points(passed)}
    killed = [
        call_elsewhere(_call(fixture, "extend", volume.id, 2), die_at=at)
        for at, volume in volumes.items()
    ].count(None)
    _require_kills(killed, passed)
    for volume in volumes.values():
        require_old_or_new_size(fixture, volume.id)
        fixture.extend(volume, 2)
    fixture.require_intact(first, *volumes.values())
    return f"{killed} killed"


def _call(fixture: Fixture, method: str, *arguments: object) -> Call:
    reopen = given(fixture.harness.reopen, "reopen")
    return Call(reopen, method, arguments)


def _kill_clones(
    fixture: Fixture, method: str, make: Callable[[], Source]
) -> str:
    def clone() -> tuple[str, Call]:
        source, target = make(), fixture.target()
        fixture.expect_clone(target, source)
        return target.id, _call(fixture, method, target.id, source)

    return _kill(fixture, clone)


def _kill(fixture: Fixture, prepare: Callable[[], tuple[str, Call]]) -> str:
    """Kill processes that create volumes; discard these, and create one."""
    _, call = prepare()
    passed = _complete(call)
    killed: dict[str, Call] = {}
    for at in _points(passed):
        volume_id, call = prepare()
        if call_elsewhere(call, die_at=at) is None:
            killed[volume_id] = call
        else:
            fixture.array.discard(volume_id)
            del fixture.expected[volume_id]
    _require_kills(len(killed), passed)
    for volume_id in killed:
        for _ in range(2):
            fixture.array.discard(volume_id)
            size = fixture.harness.size_of(volume_id)
            require(size is None, f"volume {volume_id} has {size} bytes left")
    count = f"{len(killed)} killed"
    _, call = killed.popitem()
    _complete(call)
    for volume_id in killed:
        del fixture.expected[volume_id]
    fixture.require_all_intact()
    for volume_id in reversed(fixture.expected):
        fixture.array.discard(volume_id)
    fixture.require_unchanged(f"after {count}")
    return count


def _complete(call: Call) -> int:
    """Have a process complete a call; return the points that it passed."""
    passed = call_elsewhere(call)
    if passed is None:
        fail("a process was killed, but not by the kit")
    return passed


def _points(passed: int) -> list[int]:
    """Choose points at which processes are killed, from the first on."""
    return sorted({1 + passed * at // _KILLS for at in range(_KILLS)})


def _require_kills(count: int, passed: int) -> None:
    require(count > 0, f"no process reached one of {passed} points")


_ROUNDS = 5
_PATIENCE = 6
"""How many times as many rounds tell a slow clone from a busy machine."""
_SLOWER = 4
"""How many times longer the clone of a large volume may take; it has four
times the size and sixteen times the data of the small one."""
_NOTHING = 0.1
"""The part of its data that a clone may take while it still shares them."""
_NOISE = 0.002
"""Seconds of difference that mean nothing."""

_Make: TypeAlias = Callable[[int, int], Source]
"""Make a source of so many GiB with so many bytes of data."""


@ARRAYS.check(Level.CLONES, CLONES)
def harness_measures_the_bytes_written(fixture: Fixture) -> str:
    """The harness's `exclusive` counts the bytes written to a volume."""
    exclusive = given(fixture.harness.exclusive, "exclusive")
    found = exclusive(fixture.volume().id)
    measured = f"{found} bytes for {fixture.data} written"
    require(found >= 0.9 * fixture.data, measured)
    return measured


def _measure_space(
    fixture: Fixture, sizes: Iterable[tuple[int, int]], make: _Make
) -> tuple[float, str]:
    """Compare the space of two clones; return bytes per byte, and words.

    The sizes are GiB and bytes of data of the two sources.
    """
    exclusive = given(fixture.harness.exclusive, "exclusive")
    written, taken = [], []
    for size, data in sizes:
        written.append(data)
        taken.append(exclusive(fixture.clone(make(size, data)).id))
    # the difference leaves out what each clone takes, however small
    ratio = (taken[1] - taken[0]) / (written[1] - written[0])
    return ratio, f"clones of {written} bytes take {taken}"


def _measure_volumes(fixture: Fixture) -> tuple[float, str]:
    sizes = ((1, fixture.data), (4, 4 * fixture.data))
    return _measure_space(fixture, sizes, fixture.volume)


def _image_of(fixture: Fixture, size: int, data: int) -> Source:
    """Store an image of so many GiB with so many bytes of data."""
    return fixture.image(fixture.content(f"{data} bytes", size, data))


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


@ARRAYS.check(Level.SHARES, STORED_IMAGES, clones=True)
def clones_images_by_the_declared_kind(fixture: Fixture) -> str:
    """A copy-on-write clone of an image shares data; a copy does not."""
    sizes = ((1, fixture.data // 2), (1, 2 * fixture.data))
    make = partial(_image_of, fixture)
    ratio, measured = _measure_space(fixture, sizes, make)
    kind = fixture.backend.image_clone_kind
    measured = f"{kind}: {measured}"
    shares = ratio <= _NOTHING
    sharing = {CloneKind.COPY_ON_WRITE, CloneKind.THIN_COPY}
    require(shares is (kind in sharing), measured)
    return measured


@ARRAYS.check(Level.SHARES, CLONES, COPY_ON_WRITE, clones=True)
def clones_in_constant_time(fixture: Fixture) -> str:
    """A copy-on-write clone takes no longer for sixteen times the data."""
    return _compare_times(fixture, fixture.volume)


@ARRAYS.check(Level.SHARES, STORED_IMAGES, IMAGES_ON_WRITE, clones=True)
def clones_images_in_constant_time(fixture: Fixture) -> str:
    """A copy-on-write clone takes no longer for sixteen times the data."""
    return _compare_times(fixture, partial(_image_of, fixture))


def _compare_times(fixture: Fixture, make: _Make) -> str:
    """Compare the time of two clones, one of sixteen times the data.

    On a busy machine the fastest of a few clones may be a slow one; what
    looks like a copy is therefore measured longer.
    """
    part = fixture.data // 4
    times = {1: math.inf, 4: math.inf}
    sources = {size: make(size, size**2 * part) for size in times}
    turn = 0
    while True:
        turn += 1
        for size, source in sources.items():
            target = fixture.target(size)
            begin = time.perf_counter()
            fixture.clone_as(target.id, source)
            times[size] = min(times[size], time.perf_counter() - begin)
            fixture.array.discard(target.id)
        little, much = times.values()
        measured = f"{much / little:.2f} times as long ({little * 1e3:.1f} ms)"
        constant = much / little <= _SLOWER or much - little <= _NOISE
        if constant and turn >= _ROUNDS:
            return f"{measured} for 16 x data"
        require(
            turn < _PATIENCE * _ROUNDS,
            f"{measured} for 16 times the data: it is a copy",
        )


@ARRAYS.check(Level.SHARES, CLONES, OFFLOADED, clones=True)
def offloads_clones_to_the_array(fixture: Fixture) -> str:
    """An offloaded copy moves almost no data through this client."""
    return _count_moved(fixture, fixture.volume())


@ARRAYS.check(Level.SHARES, STORED_IMAGES, IMAGES_OFFLOADED, clones=True)
def offloads_image_clones_to_the_array(fixture: Fixture) -> str:
    """An offloaded copy moves almost no data through this client."""
    return _count_moved(fixture, fixture.image())


def _count_moved(fixture: Fixture, source: Source) -> str:
    """Fail if a clone moves more than a fraction of the data."""
    transferred = given(fixture.harness.transferred, "transferred")
    before = transferred()
    fixture.clone(source)
    moved = transferred() - before
    measured = f"{moved} bytes moved for {fixture.data} of data"
    require(moved <= _NOTHING * fixture.data, measured)
    return measured
