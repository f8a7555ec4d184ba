"""Random operations on two arrays, with faults."""

from __future__ import annotations

import unittest
from typing import ClassVar

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

from broken_adapters.arrays_cloning import (
    Aliases,
    LeavesTheHalf,
    ReachesAcross,
    TakesClonesAlong,
)
from broken_adapters.arrays_storing import LosesItByGrowing
from clonepolicy import Backend
from clonepolicy.adapters.memory import EVERYTHING, MemoryArray
from clonepolicy.testing.array_machine import ArrayMachine
from clonepolicy.testing.conformance import ArrayHarness
from clonepolicy.testing.memory import memory_harness


class MemoryArrays(ArrayMachine):
    """One array has a clone limit, the other has none."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def make(self) -> tuple[ArrayHarness, ArrayHarness]:
        return memory_harness(), memory_harness(MemoryArray(self.DEFAULT))


TestMemoryArrays: type[unittest.TestCase] = MemoryArrays.TestCase
TestMemoryArrays.settings = settings(  # type: ignore[attr-defined]  # hypothesis adds it
    max_examples=settings().max_examples, stateful_step_count=30
)


@pytest.mark.parametrize(
    "kind",
    [
        Aliases,
        LeavesTheHalf,
        LosesItByGrowing,
        ReachesAcross,
        TakesClonesAlong,
    ],
)
def test_the_machine_finds_a_broken_adapter(kind: type[MemoryArray]) -> None:
    """Each defect shows only in a combination of operations."""

    class Machine(ArrayMachine):
        @override
        def make(self) -> tuple[ArrayHarness, ArrayHarness]:
            return memory_harness(kind()), memory_harness(kind())

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=200,
                stateful_step_count=20,
                phases=(Phase.generate,),
                print_blob=False,
            ),
        )
