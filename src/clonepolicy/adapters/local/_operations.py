"""Operations of several steps: create, upload, add, delete and repair.

A record is made before its file and deleted after it, so a file without a
record belongs to no process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    Image,
    NotFoundError,
    Outcome,
    Refuse,
    Volume,
    decide,
    execute,
    gather_create,
    gather_upload,
    recover,
)
from clonepolicy.adapters import _formats
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.local._catalogue import Row, translate_errors
from clonepolicy.adapters.local._images import (
    LocalImages,
    delete_unfinished,
    insert_image,
)
from clonepolicy.adapters.local._journal import LocalJournal, planned_ids
from clonepolicy.adapters.local._records import (
    Created,
    Uploaded,
    image_row,
    volume_row,
)
from clonepolicy.adapters.local._store import WHOLE, Store, check_status
from clonepolicy.adapters.local._volumes import (
    DELETE,
    FAIL,
    RESTORE,
    check_unregistered,
    insert_volume,
)
from clonepolicy.policy import Policy
from clonepolicy.ports import Journal, Observer, Ports

_REPAIRING = "repairing the cloud"
_VOLUME_FILE = re.compile(r"volume-([0-9a-f-]{36})")


@attrs.frozen
class Operation:
    """What an operation works with."""

    store: Store
    journal: LocalJournal
    ports: Ports
    policy: Policy
    observer: Observer | None


def create_volume(
    operation: Operation, image_id: str, volume: Volume, name: str
) -> Created:
    """Decide how to fill a new volume, and fill it."""
    store, ports = operation.store, operation.ports
    request = gather_create(
        image_id,
        volume,
        store.catalogue.config(),
        ports,
        quota=ports.volumes.get_quota(volume.project_id),
    )
    decision = decide(request, operation.policy)
    if isinstance(decision, Refuse):
        return Created(decision=decision, outcome=None, volume=None)
    insert = functools.partial(insert_volume, store, volume=volume, name=name)
    try:
        outcome = execute(
            decision.plan,
            ports,
            journal=operation.journal.beginning_with(insert),
            observer=operation.observer,
        )
    except BaseException:
        with contextlib.suppress(AdapterError):
            recover(operation.journal, ports)
            _forget_volume(store, volume.id)
        raise
    made = volume_row(store, store.catalogue.volume_row(volume.id))
    return Created(decision=decision, outcome=outcome, volume=made)


def _forget_volume(store: Store, volume_id: str) -> None:
    """Delete a volume whose creation raised an error."""
    with store.catalogue.transaction(f"forgetting volume {volume_id}") as db:
        rows = db.execute(
            "SELECT * FROM volume "
            "WHERE id = ? AND status IN ('available', 'error')",
            (volume_id,),
        ).fetchall()
        begin_deleting(store, db, rows)
    finish_deleting(store, rows)


def upload_volume(
    operation: Operation, row: Row, name: str, image: Image, *, force: bool
) -> Uploaded:
    """Decide how to make an image of a volume, and make it."""
    store, ports, volume_id = operation.store, operation.ports, row["id"]
    _begin_upload(store, volume_id, image, name)
    try:
        request = gather_upload(
            volume_id,
            image.id,
            str(image.owner),
            store.catalogue.config(),
            ports,
            force=force,
        )
        decision = decide(request, operation.policy)
        outcome = None
        if isinstance(decision, Refuse):
            _undo_upload(store, volume_id, image.id)
        else:
            outcome = execute(
                decision.plan,
                ports,
                journal=operation.journal,
                observer=operation.observer,
            )
    except BaseException:
        with contextlib.suppress(AdapterError):
            recover(operation.journal, ports)
            _undo_upload(store, volume_id, image.id)
        raise
    # the catalogue decides whether there is an image, not the outcome
    made = [
        image_row(store, found, image.owner)
        for found in store.catalogue.image_rows()
        if found["id"] == image.id and found["status"] == "active"
    ]
    return Uploaded(
        decision=decision, outcome=outcome, image=made[0] if made else None
    )


def _begin_upload(
    store: Store, volume_id: str, image: Image, name: str
) -> None:
    """Insert the image, and set the volume to status uploading.

    A volume with any other status keeps it, so that the policy sees it.
    """
    catalogue = store.catalogue
    with catalogue.transaction(f"uploading volume {volume_id}") as db:
        if catalogue.volume_row(volume_id)["status"] == "uploading":
            message = (
                f"volume {volume_id} is being uploaded; wait until that ends"
            )
            raise ConflictError(message)
        insert_image(store, db, image, name)
        db.execute(
            "UPDATE volume SET previous_status = status, "
            "status = 'uploading', token = ? "
            "WHERE id = ? AND status IN ('available', 'in-use')",
            (store.lock.token, volume_id),
        )


def _undo_upload(store: Store, volume_id: str, image_id: str) -> None:
    """Delete an image without data, and restore the volume's status."""
    action = f"undoing the upload of volume {volume_id}"
    with store.catalogue.transaction(action) as db:
        if image_id in planned_ids(db):
            return
        gone = delete_unfinished(db, image_id)
        db.execute(RESTORE, (volume_id,))
    if gone:
        with translate_errors(action):
            paths.remove(store.image_path(image_id))


