"""The journal: how far each plan got, kept where a kill cannot remove it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import attrs

from clonepolicy.plan._steps import Plan, VolumeRef


class Phase(StrEnum):
    """What is being done with a plan."""

    ATTEMPTING = "attempting"
    """The steps of an attempt are being taken."""
    UNDOING = "undoing"
    """The steps of an attempt are being undone."""
    ABANDONING = "abandoning"
    """Every attempt failed; the steps of ``abandon`` are being taken."""
    CLOSING = "closing"
    """An attempt succeeded; the steps of ``closing`` are being taken."""


@attrs.frozen(kw_only=True)
class JournalEntry:
    """A plan, and how far it got."""

    id: str
    plan: Plan
    ids: Mapping[VolumeRef, str]
    """The ids of the volumes that the plan creates."""
    phase: Phase = Phase.ATTEMPTING
    attempt: int = 0
    """The number of the attempt in the plan; unused when abandoning."""
    step: int = 0
    """The number of the step that was started or undone last."""


class Journal(Protocol):
    """Keeps how far each plan got, across a kill."""

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Keep a plan before its first step; return the entry's id."""
        ...

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Keep what is about to start.  Undoing marks earlier steps again."""

    def end(self, entry_id: str) -> None:
        """Remove a plan that ended."""

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Return the entries that no live process works on."""
        ...
