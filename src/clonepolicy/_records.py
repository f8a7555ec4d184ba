# ruff: noqa: ANN401 - a validator is given anything
"""The facts: frozen, hashable records with OpenStack's own field names.

Sizes are GiB where Cinder counts in GiB (``Volume.size``, ``min_disk``,
quota) and bytes where Glance counts in bytes (``Image.size``,
``virtual_size``).  ``None`` always means *not known* or *not set*, and no
rule takes it for a yes.  Validators check, nothing converts: adapters do.
A field that cannot be raises `FactError`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NoReturn, TypeAlias

import attrs

from clonepolicy._errors import FactError
from clonepolicy._locations import (
    CinderLocation,
    FileLocation,
    Location,
    MalformedLocation,
    OtherLocation,
    RbdLocation,
)

GiB = 1024**3

_Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _refuse(
    instance: object,
    attribute: attrs.Attribute[Any],
    value: object,
    expected: str,
) -> NoReturn:
    field = f"{type(instance).__name__}.{attribute.name}"
    raise FactError(field, value, expected)


# Records are made by the thousand, so each check is one flat function.


def _text(instance: Any, attribute: Any, value: Any) -> None:
    if type(value) is not str or not value:
        _refuse(instance, attribute, value, "text")


def _maybe_text(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and (type(value) is not str or not value):
        _refuse(instance, attribute, value, "text or None")


def _count(instance: Any, attribute: Any, value: Any) -> None:
    if type(value) is not int or value < 0:
        _refuse(instance, attribute, value, "a whole number >= 0")


def _maybe_count(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and (type(value) is not int or value < 0):
        _refuse(instance, attribute, value, "a whole number >= 0 or None")


def _flag(instance: Any, attribute: Any, value: Any) -> None:
    if value is not True and value is not False:
        _refuse(instance, attribute, value, "True or False")


def _maybe_flag(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and value is not True and value is not False:
        _refuse(instance, attribute, value, "True, False or None")


def _texts(instance: Any, attribute: Any, value: Any) -> None:
    if type(value) is not frozenset or not all(
        type(text) is str and text for text in value
    ):
        _refuse(instance, attribute, value, "a frozenset of texts")


def _maybe_moment(instance: Any, attribute: Any, value: Any) -> None:
    if value is not None and (
        not isinstance(value, datetime.datetime) or value.tzinfo is None
    ):
        expected = "a datetime with a time zone, or None"
        _refuse(instance, attribute, value, expected)


def _a(kind: type | tuple[type, ...], *, optional: bool = False) -> _Validator:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    name = " or ".join(k.__name__ for k in kinds)
    expected = f"{name} or None" if optional else name
    accepted = (*kinds, type(None)) if optional else kinds

    def validator(instance: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, accepted):
            _refuse(instance, attribute, value, expected)

    return validator


def _tuple_of(kind: type) -> _Validator:
    expected = f"a tuple of {kind.__name__}"

    def validator(instance: Any, attribute: Any, value: Any) -> None:
        if type(value) is not tuple:
            _refuse(instance, attribute, value, expected)
        for item in value:
            if not isinstance(item, kind):
                _refuse(instance, attribute, value, expected)

    return validator


_location = _a(
    (
        CinderLocation,
        RbdLocation,
        FileLocation,
        OtherLocation,
        MalformedLocation,
    )
)


@attrs.frozen
class Host:
    """``host@backend#pool`` (or ``cluster@backend#pool``), in its parts."""

    host: str = attrs.field(validator=_text)
    backend: str | None = attrs.field(default=None, validator=_maybe_text)
    pool: str | None = attrs.field(default=None, validator=_maybe_text)

    @classmethod
    def parse(cls, text: str) -> Host:
        """Split Cinder's notation; ``str()`` gives the text back.

        Raises:
            FactError: a part is there but empty.
        """
        service, hash_sign, pool = text.partition("#")
        host, at_sign, backend = service.partition("@")
        return cls(
            host, backend if at_sign else None, pool if hash_sign else None
        )

    def __str__(self) -> str:
        """Write it in Cinder's notation."""
        backend = "" if self.backend is None else f"@{self.backend}"
        pool = "" if self.pool is None else f"#{self.pool}"
        return f"{self.host}{backend}{pool}"


