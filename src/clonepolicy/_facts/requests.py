"""Requests: every fact that one decision depends on."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

import attrs

from clonepolicy._errors import FactError
from clonepolicy._facts.checks import checked
from clonepolicy._facts.config import Config, GlanceConfig, GlanceStore, Quota
from clonepolicy._facts.locations import Location
from clonepolicy._facts.records import (
    Backend,
    Image,
    Missing,
    StoredImage,
    Volume,
)


class Operation(StrEnum):
    """The two operations that a policy decides."""

    CREATE = "create"
    """Fill a new volume from an image."""
    UPLOAD = "upload"
    """Upload a volume to an image."""


def _default_missing(candidate: Candidate) -> Missing | None:
    return Missing.NOT_ASKED if candidate.source is None else None


_WHY_MISSING = attrs.Factory(_default_missing, takes_self=True)


def _check_missing(candidate: Candidate) -> None:
    """Check that a candidate has a source, or says why it has none."""
    if (candidate.missing is None) == (candidate.source is None):
        raise FactError(
            f"{type(candidate).__name__}.missing",
            candidate.missing,
            "None if there is a source, else why there is none",
        )


@attrs.frozen(kw_only=True, field_transformer=checked)
class ArrayImage:
    """A candidate: an image that may lie on an array."""

    listed_in: ClassVar[str] = "array_images"
    """The field of a request that lists such candidates."""

    location: Location
    source: StoredImage | None = None
    missing: Missing | None = _WHY_MISSING
    """Why there is no source; None: there is one."""
    backend: Backend = Backend()
    """The array that was asked."""

    def __attrs_post_init__(self) -> None:
        """Refuse a source that is missing, and none without the reason."""
        _check_missing(self)

    @property
    def label(self) -> str:
        """The location."""
        return str(self.location)


@attrs.frozen(kw_only=True, field_transformer=checked)
class ImageVolume:
    """A candidate: the volume behind a ``cinder://`` location."""

    listed_in: ClassVar[str] = "image_volumes"
    """The field of a request that lists such candidates."""

    location: Location
    source: Volume | None = None
    missing: Missing | None = _WHY_MISSING
    """Why there is no source; None: there is one."""
    backend: Backend = Backend()
    """The array that stores the volume."""

    def __attrs_post_init__(self) -> None:
        """Refuse a source that is missing, and none without the reason."""
        _check_missing(self)

    @property
    def label(self) -> str:
        """The location."""
        return str(self.location)


@attrs.frozen(kw_only=True, field_transformer=checked)
class CacheEntry:
    """A candidate: an entry of Cinder's image-volume cache."""

    listed_in: ClassVar[str] = "cache_entries"
    """The field of a request that lists such candidates."""

    image_id: str
    image_updated_at: datetime.datetime | None = None
    last_used: datetime.datetime | None = None
    source: Volume | None = None
    missing: Missing | None = _WHY_MISSING
    """Why there is no source; None: there is one."""
    backend: Backend = Backend()

    def __attrs_post_init__(self) -> None:
        """Refuse a source that is missing, and none without the reason."""
        _check_missing(self)

    @property
    def label(self) -> str:
        """``cache:`` and the id of the cached volume."""
        return f"cache:{'?' if self.source is None else self.source.id}"


VolumeCandidate: TypeAlias = ImageVolume | CacheEntry
Candidate: TypeAlias = ArrayImage | ImageVolume | CacheEntry


@attrs.frozen(kw_only=True, field_transformer=checked)
class CreateRequest:
    """Every fact that decides how to fill one new volume from one image."""

    operation: ClassVar[Literal[Operation.CREATE]] = Operation.CREATE

    image: Image
    volume: Volume
    """The new volume, where the scheduler put it."""
    backend: Backend = Backend()
    config: Config = Config()
    glance: GlanceConfig = GlanceConfig()
    quota: Quota = Quota()
    """The quota of the new volume's project."""
    cache_quota: Quota | None = None
    """The quota of the internal tenant, which owns the volumes of the cache;
    None: not known."""
    conversion_free: int | None = None
    """Free bytes in ``image_conversion_dir``; None: not limited."""
    array_images: tuple[ArrayImage, ...] = ()
    image_volumes: tuple[ImageVolume, ...] = ()
    cache_entries: tuple[CacheEntry, ...] = ()
    cache_missing: Missing | None = None
    """Why the cache's entries are not known; None: these are all."""


def size_to_extend_to(
    request: CreateRequest, candidate: Candidate
) -> int | None:
    """Return the size in GiB to extend a clone to; None: it fits already.

    A clone of unknown size is extended, too: if it has the size already, it
    stays as it is.
    """
    source, wanted = candidate.source, request.volume.size
    if source is None or (source.size is not None and source.size >= wanted):
        return None
    return wanted


@attrs.frozen(kw_only=True, field_transformer=checked)
class UploadRequest:
    """Every fact that decides how to upload one volume to one image."""

    operation: ClassVar[Literal[Operation.UPLOAD]] = Operation.UPLOAD

    image: Image
    """The image that Glance created for this upload, still without data."""
    volume: Volume
    project_id: str
    """The requester's project."""
    force: bool = False
    backend: Backend = Backend()
    config: Config = Config()
    glance: GlanceConfig = GlanceConfig()
    clone_quota: Quota = Quota()
    """The quota of `clone_project`."""

    @property
    def clone_project(self) -> str:
        """The project that would own the image volume."""
        config = self.config
        if (
            config.image_upload_use_internal_tenant
            and config.cinder_internal_tenant_project_id is not None
            and config.cinder_internal_tenant_user_id is not None
        ):
            return config.cinder_internal_tenant_project_id
        return self.project_id

    @property
    def status_before(self) -> str | None:
        """The volume's status before Cinder set it to ``uploading``."""
        volume = self.volume
        if volume.status == "uploading":
            return volume.previous_status
        return volume.status

    @property
    def store(self) -> GlanceStore | None:
        """The Glance store that the clone's location names.

        It is the first writable store whose ``cinder_volume_type`` is the
        volume's type: every Glance looks for that first, and writes its name
        into the location (``store_utils.get_updated_store_location``).  If
        there is none, a Glance without the locations API (before 29.0.0)
        takes the store that ``image_service:store_id`` of the volume type
        names; the locations API takes none.  None: there is no such store.
        """
        kind, glance = self.volume.volume_type, self.glance
        if kind is None:
            return None
        writable = [s for s in glance.stores if not s.read_only]
        for store in writable:
            if kind.name is not None and store.cinder_volume_type == kind.name:
                return store
        if glance.has_location_api is False and kind.store_id is not None:
            for store in writable:
                if store.id == kind.store_id:
                    return store
        return None

    @property
    def store_id(self) -> str | None:
        """The id of `store`; None: the location names no store."""
        store = self.store
        return None if store is None else store.id


Request: TypeAlias = CreateRequest | UploadRequest
