"""Random histories of two arrays at once, with faults."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import ClassVar

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parent))

from broken_adapters.arrays_cloning import (
    Aliases,
    LeavesTheHalf,
    ReachesAcross,
    TakesClonesAlong,
)
from broken_adapters.arrays_storing import LosesItByGrowing
from clonepolicy import Backend
from clonepolicy.testing.array_machine import ArrayMachine
from clonepolicy.testing.conformance import ArrayHarness
from clonepolicy.testing.model import EVERYTHING, ModelArray, model_bench


class Models(ArrayMachine):
    """One model with a limit, one without."""

    DOES: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def make(self) -> tuple[ArrayHarness, ArrayHarness]:
        return model_bench(), model_bench(ModelArray(self.DOES))


TestModels: type[unittest.TestCase] = Models.TestCase
TestModels.settings = settings(  # type: ignore[attr-defined]  # hypothesis adds it
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
def test_the_machine_finds_what_is_wrong(kind: type[ModelArray]) -> None:
    """It breaks on arrays that fail in combination."""

    class Machine(ArrayMachine):
        @override
        def make(self) -> tuple[ArrayHarness, ArrayHarness]:
            return model_bench(kind()), model_bench(kind())

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
