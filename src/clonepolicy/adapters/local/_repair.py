"""Delete volumes, and repair a cloud after processes that were killed.

A record is made before its file and deleted after it, so a file without a
record belongs to no process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from clonepolicy import Outcome, recover
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._errors import translate_errors
from clonepolicy.adapters.local._images import delete_unfinished
from clonepolicy.adapters.local._journal import planned_ids
from clonepolicy.adapters.local._store import WHOLE, Store
from clonepolicy.adapters.local._volumes import DELETE, FAIL, RESTORE
from clonepolicy.ports import Journal, Ports

_REPAIRING = "repairing the cloud"


def repair(
    store: Store, journal: Journal, ports: Ports
) -> tuple[Outcome, ...]:
    """Recover the plans of dead processes, then remove what they left."""
    outcomes = recover(journal, ports)
    with translate_errors(_REPAIRING):
        finish_deleting(store, _settle(store))
        _fail_broken(store)
        _remove_strays(store)
        store.lock.remove_stale()
    return outcomes


def begin_deleting(
    store: Store, db: sqlite3.Connection, rows: Iterable[Row]
) -> None:
    """Mark volumes as being deleted by this process."""
    db.executemany(
        "UPDATE volume SET status = 'deleting', token = ? WHERE id = ?",
        [(store.lock.token, row["id"]) for row in rows],
    )


def finish_deleting(store: Store, rows: Iterable[Row]) -> None:
    """Remove the files and then the records of volumes being deleted."""
    for row in rows:
        action = f"deleting volume {row['id']}"
        with translate_errors(action):
            paths.remove(store.volume_path(row))
        store.catalogue.execute(action, DELETE, row["id"])


def _settle(store: Store) -> list[Row]:
    """Settle the records that dead processes left outside their plans.

    Returns:
        The volumes whose deletion is to be finished.
    """
    with store.catalogue.transaction(_REPAIRING) as db:
        planned = planned_ids(db)

        def orphans(table: str) -> list[Row]:
            query = f"SELECT * FROM {table} WHERE token IS NOT NULL"  # noqa: S608 - our own names
            return [
                row
                for row in db.execute(query)
                if row["id"] not in planned
                and store.lock.is_dead(row["token"])
            ]

        for row in orphans("image"):
            delete_unfinished(db, row["id"])
        volumes = orphans("volume")
        for row in volumes:
            db.execute(RESTORE, (row["id"],))
            db.execute(FAIL, (row["id"],))
        deleting = [row for row in volumes if row["status"] == "deleting"]
        begin_deleting(store, db, deleting)
    return deleting


def _fail_broken(store: Store) -> None:
    """Set volumes to status error whose data a power loss took."""

    def broken() -> list[Row]:
        return [
            row
            for row in store.catalogue.volume_rows(None)
            if row["status"] in WHOLE and not store.is_whole(row)
        ]

    if not broken():
        return
    # check again in a transaction, which keeps other processes out
    with store.catalogue.transaction(_REPAIRING) as db:
        db.executemany(
            "UPDATE volume SET status = 'error' WHERE id = ?",
            [(row["id"],) for row in broken()],
        )


def _remove_strays(store: Store) -> None:
    """Remove files without a record, and files of failed volumes.

    Files are listed before records are read: every file that is listed had
    its record by then.
    """
    files = list(store.volume_files())
    images = list((store.root / "images").iterdir())
    status = {
        row["id"]: row["status"] for row in store.catalogue.volume_rows(None)
    }
    for volume_id, path in files:
        if status.get(volume_id, "error") == "error":
            paths.remove(path)
    for path in store.leftover_files():
        paths.remove(path)
    known = {row["id"] for row in store.catalogue.image_rows()}
    for path in images:
        if path.name not in known:
            paths.remove(path)
