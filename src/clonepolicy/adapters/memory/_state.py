"""What the cloud in memory keeps: images, volumes, cache, quotas, arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from clonepolicy import (
    CacheEntry,
    CinderLocation,
    Config,
    GiB,
    GlanceConfig,
    Host,
    Image,
    Location,
    LocationsFrom,
    NotFoundError,
    Quota,
    Volume,
)
from clonepolicy.adapters.memory._array import (
    EVERYTHING,
    BlockMap,
    MemoryArray,
)

INTERNAL = "internal-tenant"
"""The project of Cinder's internal tenant."""

POOL = "host@backend#pool"
"""The pool of the only array that a cloud has by default."""

CONFIG = Config(
    allowed_direct_url_schemes=frozenset({"cinder"}),
    image_upload_use_cinder_backend=True,
    image_upload_use_internal_tenant=True,
    image_volume_cache_enabled=True,
    cinder_internal_tenant_project_id=INTERNAL,
    cinder_internal_tenant_user_id="internal-user",
    trusted_image_pools=frozenset({"images"}),
)
"""Options that allow every efficient route."""

GLANCE = GlanceConfig(
    has_location_api=True, service_roles=frozenset({"admin", "service"})
)
"""A Glance with the locations API and the roles that the API requires."""

ARRAY = attrs.evolve(EVERYTHING, array_id="array")
"""The backend of the only array that a cloud has by default."""


class Registration(StrEnum):
    """When and how Glance checks a location that it was given."""

    AT_ONCE = "at-once"
    """Glance checks the location before it answers."""
    LATE = "late"
    """Glance answers first, and accepts the location at the next look."""
    REJECTED = "rejected"
    """Glance answers first, and drops the location at the next look."""


@attrs.define(kw_only=True)
class ImageRow:
    """An image: its record, and the facts that the record does not have."""

    record: Image
    data: bytes | None = None
    """The bytes in Glance's own store."""
    locations: tuple[Location, ...] = ()
    pending: CinderLocation | None = None
    """A location that Glance has not checked yet."""


@attrs.define(kw_only=True)
class VolumeRow:
    """A volume: its record, and the facts that the record does not have."""

    record: Volume
    readonly: bool = False
    metadata: dict[str, str] = attrs.field(factory=dict)
    for_image: bool = False
    """Whether Cinder created the volume to hold an image's data."""


