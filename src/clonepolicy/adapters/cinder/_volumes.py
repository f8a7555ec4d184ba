"""Cinder's database as a `VolumeService`."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
from cinder import objects, quota
from cinder.db import api as db
from cinder.objects import fields

from clonepolicy import (
    Backend,
    CacheEntry,
    ConflictError,
    NotFoundError,
    Quota,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters.cinder._errors import told_as_adapter_error
from clonepolicy.adapters.cinder._records import volume_from_object

# all else of a source is its own, or its tenant's to write
_TAKEN_OVER = (
    "size",
    "host",
    "cluster_name",
    "availability_zone",
    "volume_type_id",
    "multiattach",
)
_MAKING = frozenset({"creating", "downloading"})


@attrs.frozen(kw_only=True)
class CinderVolumes:
    """Volumes as Cinder's objects and database hold them.

    ``context`` is the request's; reading goes through its elevated form, as
    in Cinder's volume manager.  ``array_ids`` names, by ``host@backend``,
    the arrays of this and of other services, as far as they are known.
    """

    context: Any
    array_ids: Mapping[str, str] = attrs.field(factory=dict)
    internal_user_id: str | None = None
    """``cinder_internal_tenant_user_id``."""

    @property
    def _admin(self) -> Any:
        return self.context.elevated()

    def new_id(self) -> str:
        """Make an id for a volume to come."""
        return str(uuid.uuid4())

    def get_object(self, volume_id: str) -> Any:
        """Read a volume as Cinder's own object, or raise `AdapterError`."""
        with told_as_adapter_error(f"volume {volume_id}"):
            return objects.Volume.get_by_id(self._admin, volume_id)

    def find_object(self, volume_id: str) -> Any:
        """Read a volume as Cinder's own object, if there is one."""
        try:
            return self.get_object(volume_id)
        except NotFoundError:
            return None

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume of any project, or raise `NotFoundError`."""
        volume = self.get_object(volume_id)
        with told_as_adapter_error(f"volume {volume_id}"):
            return volume_from_object(volume)

    def get_backend(self, volume: Volume) -> Backend:
        """Tell on which array a volume lies, where that is known."""
        place = volume.host and f"{volume.host.host}@{volume.host.backend}"
        return Backend(array_id=self.array_ids.get(place or ""))

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        """Read the entries for an image, on every host; touch none."""
        with told_as_adapter_error(f"cache entries of image {image_id}"):
            rows = db.image_volume_cache_get_all(
                self._admin, image_id=image_id
            )
        return tuple(map(self._entry, rows))

    def _entry(self, row: Mapping[str, Any]) -> CacheEntry:
        found = self.find_object(row["volume_id"])
        source = None if found is None else volume_from_object(found)
        return CacheEntry(
            image_id=row["image_id"],
            image_updated_at=_utc(row["image_updated_at"]),
            last_used=_utc(row["last_used"]),
            source=source,
            backend=Backend() if source is None else self.get_backend(source),
        )

    def get_quota(self, project_id: str) -> Quota:
        """Tell what is left to a project over all volume types."""
        with told_as_adapter_error(f"quota of project {project_id}"):
            found = quota.QUOTAS.get_project_quotas(self._admin, project_id)
        return Quota(
            volumes=_left(found.get("volumes")),
            gigabytes=_left(found.get("gigabytes")),
            per_volume_gigabytes=_left(found.get("per_volume_gigabytes")),
        )

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Make the row of an image volume, within its project's quota.

        It is like Cinder's own (`VolumeManager._clone_image_volume`), but
        takes over no metadata, which a tenant wrote; and an encrypted volume
        has none, since its key is for it alone.
        """
        source = self.get_object(source_id)
        if source.encryption_key_id is not None:
            message = f"volume {source_id} is encrypted"
            raise UnsupportedError(message)
        what = f"quota of project {project_id}"
        with (
            told_as_adapter_error(what),
            self._reserved(source, project_id, 1),
        ):
            self._create_row(volume_id, source, project_id)

    @contextlib.contextmanager
    def _reserved(
        self, like: Any, project_id: str, count: int
    ) -> Iterator[None]:
        """Count volumes like one in a quota, if what is inside succeeds."""
        quotas, admin = quota.QUOTAS, self._admin
        wanted = {"volumes": count, "gigabytes": count * like.size}
        quotas.add_volume_type_opts(admin, wanted, like.volume_type_id)
        reserved = quotas.reserve(admin, project_id=project_id, **wanted)
        try:
            yield
        except BaseException:
            quotas.rollback(admin, reserved, project_id=project_id)
            raise
        quotas.commit(admin, reserved, project_id=project_id)

    def _create_row(
        self,
        volume_id: str,
        source: Any,
        project_id: str,
    ) -> None:
        taken = {name: source[name] for name in _TAKEN_OVER}
        db.volume_create(
            self._admin,
            {
                **taken,
                "id": volume_id,
                "status": "creating",
                "attach_status": fields.VolumeAttachStatus.DETACHED,
                "project_id": project_id,
                "user_id": self._user(project_id),
                "display_name": f"image-volume-{volume_id}",
                "source_volid": source.id,
            },
        )

    def _user(self, project_id: str) -> str | None:
        mine: bool = project_id == self.context.project_id
        return self.context.user_id if mine else self.internal_user_id

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Write one metadata item, and leave the others."""
        with told_as_adapter_error(f"metadata of volume {volume_id}"):
            db.volume_metadata_update(
                self._admin, volume_id, {key: value}, delete=False
            )

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only to those who attach it."""
        with told_as_adapter_error(f"metadata of volume {volume_id}"):
            db.volume_admin_metadata_update(
                self._admin, volume_id, {"readonly": "True"}, delete=False
            )

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available."""
        self._change(self.get_object(volume_id), _MAKING, "available")

    def unpublish(self, volume_id: str) -> None:
        """Take an available volume back into creation, if there is one."""
        volume = self.find_object(volume_id)
        if volume is not None:
            self._change(volume, {"available"}, "creating")

    def fail(self, volume_id: str) -> None:
        """Put a volume in creation into status error, if there is one."""
        volume = self.find_object(volume_id)
        if volume is not None:
            self._change(volume, _MAKING, "error")

    def _change(
        self,
        volume: Any,
        expected: AbstractSet[str],
        status: str,
    ) -> None:
        """Change the status in one statement, so that nobody comes between."""
        with told_as_adapter_error(f"volume {volume.id}"):
            done = volume.conditional_update(
                {"status": status}, {"status": [*expected, status]}
            )
        if not done:
            message = f"volume {volume.id} is {volume.status}"
            raise ConflictError(message)

    def restore(self, volume_id: str) -> None:
        """Give a volume that is uploading its previous status back.

        Cinder's function does so whatever the volume's status is.
        """
        volume = self.find_object(volume_id)
        if volume is None or volume.status != "uploading":
            return
        with told_as_adapter_error(f"volume {volume_id}"):
            db.volume_update_status_based_on_attachment(self._admin, volume_id)

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the row of an image volume, and give its quota back."""
        volume = self.find_object(volume_id)
        if volume is None:
            return
        with (
            told_as_adapter_error(f"volume {volume_id}"),
            self._reserved(volume, volume.project_id, -1),
        ):
            volume.destroy()


def _utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=datetime.UTC)


def _left(found: Mapping[str, int] | None) -> int | None:
    """Read what is left of a quota; below zero there is no limit."""
    if found is None or found["limit"] < 0:
        return None
    used = found.get("in_use", 0) + found.get("reserved", 0)
    return max(0, found["limit"] - used)
