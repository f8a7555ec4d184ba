"""The image service: data of its own, or the data of a volume."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    CinderLocation,
    ConflictError,
    GiB,
    GlanceConfig,
    Image,
    IntegrityError,
    Location,
    NotFoundError,
    UnsupportedError,
)
from clonepolicy.adapters import _files, _formats
from clonepolicy.adapters._files import Adapted, opened
from clonepolicy.adapters.local._catalogue import (
    Row,
    as_image,
    is_visible,
    no_image,
    now,
)
from clonepolicy.adapters.local._store import Store, check_readable

_CONFIG = GlanceConfig(
    has_location_api=True, service_roles=frozenset({"admin", "service"})
)
_ALGORITHM = "sha512"


@attrs.frozen
class LocalImages:
    """The images that one project sees; None sees all."""

    _store: Store
    _project_id: str | None

    def get_config(self) -> GlanceConfig:
        """Tell that locations can be read and written."""
        return _CONFIG

    def get_image(self, image_id: str) -> Image:
        """Read an image; `NotFoundError` if the requester sees none."""
        return as_image(self._seen(image_id), self._project_id)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read which volumes are the image's data."""
        self._seen(image_id)
        return self._store.catalogue.locations(image_id)

    def _seen(self, image_id: str) -> Row:
        row = self._store.catalogue.image_row(image_id)
        if self._project_id is None or is_visible(row, self._project_id):
            return row
        raise no_image(image_id)

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location; fine if the image shows it already."""
        catalogue, volume_id = self._store.catalogue, location.volume_id
        with catalogue.transaction(f"registering {location}") as db:
            image = catalogue.image_row(image_id)
            if location in catalogue.locations(image_id):
                return
            if image["status"] != "queued":
                message = (
                    f"image {image_id} is {image['status']}; only a queued "
                    "one takes a location"
                )
                raise ConflictError(message)
            volume = catalogue.volume_row(volume_id)
            if volume["status"] not in {"available", "in-use"}:
                message = f"volume {volume_id} is {volume['status']}"
                raise ConflictError(message)
            db.execute(
                "INSERT INTO location VALUES (?, ?, ?)",
                (image_id, volume_id, str(location)),
            )
            size = volume["size"] * GiB
            activate(db, image_id, size=size, virtual_size=size)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Return once the image does not show the location, or raise."""
        what = f"withdrawing {location}"
        with self._store.catalogue.transaction(what) as db:
            gone = db.execute(
                "DELETE FROM location WHERE image_id = ? AND url = ?",
                (image_id, str(location)),
            )
            if gone.rowcount:
                db.execute(
                    "UPDATE image SET status = 'queued', size = NULL, "
                    "virtual_size = NULL, updated_at = ?, token = ? "
                    "WHERE id = ? AND os_hash_value IS NULL AND NOT EXISTS "
                    "(SELECT * FROM location WHERE image_id = image.id)",
                    (now(), self._store.owner.token, image_id),
                )

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return if the image is active and shows the location."""
        catalogue = self._store.catalogue
        status = catalogue.image_row(image_id)["status"]
        if status != "active" or location not in catalogue.locations(image_id):
            message = f"image {image_id} is {status} and not at {location}"
            raise ConflictError(message)

    def download(self, image_id: str) -> Iterator[bytes]:
        """Give the image's data; `IntegrityError` if it is not that.

        The error comes at the end at the latest, so that data is good only
        when the iterator is exhausted.
        """
        row = self._seen(image_id)
        if row["status"] != "active":
            message = f"image {image_id} is {row['status']} and has no data"
            raise ConflictError(message)
        what = f"reading image {image_id}"
        with (
            Adapted(what),
            opened(_files.open_read(self._data_path(row))) as fd,
        ):
            _check(what, "bytes", row["size"], os.fstat(fd).st_size)
            algorithm = row["os_hash_algo"]
            seen = None if algorithm is None else hashlib.new(algorithm)
            size = 0
            for piece in _files.stream(fd, row["size"]):
                size += len(piece)
                if seen is not None:
                    seen.update(piece)
                yield piece
            _check(what, "bytes", row["size"], size)
            if seen is not None:
                _check(what, algorithm, row["os_hash_value"], seen.hexdigest())

    def _data_path(self, row: Row) -> Path:
        """Give the image's own file, or that of a volume that is its data."""
        backing = self._store.catalogue.backing(row["id"])
        if not backing:
            return self._store.image_path(row["id"])
        check_readable(backing[0])
        return self._store.volume_path(backing[0])

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Take an image's data; a queued image becomes active, or none."""
        image = as_image(self._store.catalogue.image_row(image_id), None)
        if image.disk_format != "raw":
            message = (
                f"image {image_id} is to be {image.disk_format}, and a "
                "volume's data is raw; upload it as raw and convert it"
            )
            raise UnsupportedError(message)
        self.take(image, data)

    def take(
        self,
        image: Image,
        data: Iterable[bytes],
        size: int | None = None,
    ) -> None:
        """Take data in the image's own format, and see that it is that.

        ``size`` is how many bytes are expected, where that is known.
        """
        store, image_id = self._store, image.id
        self._hold(image_id)
        path = store.image_path(image_id)
        what = f"storing image {image_id}"
        inspector = _formats.inspector(image)
        seen = hashlib.new(_ALGORITHM)
        try:
            with Adapted(what), opened(_files.create(path)) as fd:
                pieces = _hashed(inspector.watch(data), seen.update)
                took = _files.fill(fd, pieces)
                _check(what, "bytes", took if size is None else size, took)
                virtual_size = inspector.finish()
                os.fsync(fd)
            with store.catalogue.transaction(what) as db:
                activate(
                    db,
                    image_id,
                    size=took,
                    virtual_size=virtual_size,
                    os_hash_value=seen.hexdigest(),
                )
        except BaseException:
            self._let_go(image_id)
            raise

    def _hold(self, image_id: str) -> None:
        catalogue = self._store.catalogue
        with catalogue.transaction(f"storing image {image_id}") as db:
            status = catalogue.image_row(image_id)["status"]
            if status != "queued":
                message = (
                    f"image {image_id} is {status}; only a queued one takes "
                    "data"
                )
                raise ConflictError(message)
            db.execute(
                "UPDATE image SET status = 'saving', token = ? WHERE id = ?",
                (self._store.owner.token, image_id),
            )

    def _let_go(self, image_id: str) -> None:
        """Make an image that was being stored queued, and without data."""
        what = f"storing image {image_id}"
        with self._store.catalogue.transaction(what) as db:
            held = db.execute(
                "UPDATE image SET status = 'queued' "
                "WHERE id = ? AND status = 'saving'",
                (image_id,),
            )
        if held.rowcount:
            with Adapted(what):
                _files.remove(self._store.image_path(image_id))

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone."""
        what = f"discarding image {image_id}"
        with self._store.catalogue.transaction(what) as db:
            gone = discard(db, image_id)
        if gone:
            with Adapted(what):
                _files.remove(self._store.image_path(image_id))

    def insert(self, db: sqlite3.Connection, image: Image, name: str) -> None:
        """Make the record of an image to come, in this process's care."""
        db.execute(
            "INSERT INTO image (id, name, owner, status, disk_format, "
            "container_format, min_disk, visibility, updated_at, token) "
            "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
            (
                image.id,
                name,
                image.owner,
                image.disk_format,
                image.container_format,
                image.min_disk,
                image.visibility,
                now(),
                self._store.owner.token,
            ),
        )


