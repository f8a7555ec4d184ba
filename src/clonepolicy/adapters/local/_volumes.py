"""The volume service: records in the catalogue."""

from __future__ import annotations

import datetime
import sqlite3
import uuid

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    ConflictError,
    GiB,
    Quota,
    QuotaError,
    Volume,
)
from clonepolicy.adapters import _files
from clonepolicy.adapters.local._catalogue import (
    as_volume,
    no_volume,
    quota_left,
)
from clonepolicy.adapters.local._store import Store, delete_volume_record


@attrs.frozen
class LocalVolumes:
    """Every project's volumes."""

    _store: Store

    def new_id(self) -> str:
        """Make an id for a volume to come."""
        return str(uuid.uuid4())

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume of any project, or raise `NotFoundError`."""
        return as_volume(self._store.catalogue.volume_row(volume_id))

    def get_backend(self, volume: Volume) -> Backend:
        """Tell what file system a volume lies on."""
        return self._store.backend(self._store.pool_of(volume))

    def get_cache_entries(self, _image_id: str) -> tuple[CacheEntry, ...]:
        """Give none: this cloud keeps no image-volume cache."""
        return ()

    def get_quota(self, project_id: str) -> Quota:
        """Tell what is left to a project."""
        return self._store.catalogue.quota(project_id)

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Make the record of an image volume: `QuotaError` if too many."""
        source = self._store.catalogue.volume_row(source_id)
        volume = attrs.evolve(
            as_volume(source),
            id=volume_id,
            project_id=project_id,
            created_at=datetime.datetime.now(datetime.UTC),
        )
        what = f"making image volume {volume_id}"
        with self._store.catalogue.transaction(what) as db:
            self.insert(db, volume, f"image-of-{source_id}")

    def insert(
        self, db: sqlite3.Connection, volume: Volume, name: str
    ) -> None:
        """Make the record of a volume in creation, if its quota admits it."""
        if not quota_left(db, volume.project_id).admits(volume.size):
            message = (
                f"project {volume.project_id} has no quota left for a volume "
                f"of {volume.size} GiB; raise it or delete volumes"
            )
            raise QuotaError(message)
        made = volume.created_at
        db.execute(
            "INSERT INTO volume (id, project_id, name, size, status, pool, "
            "created_at, token) VALUES (?, ?, ?, ?, 'creating', ?, ?, ?)",
            (
                volume.id,
                volume.project_id,
                name,
                volume.size,
                self._store.pool_of(volume),
                None if made is None else made.isoformat(),
                self._store.owner.token,
            ),
        )

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Write one metadata item."""
        self._store.catalogue.volume_row(volume_id)
        what = f"writing metadata of volume {volume_id}"
        with self._store.catalogue.transaction(what) as db:
            db.execute(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)",
                (volume_id, key, value),
            )

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only."""
        what = f"marking volume {volume_id} read-only"
        with self._store.catalogue.transaction(what) as db:
            changed = db.execute(
                "UPDATE volume SET readonly = TRUE WHERE id = ?", (volume_id,)
            )
            if not changed.rowcount:
                raise no_volume(volume_id)

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available: a whole one, or none."""
        catalogue = self._store.catalogue
        with catalogue.transaction(f"publishing volume {volume_id}") as db:
            row = catalogue.volume_row(volume_id)
            if row["status"] not in {"creating", "available"}:
                message = f"volume {volume_id} is {row['status']}"
                raise ConflictError(message)
            if not self._store.is_whole(row):
                size = _files.size_of(self._store.volume_path(row))
                has = "no data" if size is None else f"{size} bytes of data"
                message = (
                    f"volume {volume_id} has {has} instead of "
                    f"{row['size'] * GiB} bytes; fill it before it is made "
                    "available"
                )
                raise ConflictError(message)
            db.execute(
                "UPDATE volume SET status = 'available', token = NULL "
                "WHERE id = ?",
                (volume_id,),
            )

    def unpublish(self, volume_id: str) -> None:
        """Take an available volume back into creation, if there is one."""
        what = f"taking back volume {volume_id}"
        with self._store.catalogue.transaction(what) as db:
            check_unnamed(db, volume_id)
            db.execute(
                "UPDATE volume SET status = 'creating', token = ? "
                "WHERE id = ? AND status = 'available'",
                (self._store.owner.token, volume_id),
            )

    def fail(self, volume_id: str) -> None:
        """Put a volume in creation into status error, if there is one."""
        what = f"failing volume {volume_id}"
        with self._store.catalogue.transaction(what) as db:
            db.execute(
                "UPDATE volume SET status = 'error', token = NULL "
                "WHERE id = ? AND status = 'creating'",
                (volume_id,),
            )

    def restore(self, volume_id: str) -> None:
        """Give a volume that is uploading its previous status back."""
        what = f"restoring volume {volume_id}"
        with self._store.catalogue.transaction(what) as db:
            restore(db, volume_id)

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the record of an image volume, if there is one."""
        catalogue = self._store.catalogue
        what = f"deleting volume {volume_id}"
        with catalogue.transaction(what) as db:
            found = db.execute(
                "SELECT * FROM volume WHERE id = ?", (volume_id,)
            ).fetchone()
            if found is None:
                return
            if _files.size_of(self._store.volume_path(found)) is not None:
                message = f"volume {volume_id} has data; discard it first"
                raise ConflictError(message)
            delete_volume_record(db, volume_id)


def restore(db: sqlite3.Connection, volume_id: str) -> None:
    """Give a volume that is uploading its previous status back."""
    db.execute(
        "UPDATE volume SET status = coalesce(previous_status, 'available'), "
        "previous_status = NULL, token = NULL "
        "WHERE id = ? AND status = 'uploading'",
        (volume_id,),
    )


def check_unnamed(db: sqlite3.Connection, volume_id: str) -> None:
    """Refuse to take a volume away from an image that it is the data of."""
    naming = db.execute(
        "SELECT image_id FROM location WHERE volume_id = ?", (volume_id,)
    ).fetchall()
    if naming:
        images = ", ".join(row["image_id"] for row in naming)
        message = (
            f"volume {volume_id} is the data of image {images}; delete the "
            "image first"
        )
        raise ConflictError(message)
