"""Random histories of the model cloud, of every kind of Glance."""

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
    """Glance judges at once, and never lets a location go."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        return MemoryCloud(), MemoryJournal()


class Lenient(ExecutorMachine):
    """Glance lets an active image's last location go."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        return MemoryCloud(can_withdraw=True), MemoryJournal()


class Late(ExecutorMachine):
    """Glance accepts locations after it has answered."""

    @override
    def make(self) -> tuple[Cloud, CloudJournal]:
        return MemoryCloud(registration=Registration.LATE), MemoryJournal()


class Rejecting(ExecutorMachine):
    """Glance drops locations after it has answered."""

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