def discard(db: sqlite3.Connection, image_id: str) -> bool:
    """Delete the record of an image that has no data; say if there was."""
    gone = db.execute(
        "DELETE FROM image WHERE id = ? AND status IN ('queued', 'saving')",
        (image_id,),
    )
    return gone.rowcount > 0


def activate(
    db: sqlite3.Connection,
    image_id: str,
    *,
    size: int,
    virtual_size: int,
    os_hash_value: str | None = None,
) -> None:
    """Let an image that has its data say so, in nobody's care any more."""
    changed = db.execute(
        "UPDATE image SET status = 'active', size = ?, virtual_size = ?, "
        "os_hash_algo = ?, os_hash_value = ?, updated_at = ?, token = NULL "
        "WHERE id = ? AND status IN ('queued', 'saving')",
        (
            size,
            virtual_size,
            None if os_hash_value is None else _ALGORITHM,
            os_hash_value,
            now(),
            image_id,
        ),
    )
    if not changed.rowcount:
        message = f"image {image_id} was deleted while it was being stored"
        raise NotFoundError(message)


def _hashed(
    pieces: Iterable[bytes], update: Callable[[bytes], None]
) -> Iterator[bytes]:
    for piece in pieces:
        update(piece)
        yield piece


def _check(
    what: str, kind: str, expected: str | int, actual: str | int
) -> None:
    if expected != actual:
        message = (
            f"{what}: expected {expected} {kind}, got {actual}; upload the "
            "data anew"
            if isinstance(expected, int)
            else f"{what}: expected {kind} {expected}, got {actual}; upload "
            "the data anew"
        )
        raise IntegrityError(message)