class LocationsFrom(StrEnum):
    """Which of Glance's interfaces told the image's locations."""

    LOCATIONS_API = "locations-api"
    """GET /v2/images/{id}/locations, Glance 2024.2 and later."""
    IMAGE = "image"
    """The image itself, which shows them with show_multiple_locations;
    also where neither interface shows any."""
    UNREADABLE = "unreadable"
    """Reading them failed."""


class CloneKind(StrEnum):
    """How an array makes a clone."""

    COPY_ON_WRITE = "copy-on-write"
    OFFLOADED_COPY = "offloaded-copy"
    FULL_COPY = "full-copy"


@attrs.frozen(kw_only=True)
class VolumeType:
    """A volume type and the extra specs that bear on cloning."""

    id: str = attrs.field(validator=_text)
    name: str | None = attrs.field(default=None, validator=_maybe_text)
    volume_backend_name: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    min_vol_size: int | None = attrs.field(
        default=None, validator=_maybe_count
    )
    """``provisioning:min_vol_size``, GiB."""
    max_vol_size: int | None = attrs.field(
        default=None, validator=_maybe_count
    )
    """``provisioning:max_vol_size``, GiB."""
    store_id: str | None = attrs.field(default=None, validator=_maybe_text)
    """``image_service:store_id``."""


@attrs.frozen(kw_only=True)
class Volume:
    """A Cinder volume: the one to fill, one to clone, or one to upload."""

    id: str = attrs.field(validator=_text)
    project_id: str = attrs.field(validator=_text)
    size: int = attrs.field(validator=_count)
    """GiB."""
    status: str = attrs.field(validator=_text)
    previous_status: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    host: Host | None = attrs.field(
        default=None, validator=_a(Host, optional=True)
    )
    cluster_name: Host | None = attrs.field(
        default=None, validator=_a(Host, optional=True)
    )
    encryption_key_id: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    volume_type: VolumeType | None = attrs.field(
        default=None, validator=_a(VolumeType, optional=True)
    )
    multiattach: bool = attrs.field(default=False, validator=_flag)
    migration_status: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    created_at: datetime.datetime | None = attrs.field(
        default=None, validator=_maybe_moment
    )
    clones: int | None = attrs.field(default=None, validator=_maybe_count)
    """How many clones the array already keeps of it."""
    image_owner: str | None = attrs.field(default=None, validator=_maybe_text)
    """Metadata ``image_owner``; who may write it depends on project_id."""
    glance_image_id: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    """Metadata ``glance_image_id``."""


@attrs.frozen(kw_only=True)
class Image:
    """A Glance image as its requester sees it."""

    id: str = attrs.field(validator=_text)
    status: str = attrs.field(validator=_text)
    owner: str | None = attrs.field(default=None, validator=_maybe_text)
    disk_format: str | None = attrs.field(default=None, validator=_maybe_text)
    container_format: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    size: int | None = attrs.field(default=None, validator=_maybe_count)
    """Bytes."""
    virtual_size: int | None = attrs.field(
        default=None, validator=_maybe_count
    )
    """Bytes."""
    min_disk: int = attrs.field(default=0, validator=_count)
    """GiB."""
    visibility: str = attrs.field(default="private", validator=_text)
    visible: bool = attrs.field(default=False, validator=_flag)
    """Glance shows it to the requester."""
    downloadable: bool = attrs.field(default=False, validator=_flag)
    """Glance's ``download_image`` policy lets the requester have the data."""
    encryption_key_id: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    """Property ``cinder_encryption_key_id``."""
    signed: bool = attrs.field(default=False, validator=_flag)
    """Any ``img_signature*`` property is present."""
    os_hash_algo: str | None = attrs.field(default=None, validator=_maybe_text)
    os_hash_value: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    updated_at: datetime.datetime | None = attrs.field(
        default=None, validator=_maybe_moment
    )
    locations_from: LocationsFrom = attrs.field(
        default=LocationsFrom.UNREADABLE, validator=_a(LocationsFrom)
    )
    direct_url: str | None = attrs.field(default=None, validator=_maybe_text)


@attrs.frozen(kw_only=True)
class StoredImage:
    """What an array finds under a location of its own kind."""

    size: int = attrs.field(validator=_count)
    """GiB, rounded up."""
    status: str = attrs.field(default="available", validator=_text)
    encryption_key_id: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    clones: int | None = attrs.field(default=None, validator=_maybe_count)


