"""Extending volumes and clones."""

from __future__ import annotations

from clonepolicy import AdapterError, ConflictError, NotFoundError
from clonepolicy.testing.conformance._check import Level, expect_error, require
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    BREAKING,
    CLONES,
    EXTENDS,
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
