"""A hypothesis state machine that works on two arrays."""

from __future__ import annotations

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from clonepolicy import (
    AdapterError,
    CloneLimitError,
    ConflictError,
    NotFoundError,
    Volume,
)
from clonepolicy.testing.conformance import (
    ArrayHarness,
    Fixture,
    expect_error,
    require_same,
)

__all__ = ["ArrayMachine"]

_LOST, _FAILING = "answer lost", "array fails"

faults = st.sampled_from((None, None, _LOST, _FAILING))
"""The fault of a call: none, it works but its answer is lost, or it fails
half-way."""


class ArrayMachine(RuleBasedStateMachine):
    """Fills, clones, grows and discards volumes at random, with faults.

    After each operation every volume must hold its bytes, on its own array.
    To test an array, subclass the machine, implement `make`, and run its
    ``TestCase``.
    """

    def __init__(self) -> None:
        """Start with two empty arrays."""
        super().__init__()
        harnesses = self.make()
        self.fixtures = [Fixture(harness).__enter__() for harness in harnesses]
        self.volumes: dict[str, tuple[int, Volume]] = {}
        self.touched: set[str] = set()

    def make(self) -> tuple[ArrayHarness, ArrayHarness]:
        """Return two empty arrays of any kind, with different identities."""
        raise NotImplementedError

    @rule(at=st.integers(0, 1), size=st.integers(1, 2), lost=st.booleans())
    def fill(self, at: int, size: int, *, lost: bool) -> None:
        """Write a new volume; if the answer is lost, write it again."""
        fixture = self.fixtures[at]
        volume = fixture.volume(size)
        if lost:
            content = fixture.expected[volume.id]
            with expect_error(
                ConflictError, "write to a volume that has data"
            ):
                fixture.write(volume, content)
            fixture.array.discard(volume.id)
            fixture.require_absent(volume)
            fixture.write(volume, content)
        self._keep(at, volume)

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), at=st.integers(0, 1), fault=faults)
    def clone(self, choice: st.DataObject, at: int, fault: str | None) -> None:
        """Clone a volume on its own array; the other one must refuse."""
        there, source = self._choose(choice)
        fixture = self.fixtures[at]
        target = fixture.target(source.size)
        if at != there:
            with expect_error(
                NotFoundError, "clone of a volume on another array"
            ):
                fixture.array.clone_volume(target.id, source)
            fixture.require_absent(target)
            return
        try:
            made = self._call(at, fault, "clone_volume", target.id, source)
        except CloneLimitError:
            fixture.require_absent(target)
            return
        if not made:
            fixture.array.discard(target.id)
            fixture.require_absent(target)
            return
        fixture.expected[target.id] = fixture.expected[source.id].copy()
        self._keep(at, fixture.with_status(target))
        self.touched.add(source.id)

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), more=st.integers(0, 2), fault=faults)
    def grow(
        self, choice: st.DataObject, more: int, fault: str | None
    ) -> None:
        """Grow a volume; after a fault, repeat the call."""
        at, volume = self._choose(choice)
        fixture = self.fixtures[at]
        size = volume.size + more
        if not more and fault == _FAILING:
            # the volume has that size already: no change can fail
            fault = None
        if not self._call(at, fault, "extend", volume.id, size):
            fixture.array.extend(volume.id, size)
        fixture.expected[volume.id].size = size * fixture.harness.gib
        if more:
            with expect_error(ConflictError, "extend to a smaller size"):
                fixture.array.extend(volume.id, volume.size)
        self._keep(at, attrs.evolve(volume, size=size))

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), seed=st.integers(0, 255), block=st.integers(0, 15))
    def overwrite(self, choice: st.DataObject, seed: int, block: int) -> None:
        """Write to a volume as a guest does."""
        at, volume = self._choose(choice)
        fixture = self.fixtures[at]
        offset = fixture.expected[volume.id].size // 16 * block
        fixture.overwrite(volume, offset, seed)
        self.touched.update(self.volumes)

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), lost=st.booleans())
    def discard(self, choice: st.DataObject, *, lost: bool) -> None:
        """Discard a volume; the array may refuse if clones need it."""
        at, volume = self._choose(choice)
        fixture = self.fixtures[at]
        try:
            for _ in range(1 + lost):
                fixture.array.discard(volume.id)
        except ConflictError:
            fixture.require_intact(volume)
            return
        fixture.require_absent(volume)
        del self.volumes[volume.id]
        self.touched.discard(volume.id)
        self.touched.update(self.volumes)

    @invariant()
    def touched_volumes_are_intact(self) -> None:
        """Check the volumes that the last operation may have changed."""
        for volume_id in self.touched:
            at, volume = self.volumes[volume_id]
            self.fixtures[at].require_intact(volume)
        self.touched.clear()

    def teardown(self) -> None:
        """Check all volumes, discard them, and check that nothing is left."""
        try:
            for at, volume in self.volumes.values():
                self.fixtures[at].require_intact(volume)
            for fixture in self.fixtures:
                # the youngest first: they may be clones of older ones
                for volume_id in reversed(fixture.expected):
                    if volume_id in self.volumes:
                        fixture.array.discard(volume_id)
                fixture.require_unchanged(
                    "an array after all volumes were discarded"
                )
        finally:
            for fixture in self.fixtures:
                fixture.__exit__()
                fixture.harness.close()

    def _choose(self, choice: st.DataObject) -> tuple[int, Volume]:
        return self.volumes[choice.draw(st.sampled_from(list(self.volumes)))]

    def _keep(self, at: int, volume: Volume) -> None:
        self.volumes[volume.id] = (at, volume)
        self.touched.add(volume.id)

    def _call(
        self, at: int, fault: str | None, method: str, *args: object
    ) -> bool:
        """Make a call; return whether it worked and its answer arrived."""
        harness = self.fixtures[at].harness
        call = getattr(harness.array, method)
        if fault == _FAILING and harness.breaking is not None:
            held = frozenset(harness.holds())
            with harness.breaking(), expect_error(AdapterError, method):
                call(*args)
            require_same(held, harness.holds(), f"a failed {method}")
            return False
        call(*args)
        return fault != _LOST
