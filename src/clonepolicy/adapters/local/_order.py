"""Delete, and put a cloud in order after processes that died in work.

A record comes before its file and goes after it, so that a file without a
record is nobody's, whoever is at work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from clonepolicy import Journal, Outcome, Ports, recover
from clonepolicy.adapters import _files
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._images import discard
from clonepolicy.adapters.local._journal import mentioned
from clonepolicy.adapters.local._store import (
    WHOLE,
    Store,
    delete_volume_record,
)
from clonepolicy.adapters.local._volumes import restore

_WHAT = "putting the cloud in order"


def put_in_order(
    store: Store, journal: Journal, ports: Ports
) -> tuple[Outcome, ...]:
    """Finish what the dead began, then take away what nobody vouches for."""
    outcomes = recover(journal, ports)
    with _files.Adapted(_WHAT):
        finish_deleting(store, _settle(store))
        _fail_broken(store)
        _remove_strays(store)
        store.owner.tidy()
    return outcomes


def claim_deleting(
    store: Store, db: sqlite3.Connection, volume_ids: Iterable[str]
) -> None:
    """Say that volumes are being deleted, and that we do it."""
    db.executemany(
        "UPDATE volume SET status = 'deleting', token = ? WHERE id = ?",
        [(store.owner.token, volume_id) for volume_id in volume_ids],
    )


def finish_deleting(store: Store, rows: Iterable[Row]) -> None:
    """Remove the files, then the records, of volumes that we delete."""
    for row in rows:
        what = f"deleting volume {row['id']}"
        with _files.Adapted(what):
            _files.remove(store.volume_path(row))
        with store.catalogue.transaction(what) as db:
            delete_volume_record(db, row["id"])


def _settle(store: Store) -> list[Row]:
    """Settle what the dead left outside any plan; give what to delete."""
    with store.catalogue.transaction(_WHAT) as db:
        planned = mentioned(db)

        def orphans(table: str) -> list[Row]:
            query = f"SELECT * FROM {table} WHERE token IS NOT NULL"  # noqa: S608 - our own names
            return [
                row
                for row in db.execute(query)
                if row["id"] not in planned
                and store.owner.is_dead(row["token"])
            ]

        for row in orphans("image"):
            discard(db, row["id"])
        volumes = orphans("volume")
        for row in volumes:
            restore(db, row["id"])
            db.execute(
                "UPDATE volume SET status = 'error', token = NULL "
                "WHERE id = ? AND status = 'creating'",
                (row["id"],),
            )
        deleting = [row for row in volumes if row["status"] == "deleting"]
        claim_deleting(store, db, [row["id"] for row in deleting])
    return deleting


def _fail_broken(store: Store) -> None:
    """Let no volume say that it has data that a loss of power took."""
    for row in store.catalogue.volume_rows(None):
        if row["status"] in WHOLE and not store.is_whole(row):
            _fail_if_broken(store, row["id"])


def _fail_if_broken(store: Store, volume_id: str) -> None:
    """Look again while nobody else changes anything."""
    with store.catalogue.transaction(_WHAT) as db:
        for row in db.execute(
            "SELECT * FROM volume WHERE id = ?", (volume_id,)
        ).fetchall():
            if row["status"] in WHOLE and not store.is_whole(row):
                db.execute(
                    "UPDATE volume SET status = 'error' WHERE id = ?",
                    (volume_id,),
                )


def _remove_strays(store: Store) -> None:
    """Remove files without a record, and files of failed volumes.

    The files are listed before the records are read: a file that was seen
    had its record by then.
    """
    files = list(store.volume_files())
    images = list((store.root / "images").iterdir())
    status = {
        row["id"]: row["status"] for row in store.catalogue.volume_rows(None)
    }
    for volume_id, path in files:
        if status.get(volume_id, "error") == "error":
            _files.remove(path)
    for path in store.spools():
        _files.remove(path)
    known = {row["id"] for row in store.catalogue.image_rows()}
    for path in images:
        if path.name not in known:
            _files.remove(path)
