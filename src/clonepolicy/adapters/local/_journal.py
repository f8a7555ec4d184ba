"""The journal, in the catalogue beside the records that its plans change."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping

import attrs

from clonepolicy import AdapterError
from clonepolicy.adapters._files.process_lock import ProcessLock, is_token
from clonepolicy.adapters.local._catalogue import Catalogue, Row
from clonepolicy.plan import Plan, VolumeRef
from clonepolicy.ports import JournalEntry, Phase, check_volume_id
from clonepolicy.wire import loads, to_dict

_WRITING = "writing the journal"


@attrs.frozen
class LocalJournal:
    """A journal whose entries belong to live processes.

    An entry belongs to the process that holds the lock named in it.  If that
    process is dead, any other may take the entry.  Within a process, an
    entry belongs to the thread that began it; when that thread asks for
    interrupted entries, its own execution is over.
    """

    _catalogue: Catalogue
    _lock: ProcessLock
    _first: Callable[[sqlite3.Connection], object] | None = None
    _threads: dict[str, threading.Thread] = attrs.field(factory=dict)
    _marks: dict[str, tuple[Phase, int, int]] = attrs.field(factory=dict)

    def beginning_with(
        self, change: Callable[[sqlite3.Connection], object]
    ) -> LocalJournal:
        """Return this journal, making a change whenever a plan begins."""
        return attrs.evolve(self, first=change)

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Record a plan before its first step; return its entry's id."""
        with self._catalogue.transaction(_WRITING) as db:
            if self._first is not None:
                self._first(db)
            added = db.execute(
                "INSERT INTO journal (token, plan, ids) VALUES (?, ?, ?)",
                (
                    self._lock.token,
                    json.dumps(to_dict(plan)),
                    json.dumps({ref.name: made for ref, made in ids.items()}),
                ),
            )
        entry_id = str(added.lastrowid)
        self._threads[entry_id] = threading.current_thread()
        self._marks[entry_id] = (Phase.ATTEMPTING, 0, 0)
        return entry_id

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Record which step is about to begin."""
        mark = (phase, attempt, step)
        if self._marks.get(entry_id) == mark:
            return
        self._catalogue.execute(
            _WRITING,
            "UPDATE journal SET phase = ?, attempt = ?, step = ? WHERE id = ?",
            *(*mark, int(entry_id)),
        )
        self._marks[entry_id] = mark

    def end(self, entry_id: str) -> None:
        """Remove the entry of a plan that has ended."""
        statement = "DELETE FROM journal WHERE id = ?"
        self._catalogue.execute(_WRITING, statement, int(entry_id))
        self._threads.pop(entry_id, None)
        self._marks.pop(entry_id, None)

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Take over and return the entries that no live thread carries out."""
        with self._catalogue.transaction(_WRITING) as db:
            rows = db.execute("SELECT * FROM journal ORDER BY id").fetchall()
            free = read_entries(filter(self._is_free, rows))
            db.executemany(
                "UPDATE journal SET token = ? WHERE id = ?",
                [(self._lock.token, int(entry.id)) for entry in free],
            )
        for entry in free:
            self._threads[entry.id] = threading.current_thread()
        return free

    def _is_free(self, row: Row) -> bool:
        if not self._lock.is_own(row["token"]):
            return self._lock.is_dead(row["token"])
        thread = self._threads.get(str(row["id"]))
        here = threading.current_thread()
        return thread is None or thread is here or not thread.is_alive()


def read_entry(row: Row) -> JournalEntry | None:
    """Read an entry; None: it is damaged, and proves nothing."""
    try:
        entry = JournalEntry(
            id=str(row["id"]),
            plan=loads(Plan, row["plan"]),
            ids={
                VolumeRef(name): made
                for name, made in json.loads(row["ids"]).items()
            },
            phase=Phase(row["phase"]),
            attempt=row["attempt"],
            step=row["step"],
        )
        # what the entry refers to must be there
        for ref in entry.plan.refs:
            check_volume_id(entry.ids[ref])
        for attempt in entry.plan.attempts[entry.attempt :][:1]:
            _ = attempt.steps[entry.step]
    except (ValueError, TypeError, AttributeError, LookupError, AdapterError):
        return None
    is_there = min(entry.attempt, entry.step) >= 0
    return entry if is_there and is_token(row["token"]) else None


def read_entries(rows: Iterable[Row]) -> tuple[JournalEntry, ...]:
    """Read the entries that are not damaged."""
    found = map(read_entry, rows)
    return tuple(entry for entry in found if entry is not None)


def planned_ids(db: sqlite3.Connection) -> set[object]:
    """Return the ids of all volumes and images of the journal's plans."""
    found: set[object] = set()
    for entry in read_entries(db.execute("SELECT * FROM journal")):
        found.update(entry.ids.values())
        for step in entry.plan:
            found.add(getattr(step, "volume_id", None))
            found.add(getattr(step, "image_id", None))
    return found
