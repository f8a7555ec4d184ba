"""The known limits of the policies: where they may differ from Cinder.

docs/explanation/stock-cinder.md lists them, and test_cinder_limits.py shows
that each difference exists.  A limit explains a difference between the two.
Requests with a limit are compared like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

import attrs
from installed import MAJOR, POLICY, as_seen

from clonepolicy import (
    ArrayImage,
    CacheEntry,
    CreateRequest,
    FileLocation,
    Host,
    ImageVolume,
    Location,
    LocationsFrom,
    MalformedLocation,
    RbdLocation,
    Request,
    Route,
    UploadRequest,
    Volume,
    decide,
    parse_location,
)
from clonepolicy._facts.locations import cinder_volume_id, concerns_volumes
from clonepolicy.ports import Missing, StoredImage

Explains: TypeAlias = Callable[[CreateRequest], bool]
DELETABLE = frozenset(
    {
        *("available", "error", "error_restoring", "error_extending"),
        "error_managing",
    }
)
STAYING = frozenset({None, "deleting", "error", "success"})


# -- consistent facts ---------------------------------------------------------


def _located(request: CreateRequest) -> tuple[ArrayImage | ImageVolume, ...]:
    return (*request.array_images, *request.image_volumes)


def consistent(request: CreateRequest) -> CreateRequest:
    """Make facts consistent, as those of `gather_create` are.

    One volume has one record, and is behind one cache entry.  The source of a
    location is the volume that it names.  A direct URL is among them.
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
    locations = _locations(attrs.evolve(request, image=image))
    return attrs.evolve(
        request,
        image=image,
        array_images=tuple(
            ArrayImage(
                location=location,
                source=source if isinstance(source, StoredImage) else None,
                missing=_absent_without(
                    source if isinstance(source, StoredImage) else None
                ),
            )
            for location, source in locations.items()
            if not concerns_volumes(location)
        ),
        image_volumes=tuple(
            ImageVolume(
                location=location,
                source=known.get(cinder_volume_id(location) or ""),
                missing=_absent_without(
                    known.get(cinder_volume_id(location) or "")
                ),
            )
            for location in locations
            if concerns_volumes(location)
        ),
        cache_entries=_entries(request, known),
    )


def _absent_without(source: object) -> Missing | None:
    return Missing.ABSENT if source is None else None


def _locations(
    request: CreateRequest,
) -> Mapping[Location, StoredImage | Volume | None]:
    """Return the locations of the image, each with its source."""
    found: dict[Location, StoredImage | Volume | None] = {}
    if request.image.locations_from not in {
        LocationsFrom.LOCATIONS_API,
        LocationsFrom.IMAGE,
    }:
        return found
    for candidate in _located(request):
        found.setdefault(candidate.location, candidate.source)
    if request.image.direct_url is not None:
        found.setdefault(parse_location(request.image.direct_url), None)
    return found


def _entries(
    request: CreateRequest, known: Mapping[str, Volume]
) -> tuple[CacheEntry, ...]:
    """Return the cache's entries, one for each volume."""
    entries: dict[object, CacheEntry] = {}
    for entry in request.cache_entries:
        if entry.source is None:
            entries[entry] = entry
        else:
            source = known[entry.source.id]
            entries.setdefault(source.id, attrs.evolve(entry, source=source))
    return tuple(entries.values())


# -- limits -----------------------------------------------------------------


