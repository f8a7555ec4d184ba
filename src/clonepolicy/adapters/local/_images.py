"""The image service: images with files of their own, or with volumes."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator

import attrs

from clonepolicy import (
    CinderLocation,
    ConflictError,
    GlanceConfig,
    Image,
    IntegrityError,
    Location,
    NotFoundError,
    UnsupportedError,
)
from clonepolicy.adapters import _formats, _sizes
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.local._catalogue import (
    Row,
    missing,
    now,
    translate_errors,
)
from clonepolicy.adapters.local._records import as_image, is_visible
from clonepolicy.adapters.local._store import (
    Store,
    check_readable,
    check_status,
)

_CONFIG = GlanceConfig(
    has_location_api=True, service_roles=frozenset({"admin", "service"})
)
_ALGORITHM = "sha512"
DELETE = "DELETE FROM image WHERE id = ?"


@attrs.frozen
class LocalImages:
    """The images that one project sees, or all if it is None."""

    _store: Store
    _project_id: str | None

    def get_config(self) -> GlanceConfig:
        """Return that locations can be read and written."""
        return _CONFIG

    def get_image(self, image_id: str) -> Image:
        """Read an image; raise `NotFoundError` if the project sees none."""
        return as_image(self._seen(image_id), self._project_id)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read which volumes hold the image's data."""
        self._seen(image_id)
        return self._store.catalogue.locations(image_id)

    def _seen(self, image_id: str) -> Row:
        row = self._store.catalogue.image_row(image_id)
        if is_visible(row, self._project_id):
            return row
        raise missing("image", image_id)

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location, unless the image has it already."""
        catalogue, volume_id = self._store.catalogue, location.volume_id
        with catalogue.transaction(f"registering {location}") as db:
            image = catalogue.image_row(image_id)
            if location in catalogue.locations(image_id):
                return
            why = "; only a queued image takes a location"
            check_status("image", image, {"queued"}, why)
            volume = catalogue.volume_row(volume_id)
            check_status("volume", volume, {"available", "in-use"})
            db.execute(
                "INSERT INTO location VALUES (?, ?, ?)",
                (image_id, volume_id, str(location)),
            )
            size = _sizes.to_bytes(volume["size"])
            activate(db, image_id, size=size, virtual_size=size)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Remove a location; without any, the image is queued again."""
        action = f"withdrawing {location}"
        with self._store.catalogue.transaction(action) as db:
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
                    (now(), self._store.lock.token, image_id),
                )

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return if the image is active and has the location."""
        catalogue = self._store.catalogue
        status = catalogue.image_row(image_id)["status"]
        if status != "active" or location not in catalogue.locations(image_id):
            raise ConflictError(
                f"image {image_id} is {status}; it must be active and have "
                f"the location {location}"
            )

    def download(self, image_id: str) -> Iterator[bytes]:
        """Yield the image's data; raise `IntegrityError` if it is damaged.

        The check ends with the data: use it only when the iterator is
        exhausted.
        """
        row = self._seen(image_id)
        check_status("image", row, {"active"}, " and has no data")
        path = self._store.image_path(image_id)
        if backing := self._store.catalogue.backing(image_id):
            check_readable(self._store, backing[0])
            path = self._store.volume_file(backing[0])
        action = f"reading image {image_id}"
        with translate_errors(action), paths.stored(path) as fd:
            _check(action, "size", row["size"], os.fstat(fd).st_size)
            algorithm = row["os_hash_algo"]
            digest = None if algorithm is None else hashlib.new(algorithm)
            size = 0
            for piece in sparse.stream(fd, row["size"]):
                size += len(piece)
                if digest is not None:
                    digest.update(piece)
                yield piece
            _check(action, "size", row["size"], size)
            if digest is not None:
                expected, actual = row["os_hash_value"], digest.hexdigest()
                _check(action, str(algorithm), expected, actual)

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Store the data of a queued raw image, which becomes active."""
        image = as_image(self._store.catalogue.image_row(image_id), None)
        if image.disk_format != "raw":
            raise UnsupportedError(
                f"image {image_id} has disk_format {image.disk_format}, but a "
                "volume's data is raw; upload it as raw and convert it"
            )
        self.take(image, data)

    def take(
        self, image: Image, data: Iterable[bytes], size: int | None = None
    ) -> None:
        """Store data in the image's own format, after inspecting it.

        ``size`` is the expected number of bytes, if it is known.

        Raises:
            IntegrityError: the data has another size, or is not in the
                image's format, or not safe.
        """
        store, image_id = self._store, image.id
        inspector = _formats.Inspector(image)
        path = store.image_path(image_id)
        action = f"storing image {image_id}"
        digest = hashlib.new(_ALGORITHM)

        def hashed() -> Iterator[bytes]:
            for piece in inspector.watch(data):
                digest.update(piece)
                yield piece

        with store.catalogue.transaction(action) as db:
            row = store.catalogue.image_row(image_id)
            why = "; only a queued image takes data"
            check_status("image", row, {"queued"}, why)
            db.execute(
                "UPDATE image SET status = 'saving', token = ? WHERE id = ?",
                (store.lock.token, image_id),
            )
        made = False
        try:
            with (
                translate_errors(action),
                paths.closing(paths.create(path)) as fd,
            ):
                made = True
                stored = sparse.fill(fd, hashed())
                if size is not None:
                    _check(action, "size", size, stored)
                virtual_size = inspector.finish()
                os.fsync(fd)
            with store.catalogue.transaction(action) as db:
                activate(
                    db,
                    image_id,
                    size=stored,
                    virtual_size=virtual_size,
                    os_hash_value=digest.hexdigest(),
                )
        except BaseException:
            with store.catalogue.transaction(action) as db:
                if made and not _is_active(db, image_id):
                    paths.remove(path)
                db.execute(
                    "UPDATE image SET status = 'queued' "
                    "WHERE id = ? AND status = 'saving'",
                    (image_id,),
                )
            raise

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone."""
        action = f"discarding image {image_id}"
        with self._store.catalogue.transaction(action) as db:
            delete_unfinished(self._store, db, image_id)


def insert_image(
    store: Store, db: sqlite3.Connection, image: Image, name: str
) -> None:
    """Insert a queued image, as this process's work."""
    db.execute(
        "INSERT INTO image (id, name, owner, status, disk_format, "
        "container_format, min_disk, visibility, updated_at, token) "
        "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
        (
            *(image.id, name, image.owner),
            *(image.disk_format, image.container_format),
            *(image.min_disk, image.visibility, now(), store.lock.token),
        ),
    )


def delete_unfinished(
    store: Store, db: sqlite3.Connection, image_id: str
) -> None:
    """Remove the file of an image without all its data, then its record."""
    found = db.execute(
        "SELECT * FROM image WHERE id = ? AND status IN ('queued', 'saving')",
        (image_id,),
    ).fetchone()
    if found is not None:
        paths.remove(store.image_path(image_id))
        db.execute(DELETE, (image_id,))


def activate(
    db: sqlite3.Connection,
    image_id: str,
    *,
    size: int,
    virtual_size: int,
    os_hash_value: str | None = None,
) -> None:
    """Make an image with data active, and no longer this process's work."""
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


def _is_active(db: sqlite3.Connection, image_id: str) -> bool:
    query = "SELECT * FROM image WHERE id = ? AND status = 'active'"
    return db.execute(query, (image_id,)).fetchone() is not None


def _check(
    action: str, kind: str, expected: str | int, actual: str | int
) -> None:
    if expected != actual:
        raise IntegrityError(
            f"{action}: the {kind} is {actual} instead of {expected}; upload "
            "the data again"
        )
