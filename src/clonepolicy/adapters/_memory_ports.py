"""The three ports of the cloud in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    CinderLocation,
    CloneLimitError,
    ConflictError,
    FileLocation,
    ForbiddenError,
    GiB,
    GlanceConfig,
    Image,
    IntegrityError,
    Location,
    LocationsFrom,
    NotFoundError,
    Quota,
    QuotaError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    UnsupportedError,
    Volume,
    check_source,
)

if TYPE_CHECKING:
    from clonepolicy.adapters.memory import (
        HeldImage,
        HeldVolume,
        MemoryCloud,
    )

_PIECE = 3
"""Bytes of one piece of data: few, so that data comes in several."""


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))


@attrs.frozen
class Images:
    """Glance on behalf of one project."""

    cloud: MemoryCloud
    project_id: str

    def _held(self, image_id: str) -> HeldImage:
        if image_id not in self.cloud.images:
            message = f"no image {image_id}: check the id"
            raise NotFoundError(message)
        return self.cloud.images[image_id]

    def get_config(self) -> GlanceConfig:
        """Tell what the service offers."""
        return self.cloud.glance

    def get_image(self, image_id: str) -> Image:
        """Read an image that is the requester's, or shared with all."""
        record = self._held(image_id).record
        shown = {"public", "community"}
        if record.owner != self.project_id and record.visibility not in shown:
            message = f"no image {image_id}: ask its owner to share it"
            raise NotFoundError(message)
        return attrs.evolve(record, visible=True, downloadable=True)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read where the image's data lies, if the requester sees it."""
        self.get_image(image_id)
        held = self._held(image_id)
        if held.record.locations_from is LocationsFrom.UNREADABLE:
            message = f"locations of image {image_id} are not shown"
            raise ForbiddenError(message)
        return held.locations

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location of a queued image."""
        held = self._held(image_id)
        if location in (*held.locations, held.pending):
            return
        if held.record.status != "queued":
            message = (
                f"image {image_id} is {held.record.status}: only a queued "
                "image takes a location"
            )
            raise ConflictError(message)
        held.pending = location
        if self.cloud.registration == "at-once":
            self.cloud.judge(image_id)
            if location not in held.locations:
                message = f"{location} is no available volume: publish it"
                raise ConflictError(message)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Return once the image does not show the location, or raise."""
        held = self.cloud.images.get(image_id)
        if held is None:
            return
        self.cloud.judge(image_id)
        rest = tuple(x for x in held.locations if x != location)
        if rest == held.locations:
            return
        if rest:
            held.locations = rest
        elif self.cloud.can_withdraw:
            held.locations = ()
            self.cloud.set_image(image_id, status="queued", size=None)
        else:
            message = (
                f"{location} is all that image {image_id} has: delete the "
                "image instead"
            )
            raise ConflictError(message)

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return once the image is active and shows the location."""
        held = self._held(image_id)
        self.cloud.judge(image_id)
        if held.record.status != "active" or location not in held.locations:
            message = (
                f"image {image_id} is {held.record.status} and does not "
                f"vouch for {location}: see Glance's log"
            )
            raise ConflictError(message)

    def download(self, image_id: str) -> Iterator[bytes]:
        """Give the image's data, and compare it with its hash."""
        image = self.get_image(image_id)
        data = self.cloud.image_data(image_id)
        if image.status != "active" or data is None:
            message = f"image {image_id} is {image.status}: it has no data"
            raise ConflictError(message)
        return self._checked(image, data)

    def _checked(self, image: Image, data: bytes) -> Iterator[bytes]:
        yield from _pieces(data)
        found = hashlib.sha256(data).hexdigest()
        if image.os_hash_value not in {None, found}:
            message = f"image {image.id} is not what was uploaded: replace it"
            raise IntegrityError(message)

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Take a queued image's data; a broken stream leaves it saving."""
        held = self._held(image_id)
        if held.record.status != "queued":
            message = (
                f"image {image_id} is {held.record.status}: only a queued "
                "image takes data"
            )
            raise ConflictError(message)
        self.cloud.set_image(image_id, status="saving")
        self.cloud.fill_image(image_id, b"".join(data))

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone."""
        if image_id not in self.cloud.images:
            return
        self.cloud.judge(image_id)
        if self.cloud.images[image_id].record.status in {"queued", "saving"}:
            del self.cloud.images[image_id]


@attrs.frozen
class Volumes:
    """Cinder's manager and database."""

    cloud: MemoryCloud

    def new_id(self) -> str:
        """Make an id for a volume to come."""
        return self.cloud.new_id()

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume of any project."""
        return self.cloud.volume(volume_id)

    def get_backend(self, volume: Volume) -> Backend:
        """Tell what array a volume lies on."""
        return self.cloud.arrays.get(str(volume.host), Backend())

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        """Read the cache's entries for an image, as things are now."""
        return tuple(
            attrs.evolve(
                entry,
                source=self.cloud.volume(entry.source.id),
                backend=self.get_backend(entry.source),
            )
            for entry in self.cloud.cache
            if entry.image_id == image_id and entry.source is not None
        )

    def get_quota(self, project_id: str) -> Quota:
        """Tell what is left to a project."""
        limit = self.cloud.limits.get(project_id, Quota())
        used = [
            held.record.size
            for held in self.cloud.volumes.values()
            if held.record.project_id == project_id
        ]
        return attrs.evolve(
            limit,
            volumes=_left(limit.volumes, len(used)),
            gigabytes=_left(limit.gigabytes, sum(used)),
        )

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Make the record of an image volume, like its source."""
        source = self.cloud.held_volume(source_id).record
        if volume_id in self.cloud.volumes:
            message = f"volume {volume_id} exists: choose another id"
            raise ConflictError(message)
        if not self.get_quota(project_id).admits(source.size):
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
        self.cloud.held_volume(volume_id).metadata[key] = value

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only."""
        self.cloud.held_volume(volume_id).readonly = True

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available; any later status will do."""
        status = self.cloud.held_volume(volume_id).record.status
        if status == "error":
            message = f"volume {volume_id} has failed: make another"
            raise ConflictError(message)
        if status == "creating":
            self.cloud.set_volume(volume_id, status="available")

    def unpublish(self, volume_id: str) -> None:
        """Take an available volume back; one in use is past that."""
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
        """Give a volume that is uploading its previous status back."""
        held = self.cloud.volumes.get(volume_id)
        if held is not None:
            before = held.record.previous_status or "available"
            self._change(volume_id, "uploading", before)

    def _change(self, volume_id: str, before: str, after: str) -> None:
        held = self.cloud.volumes.get(volume_id)
        if held is not None and held.record.status == before:
            self.cloud.set_volume(volume_id, status=after)

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the record of an image volume that has no data."""
        held = self.cloud.volumes.get(volume_id)
        if held is None:
            return
        if held.data is not None or not held.for_image:
            message = f"volume {volume_id} holds data: discard it first"
            raise ConflictError(message)
        del self.cloud.volumes[volume_id]


