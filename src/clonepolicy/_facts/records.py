"""Records of volumes, images and arrays, with OpenStack's field names.

Records are frozen and hashable.  Sizes are GiB where Cinder counts in GiB
(``Volume.size``, ``min_disk``, quotas) and bytes where Glance counts in
bytes (``Image.size``, ``virtual_size``).  ``None`` means *not known* or
*not set*; no rule treats it as a yes.

Records do not convert values: adapters do.  Only user, key and query of a
URL are masked, so that no record holds them.  Constructing a record with an
invalid value raises `FactError`.
"""

from __future__ import annotations

import datetime
from enum import StrEnum

import attrs

from clonepolicy._errors import FactError
from clonepolicy._facts.checks import checked
from clonepolicy._facts.locations import without_key

GiB = 1024**3

AT_REST = frozenset({"available", "in-use"})
"""Each ``status`` of a volume on which no operation is in progress."""

GOING = frozenset({"deleting", "error_deleting"})
"""Each ``status`` of a volume whose data may be gone, at least in part."""

NOT_MIGRATING = frozenset({None, "none", "success", "error"})
"""Each ``migration_status`` of a volume that is not being migrated."""


FILE_IS_DISK = frozenset({"raw", "iso"})
"""Each ``disk_format`` that Cinder writes to a volume as it is."""


LONGEST_HOST = 255
"""Characters, as in Cinder's database."""


@attrs.frozen(field_transformer=checked)
class Host:
    """``host@backend#pool`` or ``cluster@backend#pool``, in its parts."""

    host: str
    backend: str | None = None
    pool: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse parts that `parse` would part in another way, and a length.

        Cinder's column has that length, and rules compare hosts in a time
        that grows with its square.
        """
        if len(str(self)) > LONGEST_HOST:
            expected = f"at most {LONGEST_HOST} characters"
            raise FactError("Host", str(self), expected)
        for name, marks in (("host", "@#"), ("backend", "#")):
            part = getattr(self, name) or ""
            if any(mark in part for mark in marks):
                raise FactError(f"Host.{name}", part, f"none of {marks}")

    @classmethod
    def parse(cls, text: str) -> Host:
        """Parse Cinder's notation; ``str()`` returns the same text.

        Raises:
            FactError: a part is empty, or the text is too long.
        """
        service, hash_sign, pool = text.partition("#")
        host, at_sign, backend = service.partition("@")
        return cls(
            host, backend if at_sign else None, pool if hash_sign else None
        )

    def __str__(self) -> str:
        """Return Cinder's notation."""
        backend = "" if self.backend is None else f"@{self.backend}"
        pool = "" if self.pool is None else f"#{self.pool}"
        return f"{self.host}{backend}{pool}"


class Missing(StrEnum):
    """Why something is missing: only one of these says that it is not there.

    The others say why it is not known.
    """

    ABSENT = "absent"
    """It was looked for in the place where it would be, and is not there."""
    ELSEWHERE = "elsewhere"
    """It is in a store of another kind, another cluster or another array."""
    FORBIDDEN = "forbidden"
    """Looking it up was not allowed."""
    UNAVAILABLE = "unavailable"
    """The array or service did not answer."""
    UNSUPPORTED = "unsupported"
    """The array or service cannot look it up."""
    FAILED = "failed"
    """Looking it up failed in another way."""
    NOT_ASKED = "not-asked"
    """Nobody looked it up."""


class LocationsFrom(StrEnum):
    """The Glance interface that returned the image's locations, or why none.

    An image that has data has a location.  If no interface shows one, the
    locations are hidden.
    """

    LOCATIONS_API = "locations-api"
    """GET /v2/images/{id}/locations, Glance 2024.2 and later."""
    IMAGE = "image"
    """The image's own fields, with ``show_multiple_locations`` or
    ``show_image_direct_url``; also if the image has no data yet."""
    HIDDEN = "hidden"
    """Glance answered, but no interface shows the locations."""
    FORBIDDEN = "forbidden"
    """Reading them was not allowed."""
    UNAVAILABLE = "unavailable"
    """Glance did not answer."""
    UNREADABLE = "unreadable"
    """Reading them failed in another way, or nobody read them."""


class CloneKind(StrEnum):
    """How an array clones."""

    COPY_ON_WRITE = "copy-on-write"
    """A clone shares data with its source, which must stay."""
    THIN_COPY = "thin-copy"
    """A clone shares data with its source, and outlives it."""
    OFFLOADED_COPY = "offloaded-copy"
    """The array itself copies."""
    FULL_COPY = "full-copy"
    """A clone takes its own space; its data may pass through the host."""


