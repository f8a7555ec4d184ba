"""A machine that works on two arrays at random, and lets them fail."""

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

_CALM, _LOST, _FAILING = "calm", "lost", "failing"

moods = st.sampled_from((_CALM, _CALM, _LOST, _FAILING))
"""How a call ends: well, well but nobody hears of it, or in the middle."""


class ArrayMachine(RuleBasedStateMachine):
    """Every volume has its bytes, on its own array, whatever fails.

    Subclass it with a `make` of your own, and run its ``TestCase``.
    """

    def __init__(self) -> None:
        """Start with two arrays on which nothing is."""
        super().__init__()
        harnesses = self.make()
        self.fixtures = [Fixture(harness).__enter__() for harness in harnesses]
        self.volumes: dict[str, tuple[int, Volume]] = {}
        self.touched: set[str] = set()

    def make(self) -> tuple[ArrayHarness, ArrayHarness]:
        """Make two arrays of different identity; they may be of any kind."""
        raise NotImplementedError

    @rule(at=st.integers(0, 1), size=st.integers(1, 2), lost=st.booleans())
    def fill(self, at: int, size: int, *, lost: bool) -> None:
        """Write a new volume, and again if nobody heard of it."""
        fixture = self.fixtures[at]
        volume = fixture.volume(size)
        if lost:
            content = fixture.expected[volume.id]
            with expect_error(ConflictError, "writing again"):
                fixture.write(volume, content)
            fixture.array.discard(volume.id)
            fixture.require_absent(volume)
            fixture.write(volume, content)
        self._keep(at, volume)

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), at=st.integers(0, 1), mood=moods)
    def clone(self, choice: st.DataObject, at: int, mood: str) -> None:
        """Clone a volume, on its own array or on the other one."""
        there, source = self._choose(choice)
        fixture = self.fixtures[at]
        target = fixture.target(source.size)
        if at != there:
            with expect_error(NotFoundError, "a source elsewhere"):
                fixture.array.clone_volume(target.id, source)
            fixture.require_absent(target)
            return
        try:
            made = self._call(at, mood, "clone_volume", target.id, source)
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
    @rule(choice=st.data(), more=st.integers(0, 2), mood=moods)
    def grow(self, choice: st.DataObject, more: int, mood: str) -> None:
        """Grow a volume, again and again until it is told that it did."""
        at, volume = self._choose(choice)
        fixture = self.fixtures[at]
        size = volume.size + more
        if not more and mood == _FAILING:
            # there is nothing to do, and so nothing that could fail
            mood = _CALM
        if not self._call(at, mood, "extend", volume.id, size):
            fixture.array.extend(volume.id, size)
        fixture.expected[volume.id].size = size * fixture.harness.gib
        if more:
            with expect_error(ConflictError, "shrinking"):
                fixture.array.extend(volume.id, volume.size)
        self._keep(at, attrs.evolve(volume, size=size))

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), seed=st.integers(0, 255), block=st.integers(0, 15))
    def overwrite(self, choice: st.DataObject, seed: int, block: int) -> None:
        """Let a guest write to a volume."""
        at, volume = self._choose(choice)
        fixture = self.fixtures[at]
        offset = fixture.expected[volume.id].size // 16 * block
        fixture.overwrite(volume, offset, seed)
        self.touched.update(self.volumes)

    @precondition(lambda self: self.volumes)
    @rule(choice=st.data(), lost=st.booleans())
    def discard(self, choice: st.DataObject, *, lost: bool) -> None:
        """Discard a volume, unless clones need it."""
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
        """What may have changed is what it should be."""
        for volume_id in self.touched:
            at, volume = self.volumes[volume_id]
            self.fixtures[at].require_intact(volume)
        self.touched.clear()

    def teardown(self) -> None:
        """See that every volume is intact, and discard them all."""
        try:
            for at, volume in self.volumes.values():
                self.fixtures[at].require_intact(volume)
            for at, volume in reversed(self._eldest_first()):
                self.fixtures[at].array.discard(volume.id)
            for fixture in self.fixtures:
                fixture.require_unchanged(
                    "an array on which all was discarded"
                )
        finally:
            for fixture in self.fixtures:
                fixture.__exit__()
                fixture.harness.close()

    def _eldest_first(self) -> list[tuple[int, Volume]]:
        made = [
            volume_id
            for fixture in self.fixtures
            for volume_id in fixture.expected
        ]
        return [self.volumes[v] for v in made if v in self.volumes]

    def _choose(self, choice: st.DataObject) -> tuple[int, Volume]:
        return self.volumes[choice.draw(st.sampled_from(list(self.volumes)))]

    def _keep(self, at: int, volume: Volume) -> None:
        self.volumes[volume.id] = (at, volume)
        self.touched.add(volume.id)

    def _call(self, at: int, mood: str, method: str, *args: object) -> bool:
        """Make a call in a mood; say whether anybody heard that it worked."""
        harness = self.fixtures[at].harness
        call = getattr(harness.array, method)
        if mood == _FAILING and harness.breaking is not None:
            held = frozenset(harness.holds())
            with harness.breaking(), expect_error(AdapterError, method):
                call(*args)
            require_same(held, harness.holds(), f"{method} that failed")
            return False
        call(*args)
        return mood != _LOST
