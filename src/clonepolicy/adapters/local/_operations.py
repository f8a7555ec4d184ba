"""Operations of several steps: create, upload, add and delete.

A record is made before its file and deleted after it, so a file without a
record belongs to no process.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    Image,
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
from clonepolicy.adapters._files.process_lock import is_token
from clonepolicy.adapters.local import _reserve
from clonepolicy.adapters.local._catalogue import Row, translate_errors
from clonepolicy.adapters.local._images import (
    DELETE,
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
from clonepolicy.adapters.local._repair import begin_deleting, finish_deleting
from clonepolicy.adapters.local._store import (
    Store,
    check_not_directory,
    check_status,
)
from clonepolicy.adapters.local._volumes import (
    RESTORE,
    check_unregistered,
    insert_volume,
)
from clonepolicy.policy import Policy
from clonepolicy.ports import Observer, Ports


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
    _keep_reserve(store)
    request = gather_create(
        image_id,
        volume,
        store.catalogue.config(),
        ports,
        quota=ports.volumes.get_quota(volume.project_id, volume.volume_type),
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
            _reserve.release(store.root)
            recover(operation.journal, ports)
            _forget_volume(store, volume.id)
        raise
    made = volume_row(store, store.catalogue.volume_row(volume.id))
    return Created(decision=decision, outcome=outcome, volume=made)


def _keep_reserve(store: Store) -> None:
    with translate_errors(f"keeping a reserve in {store.root}"):
        _reserve.keep(store.root)


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
    _keep_reserve(store)
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
            _reserve.release(store.root)
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
            raise ConflictError(
                f"volume {volume_id} is being uploaded; wait until that ends"
            )
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
        delete_unfinished(store, db, image_id)
        db.execute(RESTORE, (volume_id,))


def add_image(
    store: Store,
    source: Path,
    name: str,
    image: Image,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Store a file's content as a new image's data, all of it or nothing."""
    _formats.check_supported(image.disk_format, image.container_format)
    _keep_reserve(store)
    images = LocalImages(store, None)
    action = f"adding image {name} from {source}"
    with (
        translate_errors(action),
        # a link is followed here: the user named it
        paths.stored(source, paths.READ & ~os.O_NOFOLLOW) as fd,
    ):
        found = os.fstat(fd)
        with paths.unnamed(store.root / "images") as room:
            os.ftruncate(room, found.st_size)  # fails if it can never fit
        with store.catalogue.transaction(action) as db:
            insert_image(store, db, image, name)
        try:
            pieces = sparse.stream(fd, found.st_size)
            if progress is not None:
                pieces = _reported(pieces, found.st_size, progress)
            images.take(image, pieces, found.st_size)
        except BaseException:
            with contextlib.suppress(AdapterError):
                _reserve.release(store.root)
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
    _reserve.release(store.root)
    with catalogue.transaction(action, durable=True) as db:
        row = catalogue.volume_row(volume_id)
        allowed = {"available", "error"}
        if store.lock.is_own(row["token"]):
            allowed.add("deleting")  # a deletion of ours failed
        why = "; wait until it is available"
        check_status("volume", row, allowed, why)
        check_unregistered(db, volume_id)
        begin_deleting(store, db, [row])
    finish_deleting(store, [row])
    _reserve.restore(store.root)


def delete_image(store: Store, image_id: str) -> None:
    """Delete an image, and a volume that only holds its data."""
    catalogue = store.catalogue
    action = f"deleting image {image_id}"
    _reserve.release(store.root)
    with catalogue.transaction(action, durable=True) as db:
        row = catalogue.image_row(image_id)
        token = row["token"]
        busy = is_token(token) and not store.lock.is_dead(token)
        if row["status"] == "pending_delete" and store.lock.is_own(token):
            busy = False  # a deletion of ours failed
        if busy or image_id in planned_ids(db):
            raise ConflictError(
                f"image {image_id} is being stored; wait until it is active"
            )
        config = catalogue.config()
        # the internal tenant's volumes that were made to hold the data
        doomed = [
            volume
            for volume in catalogue.backing(image_id)
            if volume["glance_image_id"] == image_id
            and config.trusts(volume["project_id"])
            and volume["status"] == "available"
        ]
        path = store.image_path(image_id)
        check_not_directory(path)
        db.execute("DELETE FROM location WHERE image_id = ?", (image_id,))
        db.execute(
            "UPDATE image SET status = 'pending_delete', token = ? "
            "WHERE id = ?",
            (store.lock.token, image_id),
        )
        begin_deleting(store, db, doomed)
    finish_deleting(store, doomed)
    with translate_errors(action):
        paths.remove(path)
    store.catalogue.execute(action, DELETE, image_id)
    _reserve.restore(store.root)
