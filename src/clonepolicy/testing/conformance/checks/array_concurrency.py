"""Several calls at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from clonepolicy import Volume
from clonepolicy.ports import ArrayBackend
from clonepolicy.testing.conformance._check import Level, given
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    CLONES,
    REOPENS,
    THREADS,
)

_CLONES = 8
_WRITES = 3


@ARRAYS.check(Level.STORES, THREADS)
def writes_several_volumes_at_once(fixture: Fixture) -> str:
    """Volumes written at the same time each have their own bytes."""
    with ThreadPoolExecutor(_WRITES) as pool:
        volumes = list(pool.map(lambda _: fixture.volume(), range(_WRITES)))
    fixture.require_intact(*volumes)
    return f"{_WRITES} at once"


@ARRAYS.check(Level.CLONES, CLONES, THREADS, clones=True)
def clones_one_source_several_times_at_once(fixture: Fixture) -> str:
    """Clones of one source that are made at the same time are complete."""
    return f"{len(_clone_at_once(fixture, [fixture.array]))} at once"


@ARRAYS.check(Level.CLONES, CLONES, REOPENS, THREADS, clones=True)
def clones_one_source_through_two_openings_at_once(fixture: Fixture) -> str:
    """Two openings of an array clone one source at the same time."""
    again = given(fixture.harness.reopen, "reopen")()
    targets = _clone_at_once(fixture, [fixture.array, again])
    for at, target in enumerate(targets):
        # through the opening that did not make the clone
        (again, fixture.array)[at % 2].discard(target.id)
        fixture.require_absent(target)
    return f"{len(targets)} at once"


def _clone_at_once(
    fixture: Fixture, openings: Sequence[ArrayBackend]
) -> list[Volume]:
    """Clone a source at the same time, through each opening in turn."""
    source = fixture.volume()
    targets = [fixture.target() for _ in range(fixture.within_limit(_CLONES))]
    for target in targets:
        fixture.expected[target.id] = fixture.expected[source.id].copy()

    def clone(at: int) -> None:
        array = openings[at % len(openings)]
        array.clone_volume(targets[at].id, source)

    with ThreadPoolExecutor(_CLONES) as pool:
        list(pool.map(clone, range(len(targets))))
    fixture.require_intact(source, *targets)
    return targets
