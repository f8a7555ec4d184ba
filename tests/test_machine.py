"""Random operations on the cloud in memory, with every kind of Glance."""

from __future__ import annotations

import unittest

from hypothesis import settings
from typing_extensions import override

from clonepolicy.adapters.memory import (
    MemoryCloud,
    MemoryJournal,
    Registration,
)
from clonepolicy.testing.machine import Cloud, CloudJournal, ExecutorMachine


class Prompt(ExecutorMachine):
    """Glance checks locations at once and keeps them."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        return MemoryCloud(), MemoryJournal()


class Lenient(ExecutorMachine):
    """Glance removes even the last location of an active image."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        return MemoryCloud(can_withdraw=True), MemoryJournal()


class Late(ExecutorMachine):
    """Glance accepts locations only after it has answered."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        return MemoryCloud(registration=Registration.LATE), MemoryJournal()


class Rejecting(ExecutorMachine):
    """Glance rejects locations after it has answered."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        cloud = MemoryCloud(registration=Registration.REJECTED)
        return cloud, MemoryJournal()


_FEW = settings(max_examples=settings().max_examples, stateful_step_count=25)


def _case(machine: type[ExecutorMachine]) -> type[unittest.TestCase]:
    case: type[unittest.TestCase] = machine.TestCase
    case.settings = _FEW  # type: ignore[attr-defined]
    return case


TestPrompt = _case(Prompt)
TestLenient = _case(Lenient)
TestLate = _case(Late)
TestRejecting = _case(Rejecting)