def _visible_entries(request: CreateRequest) -> list[CacheEntry]:
    """Return the entries that Cinder's cache finds, the last used first."""
    volume = request.volume

    def here(entry: CacheEntry) -> bool:
        source = entry.source or volume
        if volume.cluster_name is not None:
            return source.cluster_name == volume.cluster_name
        return (
            (MAJOR > 28 and request.backend.clone_across_pools is True)
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
    """Only a driver for files, which is not compared, clones the image."""
    return "file" in request.backend.image_schemes and any(
        isinstance(candidate.location, FileLocation)
        and candidate.source is not None
        for candidate in request.array_images
    )


def finding_drivers(request: CreateRequest) -> bool:
    """Only a driver that finds images by itself is meant, not RBD's."""
    return request.backend.finds_images


def rbd_order(request: CreateRequest) -> bool:
    """Several stored images can be cloned, and are not sorted by URL."""
    mine = [
        str(candidate.location)
        for candidate in request.array_images
        if isinstance(candidate.location, RbdLocation)
        and candidate.location.fsid == request.backend.array_id
        and candidate.source is not None
    ]
    return mine != sorted(mine)


def rbd_spelling(request: CreateRequest) -> bool:
    """The URL of a stored image is not canonical."""
    return any(
        isinstance(candidate.location, MalformedLocation)
        and str(candidate.location).startswith("rbd://")
        and candidate.source is not None
        for candidate in request.array_images
    )


def database_order(request: CreateRequest) -> bool:
    """Several volumes can be cloned, and until 27 no query sorts them."""
    if MAJOR > 27:
        return False
    usable = {
        result.candidate.source
        for result in decide(as_seen(request), POLICY).candidates
        if result.route is Route.IMAGE_VOLUME and not result.findings
    }
    return len(usable) > 1


def cache_order(request: CreateRequest) -> bool:
    """The entries of the cache are such that Cinder may miss a good one.

    It looks at the last used entry, and at the next one if it evicts that.  If
    several were used at the same time, either may be the last.
    """
    entries = _visible_entries(request)
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
    """A stale entry's volume cannot be deleted, which fails the create."""
    for entry in _visible_entries(request)[:1]:
        source = entry.source
        return not _fresh(request, entry) and (
            source is None
            or source.status not in DELETABLE
            or source.migration_status not in STAYING
        )
    return False


def unknown_moment(request: CreateRequest) -> bool:
    """A time is not known, which raises an error in Cinder."""
    return request.image.updated_at is None or any(
        entry.image_updated_at is None
        for entry in _visible_entries(request)[:1]
    )


def local_file(request: CreateRequest) -> bool:
    """The download may read a file:// location instead of asking Glance."""
    return "file" in request.config.allowed_direct_url_schemes and any(
        str(candidate.location).lower().startswith("file:")
        for candidate in _located(request)
    )


def unreadable_url(request: CreateRequest) -> bool:
    """A location cannot be split, which raises an error in Cinder."""
    for candidate in _located(request):
        try:
            urlsplit(str(candidate.location))
        except ValueError:
            return True
    return False


def unanswered(request: Request) -> bool:
    """The database does not answer, which the database here always does."""
    if isinstance(request, UploadRequest):
        return request.clone_quota.missing is not None
    return (
        request.quota.missing is not None or request.cache_missing is not None
    )


def unplaced(request: Request) -> bool:
    """The volume has no host, which cannot happen in the manager."""
    return request.volume.host is None


def _lower(place: Host | None) -> Host | None:
    return None if place is None else Host.parse(str(place).lower())


def _in_lower_case(volume: Volume) -> Volume:
    return attrs.evolve(
        volume,
        host=_lower(volume.host),
        cluster_name=_lower(volume.cluster_name),
    )


def letter_case(request: CreateRequest) -> bool:
    """Some place matches only if case does not count, as in SQLite's LIKE."""
    lower = attrs.evolve(
        request,
        volume=_in_lower_case(request.volume),
        image_volumes=tuple(
            attrs.evolve(
                each, source=each.source and _in_lower_case(each.source)
            )
            for each in request.image_volumes
        ),
    )
    one, two = (
        {
            (result.candidate.label, bool(result.findings))
            for result in decide(as_seen(each), POLICY).candidates
            if result.route is Route.IMAGE_VOLUME
        }
        for each in (request, lower)
    )
    return one != two


LIMITS: Mapping[str, tuple[Explains, ...]] = {
    "The order of RBD locations": (rbd_order,),
    "Other spellings of RBD locations": (rbd_spelling,),
    "Several image volumes, until 27": (database_order,),
    "Several cache entries for one image": (cache_order,),
    "Filling, refreshing and evicting the cache": (eviction,),
    "Moments that are not known": (unknown_moment,),
    "The drivers with a clone of their own other than RBD": (
        file_drivers,
        finding_drivers,
    ),
    "`file` in `allowed_direct_url_schemes`": (local_file,),
    "Locations that are no URLs": (unreadable_url,),
    "A database that does not answer": (unanswered,),
    "A volume without a host": (unplaced,),
    "The case of letters in hosts": (letter_case,),
}
"""By the words with which stock-cinder.md begins each limit."""


def explained(request: Request) -> list[str]:
    """Return the names of the limits that apply to a request."""
    if isinstance(request, UploadRequest):
        of_uploads = (unanswered, unplaced)
        return [limit.__name__ for limit in of_uploads if limit(request)]
    limits = (limit for limits in LIMITS.values() for limit in limits)
    return [limit.__name__ for limit in limits if limit(request)]
