"""Take back, or remove, what the check of a cloud names."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from clonepolicy import AdapterError, Config, ConflictError, NotFoundError
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths
from clonepolicy.adapters._files.process_lock import is_token
from clonepolicy.adapters.local import _reserve
from clonepolicy.adapters.local._catalogue import Row, now
from clonepolicy.adapters.local._check import problems
from clonepolicy.adapters.local._records import as_volume, printable_id
from clonepolicy.adapters.local._store import WHOLE, Store, check_not_directory
from clonepolicy.ports import check_volume_id


def discard(store: Store, where: str, default: Config) -> None:
    """Remove a file without a record, or a record that is damaged."""
    action = f"discarding {where}"
    _reserve.release(store.root)
    # in one transaction, or another process adopts what is being removed
    with store.catalogue.transaction(action, durable=True) as db:
        path = Path(where).absolute()
        named = [p for p in problems(store) if p.where in {where, str(path)}]
        if not named:
            message = (
                f"there is nothing wrong with {where}; see clonepolicy check"
            )
            raise NotFoundError(message)
        if not named[0].discardable:
            raise ConflictError(str(named[0]))
        if where == "config":
            store.catalogue.set_config(default)
        elif named[0].where == str(path):
            check_not_directory(path)
            paths.remove(path)
        else:
            _delete_named(db, where)


def _delete_named(db: sqlite3.Connection, where: str) -> None:
    table, _, name = where.partition("/")
    key = "project_id" if table == "quota" else "id"
    for row in db.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608 - check named it
        found = row[key]
        shown = printable_id(row) if key == "id" else str(found)
        if name == str(shown):
            _delete_record(db, table, key, found)


def _delete_record(
    db: sqlite3.Connection, table: str, key: str, value: object
) -> None:
    if isinstance(value, str):  # it need not be UTF-8
        value = value.encode(errors="surrogateescape")
    if table in {"volume", "image"}:
        _delete_where(db, "location", f"{table}_id", value)
    _delete_where(db, table, key, value)


def _delete_where(
    db: sqlite3.Connection, table: str, key: str, value: object
) -> None:
    db.execute(
        f"DELETE FROM {table} WHERE {key} IN (?, CAST(? AS TEXT))",  # noqa: S608 - our own names
        (value, value),
    )


def adopt_volume(
    store: Store, volume_id: str, name: str, project_id: str
) -> None:
    """Make a volume's record fit its file; raise as `LocalCloud`'s does."""
    check_volume_id(volume_id)
    action = f"adopting volume {volume_id}"
    pool, path = _only_file(store, f"volume-{volume_id}")
    with store.catalogue.transaction(action, durable=True) as db:
        row = _record(store, volume_id, path)
        created_at = now()
        count = _sizes.to_gib(path.lstat().st_size)
        if row is not None:
            name, project_id = row["name"], row["project_id"]
            created_at, count = row["created_at"], max(count, row["size"])
        with paths.stored(path, paths.READ | os.O_RDWR) as fd:
            os.ftruncate(fd, _sizes.to_bytes(count))
            os.fsync(fd)
        db.execute(
            "INSERT INTO volume (id, project_id, name, size, status, pool, "
            "created_at) VALUES (?, ?, ?, ?, 'available', ?, ?) "
            "ON CONFLICT DO UPDATE SET project_id = excluded.project_id, "
            "name = excluded.name, size = excluded.size, pool = excluded.pool,"
            " created_at = excluded.created_at, status = 'available', "
            "previous_status = NULL, token = NULL",
            (volume_id, project_id, name, count, pool, created_at),
        )
        size = _sizes.to_bytes(count)
        db.execute(
            "UPDATE image SET size = ?, virtual_size = ? WHERE id IN "
            "(SELECT image_id FROM location WHERE volume_id = ?)",
            (size, size, volume_id),
        )


def _only_file(store: Store, name: str) -> tuple[str, Path]:
    """Find the pool that has a volume's file, and its path."""
    found = [
        (pool, directory / name)
        for pool, directory in store.pools.items()
        if pool not in store.absent and not paths.misfit(directory / name)
    ]
    if not found:
        raise NotFoundError(f"no pool has a regular file {name}")
    if len(found) > 1:
        places = ", ".join(str(path) for _, path in found)
        message = f"several pools have such a file: {places}; move one away"
        raise ConflictError(message)
    return found[0]


def _record(store: Store, volume_id: str, path: Path) -> Row | None:
    """Return the valid record of a volume whose file may be adopted."""
    try:
        row = store.catalogue.volume_row(volume_id)
        volume = as_volume(store, row)
    except AdapterError:
        return None
    if is_token(row["token"]):
        raise ConflictError(
            f"volume {volume_id} is {row['status']}; wait until that ends"
        )
    in_place = path == store.volume_path(row)
    if in_place and volume.status in WHOLE:
        raise ConflictError(f"the file of volume {volume_id} fits its record")
    return row
