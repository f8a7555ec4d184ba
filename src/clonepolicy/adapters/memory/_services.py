"""Glance, and Cinder's manager and database, of the cloud in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    CinderLocation,
    ConflictError,
    GlanceConfig,
    Image,
    IntegrityError,
    Location,
    LocationsFrom,
    NotFoundError,
    Quota,
    QuotaError,
    Volume,
    VolumeType,
)
from clonepolicy.adapters.memory._state import (
    CloudState,
    ImageRow,
    Registration,
)

_PIECE = 3
"""Bytes of a piece: few, so that even small data comes in several pieces."""


@attrs.frozen
class MemoryImages:
    """An `ImageService` on behalf of one project."""

    cloud: CloudState
    project_id: str

    def get_config(self) -> GlanceConfig:
        """Return the service's options."""
        return self.cloud.glance

    def get_image(self, image_id: str) -> Image:
        """Return an image of the requester's, or a shared one."""
        record = self.cloud.image_row(image_id).record
        shared = {"public", "community"}
        if record.owner != self.project_id and record.visibility not in shared:
            message = f"no image {image_id}: ask its owner to share it"
            raise NotFoundError(message)
        return attrs.evolve(record, visible=True, downloadable=True)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Return the image's locations, if the requester sees the image."""
        self.get_image(image_id)
        row = self.cloud.image_row(image_id)
        if row.record.locations_from is LocationsFrom.HIDDEN:
            return ()
        return row.locations

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location of a queued image."""
        row = self.cloud.image_row(image_id)
        if location in (*row.locations, row.pending):
            return
        _check_queued(image_id, row, "a location")
        row.pending = location
        if self.cloud.registration is Registration.AT_ONCE:
            self.cloud.check_pending_location(image_id)
            if location not in row.locations:
                message = f"{location} is no available volume: publish it"
                raise ConflictError(message)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Remove a location, if the image shows it.

        Raises:
            ConflictError: it is the last location of an active image, and
                ``can_withdraw`` is not set.
        """
        if image_id not in self.cloud.images:
            return
        self.cloud.check_pending_location(image_id)
        row = self.cloud.image_row(image_id)
        rest = tuple(other for other in row.locations if other != location)
        if rest == row.locations:
            return
        if not rest:
            if not self.cloud.can_withdraw:
                raise ConflictError(
                    f"{location} is the only location of image {image_id}: "
                    "if nobody needs the image, delete it"
                )
            self.cloud.set_image(image_id, status="queued", size=None)
        row.locations = rest

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return if the image is active and shows the location."""
        row = self.cloud.image_row(image_id)
        self.cloud.check_pending_location(image_id)
        if row.record.status != "active" or location not in row.locations:
            raise ConflictError(
                f"image {image_id} is {row.record.status} and does not show "
                f"{location}: see Glance's log"
            )

    def download(self, image_id: str) -> Iterator[bytes]:
        """Return the image's data in pieces; the end checks its hash."""
        image = self.get_image(image_id)
        data = self.cloud.image_data(image_id)
        if image.status != "active" or data is None:
            message = f"image {image_id} is {image.status} and has no data"
            raise ConflictError(message)
        return self.checked(image, data)

    def checked(self, image: Image, data: bytes) -> Iterator[bytes]:
        """Yield data in pieces; raise at the end if its hash is wrong."""
        for at in range(0, len(data), _PIECE):
            yield data[at : at + _PIECE]
        digest = hashlib.sha256(data).hexdigest()
        if image.os_hash_value not in {None, digest}:
            raise IntegrityError(
                f"the data of image {image.id} does not match its hash: "
                "upload it again"
            )

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Fill a queued image; if ``data`` raises, the image stays saving."""
        row = self.cloud.image_row(image_id)
        _check_queued(image_id, row, "data")
        self.cloud.set_image(image_id, status="saving")
        self.cloud.fill_image(image_id, b"".join(data))

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other as it is."""
        if image_id not in self.cloud.images:
            return
        self.cloud.check_pending_location(image_id)
        if self.cloud.images[image_id].record.status in {"queued", "saving"}:
            del self.cloud.images[image_id]


def _check_queued(image_id: str, row: ImageRow, what: str) -> None:
    if row.record.status != "queued":
        raise ConflictError(
            f"image {image_id} is {row.record.status}: only a queued image "
            f"takes {what}"
        )


