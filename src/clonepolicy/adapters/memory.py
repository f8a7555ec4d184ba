"""A whole cloud in memory: the model that other adapters are compared with.

Plain dictionaries, one thread, no clock.  A GiB is ``unit`` bytes here, so
that whole volumes can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    CinderLocation,
    CloneKind,
    Config,
    Entry,
    GiB,
    GlanceConfig,
    Host,
    Image,
    Location,
    LocationsFrom,
    NotFoundError,
    Ports,
    Quota,
    StoredImage,
    Volume,
)
from clonepolicy.adapters import _memory_ports
from clonepolicy.adapters._memory_journal import MemoryJournal

__all__ = [
    "ARRAY",
    "CONFIG",
    "GLANCE",
    "INTERNAL",
    "POOL",
    "HeldImage",
    "HeldVolume",
    "MemoryCloud",
    "MemoryJournal",
    "Registration",
]

INTERNAL = "internal-tenant"
"""The project of the internal tenant."""

POOL = "host@backend#pool"
"""The place of the one array that a cloud has by default."""

CONFIG = Config(
    allowed_direct_url_schemes=frozenset({"cinder"}),
    image_upload_use_cinder_backend=True,
    image_upload_use_internal_tenant=True,
    image_volume_cache_enabled=True,
    cinder_internal_tenant_project_id=INTERNAL,
    cinder_internal_tenant_user_id="internal-user",
    trusted_image_pools=frozenset({"images"}),
)
"""Every efficient path is open."""

GLANCE = GlanceConfig(
    has_location_api=True, service_roles=frozenset({"admin", "service"})
)
"""The locations API, and the roles that it asks for."""

ARRAY = Backend(
    array_id="array",
    can_clone=True,
    clone_kind=CloneKind.FULL_COPY,
    can_extend=True,
    clone_while_uploading=True,
    image_schemes=frozenset({"rbd", "file"}),
)
"""An array that can do everything."""


class Registration(StrEnum):
    """When Glance judges a location that it was given, and how."""

    AT_ONCE = "at-once"
    LATE = "late"
    """It answers first, and accepts once somebody looks again."""
    REJECTED = "rejected"
    """It answers first, and drops the location after that."""


@attrs.define(kw_only=True)
class HeldImage:
    """An image as the model keeps it."""

    record: Image
    data: bytes | None = None
    locations: tuple[Location, ...] = ()
    pending: CinderLocation | None = None
    """A location that was accepted for judging."""


@attrs.define(kw_only=True)
class HeldVolume:
    """A volume as the model keeps it."""

    record: Volume
    data: bytes | None = None
    readonly: bool = False
    metadata: dict[str, str] = attrs.field(factory=dict)
    parent: str | None = None
    """The volume, or the location, that its data is a clone of."""
    for_image: bool = False
    """It was made to be an image's data."""