class Inspection(StrEnum):
    """What an inspection of stored data found."""

    PASSED = "passed"
    REFUSED = "refused"
    """A download of the same data as a raw image would be refused."""
    NOT_INSPECTED = "not-inspected"
    """The array does not inspect data, or was not asked."""
    UNREADABLE = "unreadable"
    """The array was asked, and could not read the data."""


@attrs.frozen(kw_only=True, field_transformer=checked)
class VolumeType:
    """A volume type, with what it promises and what affects cloning."""

    id: str
    name: str | None = None
    volume_backend_name: str | None = None
    min_vol_size: int | None = None
    """``provisioning:min_vol_size``, GiB."""
    max_vol_size: int | None = None
    """``provisioning:max_vol_size``, GiB."""
    store_id: str | None = None
    """``image_service:store_id``."""
    extra_specs: frozenset[str] | None = None
    """``key=value`` of each extra spec that promises something about data.
    Those of the fields above do not, nor ``RESKEY:availability_zones``."""
    qos_specs_id: str | None = None
    """None: the type has no QoS specs."""


@attrs.frozen(kw_only=True, field_transformer=checked)
class Volume:
    """A Cinder volume: the one to fill, one to clone, or one to upload."""

    id: str
    project_id: str
    size: int
    """GiB."""
    status: str
    previous_status: str | None = None
    host: Host | None = None
    cluster_name: Host | None = None
    encryption_key_id: str | None = None
    volume_type: VolumeType | None = None
    multiattach: bool = False
    migration_status: str | None = None
    created_at: datetime.datetime | None = None
    clones: int | None = None
    """The number of clones that the array has of this volume."""
    inspection: Inspection = Inspection.NOT_INSPECTED
    """What the array finds in this volume's data."""
    image_owner: str | None = None
    """Metadata ``image_owner``.  The owner of the volume can write it."""
    glance_image_id: str | None = None
    """Metadata ``glance_image_id``."""


@attrs.frozen(kw_only=True, field_transformer=checked)
class Image:
    """A Glance image, as the requester sees it."""

    id: str
    status: str
    owner: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    size: int | None = None
    """Bytes of the image's file."""
    virtual_size: int | None = None
    """Bytes of the disk in it; Glance writes 0, too, if it does not know."""
    min_disk: int = 0
    """GiB."""
    visibility: str = "private"
    visible: bool = False
    """Glance shows it to the requester."""
    downloadable: bool = False
    """Glance's policy ``download_image`` lets the requester read the data."""
    encryption_key_id: str | None = None
    """Property ``cinder_encryption_key_id``."""
    signed: bool = False
    """Any ``img_signature*`` property is present."""
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    updated_at: datetime.datetime | None = None
    locations_from: LocationsFrom = LocationsFrom.UNREADABLE
    direct_url: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(without_key)
    )
    """User, key and query are masked, as in locations."""

    @property
    def disk_size(self) -> int | None:
        """Bytes of the disk in the image; None: not known.

        The file of a VHD, a VDI or a full qcow2 is larger than the disk in
        it.  Glance does not look into a container (glance 33.0.0
        ``location.ImageProxy.set_data``).
        """
        if self.container_format != "bare":
            return None
        file = self.size if self.disk_format in FILE_IS_DISK else None
        return max(file or 0, self.virtual_size or 0) or None


@attrs.frozen(kw_only=True, field_transformer=checked)
class StoredImage:
    """An image that an array stores, found by its location."""

    size: int | None = None
    """GiB, rounded up; None: the array cannot tell."""
    status: str = "available"
    encryption_key_id: str | None = None
    clones: int | None = None
    inspection: Inspection = Inspection.NOT_INSPECTED
    """What the array finds in the image's data."""


@attrs.frozen(kw_only=True, field_transformer=checked)
class StoredVolume:
    """A volume's data, as the array itself reports it."""

    size: int
    """Bytes."""
    clones: int | None = None
    """The number of its clones that count against the array's limit."""


@attrs.frozen(kw_only=True, field_transformer=checked)
class Backend:
    """An array, with the capabilities that it declares; None: not declared."""

    array_id: str | None = None
    """The identity of the array itself, not its name in cinder.conf."""
    can_clone: bool | None = None
    clone_kind: CloneKind | None = None
    """How the array clones a volume."""
    image_clone_kind: CloneKind | None = None
    """How the array clones a stored image."""
    clone_across_pools: bool | None = None
    can_extend: bool | None = None
    clone_while_uploading: bool | None = None
    """It clones a volume whose status is ``uploading``."""
    clone_in_use: bool | None = None
    """It clones a volume that is attached."""
    clone_limit: int | None = None
    """The most clones of one source; None: the array declares no limit."""
    frozen: bool = False
    finds_images: bool = False
    """The driver's ``clone_image`` looks for images by itself, and not only
    at their locations."""
    image_schemes: frozenset[str] = frozenset()
    """URL schemes of the images that it can clone: ``rbd``, ``file``."""
