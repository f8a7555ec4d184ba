"""Cinder's database as a volume service."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
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
    VolumeType,
)
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._records import volume_from_object
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.adapters.records import quota_from_api
from clonepolicy.adapters.records._fields import stored_moment
from clonepolicy.ports import Missing

# the tenant of the source can write its other fields
_COPIED = (
    "size",
    "host",
    "cluster_name",
    "availability_zone",
    "volume_type_id",
    "multiattach",
)
IN_CREATION = frozenset({"creating", "downloading"})
_IN_ERROR = frozenset({"error", "error_deleting"})
UNUSED = _IN_ERROR | {"available", "creating"}


@attrs.frozen(kw_only=True)
class CinderVolumes:
    """A `VolumeService` over Cinder's objects and database.

    Args:
        context: the request's context; its elevated form reads, as in
            Cinder's volume manager.
        array_ids: the ids of the arrays of this and of other services, by
            ``host@backend`` or, of a cluster, ``cluster@backend``, as far as
            they are known.
        find_array: returns the id of the array of another service, or None.
        internal_user_id: who gets image volumes: the option
            ``cinder_internal_tenant_user_id`` if
            ``image_upload_use_internal_tenant`` is set.  None: the requester.
        image_id: the image of an upload, which names its image volume.
    """

    context: Any
    array_ids: Mapping[str, str] = attrs.field(factory=dict)
    find_array: Callable[[str], str | None] = lambda _service: None
    internal_user_id: str | None = None
    image_id: str | None = None

    @property
    def _admin(self) -> Any:
        return self.context.elevated()

    def new_id(self) -> str:
        """Return an id for a new volume."""
        return str(uuid.uuid4())

    def get_object(self, volume_id: str) -> Any:
        """Read a volume as Cinder's own object.

        Raises:
            NotFoundError: there is no such volume.
        """
        with translate_errors(f"reading volume {volume_id}"):
            return objects.Volume.get_by_id(self._admin, volume_id)

    def read_object(self, volume_id: str) -> Any:
        """Read a volume, of which it does not matter what changes later."""
        return self.get_object(volume_id)

    def find_object(self, volume_id: str) -> Any:
        """Read a volume as Cinder's own object; None if there is none."""
        try:
            return self.get_object(volume_id)
        except NotFoundError:
            return None

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume of any project.

        Raises:
            NotFoundError: there is no such volume.
        """
        volume = self.read_object(volume_id)
        with translate_errors(f"reading volume {volume_id}"):
            return volume_from_object(volume)

    def get_backend(self, volume: Volume) -> Backend:
        """Return the array that a volume lies on, if it is known."""
        if volume.host is None:
            return Backend()
        service = f"{volume.host.host}@{volume.host.backend}"
        found = self.array_ids.get(service)
        if found is None and volume.cluster_name is not None:
            # the services of a cluster have one array
            cluster = volume.cluster_name
            found = self.array_ids.get(f"{cluster.host}@{cluster.backend}")
        return Backend(array_id=found or self.find_array(service))

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        """Read an image's cache entries on all hosts; ``last_used`` stays."""
        with translate_errors(f"reading cache entries of image {image_id}"):
            rows = db.image_volume_cache_get_all(
                self._admin, image_id=image_id
            )
        return tuple(map(self._cache_entry, rows))

    def _cache_entry(self, row: Mapping[str, Any]) -> CacheEntry:
        found = self.find_object(row["volume_id"])
        source = None if found is None else volume_from_object(found)
        changed, used = (
            stored_moment(f"CacheEntry.{name}", row[name])
            for name in ("image_updated_at", "last_used")
        )
        return CacheEntry(
            image_id=row["image_id"],
            image_updated_at=changed,
            last_used=used,
            source=source,
            missing=Missing.ABSENT if source is None else None,
            backend=Backend() if source is None else self.get_backend(source),
        )

    def get_quota(
        self, project_id: str, volume_type: VolumeType | None = None
    ) -> Quota:
        """Return what is left of a project's quota, also for one type."""
        with translate_errors(f"reading quota of project {project_id}"):
            found = quota.QUOTAS.get_project_quotas(self._admin, project_id)
            return quota_from_api(found, volume_type)

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Create the row of an image volume, within its project's quota.

        It resembles `VolumeManager._clone_image_volume`, but copies nothing
        that a tenant wrote.

        Raises:
            QuotaError: the project's quota is used up.
            UnsupportedError: the source is encrypted, and its key must not
                serve a second volume; or there is no `image_id`.
        """
        if self.image_id is None:
            raise UnsupportedError("an image volume needs an image_id")
        source = self.read_object(source_id)
        if source.encryption_key_id is not None:
            raise UnsupportedError(
                f"volume {source_id} is encrypted: no image volume is made "
                "of it"
            )
        with (
            translate_errors(f"creating image volume {volume_id}"),
            self._counted(source, project_id, 1) as admin,
        ):
            db.volume_create(
                admin,
                {
                    **{name: source[name] for name in _COPIED},
                    "id": volume_id,
                    "status": "creating",
                    "attach_status": fields.VolumeAttachStatus.DETACHED,
                    "project_id": project_id,
                    "user_id": self.internal_user_id or self.context.user_id,
                    "display_name": _image_volume_name(self.image_id),
                    "source_volid": source.id,
                },
            )

    @contextlib.contextmanager
    def _counted(
        self, like: Any, project_id: str, count: int
    ) -> Iterator[Any]:
        """Count volumes of one kind in a quota, in one transaction.

        The block uses the context that is yielded, and belongs to the
        transaction: a kill leaves neither a reservation nor a volume that is
        not counted.
        """
        quotas, admin = quota.QUOTAS, self._admin
        deltas = {"volumes": count, "gigabytes": count * like.size}
        quotas.add_volume_type_opts(admin, deltas, like.volume_type_id)
        with installed_release().transactions.writer.using(admin):
            # first, because it commits if the project was never counted
            reserved = quotas.reserve(admin, project_id=project_id, **deltas)
            yield admin
            quotas.commit(admin, reserved, project_id=project_id)

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Write one metadata item, and leave the others."""
        with translate_errors(f"writing metadata of volume {volume_id}"):
            db.volume_metadata_update(
                self._admin, volume_id, {key: value}, delete=False
            )

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume so that it can only be attached read-only."""
        with translate_errors(f"writing metadata of volume {volume_id}"):
            db.volume_admin_metadata_update(
                self._admin, volume_id, {"readonly": "True"}, delete=False
            )

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available."""
        # most often this is so, and then nothing has to be read
        unread = objects.Volume(self._admin, id=volume_id)
        if not _change_status(unread, IN_CREATION, "available"):
            _set_status(self.get_object(volume_id), IN_CREATION, "available")

    def unpublish(self, volume_id: str) -> None:
        """Set an available volume back to ``creating``, if it exists."""
        if volume := self.find_object(volume_id):
            _set_status(volume, {"available"}, "creating")

    def keep(self, volume_id: str, status: str) -> None:
        """Set the status of a volume that was not deleted and is not used."""
        volume = self.get_object(volume_id)
        with translate_errors(f"setting status of volume {volume_id}"):
            volume.conditional_update(
                {"status": status}, {"status": [*UNUSED]}
            )

    def retry_deletion(self, volume_id: str) -> None:
        """Set a volume that is in error to ``creating``, if it exists."""
        volume = self.find_object(volume_id)
        if volume is not None and volume.status in _IN_ERROR:
            _set_status(volume, _IN_ERROR, "creating")

    def fail(self, volume_id: str) -> None:
        """Set a volume in creation to ``error``, if it exists."""
        if volume := self.find_object(volume_id):
            _set_status(volume, IN_CREATION, "error")

    def restore(self, volume_id: str) -> None:
        """Give an uploading volume its previous status, if it exists.

        The status is checked here, because Cinder's function does not.
        """
        volume = self.find_object(volume_id)
        if volume is None or volume.status != "uploading":
            return
        with translate_errors(f"restoring status of volume {volume_id}"):
            db.volume_update_status_based_on_attachment(self._admin, volume_id)

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the row of an image volume, and free its quota."""
        volume = self.find_object(volume_id)
        if volume is None:
            return
        with (
            translate_errors(f"deleting image volume {volume_id}"),
            self._counted(volume, volume.project_id, -1) as admin,
        ):
            db.volume_destroy(admin, volume_id)


@attrs.frozen(kw_only=True)
class RequestVolumes(CinderVolumes):
    """The volumes of one request, which reads each once to decide.

    `CinderArray` reads a source once more before it is cloned, under a lock.
    """

    _read: dict[str, Any] = attrs.field(factory=dict, init=False)

    def read_object(self, volume_id: str) -> Any:
        """Return what was read first."""
        if volume_id not in self._read:
            self._read[volume_id] = self.get_object(volume_id)
        return self._read[volume_id]


def _change_status(
    volume: Any, expected: AbstractSet[str], status: str
) -> bool:
    """Compare and set the status in one statement of the database."""
    with translate_errors(f"setting status of volume {volume.id}"):
        return bool(
            volume.conditional_update(
                {"status": status}, {"status": [*expected, status]}
            )
        )


def _set_status(volume: Any, expected: AbstractSet[str], status: str) -> None:
    if not _change_status(volume, expected, status):
        raise ConflictError(
            f"volume {volume.id} is {volume.status}: it cannot become {status}"
        )


def is_image_volume(volume: Any, source_id: str, image_id: str) -> bool:
    """Return whether `create_image_volume` made this volume."""
    name = _image_volume_name(image_id)
    return (volume.source_volid, volume.display_name) == (source_id, name)


def _image_volume_name(image_id: str) -> str:
    """Name an image volume as `VolumeManager._clone_image_volume` does."""
    return f"image-{image_id}"
