"""What a clone of a volume is."""

from __future__ import annotations

import contextlib

from clonepolicy import ConflictError
from clonepolicy.testing.conformance._check import Level, expect_error
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    BREAKING,
    CLONES,
)

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
    refused = False
    with contextlib.suppress(ConflictError):
        array.discard(clones[0].id)
        clones.pop(0)
    fixture.require_intact(source, *clones, grandchild)
    array.discard(grandchild.id)
    try:
        array.discard(source.id)
    except ConflictError:
        refused = True
        fixture.require_intact(source)
    else:
        fixture.require_absent(source)
    fixture.require_intact(*clones)
    for clone in clones:
        array.discard(clone.id)
    array.discard(source.id)
    fixture.require_absent(source, *clones)
    fixture.require_unchanged()
    return "refused while there are clones" if refused else "discarded"


@ARRAYS.check(Level.CLONES, CLONES, BREAKING, clones=True)
def leaves_nothing_after_a_failed_clone(fixture: Fixture) -> None:
    """A clone that fails leaves nothing behind; a later clone succeeds."""
    source, target = fixture.volume(), fixture.target()
    fixture.expect_clean_failure(
        target, lambda: fixture.array.clone_volume(target.id, source)
    )
    fixture.require_intact(source)
    fixture.require_intact(source, fixture.clone(source))