@attrs.define(kw_only=True)
class MemoryCloud:
    """Images, volumes, a cache, quotas and arrays, all in dictionaries.

    ``can_withdraw`` says whether an active image's last location can be
    taken from it, which Glance forbids.
    """

    config: Config = CONFIG
    glance: GlanceConfig = GLANCE
    arrays: Mapping[str, Backend] = attrs.field(factory=lambda: {POOL: ARRAY})
    """What lies where, by ``host@backend#pool``."""
    unit: int = 4
    registration: Registration = Registration.AT_ONCE
    can_withdraw: bool = False
    images: dict[str, HeldImage] = attrs.field(factory=dict)
    volumes: dict[str, HeldVolume] = attrs.field(factory=dict)
    stored: dict[Location, bytes] = attrs.field(factory=dict)
    """Images that lie on arrays."""
    cache: list[CacheEntry] = attrs.field(factory=list)
    limits: dict[str, Quota] = attrs.field(factory=dict)
    """Of each project; none: without limit."""
    made: int = 0

    def ports(self, project_id: str, pool: str = POOL) -> Ports:
        """Give the ports of a requester whose volume was put in a pool."""
        return Ports(
            images=_memory_ports.Images(self, project_id),
            volumes=_memory_ports.Volumes(self),
            array=_memory_ports.Array(self, self.arrays[pool]),
        )

    def new_id(self) -> str:
        """Make a UUID that is a number underneath."""
        self.made += 1
        return f"00000000-0000-4000-8000-{self.made:012x}"

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
        """Add an image: active if it has data or locations, else queued."""
        image_id = self.new_id()
        active = data is not None or bool(locations)
        size = None if data is None else len(data) * GiB // self.unit
        told = LocationsFrom.UNREADABLE
        if self.glance.has_location_api:
            told = LocationsFrom.LOCATIONS_API
        elif self.glance.show_multiple_locations:
            told = LocationsFrom.IMAGE
        record = Image(
            id=image_id,
            status="active" if active else "queued",
            owner=owner,
            disk_format=disk_format,
            container_format="bare",
            size=size,
            min_disk=min_disk,
            visibility=visibility,
            locations_from=told,
        )
        held = HeldImage(record=record, locations=locations)
        self.images[image_id] = held
        if data is not None:
            self.fill_image(image_id, data)
        return image_id

    def fill_image(self, image_id: str, data: bytes) -> None:
        """Give an image its data, its hash, and status active."""
        held = self.images[image_id]
        held.data = data
        held.record = attrs.evolve(
            held.record,
            status="active",
            size=len(data) * GiB // self.unit,
            os_hash_algo="sha256",
            os_hash_value=hashlib.sha256(data).hexdigest(),
        )

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
        """Add a volume; one with data gets it padded to its size."""
        record = Volume(
            id=self.new_id(),
            project_id=project_id,
            size=size,
            status=status,
            previous_status=previous_status,
            host=Host.parse(pool),
        )
        padded = None if data is None else self.padded(data, size)
        self.volumes[record.id] = HeldVolume(record=record, data=padded)
        return self.volume(record.id)

    def add_image_volume(self, record: Volume) -> None:
        """Add the record of a volume that shall be an image's data."""
        self.volumes[record.id] = HeldVolume(record=record, for_image=True)

    def volume(self, volume_id: str) -> Volume:
        """Give a volume's record with what is counted and kept elsewhere."""
        held = self.held_volume(volume_id)
        return attrs.evolve(
            held.record,
            clones=self.clones(volume_id),
            image_owner=held.metadata.get("image_owner"),
            glance_image_id=held.metadata.get("glance_image_id"),
        )

    def held_volume(self, volume_id: str) -> HeldVolume:
        """Give what is kept of a volume."""
        if volume_id not in self.volumes:
            message = f"no volume {volume_id}: check the id"
            raise NotFoundError(message)
        return self.volumes[volume_id]

    def set_volume(
        self,
        volume_id: str,
        **changes: Any,  # noqa: ANN401 - the record checks them
    ) -> None:
        """Change fields of a volume's record."""
        held = self.held_volume(volume_id)
        held.record = attrs.evolve(held.record, **changes)

    def set_image(
        self,
        image_id: str,
        **changes: Any,  # noqa: ANN401 - the record checks them
    ) -> None:
        """Change fields of an image's record."""
        held = self.images[image_id]
        held.record = attrs.evolve(held.record, **changes)

    def delete_image(self, image_id: str) -> None:
        """Delete an image, and as Glance does the volumes behind it."""
        held = self.images.pop(image_id)
        for location in held.locations:
            if isinstance(location, CinderLocation):
                self.volumes.pop(location.volume_id, None)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume."""
        del self.volumes[volume_id]

    def volume_data(self, volume_id: str) -> bytes | None:
        """Give a volume's data; None: there is none."""
        return self.held_volume(volume_id).data

    def clones(self, parent: str) -> int:
        """Count the clones of a volume's id or of a location's URL."""
        return sum(held.parent == parent for held in self.volumes.values())

    def padded(self, data: bytes, size: int) -> bytes:
        """Fill data up with zeros to a size in GiB."""
        return data.ljust(size * self.unit, b"\0")

    def gib(self, data: bytes) -> int:
        """Give the size of data in GiB, rounded up."""
        return -(-len(data) // self.unit)

    def image_data(self, image_id: str) -> bytes | None:
        """Give an image's data, wherever it lies."""
        held = self.images[image_id]
        if held.data is not None:
            return held.data
        for location in held.locations:
            if location in self.stored:
                return self.stored[location]
            if isinstance(location, CinderLocation):
                source = self.volumes.get(location.volume_id)
                return None if source is None else source.data
        return None

    def find_stored(self, location: Location) -> StoredImage | None:
        """Describe an image that lies on an array."""
        if location not in self.stored:
            return None
        return StoredImage(
            size=self.gib(self.stored[location]),
            clones=self.clones(str(location)),
        )

    def judge(self, image_id: str) -> None:
        """Let Glance make up its mind about a location that it was given."""
        held = self.images[image_id]
        location, held.pending = held.pending, None
        if location is None or self.registration is Registration.REJECTED:
            return
        source = self.volumes.get(location.volume_id)
        if source is not None and source.record.status == "available":
            held.locations = (*held.locations, location)
            self.set_image(
                image_id, status="active", size=source.record.size * GiB
            )

    def audit(self, entries: tuple[Entry, ...] = ()) -> tuple[str, ...]:
        """List what is broken; ``entries`` are plans still to be ended.

        What such a plan names may be half made, but never says that it is
        whole, and is never what an image shows without being there.
        """
        mine = frozenset(name for entry in entries for name in _names(entry))
        return tuple(sorted((*self._lies(), *self._leftovers(mine))))

    def _lies(self) -> Iterator[str]:
        for image_id, image in self.images.items():
            for location in image.locations:
                if (
                    isinstance(location, CinderLocation)
                    and location.volume_id not in self.volumes
                ):
                    yield f"image {image_id}: dangling location {location}"
        for volume_id, held in self.volumes.items():
            whole = held.record.size * self.unit
            has = None if held.data is None else len(held.data)
            if held.record.status in {"available", "in-use"} and has != whole:
                yield f"volume {volume_id}: {has} of {whole} bytes"

    def _leftovers(self, mine: frozenset[str]) -> Iterator[str]:
        shown = {
            location.volume_id
            for image in self.images.values()
            for location in image.locations
            if isinstance(location, CinderLocation)
        }
        for image_id, image in self.images.items():
            waits = image.record.status in {"queued", "saving"}
            if waits and image_id not in mine:
                yield f"image {image_id}: stuck in {image.record.status}"
        for volume_id, held in self.volumes.items():
            if volume_id in mine:
                continue
            if held.record.status in {"creating", "uploading"}:
                yield f"volume {volume_id}: stuck in {held.record.status}"
            if held.for_image and volume_id not in shown:
                yield f"volume {volume_id}: orphan of an image"


def _names(entry: Entry) -> Iterator[str]:
    yield from entry.ids.values()
    for step in entry.plan:
        for field in ("image_id", "volume_id"):
            name = getattr(step, field, None)
            if isinstance(name, str):
                yield name