@attrs.frozen
class MemoryVolumes:
    """A `VolumeService` that sees the volumes of all projects."""

    cloud: CloudState

    def new_id(self) -> str:
        """Return an id for a new volume."""
        return self.cloud.new_id()

    def get_volume(self, volume_id: str) -> Volume:
        """Return a volume of any project."""
        return self.cloud.volume(volume_id)

    def get_backend(self, volume: Volume) -> Backend:
        """Return the backend of a volume's array, or an empty one."""
        array = self.cloud.array_of(volume)
        return Backend() if array is None else array.get_backend()

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        """Return the cache entries of an image with their current sources."""
        return tuple(
            attrs.evolve(
                entry,
                source=self.cloud.volume(entry.source.id),
                backend=self.get_backend(entry.source),
            )
            for entry in self.cloud.cache
            if entry.image_id == image_id and entry.source is not None
        )

    def get_quota(
        self, project_id: str, volume_type: VolumeType | None = None
    ) -> Quota:
        """Return how many volumes and GiB a project may still create."""
        limit = self.cloud.limits.get(project_id, Quota())
        owned = [
            row.record
            for row in self.cloud.volumes.values()
            if row.record.project_id == project_id
        ]
        used = [volume.size for volume in owned]
        of_type = [
            volume.size
            for volume in owned
            if volume.volume_type == volume_type
        ]
        typed = volume_type is not None
        return attrs.evolve(
            limit,
            volumes=_left(limit.volumes, len(used)),
            gigabytes=_left(limit.gigabytes, sum(used)),
            type_volumes=(
                _left(limit.type_volumes, len(of_type)) if typed else None
            ),
            type_gigabytes=(
                _left(limit.type_gigabytes, sum(of_type)) if typed else None
            ),
        )

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Create the record of an image volume, like its source's."""
        source = self.cloud.volume_row(source_id).record
        if volume_id in self.cloud.volumes:
            message = f"volume {volume_id} exists: choose another id"
            raise ConflictError(message)
        left = self.get_quota(project_id, source.volume_type)
        if not left.admits(source.size):
            message = f"quota of project {project_id} is used up: raise it"
            raise QuotaError(message)
        self.cloud.add_image_volume(
            attrs.evolve(
                source,
                id=volume_id,
                project_id=project_id,
                status="creating",
                previous_status=None,
            )
        )

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Write one metadata item."""
        self.cloud.volume_row(volume_id).metadata[key] = value

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only."""
        self.cloud.volume_row(volume_id).readonly = True

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available; accept any later status."""
        status = self.cloud.volume_row(volume_id).record.status
        if status == "error":
            message = f"volume {volume_id} is in error: create another"
            raise ConflictError(message)
        if status == "creating":
            self.cloud.set_volume(volume_id, status="available")

    def unpublish(self, volume_id: str) -> None:
        """Put an available volume back into creation, if there is one.

        Raises:
            ConflictError: the volume is in use.
        """
        if volume_id not in self.cloud.volumes:
            return
        status = self.cloud.volumes[volume_id].record.status
        if status == "available":
            self.cloud.set_volume(volume_id, status="creating")
        elif status not in {"creating", "error"}:
            message = f"volume {volume_id} is {status}: wait for its users"
            raise ConflictError(message)

    def fail(self, volume_id: str) -> None:
        """Put a volume in creation into status error, if there is one."""
        self._change(volume_id, "creating", "error")

    def restore(self, volume_id: str) -> None:
        """Give an uploading volume its previous status, if there is one."""
        row = self.cloud.volumes.get(volume_id)
        if row is not None:
            before = row.record.previous_status or "available"
            self._change(volume_id, "uploading", before)

    def _change(self, volume_id: str, before: str, after: str) -> None:
        row = self.cloud.volumes.get(volume_id)
        if row is not None and row.record.status == before:
            self.cloud.set_volume(volume_id, status=after)

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the record of an image volume without data."""
        row = self.cloud.volumes.get(volume_id)
        if row is None:
            return
        array = self.cloud.array_of(row.record)
        if not row.for_image:
            message = f"volume {volume_id} is no image volume: keep it"
            raise ConflictError(message)
        if array is not None and volume_id in array.volumes:
            message = f"volume {volume_id} has data: discard it first"
            raise ConflictError(message)
        del self.cloud.volumes[volume_id]


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)