@attrs.frozen(kw_only=True)
class StoredVolume:
    """What an array keeps of a volume, by its own account."""

    size: int = attrs.field(validator=_count)
    """Bytes."""
    clones: int | None = attrs.field(default=None, validator=_maybe_count)
    """How many clones of it there are that count against its limit."""


@attrs.frozen(kw_only=True)
class Backend:
    """An array and what it declares it can do; None is never a yes."""

    array_id: str | None = attrs.field(default=None, validator=_maybe_text)
    """Identity of the array itself, not its configured name."""
    can_clone: bool | None = attrs.field(default=None, validator=_maybe_flag)
    clone_kind: CloneKind | None = attrs.field(
        default=None, validator=_a(CloneKind, optional=True)
    )
    """How it clones a volume."""
    image_clone_kind: CloneKind | None = attrs.field(
        default=None, validator=_a(CloneKind, optional=True)
    )
    """How it clones a stored image."""
    clone_across_pools: bool | None = attrs.field(
        default=None, validator=_maybe_flag
    )
    can_extend: bool | None = attrs.field(default=None, validator=_maybe_flag)
    clone_while_uploading: bool | None = attrs.field(
        default=None, validator=_maybe_flag
    )
    clone_limit: int | None = attrs.field(default=None, validator=_maybe_count)
    """Most clones of one source; None: the array declares no limit."""
    frozen: bool = attrs.field(default=False, validator=_flag)
    image_schemes: frozenset[str] = attrs.field(
        default=frozenset(), validator=_texts
    )
    """URL schemes of the stored images it can clone: ``rbd``, ``file``."""


@attrs.frozen(kw_only=True)
class ArrayImage:
    """A candidate: an image that already lies on an array."""

    location: Location = attrs.field(validator=_location)
    source: StoredImage | None = attrs.field(
        default=None, validator=_a(StoredImage, optional=True)
    )
    backend: Backend = attrs.field(factory=Backend, validator=_a(Backend))


@attrs.frozen(kw_only=True)
class ImageVolume:
    """A candidate: the volume behind a ``cinder://`` location."""

    location: Location = attrs.field(validator=_location)
    source: Volume | None = attrs.field(
        default=None, validator=_a(Volume, optional=True)
    )
    backend: Backend = attrs.field(factory=Backend, validator=_a(Backend))


@attrs.frozen(kw_only=True)
class CacheEntry:
    """A candidate: an entry of Cinder's image-volume cache."""

    image_id: str = attrs.field(validator=_text)
    image_updated_at: datetime.datetime | None = attrs.field(
        default=None, validator=_maybe_moment
    )
    last_used: datetime.datetime | None = attrs.field(
        default=None, validator=_maybe_moment
    )
    source: Volume | None = attrs.field(
        default=None, validator=_a(Volume, optional=True)
    )
    backend: Backend = attrs.field(factory=Backend, validator=_a(Backend))


Candidate: TypeAlias = ArrayImage | ImageVolume | CacheEntry


@attrs.frozen(kw_only=True)
class Config:
    """Options of cinder.conf, by their names there, and two of our own."""

    allowed_direct_url_schemes: frozenset[str] = attrs.field(
        default=frozenset(), validator=_texts
    )
    verify_glance_signatures: str = attrs.field(
        default="enabled", validator=_text
    )
    cinder_internal_tenant_project_id: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    cinder_internal_tenant_user_id: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    image_upload_use_cinder_backend: bool = attrs.field(
        default=False, validator=_flag
    )
    image_upload_use_internal_tenant: bool = attrs.field(
        default=False, validator=_flag
    )
    image_volume_cache_enabled: bool = attrs.field(
        default=False, validator=_flag
    )
    image_conversion_disable: bool = attrs.field(
        default=False, validator=_flag
    )
    allow_compression_on_image_upload: bool = attrs.field(
        default=False, validator=_flag
    )
    enable_force_upload: bool = attrs.field(default=False, validator=_flag)
    trusted_projects: frozenset[str] = attrs.field(
        default=frozenset(), validator=_texts
    )
    """Projects whose volumes no tenant can write, beside the internal one:
    the projects of Glance's cinder stores."""
    trusted_image_pools: frozenset[str] = attrs.field(
        default=frozenset(), validator=_texts
    )
    """RBD pools, or directories, that only Glance writes."""

    def trusts(self, project_id: str) -> bool:
        """Say whether no tenant can write to this project's volumes."""
        return (
            project_id == self.cinder_internal_tenant_project_id
            or project_id in self.trusted_projects
        )