def add_image(
    store: Store,
    source: Path,
    name: str,
    image: Image,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Store a file's content as a new image's data, all of it or nothing."""
    _formats.check_supported(image.disk_format, image.container_format)
    images = LocalImages(store, None)
    action = f"adding image {name} from {source}"
    with (
        translate_errors(action),
        paths.closing(paths.open_read(source)) as fd,
    ):
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            message = f"{source} is not a regular file"
            raise NotFoundError(message)
        with store.catalogue.transaction(action) as db:
            insert_image(store, db, image, name)
        try:
            pieces = sparse.stream(fd, found.st_size)
            if progress is not None:
                pieces = _reported(pieces, found.st_size, progress)
            images.take(image, pieces, found.st_size)
        except BaseException:
            with contextlib.suppress(AdapterError):
                images.discard(image.id)
            raise


def _reported(
    pieces: Iterator[bytes], size: int, progress: Callable[[int, int], None]
) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        progress(done, size)


def delete_volume(store: Store, volume_id: str) -> None:
    """Delete a volume, unless it holds the data of an image."""
    catalogue = store.catalogue
    action = f"deleting volume {volume_id}"
    with catalogue.transaction(action, durable=True) as db:
        row = catalogue.volume_row(volume_id)
        allowed = {"available", "error"}
        if row["token"] == store.lock.token:
            allowed.add("deleting")  # a deletion of ours failed
        why = "; wait until it is available"
        check_status("volume", row, allowed, why)
        check_unregistered(db, volume_id)
        begin_deleting(store, db, [row])
    finish_deleting(store, [row])


def delete_image(store: Store, image_id: str) -> None:
    """Delete an image, and a volume that only holds its data."""
    catalogue = store.catalogue
    action = f"deleting image {image_id}"
    with catalogue.transaction(action, durable=True) as db:
        row = catalogue.image_row(image_id)
        token = row["token"]
        busy = token is not None and not store.lock.is_dead(token)
        if busy or image_id in planned_ids(db):
            message = (
                f"image {image_id} is being stored; wait until it is active"
            )
            raise ConflictError(message)
        config = catalogue.config()
        # the internal tenant's volumes that were made to hold the data
        doomed = [
            volume
            for volume in catalogue.backing(image_id)
            if volume["glance_image_id"] == image_id
            and config.trusts(volume["project_id"])
            and volume["status"] == "available"
        ]
        db.execute("DELETE FROM location WHERE image_id = ?", (image_id,))
        db.execute("DELETE FROM image WHERE id = ?", (image_id,))
        begin_deleting(store, db, doomed)
    finish_deleting(store, doomed)
    with translate_errors(action):
        paths.remove(store.image_path(image_id))


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

    if broken():
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
    files = [path for pool in store.pools.values() for path in pool.iterdir()]
    images = list((store.root / "images").iterdir())
    status = {
        row["id"]: row["status"] for row in store.catalogue.volume_rows(None)
    }
    for path in files:
        volume = _VOLUME_FILE.fullmatch(path.name)
        broken = volume and status.get(volume[1], "error") == "error"
        if broken or path.name.startswith(paths.UNNAMED):
            paths.remove(path)
    known = {row["id"] for row in store.catalogue.image_rows()}
    for path in images:
        if path.name not in known:
            paths.remove(path)
