"""Processes that are killed in the middle of a call."""

from __future__ import annotations

from collections.abc import Callable

from clonepolicy import Volume
from clonepolicy.testing.conformance._check import Level, fail, given, require
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance._killed import Call, call_elsewhere
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    CLONES,
    EXTENDS,
    IMAGES,
    PROCESSES,
)
from clonepolicy.testing.conformance.checks.array_extending import (
    require_old_or_new_size,
)

_KILLS = 6


@ARRAYS.check(Level.STORES, PROCESSES)
def discards_what_a_killed_write_left(fixture: Fixture) -> str:
    """What a killed write left can be discarded."""
    reopen = given(fixture.harness.reopen, "reopen")
    content = fixture.content("killed")
    image = fixture.image_record(content)

    def write() -> tuple[str, Call]:
        target = fixture.target()
        fixture.expected[target.id] = content
        arguments = (target.id, 1, image)
        return target.id, Call(reopen, "write", arguments, content)

    return _kill(fixture, write)


@ARRAYS.check(Level.CLONES, CLONES, PROCESSES, clones=True)
def discards_what_a_killed_clone_left(fixture: Fixture) -> str:
    """What a killed clone left can be discarded; the source stays intact."""
    reopen = given(fixture.harness.reopen, "reopen")

    def clone() -> tuple[str, Call]:
        source, target = fixture.volume(), fixture.target()
        fixture.expected[target.id] = fixture.expected[source.id].copy()
        arguments = (target.id, source)
        return target.id, Call(reopen, "clone_volume", arguments)

    return _kill(fixture, clone)


@ARRAYS.check(Level.CLONES, IMAGES, PROCESSES, clones=True)
def discards_what_a_killed_image_clone_left(fixture: Fixture) -> str:
    """What a killed clone left can be discarded; the image stays intact."""
    reopen = given(fixture.harness.reopen, "reopen")
    location = fixture.image()

    def clone() -> tuple[str, Call]:
        target = fixture.target()
        fixture.expected[target.id] = fixture.images[location].copy()
        arguments = (target.id, location)
        return target.id, Call(reopen, "clone_image", arguments)

    return _kill(fixture, clone)


@ARRAYS.check(Level.GROWS, EXTENDS, PROCESSES)
def extends_again_after_a_killed_extension(fixture: Fixture) -> str:
    """A killed extension loses no data and can be repeated."""
    reopen = given(fixture.harness.reopen, "reopen")

    def extend(volume: Volume) -> Call:
        return Call(reopen, "extend", (volume.id, 2))

    first = fixture.volume()
    passed = _complete(extend(first))
    fixture.expected[first.id].size = 2 * fixture.harness.gib
    volumes = [fixture.volume() for _ in _points(passed)]
    killed = [
        call_elsewhere(extend(volume), die_at=at) is None
        for volume, at in zip(volumes, _points(passed), strict=True)
    ]
    _require_kills(sum(killed), passed)
    for volume in volumes:
        require_old_or_new_size(fixture, volume.id)
        fixture.extend(volume, 2)
    fixture.require_intact(first, *volumes)
    return f"{sum(killed)} killed"


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
