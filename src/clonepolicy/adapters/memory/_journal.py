"""The journal of the cloud in memory."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from clonepolicy.plan import Plan, VolumeRef
from clonepolicy.ports import JournalEntry, Phase


@attrs.define
class MemoryJournal:
    """A `Journal` in memory; `crash` simulates the death of all owners."""

    entries: dict[str, JournalEntry] = attrs.field(factory=dict)
    dead: set[str] = attrs.field(factory=set)
    """Ids of the entries whose owners died."""
    begun: int = 0
    """How many entries were ever created."""

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Store a plan before its first step; return the entry's id."""
        self.begun += 1
        entry_id = str(self.begun)
        self.entries[entry_id] = JournalEntry(
            id=entry_id, plan=plan, ids=dict(ids)
        )
        return entry_id

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Store which step begins now."""
        self.entries[entry_id] = attrs.evolve(
            self.entries[entry_id], phase=phase, attempt=attempt, step=step
        )

    def end(self, entry_id: str) -> None:
        """Delete the entry of a plan that is finished."""
        self.entries.pop(entry_id, None)
        self.dead.discard(entry_id)

    def crash(self) -> None:
        """Declare the owner of every entry dead."""
        self.dead.update(self.entries)

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Return the entries whose owners died."""
        return tuple(self.entries[entry_id] for entry_id in sorted(self.dead))

    def open(self) -> tuple[JournalEntry, ...]:
        """Return every entry, whether its owner lives or not."""
        return tuple(self.entries.values())
