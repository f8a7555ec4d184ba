"""Repair: end what dead processes began, and touch nothing else.

The rule, which holds for every file of a cloud: repair removes a file only
if its record proves that the file is not the only copy of anything.  That is
so if the record says that a process was making it (``creating``, ``queued``,
``saving``) or removing it (``deleting``, ``pending_delete``), and names a
process that is dead.  A file without a record, a file that does not fit its
record, and a record that cannot be read prove nothing: they stay, and
`clonepolicy.adapters.local.LocalCloud.check` names them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable

from clonepolicy import AdapterError, Outcome, recover
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local import _images, _reserve, _volumes
from clonepolicy.adapters.local._catalogue import Row, translate_errors
from clonepolicy.adapters.local._journal import planned_ids
from clonepolicy.adapters.local._store import Store, check_not_directory
from clonepolicy.ports import Journal, Ports

_REPAIRING = "repairing the cloud"
_TOKENS = " UNION ".join(
    f"SELECT token FROM {table} WHERE token IS NOT NULL"  # noqa: S608 - our own names
    for table in ("volume", "image", "journal")
)


def repair(
    store: Store, journal: Journal, ports: Ports
) -> tuple[Outcome, ...]:
    """Recover the plans of dead processes, then settle their records.

    Raises:
        AdapterError: something could not be repaired now; the rest was.
    """
    outcomes: tuple[Outcome, ...] = ()
    failed: list[AdapterError] = []
    tokens = store.catalogue.rows(_REPAIRING, _TOKENS)
    if any(store.lock.is_dead(row["token"]) for row in tokens):
        _reserve.release(store.root)
        outcomes = recover(journal, ports)
        failed += _settle(store)
    with contextlib.suppress(OSError):
        _remove_unnamed(store)
        if not failed:
            store.lock.remove_stale()
    if failed:
        raise failed[0]
    return outcomes


def begin_deleting(
    store: Store, db: sqlite3.Connection, rows: Iterable[Row]
) -> None:
    """Mark volumes as being deleted by this process."""
    for row in rows:
        check_not_directory(store.volume_file(row))
        db.execute(
            "UPDATE volume SET status = 'deleting', token = ? WHERE id = ?",
            (store.lock.token, row["id"]),
        )


def finish_deleting(store: Store, rows: Iterable[Row]) -> None:
    """Remove the files and then the records of volumes being deleted."""
    for row in rows:
        action = f"deleting volume {row['id']}"
        with translate_errors(action):
            paths.remove(store.volume_file(row))
        with store.catalogue.transaction(action) as db:
            delete_volume_row(db, row["id"])


def delete_volume_row(db: sqlite3.Connection, volume_id: str) -> None:
    """Delete a volume's record, and locations of images that do not exist."""
    db.execute(
        "DELETE FROM location WHERE volume_id = ? "
        "AND image_id NOT IN (SELECT id FROM image)",
        (volume_id,),
    )
    db.execute(_volumes.DELETE, (volume_id,))


def _settle(store: Store) -> list[AdapterError]:
    """Settle the records that dead processes left outside their plans."""
    failed = []
    for table, settle in (
        ("image", _settle_image),
        ("volume", _settle_volume),
    ):
        query = f"SELECT * FROM {table} WHERE token IS NOT NULL"  # noqa: S608 - our own names
        for row in store.catalogue.rows(_REPAIRING, query):
            if not store.lock.is_dead(row["token"]):
                continue
            try:
                # again in a transaction, which keeps other processes out
                with store.catalogue.transaction(_REPAIRING) as db:
                    again = f"{query} AND id = ? AND token = ?"
                    same = db.execute(again, (row["id"], row["token"]))
                    if same.fetchone() and row["id"] not in planned_ids(db):
                        settle(store, db, row)
            except AdapterError as error:
                failed.append(error)
    return failed


def _settle_image(store: Store, db: sqlite3.Connection, row: Row) -> None:
    if row["status"] == "pending_delete":
        paths.remove(store.image_path(row["id"]))
        db.execute(_images.DELETE, (row["id"],))
    else:
        _images.delete_unfinished(store, db, row["id"])


def _settle_volume(store: Store, db: sqlite3.Connection, row: Row) -> None:
    match row["status"]:
        case "creating":
            paths.remove(store.volume_file(row))
            db.execute(_volumes.FAIL, (row["id"],))
        case "deleting":
            paths.remove(store.volume_file(row))
            delete_volume_row(db, row["id"])
        case _:
            db.execute(_volumes.RESTORE, (row["id"],))


def _remove_unnamed(store: Store) -> None:
    """Remove the empty files that a killed process did not unlink."""
    for name, pool in store.pools.items():
        if name not in store.absent:
            for path in pool.glob(f"{paths.UNNAMED}*"):
                if paths.is_empty_file(path.lstat()):
                    paths.remove(path)
