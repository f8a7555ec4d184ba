"""The journal of the cloud in memory."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from clonepolicy import Entry, Plan, Ref


@attrs.define
class MemoryJournal:
    """A journal that knows who is alive because it is told."""

    entries: dict[str, Entry] = attrs.field(factory=dict)
    dead: set[str] = attrs.field(factory=set)
    begun: int = 0

    def begin(self, plan: Plan, ids: Mapping[Ref, str]) -> str:
        """Remember a plan before its first step; give its entry's id."""
        self.begun += 1
        entry_id = str(self.begun)
        self.entries[entry_id] = Entry(
            id=entry_id,
            plan=plan,
            ids=dict(ids),
            attempt=0,
            step=0,
            undoing=False,
        )
        return entry_id

    def mark(
        self, entry_id: str, attempt: int, step: int, *, undoing: bool
    ) -> None:
        """Remember what is about to begin."""
        self.entries[entry_id] = attrs.evolve(
            self.entries[entry_id], attempt=attempt, step=step, undoing=undoing
        )

    def end(self, entry_id: str) -> None:
        """Forget a plan that came to its end."""
        self.entries.pop(entry_id, None)
        self.dead.discard(entry_id)

    def crash(self) -> None:
        """Let everybody who carries a plan out be dead."""
        self.dead.update(self.entries)

    def interrupted(self) -> tuple[Entry, ...]:
        """Give the entries of which nobody alive takes care."""
        return tuple(self.entries[entry_id] for entry_id in sorted(self.dead))

    def open(self) -> tuple[Entry, ...]:
        """Give every entry that is not ended."""
        return tuple(self.entries.values())
