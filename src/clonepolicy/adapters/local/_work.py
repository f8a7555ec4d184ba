"""What takes several steps: creating, uploading, adding, deleting."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    SAFE,
    AdapterError,
    ConflictError,
    Image,
    NotFoundError,
    Observer,
    Policy,
    Ports,
    Refuse,
    Volume,
    decide_create,
    decide_upload,
    execute,
    gather_create,
    gather_upload,
    recover,
)
from clonepolicy.adapters import _files, _formats
from clonepolicy.adapters._files import opened
from clonepolicy.adapters.local import _listing
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._images import LocalImages, discard
from clonepolicy.adapters.local._journal import (
    LocalJournal,
    Opening,
    mentioned,
)
from clonepolicy.adapters.local._order import claim_deleting, finish_deleting
from clonepolicy.adapters.local._rows import Created, Uploaded
from clonepolicy.adapters.local._store import Store
from clonepolicy.adapters.local._volumes import (
    LocalVolumes,
    check_unnamed,
    restore,
)


@attrs.frozen(kw_only=True)
class Work:
    """The means of one piece of work."""

    store: Store
    journal: LocalJournal
    ports: Ports
    policy: Policy = SAFE
    observer: Observer | None = None


def choose_pool(store: Store, image_id: str) -> str:
    """Choose the pool of a volume that is the image's data, or the emptiest.

    Emptiest is the one with most free space.
    """
    backing = store.catalogue.backing(image_id)
    if backing:
        return str(backing[0]["pool"])
    return max(store.pools, key=store.free)


def create_volume(
    work: Work, image_id: str, volume: Volume, name: str
) -> Created:
    """Decide how to fill a new volume, and do it."""
    store, ports = work.store, work.ports
    request = gather_create(
        image_id,
        volume,
        store.catalogue.config(),
        ports,
        quota=ports.volumes.get_quota(volume.project_id),
    )
    decision = decide_create(request, work.policy)
    if isinstance(decision, Refuse):
        return Created(decision=decision, outcome=None, volume=None)

    def record(db: sqlite3.Connection) -> None:
        LocalVolumes(store).insert(db, volume, name)

    try:
        outcome = execute(
            decision.plan,
            ports,
            journal=Opening(work.journal, record),
            observer=work.observer,
        )
    except BaseException:
        with contextlib.suppress(AdapterError):
            recover(work.journal, ports)
            _forget_volume(store, volume.id)
        raise
    row = store.catalogue.volume_row(volume.id)
    return Created(
        decision=decision,
        outcome=outcome,
        volume=_listing.volume_row(store, row),
    )


def _forget_volume(store: Store, volume_id: str) -> None:
    """Delete a volume that nobody will learn of."""
    with store.catalogue.transaction(f"forgetting volume {volume_id}") as db:
        rows = db.execute(
            "SELECT * FROM volume "
            "WHERE id = ? AND status IN ('available', 'error')",
            (volume_id,),
        ).fetchall()
        claim_deleting(store, db, [row["id"] for row in rows])
    finish_deleting(store, rows)


def upload_volume(
    work: Work, row: Row, name: str, image: Image, *, force: bool
) -> Uploaded:
    """Decide how to make an image of a volume, and do it."""
    store, ports, volume_id = work.store, work.ports, row["id"]
    _hold_for_upload(store, volume_id, image, name)
    try:
        request = gather_upload(
            volume_id,
            image.id,
            str(image.owner),
            store.catalogue.config(),
            ports,
            force=force,
        )
        decision = decide_upload(request, work.policy)
        outcome = None
        if isinstance(decision, Refuse):
            _put_back(store, volume_id, image.id)
        else:
            outcome = execute(
                decision.plan,
                ports,
                journal=work.journal,
                observer=work.observer,
            )
    except BaseException:
        with contextlib.suppress(AdapterError):
            recover(work.journal, ports)
            _put_back(store, volume_id, image.id)
        raise
    # what the catalogue says counts, however the plan came to its end
    made = [
        _listing.image_row(store, found, image.owner)
        for found in store.catalogue.image_rows()
        if found["id"] == image.id and found["status"] == "active"
    ]
    return Uploaded(
        decision=decision, outcome=outcome, image=made[0] if made else None
    )


def _hold_for_upload(
    store: Store, volume_id: str, image: Image, name: str
) -> None:
    """Make the image's record, and let the volume say what goes on.

    A volume in any other state stays in it, for the decision to see.
    """
    catalogue = store.catalogue
    with catalogue.transaction(f"uploading volume {volume_id}") as db:
        if catalogue.volume_row(volume_id)["status"] == "uploading":
            message = (
                f"volume {volume_id} is being uploaded; wait for that to end"
            )
            raise ConflictError(message)
        LocalImages(store, None).insert(db, image, name)
        db.execute(
            "UPDATE volume SET previous_status = status, "
            "status = 'uploading', token = ? "
            "WHERE id = ? AND status IN ('available', 'in-use')",
            (store.owner.token, volume_id),
        )


def _put_back(store: Store, volume_id: str, image_id: str) -> None:
    """Leave no image without data, and the volume as it was."""
    what = f"leaving volume {volume_id}"
    with store.catalogue.transaction(what) as db:
        if image_id in mentioned(db):
            return
        gone = discard(db, image_id)
        restore(db, volume_id)
    if gone:
        with _files.Adapted(what):
            _files.remove(store.image_path(image_id))


def add_image(
    store: Store,
    source: Path,
    name: str,
    image: Image,
    progress: Callable[[int, int], None] | None,
) -> Row:
    """Take a file's content as a new image's data, all of it or nothing."""
    _formats.check_supported(image.disk_format, image.container_format)
    images = LocalImages(store, None)
    what = f"adding image {name} from {source}"
    with _files.Adapted(what), opened(_open_source(source)) as fd:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            message = f"{source} is not a regular file"
            raise NotFoundError(message)
        with store.catalogue.transaction(what) as db:
            images.insert(db, image, name)
        try:
            pieces = _files.stream(fd, about.st_size)
            if progress is not None:
                pieces = _told(pieces, about.st_size, progress)
            images.take(image, pieces, about.st_size)
        except BaseException:
            with contextlib.suppress(AdapterError):
                images.discard(image.id)
            raise
    return store.catalogue.image_row(image.id)


def _open_source(source: Path) -> int:
    try:
        return _files.open_read(source)
    except FileNotFoundError as error:
        message = f"there is no file {source}"
        raise NotFoundError(message) from error


def _told(
    pieces: Iterator[bytes], size: int, progress: Callable[[int, int], None]
) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        progress(done, size)


def delete_volume(store: Store, volume_id: str) -> None:
    """Delete a volume that is the data of no image."""
    catalogue = store.catalogue
    what = f"deleting volume {volume_id}"
    with catalogue.transaction(what, durable=True) as db:
        row = catalogue.volume_row(volume_id)
        ours = row["status"] == "deleting" and (
            row["token"] == store.owner.token
        )
        if row["status"] not in {"available", "error"} and not ours:
            message = (
                f"volume {volume_id} is {row['status']}; wait until it is "
                "available"
            )
            raise ConflictError(message)
        check_unnamed(db, volume_id)
        claim_deleting(store, db, [volume_id])
    finish_deleting(store, [row])


def delete_image(store: Store, image_id: str) -> None:
    """Delete an image, and what was made to be its data and nothing else."""
    catalogue = store.catalogue
    what = f"deleting image {image_id}"
    with catalogue.transaction(what, durable=True) as db:
        row = catalogue.image_row(image_id)
        if image_id in mentioned(db) or _is_being_stored(store, row):
            message = (
                f"image {image_id} is being stored; wait until it is active"
            )
            raise ConflictError(message)
        backing = _made_for(store, image_id)
        db.execute("DELETE FROM location WHERE image_id = ?", (image_id,))
        db.execute("DELETE FROM image WHERE id = ?", (image_id,))
        claim_deleting(store, db, [volume["id"] for volume in backing])
    finish_deleting(store, backing)
    with _files.Adapted(what):
        _files.remove(store.image_path(image_id))


def _is_being_stored(store: Store, row: Row) -> bool:
    return row["token"] is not None and not store.owner.is_dead(row["token"])


def _made_for(store: Store, image_id: str) -> list[Row]:
    """Give the internal volumes that were made to be an image's data."""
    config = store.catalogue.config()
    return [
        row
        for row in store.catalogue.backing(image_id)
        if row["glance_image_id"] == image_id
        and config.trusts(row["project_id"])
        and row["status"] == "available"
    ]
