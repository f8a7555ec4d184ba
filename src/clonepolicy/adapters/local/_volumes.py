"""The volume service of the local cloud: the records of its volumes."""

from __future__ import annotations

import datetime
import sqlite3
import uuid

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    ConflictError,
    Quota,
    QuotaError,
    Volume,
    VolumeType,
)
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local._catalogue import missing
from clonepolicy.adapters.local._records import as_volume
from clonepolicy.adapters.local._store import Store, check_status

FAIL = (
    "UPDATE volume SET status = 'error', token = NULL "
    "WHERE id = ? AND status = 'creating'"
)
RESTORE = (
    "UPDATE volume SET status = coalesce(previous_status, 'available'), "
    "previous_status = NULL, token = NULL "
    "WHERE id = ? AND status = 'uploading'"
)
DELETE = "DELETE FROM volume WHERE id = ?"


@attrs.frozen
class LocalVolumes:
    """The volumes of all projects."""

    _store: Store

    def new_id(self) -> str:
        """Return an id for a new volume."""
        return str(uuid.uuid4())

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume of any project; raise `NotFoundError` if none."""
        row = self._store.catalogue.volume_row(volume_id)
        return as_volume(self._store, row)

    def get_backend(self, volume: Volume) -> Backend:
        """Return what the file system of a volume's pool can do."""
        return self._store.backend(self._store.pool_of(volume))

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:  # noqa: ARG002 - the port's
        """Return nothing: this cloud has no image-volume cache."""
        return ()

    def get_quota(
        self,
        project_id: str,
        volume_type: VolumeType | None = None,  # noqa: ARG002 - the port's
    ) -> Quota:
        """Return the rest of a project's quota; it has none by type."""
        return self._store.catalogue.quota(project_id)

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Make an image volume's record; raise `QuotaError` if too many."""
        source = self._store.catalogue.volume_row(source_id)
        volume = attrs.evolve(
            as_volume(self._store, source),
            id=volume_id,
            project_id=project_id,
            created_at=datetime.datetime.now(datetime.UTC),
        )
        action = f"creating image volume {volume_id}"
        with self._store.catalogue.transaction(action) as db:
            insert_volume(self._store, db, volume, f"image-of-{source_id}")

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Write one metadata item."""
        self._store.catalogue.volume_row(volume_id)
        self._store.catalogue.execute(
            f"writing metadata of volume {volume_id}",
            "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)",
            *(volume_id, key, value),
        )

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only."""
        if not self._store.catalogue.execute(
            f"marking volume {volume_id} read-only",
            "UPDATE volume SET readonly = TRUE WHERE id = ?",
            volume_id,
        ):
            raise missing("volume", volume_id)

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available, if its data is whole."""
        catalogue = self._store.catalogue
        with catalogue.transaction(f"publishing volume {volume_id}") as db:
            row = catalogue.volume_row(volume_id)
            check_status("volume", row, {"creating", "available"})
            if misfit := self._store.misfit(row):
                raise ConflictError(
                    f"the file of volume {volume_id} {misfit}; fill it before "
                    "publishing it"
                )
            db.execute(
                "UPDATE volume SET status = 'available', token = NULL "
                "WHERE id = ?",
                (volume_id,),
            )

    def unpublish(self, volume_id: str) -> None:
        """Take an available volume back into creation, if it exists."""
        action = f"unpublishing volume {volume_id}"
        with self._store.catalogue.transaction(action) as db:
            check_unregistered(db, volume_id)
            db.execute(
                "UPDATE volume SET status = 'creating', token = ? "
                "WHERE id = ? AND status = 'available'",
                (self._store.lock.token, volume_id),
            )

    def fail(self, volume_id: str) -> None:
        """Set a volume in creation to status error, if it exists."""
        action = f"failing volume {volume_id}"
        self._store.catalogue.execute(action, FAIL, volume_id)

    def restore(self, volume_id: str) -> None:
        """Reset an uploading volume to its previous status, if it exists."""
        action = f"restoring volume {volume_id}"
        self._store.catalogue.execute(action, RESTORE, volume_id)

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the record of an image volume, if it exists."""
        action = f"deleting volume {volume_id}"
        with self._store.catalogue.transaction(action) as db:
            found = db.execute(
                "SELECT * FROM volume WHERE id = ?", (volume_id,)
            ).fetchone()
            if found is None:
                return
            if paths.size_of(self._store.volume_file(found)) is not None:
                message = f"volume {volume_id} has data; discard it first"
                raise ConflictError(message)
            db.execute(DELETE, (volume_id,))


def insert_volume(
    store: Store, db: sqlite3.Connection, volume: Volume, name: str
) -> None:
    """Insert a volume in creation; raise `QuotaError` if too many."""
    if not store.catalogue.quota(volume.project_id).admits(volume.size):
        raise QuotaError(
            f"project {volume.project_id} has no quota left for a volume "
            f"of {volume.size} GiB; raise it or delete volumes"
        )
    made = volume.created_at
    db.execute(
        "INSERT INTO volume (id, project_id, name, size, status, pool, "
        "created_at, token) VALUES (?, ?, ?, ?, 'creating', ?, ?, ?)",
        (
            *(volume.id, volume.project_id, name, volume.size),
            store.pool_of(volume),
            None if made is None else made.isoformat(),
            store.lock.token,
        ),
    )


def check_unregistered(db: sqlite3.Connection, volume_id: str) -> None:
    """Raise `ConflictError` if a volume holds the data of an image."""
    rows = db.execute(
        "SELECT image_id FROM location JOIN image ON image.id = image_id "
        "WHERE volume_id = ?",
        (volume_id,),
    ).fetchall()
    if rows:
        images = ", ".join(row["image_id"] for row in rows)
        raise ConflictError(
            f"volume {volume_id} holds the data of image {images}; delete the "
            "image first"
        )