@attrs.frozen(kw_only=True)
class GlanceStore:
    """One store of Glance's ``enabled_backends`` that is a cinder store."""

    id: str = attrs.field(validator=_text)
    cinder_volume_type: str | None = attrs.field(
        default=None, validator=_maybe_text
    )
    read_only: bool = attrs.field(default=False, validator=_flag)


@attrs.frozen(kw_only=True)
class GlanceConfig:
    """What Glance offers, and what Cinder's ``[glance]`` user may do there."""

    has_location_api: bool | None = attrs.field(
        default=None, validator=_maybe_flag
    )
    """API 2.17: POST and GET /v2/images/{id}/locations."""
    show_multiple_locations: bool = attrs.field(default=False, validator=_flag)
    service_roles: frozenset[str] = attrs.field(
        default=frozenset(), validator=_texts
    )
    """Roles of the ``[glance]`` user of cinder.conf."""
    stores: tuple[GlanceStore, ...] = attrs.field(
        default=(), validator=_tuple_of(GlanceStore)
    )
    """Cinder stores of ``enabled_backends``; empty: one single store."""


@attrs.frozen(kw_only=True)
class Quota:
    """What is left to a project; None is without limit."""

    volumes: int | None = attrs.field(default=None, validator=_maybe_count)
    gigabytes: int | None = attrs.field(default=None, validator=_maybe_count)
    """GiB."""
    per_volume_gigabytes: int | None = attrs.field(
        default=None, validator=_maybe_count
    )
    """GiB."""

    def admits(self, size: int) -> bool:
        """Say whether one more volume of that many GiB fits."""
        return (
            (self.volumes is None or self.volumes >= 1)
            and (self.gigabytes is None or self.gigabytes >= size)
            and (
                self.per_volume_gigabytes is None
                or self.per_volume_gigabytes >= size
            )
        )


@attrs.frozen(kw_only=True)
class CreateRequest:
    """Everything that bears on filling one new volume from one image."""

    image: Image = attrs.field(validator=_a(Image))
    volume: Volume = attrs.field(validator=_a(Volume))
    """The new volume, where the scheduler put it."""
    backend: Backend = attrs.field(factory=Backend, validator=_a(Backend))
    config: Config = attrs.field(factory=Config, validator=_a(Config))
    glance: GlanceConfig = attrs.field(
        factory=GlanceConfig, validator=_a(GlanceConfig)
    )
    quota: Quota = attrs.field(factory=Quota, validator=_a(Quota))
    """Of the new volume's project."""
    conversion_free: int | None = attrs.field(
        default=None, validator=_maybe_count
    )
    """Free bytes in ``image_conversion_dir``; None: not limited."""
    array_images: tuple[ArrayImage, ...] = attrs.field(
        default=(), validator=_tuple_of(ArrayImage)
    )
    image_volumes: tuple[ImageVolume, ...] = attrs.field(
        default=(), validator=_tuple_of(ImageVolume)
    )
    cache_entries: tuple[CacheEntry, ...] = attrs.field(
        default=(), validator=_tuple_of(CacheEntry)
    )


@attrs.frozen(kw_only=True)
class UploadRequest:
    """Everything that bears on making one image of one volume."""

    image: Image = attrs.field(validator=_a(Image))
    """The image as Glance made it for this upload, still without data."""
    volume: Volume = attrs.field(validator=_a(Volume))
    project_id: str = attrs.field(validator=_text)
    """The requester's project."""
    force: bool = attrs.field(default=False, validator=_flag)
    backend: Backend = attrs.field(factory=Backend, validator=_a(Backend))
    config: Config = attrs.field(factory=Config, validator=_a(Config))
    glance: GlanceConfig = attrs.field(
        factory=GlanceConfig, validator=_a(GlanceConfig)
    )
    clone_quota: Quota = attrs.field(factory=Quota, validator=_a(Quota))
    """Of the project in which the clone would lie: `clone_project`."""

    @property
    def clone_project(self) -> str:
        """The project in which the image volume would lie."""
        config = self.config
        if (
            config.image_upload_use_internal_tenant
            and config.cinder_internal_tenant_project_id is not None
            and config.cinder_internal_tenant_user_id is not None
        ):
            return config.cinder_internal_tenant_project_id
        return self.project_id