def _left(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


@attrs.frozen
class Array:
    """One array: it holds data, and knows nothing of status."""

    cloud: MemoryCloud
    backend: Backend

    def get_backend(self) -> Backend:
        """Tell what the array is and can do."""
        return self.backend

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Tell what is kept of a volume."""
        held = self.cloud.volumes.get(volume_id)
        if held is None or held.data is None:
            return None
        return StoredVolume(
            size=len(held.data) * GiB // self.cloud.unit,
            clones=self.cloud.clones(volume_id),
        )

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for an image behind a location of the array's own kind."""
        scheme = str(location).partition(":")[0]
        elsewhere = (
            isinstance(location, RbdLocation)
            and location.fsid != self.backend.array_id
        )
        if elsewhere or scheme not in self.backend.image_schemes:
            return None
        return self.cloud.find_stored(location)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Make a volume's data a clone of another's, of the same size."""
        held = self.cloud.held_volume(source.id)
        there = self.cloud.arrays.get(str(held.record.host), Backend())
        if there.array_id is None or there.array_id != self.backend.array_id:
            message = f"volume {source.id} is on another array: download"
            raise NotFoundError(message)
        check_source(source, self.backend)
        has = None if held.data is None else len(held.data)
        if has not in {None, source.size * self.cloud.unit}:
            message = f"volume {source.id} has {has} bytes: correct its size"
            raise IntegrityError(message)
        self._clone(volume_id, source.id, held.data)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Make a volume's data a clone of a stored image."""
        found, data = self.find_image(location), None
        if found is not None:
            data = self.cloud.padded(self.cloud.stored[location], found.size)
        self._clone(volume_id, str(location), data)

    def _clone(self, volume_id: str, parent: str, data: bytes | None) -> None:
        held = self._empty(volume_id)
        limit = self.backend.clone_limit
        if not self.backend.can_clone:
            message = f"array {self.backend.array_id} cannot clone: download"
            raise UnsupportedError(message)
        if data is None:
            message = f"{parent} holds no data: choose another source"
            raise NotFoundError(message)
        if limit is not None and self.cloud.clones(parent) >= limit:
            message = f"{parent} has {limit} clones: download"
            raise CloneLimitError(message)
        held.data, held.parent = data, parent

    def _empty(self, volume_id: str) -> HeldVolume:
        held = self.cloud.held_volume(volume_id)
        if held.data is not None:
            message = f"volume {volume_id} holds data: discard it first"
            raise ConflictError(message)
        return held

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB; never shrink one."""
        held = self.cloud.held_volume(volume_id)
        if held.data is None:
            message = f"volume {volume_id} holds no data: fill it first"
            raise NotFoundError(message)
        if not self.backend.can_extend:
            message = f"array {self.backend.array_id} cannot extend: download"
            raise UnsupportedError(message)
        if len(held.data) > size * self.cloud.unit:
            message = f"volume {volume_id} has more than {size} GiB: ask more"
            raise ConflictError(message)
        held.data = self.cloud.padded(held.data, size)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume piece by piece; a broken stream leaves a part."""
        held = self._empty(volume_id)
        written = held.data = b""
        for piece in data:
            written += piece
            held.data = written
        if len(written) > size * self.cloud.unit:
            message = f"image {image.id} exceeds {size} GiB: ask for more"
            raise IntegrityError(message)
        held.data = self.cloud.padded(written, size)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data."""
        data = self.cloud.held_volume(volume_id).data
        if data is None:
            message = f"volume {volume_id} holds no data: fill it first"
            raise NotFoundError(message)
        return _pieces(data)

    def discard(self, volume_id: str) -> None:
        """Remove a volume's data, if there is any."""
        held = self.cloud.volumes.get(volume_id)
        if held is not None:
            held.data = held.parent = None
