"""The journal, in the same catalogue as what it is about."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping

import attrs

from clonepolicy import Entry, Plan, Ref
from clonepolicy.adapters.local._catalogue import Catalogue, Row
from clonepolicy.adapters.local._owners import Owner
from clonepolicy.wire import loads, to_dict

_WHAT = "writing the journal"


class LocalJournal:
    """Entries belong to the process that lives; a dead one's to anybody.

    Within a process they belong to the thread that began them: when it
    asks what was interrupted, its own execution is over.
    """

    def __init__(self, catalogue: Catalogue, owner: Owner) -> None:
        """Write to a catalogue in an owner's name."""
        self._catalogue = catalogue
        self._owner = owner
        self._threads: dict[str, threading.Thread] = {}
        self._stands: dict[str, tuple[int, int, bool]] = {}

    def begin(self, plan: Plan, ids: Mapping[Ref, str]) -> str:
        """Remember a plan before its first step; give its entry's id."""
        return self.begin_after(lambda _: None, plan, ids)

    def begin_after(
        self,
        first: Callable[[sqlite3.Connection], None],
        plan: Plan,
        ids: Mapping[Ref, str],
    ) -> str:
        """Remember a plan together with a change that it starts from."""
        with self._catalogue.transaction(_WHAT) as db:
            first(db)
            added = db.execute(
                "INSERT INTO journal (token, plan, ids) VALUES (?, ?, ?)",
                (
                    self._owner.token,
                    json.dumps(to_dict(plan)),
                    json.dumps({ref.name: made for ref, made in ids.items()}),
                ),
            )
        entry_id = str(added.lastrowid)
        self._threads[entry_id] = threading.current_thread()
        self._stands[entry_id] = (0, 0, False)
        return entry_id

    def mark(
        self, entry_id: str, attempt: int, step: int, *, undoing: bool
    ) -> None:
        """Remember what is about to begin."""
        stand = (attempt, step, undoing)
        if self._stands.get(entry_id) == stand:
            return
        with self._catalogue.transaction(_WHAT) as db:
            db.execute(
                "UPDATE journal SET attempt = ?, step = ?, undoing = ? "
                "WHERE id = ?",
                (*stand, int(entry_id)),
            )
        self._stands[entry_id] = stand

    def end(self, entry_id: str) -> None:
        """Forget a plan that came to its end."""
        with self._catalogue.transaction(_WHAT) as db:
            db.execute("DELETE FROM journal WHERE id = ?", (int(entry_id),))
        self._threads.pop(entry_id, None)
        self._stands.pop(entry_id, None)

    def interrupted(self) -> tuple[Entry, ...]:
        """Give the entries of which nobody alive takes care, now ours."""
        with self._catalogue.transaction(_WHAT) as db:
            rows = [
                row
                for row in db.execute("SELECT * FROM journal ORDER BY id")
                if self._is_free(row)
            ]
            db.executemany(
                "UPDATE journal SET token = ? WHERE id = ?",
                [(self._owner.token, row["id"]) for row in rows],
            )
        for row in rows:
            self._threads[str(row["id"])] = threading.current_thread()
        return tuple(_entry(row) for row in rows)

    def _is_free(self, row: Row) -> bool:
        if row["token"] != self._owner.token:
            return self._owner.is_dead(row["token"])
        thread = self._threads.get(str(row["id"]))
        here = threading.current_thread()
        return thread is None or thread is here or not thread.is_alive()


def _entry(row: Row) -> Entry:
    return Entry(
        id=str(row["id"]),
        plan=loads(Plan, row["plan"]),
        ids={Ref(name): made for name, made in json.loads(row["ids"]).items()},
        attempt=row["attempt"],
        step=row["step"],
        undoing=bool(row["undoing"]),
    )


def mentioned(db: sqlite3.Connection) -> frozenset[str]:
    """Give the ids of all that some plan in the journal is about."""
    found: set[object] = set()
    for row in db.execute("SELECT * FROM journal"):
        entry = _entry(row)
        found.update(entry.ids.values())
        for step in entry.plan:
            found.add(getattr(step, "volume_id", None))
            found.add(getattr(step, "image_id", None))
    return frozenset(name for name in found if isinstance(name, str))


@attrs.frozen
class Opening:
    """A journal whose plan begins together with what it starts from."""

    journal: LocalJournal
    first: Callable[[sqlite3.Connection], None]

    def begin(self, plan: Plan, ids: Mapping[Ref, str]) -> str:
        """Make the change, and remember the plan, in one transaction."""
        return self.journal.begin_after(self.first, plan, ids)

    def mark(
        self, entry_id: str, attempt: int, step: int, *, undoing: bool
    ) -> None:
        """Remember what is about to begin."""
        self.journal.mark(entry_id, attempt, step, undoing=undoing)

    def end(self, entry_id: str) -> None:
        """Forget a plan that came to its end."""
        self.journal.end(entry_id)

    def interrupted(self) -> tuple[Entry, ...]:
        """Give the entries of which nobody alive takes care, now ours."""
        return self.journal.interrupted()