@attrs.define(kw_only=True)
class CloudState:
    """The rows and options of a cloud, with methods to change them.

    The arrays keep the data of volumes.
    """

    config: Config = CONFIG
    glance: GlanceConfig = GLANCE
    gib: int = 4
    """Bytes that stand for one GiB, so that tests can compare whole
    volumes."""
    arrays: Mapping[str, MemoryArray] = attrs.Factory(
        lambda self: {POOL: MemoryArray(ARRAY, gib=self.gib)}, takes_self=True
    )
    """The array of each pool; the keys are ``host@backend#pool``."""
    registration: Registration = Registration.AT_ONCE
    can_withdraw: bool = False
    """Whether Glance removes the last location of an active image."""
    images: dict[str, ImageRow] = attrs.field(factory=dict)
    volumes: dict[str, VolumeRow] = attrs.field(factory=dict)
    cache: list[CacheEntry] = attrs.field(factory=list)
    limits: dict[str, Quota] = attrs.field(factory=dict)
    """The quota of each project; a project without one has no limit."""
    last_id: int = 0
    """The number in the id that `new_id` returned last."""

    def new_id(self) -> str:
        """Return a new UUID, which counts up from 1."""
        self.last_id += 1
        return f"00000000-0000-4000-8000-{self.last_id:012x}"

    # -- images -------------------------------------------------------------

    def add_image(  # noqa: PLR0913 - one keyword for each fact
        self,
        owner: str | None,
        data: bytes | None,
        *,
        visibility: str = "private",
        locations: tuple[Location, ...] = (),
        min_disk: int = 0,
        disk_format: str = "raw",
    ) -> str:
        """Add an image; without data and locations it is queued."""
        image_id = self.new_id()
        locations_from = LocationsFrom.HIDDEN
        if self.glance.has_location_api:
            locations_from = LocationsFrom.LOCATIONS_API
        elif self.glance.show_multiple_locations:
            locations_from = LocationsFrom.IMAGE
        record = Image(
            id=image_id,
            status="active" if locations else "queued",
            owner=owner,
            disk_format=disk_format,
            container_format="bare",
            min_disk=min_disk,
            visibility=visibility,
            locations_from=locations_from,
        )
        self.images[image_id] = ImageRow(record=record, locations=locations)
        if data is not None:
            self.fill_image(image_id, data)
        return image_id

    def fill_image(self, image_id: str, data: bytes) -> None:
        """Store data in Glance and make the image active."""
        self.image_row(image_id).data = data
        self.set_image(
            image_id,
            status="active",
            size=len(data) * GiB // self.gib,
            os_hash_algo="sha256",
            os_hash_value=hashlib.sha256(data).hexdigest(),
        )

    def image_row(self, image_id: str) -> ImageRow:
        """Return an image's row, or raise `NotFoundError`."""
        if image_id not in self.images:
            raise NotFoundError(f"no image {image_id}: check the id")
        return self.images[image_id]

    def set_image(
        self,
        image_id: str,
        **changes: Any,  # noqa: ANN401 - the record checks them
    ) -> None:
        """Change fields of an image's record."""
        row = self.image_row(image_id)
        row.record = attrs.evolve(row.record, **changes)

    def delete_image(self, image_id: str) -> None:
        """Delete an image and, as Glance does, the volumes that hold it."""
        for location in self.images.pop(image_id).locations:
            if (
                isinstance(location, CinderLocation)
                and location.volume_id in self.volumes
            ):
                self.delete_volume(location.volume_id)

    def image_data(self, image_id: str) -> bytes | None:
        """Return an image's bytes from wherever they lie, or None."""
        row = self.image_row(image_id)
        if row.data is not None:
            return row.data
        for location in row.locations:
            if isinstance(location, CinderLocation):
                return self._data(location.volume_id)
            for array in self.arrays.values():
                if location in array.images:
                    return b"".join(array.images[location].pieces())
        return None

    def check_pending_location(self, image_id: str) -> None:
        """Let Glance accept or drop the location that it was given."""
        row = self.image_row(image_id)
        location, row.pending = row.pending, None
        if location is None or self.registration is Registration.REJECTED:
            return
        source = self.volumes.get(location.volume_id)
        if source is not None and source.record.status == "available":
            row.locations = (*row.locations, location)
            self.set_image(
                image_id, status="active", size=source.record.size * GiB
            )

    # -- volumes ------------------------------------------------------------

    def add_volume(  # noqa: PLR0913 - one keyword for each fact
        self,
        project_id: str,
        size: int,
        *,
        data: bytes | None = None,
        status: str = "available",
        previous_status: str | None = None,
        pool: str = POOL,
    ) -> Volume:
        """Add a volume of so many GiB; zeros follow its data."""
        record = Volume(
            id=self.new_id(),
            project_id=project_id,
            size=size,
            status=status,
            previous_status=previous_status,
            host=Host.parse(pool),
        )
        self.volumes[record.id] = VolumeRow(record=record)
        if data is not None:
            self.fill_volume(record.id, data)
        return self.volume(record.id)

    def add_image_volume(self, record: Volume) -> None:
        """Add the row of a volume that will hold an image's data."""
        self.volumes[record.id] = VolumeRow(record=record, for_image=True)

    def fill_volume(self, volume_id: str, data: bytes) -> None:
        """Replace a volume's data; zeros fill it up to its size."""
        record = self.volume_row(volume_id).record
        blocks = BlockMap.of([self.padded(data, record.size)])
        self.arrays[str(record.host)].volumes[volume_id] = blocks

    def volume(self, volume_id: str) -> Volume:
        """Return a volume's record, with its metadata and clone count."""
        row = self.volume_row(volume_id)
        array = self.array_of(row.record)
        return attrs.evolve(
            row.record,
            clones=None if array is None else array.clones(volume_id),
            image_owner=row.metadata.get("image_owner"),
            glance_image_id=row.metadata.get("glance_image_id"),
        )

    def volume_row(self, volume_id: str) -> VolumeRow:
        """Return a volume's row, or raise `NotFoundError`."""
        if volume_id not in self.volumes:
            raise NotFoundError(f"no volume {volume_id}: check the id")
        return self.volumes[volume_id]

    def array_of(self, volume: Volume) -> MemoryArray | None:
        """Return the array of a volume's pool; None if no array has it."""
        return self.arrays.get(str(volume.host))

    def set_volume(
        self,
        volume_id: str,
        **changes: Any,  # noqa: ANN401 - the record checks them
    ) -> None:
        """Change fields of a volume's record."""
        row = self.volume_row(volume_id)
        row.record = attrs.evolve(row.record, **changes)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume and its data."""
        array = self.array_of(self.volumes.pop(volume_id).record)
        if array is not None:
            array.discard(volume_id)

    def volume_data(self, volume_id: str) -> bytes | None:
        """Return a volume's bytes, or None if no array has them."""
        self.volume_row(volume_id)
        return self._data(volume_id)

    def _data(self, volume_id: str) -> bytes | None:
        for array in self.arrays.values():
            if volume_id in array.volumes:
                return b"".join(array.read(volume_id))
        return None

    def padded(self, data: bytes, size: int) -> bytes:
        """Return data with zeros up to a size in GiB."""
        return data.ljust(size * self.gib, b"\0")
