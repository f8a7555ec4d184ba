"""Where CINDER_29 may differ from Cinder 29, each with a name.

docs/cinder-29.md lists them, and test_cinder_29_limits.py shows of each that
the difference is there.  A limit explains a difference; it hides no request
from the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

import attrs
from clonepolicy._locations import cinder_volume_id, concerns_volumes
from clonepolicy.testing.worlds import Request

from clonepolicy import (
    ArrayImage,
    CacheEntry,
    CreateRequest,
    FileLocation,
    ImageVolume,
    Location,
    LocationsFrom,
    MalformedLocation,
    RbdLocation,
    StoredImage,
    UploadRequest,
    Volume,
    parse_location,
)

Explains: TypeAlias = Callable[[CreateRequest], bool]
DELETABLE = frozenset(
    {
        *("available", "error", "error_restoring", "error_extending"),
        "error_managing",
    }
)
STAYING = frozenset({None, "deleting", "error", "success"})


# -- facts that belong together ---------------------------------------------


def _located(request: CreateRequest) -> tuple[ArrayImage | ImageVolume, ...]:
    return (*request.array_images, *request.image_volumes)


def settle(request: CreateRequest) -> CreateRequest:
    """Make of any facts such as `gather_create` gives.

    One volume has one record, and is behind one cache entry; a location's
    source is the volume that it names; a direct URL is one of the locations.
    """
    known = {request.volume.id: request.volume}
    held: tuple[ImageVolume | CacheEntry, ...]
    held = (*request.image_volumes, *request.cache_entries)
    for candidate in held:
        if candidate.source is not None:
            known.setdefault(candidate.source.id, candidate.source)
    image = request.image
    if image.locations_from is not LocationsFrom.IMAGE:
        image = attrs.evolve(image, direct_url=None)
    told = _told(attrs.evolve(request, image=image))
    return attrs.evolve(
        request,
        image=image,
        array_images=tuple(
            ArrayImage(
                location=location,
                source=source if isinstance(source, StoredImage) else None,
            )
            for location, source in told.items()
            if not concerns_volumes(location)
        ),
        image_volumes=tuple(
            ImageVolume(
                location=location,
                source=known.get(cinder_volume_id(location) or ""),
            )
            for location in told
            if concerns_volumes(location)
        ),
        cache_entries=_entries(request, known),
    )


def _told(
    request: CreateRequest,
) -> Mapping[Location, StoredImage | Volume | None]:
    """Give the locations that the image has, with what was said of each."""
    told: dict[Location, StoredImage | Volume | None] = {}
    if request.image.locations_from is LocationsFrom.UNREADABLE:
        return told
    for candidate in _located(request):
        told.setdefault(candidate.location, candidate.source)
    if request.image.direct_url is not None:
        told.setdefault(parse_location(request.image.direct_url), None)
    return told


def _entries(
    request: CreateRequest, known: Mapping[str, Volume]
) -> tuple[CacheEntry, ...]:
    """Give the cache's entries, one for each volume."""
    entries: dict[object, CacheEntry] = {}
    for entry in request.cache_entries:
        if entry.source is None:
            entries[entry] = entry
        else:
            source = known[entry.source.id]
            entries.setdefault(source.id, attrs.evolve(entry, source=source))
    return tuple(entries.values())


# -- limits -----------------------------------------------------------------


def _looked_at(request: CreateRequest) -> list[CacheEntry]:
    """The entries among which Cinder's cache finds one, last used first."""
    volume = request.volume

    def here(entry: CacheEntry) -> bool:
        source = entry.source or volume
        if volume.cluster_name is not None:
            return source.cluster_name == volume.cluster_name
        return (
            request.backend.clone_across_pools is True
            or volume.host is None
            or source.host == volume.host
        )

    entries = [
        entry
        for entry in request.cache_entries
        if entry.image_id == request.image.id and here(entry)
    ]
    return sorted(
        entries,
        key=lambda e: 0 if e.last_used is None else -e.last_used.timestamp(),
    )


def _fresh(request: CreateRequest, entry: CacheEntry) -> bool:
    return entry.image_updated_at == request.image.updated_at


def file_drivers(request: CreateRequest) -> bool:
    """A driver that clones files is none that this harness has."""
    return "file" in request.backend.image_schemes and any(
        isinstance(candidate.location, FileLocation)
        and candidate.source is not None
        for candidate in request.array_images
    )


def rbd_order(request: CreateRequest) -> bool:
    """Several stored images can be cloned, not the first by name first."""
    mine = [
        str(candidate.location)
        for candidate in request.array_images
        if isinstance(candidate.location, RbdLocation)
        and candidate.location.fsid == request.backend.array_id
        and candidate.source is not None
    ]
    return mine != sorted(mine)


def rbd_spelling(request: CreateRequest) -> bool:
    """A stored image is named in another spelling than the canonical."""
    return any(
        isinstance(candidate.location, MalformedLocation)
        and str(candidate.location).startswith("rbd://")
        and candidate.source is not None
        for candidate in request.array_images
    )


def cache_order(request: CreateRequest) -> bool:
    """A good cache entry is the third or later, or no entry is the last used.

    Cinder looks at one, and at the next if it had to evict that.
    """
    entries = _looked_at(request)
    good = [
        at
        for at, entry in enumerate(entries)
        if entry.source is not None and _fresh(request, entry)
    ]
    moments = {entry.last_used for entry in entries}
    hidden = good and (
        good[0] > 1 or (good[0] == 1 and entries[0].source is None)
    )
    return bool(hidden) or len(moments) < len(entries)


def eviction(request: CreateRequest) -> bool:
    """The stale entry's volume cannot be deleted, which fails the create."""
    for entry in _looked_at(request)[:1]:
        source = entry.source
        return not _fresh(request, entry) and (
            source is None
            or source.status not in DELETABLE
            or source.migration_status not in STAYING
        )
    return False


def unknown_moment(request: CreateRequest) -> bool:
    """Cinder always knows when an image was changed, or breaks."""
    return request.image.updated_at is None or any(
        entry.image_updated_at is None for entry in _looked_at(request)[:1]
    )


def local_file(request: CreateRequest) -> bool:
    """The download may read a file:// location instead of asking Glance."""
    return "file" in request.config.allowed_direct_url_schemes and any(
        str(candidate.location).lower().startswith("file:")
        for candidate in _located(request)
    )


def unreadable_url(request: CreateRequest) -> bool:
    """A location cannot be split into parts, on which Cinder breaks."""
    for candidate in _located(request):
        try:
            urlsplit(str(candidate.location))
        except ValueError:
            return True
    return False


def unplaced(request: CreateRequest) -> bool:
    """The manager never sees a new volume without a host."""
    return request.volume.host is None


LIMITS: Mapping[str, tuple[Explains, ...]] = {
    "The order of RBD locations": (rbd_order,),
    "Other spellings of RBD locations": (rbd_spelling,),
    "Several cache entries for one image": (cache_order,),
    "Filling, refreshing and evicting the cache": (eviction,),
    "Moments that are not known": (unknown_moment,),
    "The drivers with a clone of their own other than RBD": (file_drivers,),
    "`file` in `allowed_direct_url_schemes`": (local_file,),
    "Locations that are no URLs": (unreadable_url,),
    "A new volume without a host": (unplaced,),
}
"""By the words with which docs/cinder-29.md begins to tell of each."""


def explained(request: Request) -> list[str]:
    """Name everything that may explain a difference in this request."""
    if isinstance(request, UploadRequest):
        return []
    limits = (limit for limits in LIMITS.values() for limit in limits)
    return [limit.__name__ for limit in limits if limit(request)]
