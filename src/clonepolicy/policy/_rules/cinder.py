"""Rules of Cinder 29 and of the Liberty spec that SAFE does not have.

Where Cinder is wrong, its rule is wrong in the same way:
``docs/explanation/stock-cinder.md`` describes how.  What only older releases
do is in `older_cinder`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from clonepolicy._facts.locations import cinder_volume_id
from clonepolicy._facts.records import Host, LocationsFrom
from clonepolicy._facts.requests import (
    CacheEntry,
    CreateRequest,
    ImageVolume,
    UploadRequest,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, rule, spec
from clonepolicy.policy._rules import cloning, place
from clonepolicy.policy._rules.cache import can_be_filled
from clonepolicy.policy._rules.cloning import (
    FINDS_NO_IMAGES,
    driver_goes_by_locations,
)
from clonepolicy.policy._rules.cures import KEPT_IN_STORE, UPLOADED
from clonepolicy.policy._rules.upload import (
    clone_quota_known,
    clone_quota_suffices,
    wanted_tenant_set,
)

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_URLS = cinder("CreateVolumeFromSpecTask._extract_cinder_ids")
_FILTER = cinder("db.sqlalchemy.api._filter_host")
_LOCATIONS = cinder("GlanceImageService.get_location")
_UPLOAD = cinder("VolumeManager._clone_image_volume_and_add_location")
_CACHE = cinder("image.cache.ImageVolumeCache._get_query_filters")
_PERMITTED = (
    Cure(
        "give Cinder's [glance] user the roles service and admin",
        Responsible.OPERATOR,
        lambda request: (
            cloning.given_roles(request)
            if request.image.locations_from is LocationsFrom.FORBIDDEN
            else None
        ),
    ),
)
_ANSWERED = frozenset(
    {
        LocationsFrom.LOCATIONS_API,
        LocationsFrom.IMAGE,
        LocationsFrom.HIDDEN,
    }
)


def _owned(
    request: CreateRequest, _candidate: ImageVolume
) -> Mapping[str, Any] | None:
    owner = request.image.owner
    return None if owner is None else {"source.project_id": owner}


def _cached_here(
    request: CreateRequest, candidate: CacheEntry
) -> Mapping[str, Any] | None:
    return place.moved(request, candidate) if can_be_filled(request) else None


def _without_store(request: UploadRequest) -> Mapping[str, Any]:
    kind = request.volume.volume_type
    return {"volume.volume_type": kind and attrs.evolve(kind, store_id=None)}


# -- Liberty ----------------------------------------------------------------


@rule(
    "Source and new volume have the same host, backend and pool.",
    Reason.DIFFERENT_HOST,
    meaning="the source is not known to be in the new volume's pool",
    reads=("volume.host", "source.host"),
    citations=(spec("Proposed change, 3rd condition"),),
    cures=(place.ON_EACH_BACKEND,),
)
def spec_same_host(request: CreateRequest, candidate: ImageVolume) -> bool:
    return candidate.source is None or (
        request.volume.host is not None
        and request.volume.host == candidate.source.host
    )


@rule(
    "The image's owner owns the source.",
    Reason.OWNER_MISMATCH,
    meaning="the image's owner does not own the source",
    reads=("image.owner", "source.project_id"),
    citations=(spec("Proposed change, 4th condition"),),
    cures=(
        Cure(
            "upload the image from a volume of its owner",
            Responsible.OPERATOR,
            _owned,
            Cost.DATA,
        ),
    ),
)
def spec_same_owner(request: CreateRequest, candidate: ImageVolume) -> bool:
    source = candidate.source
    return source is None or source.project_id == request.image.owner


# -- Cinder: create ------------------------------------------------------


@rule(
    "Glance returned the image's locations.",
    Reason.LOCATIONS_UNAVAILABLE,
    reads=("image.locations_from",),
    citations=(_LOCATIONS,),
    cures=(*cloning.locations_readable.cures, *_PERMITTED),
)
def cinder_locations_read(request: CreateRequest) -> bool:
    return request.image.locations_from in _ANSWERED


@rule(
    "Glance answered with a location.",
    Reason.LOCATIONS_HIDDEN,
    reads=("image.locations_from",),
    citations=(_LOCATIONS,),
    cures=cloning.SHOW_LOCATIONS,
)
def cinder_sees_locations(request: CreateRequest) -> bool:
    return request.image.locations_from is not LocationsFrom.HIDDEN


@rule(
    "The locations come from the locations API, or the direct URL is shown.",
    Reason.LOCATIONS_HIDDEN_NO_DIRECT_URL,
    reads=("image.locations_from", "image.direct_url"),
    citations=(_LOCATIONS,),
    cures=(
        Cure(
            "give Cinder access to Glance's locations API",
            Responsible.OPERATOR,
            cloning.given_roles,
        ),
        cloning.SHOW_DIRECT_URL,
    ),
)
def cinder_locations_shown(request: CreateRequest) -> bool:
    return (
        request.image.locations_from is not LocationsFrom.IMAGE
        or request.image.direct_url is not None
    )


@rule(
    "The driver does not look for images by itself.",
    Reason.DRIVER_FINDS_IMAGES,
    reads=driver_goes_by_locations.reads,
    citations=driver_goes_by_locations.citations,
    meaning="the driver looks for images by itself, and Cinder asks it first; "
    "what it finds is not known",
    cures=(FINDS_NO_IMAGES,),
)
def cinder_driver_goes_by_locations(request: CreateRequest) -> bool:
    return driver_goes_by_locations.holds(request)


@rule(
    "The last part of the cinder: URL is a volume id.",
    Reason.LOCATION_MALFORMED,
    meaning="the location is not a cinder: URL that ends in a volume id",
    reads=("candidate.location",),
    citations=(_URLS,),
    cures=(UPLOADED, KEPT_IN_STORE),
)
def cinder_names_volume(
    _request: CreateRequest, candidate: ImageVolume
) -> bool:
    return cinder_volume_id(candidate.location) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    first, *middle, last = (
        "".join("." if part == "_" else re.escape(part) for part in between)
        for between in pattern.split("%")
    )
    # the leftmost match of each part is enough, so no backtracking is needed
    found = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


def sql_like(pattern: str, text: str) -> bool:
    """Match as SQL's LIKE does, case counting."""
    return _compiled(pattern).fullmatch(text) is not None


def filter_host(wanted: Host | None, has: Host | None) -> bool:
    """Match a host also with its backends and pools, as Cinder does."""
    if wanted is None:
        return True
    if has is None:
        return False
    text, place = str(wanted), str(has)
    return (
        place == text
        or ("#" not in text and sql_like(f"{text}#%", place))
        or (not {"@", "#"} & set(text) and sql_like(f"{text}@%", place))
    )


@rule(
    "The source's host matches the new volume's by SQL LIKE, unless that "
    "volume is in a cluster or the array clones across pools.",
    Reason.DIFFERENT_HOST,
    meaning="the source's host does not match the new volume's",
    reads=place.same_host.reads,
    citations=(_CLONE, _FILTER),
    cures=(
        place.ON_EACH_BACKEND,
        place.ACROSS_POOLS,
    ),
)
def cinder_same_host(request: CreateRequest, candidate: ImageVolume) -> bool:
    source, volume = candidate.source, request.volume
    return (
        source is None
        or request.backend.clone_across_pools is True
        or volume.cluster_name is not None
        or filter_host(volume.host, source.host)
    )


@rule(
    "The source's cluster matches the new volume's by SQL LIKE, unless that "
    "volume is in no cluster or the array clones across pools.",
    Reason.DIFFERENT_CLUSTER,
    meaning="the source's cluster does not match the new volume's",
    reads=place.same_cluster.reads,
    citations=(_CLONE, _FILTER),
    cures=(
        place.IN_EACH_CLUSTER,
        place.ACROSS_POOLS,
    ),
)
def cinder_same_cluster(
    request: CreateRequest, candidate: ImageVolume
) -> bool:
    source = candidate.source
    return (
        source is None
        or request.backend.clone_across_pools is True
        or filter_host(request.volume.cluster_name, source.cluster_name)
    )


@rule(
    "The image's owner is the new volume's project, or the source's "
    "image_owner.",
    Reason.OWNER_MISMATCH,
    meaning="the image's owner is neither the new volume's project nor "
    "the image_owner of the source",
    reads=("image.owner", "volume.project_id", "source.image_owner"),
    citations=(_CLONE,),
    cures=(
        Cure(
            "set image_owner of the image volume to the image's owner, if its "
            "data is this image's",
            Responsible.OPERATOR,
            lambda request, _: {"source.image_owner": request.image.owner},
        ),
    ),
)
def cinder_owner(request: CreateRequest, candidate: ImageVolume) -> bool:
    source, owner = candidate.source, request.image.owner
    return source is None or owner in {
        request.volume.project_id,
        source.image_owner,
    }


@rule(
    "The cached volume is in the same cluster or host, or the array clones "
    "across pools.",
    Reason.DIFFERENT_HOST,
    meaning="the cached volume is not on the new volume's host, or not "
    "in its cluster",
    reads=place.same_pool.reads,
    citations=(_CACHE,),
    cures=(
        Cure(
            "create one volume on this backend, which fills the cache there",
            Responsible.OPERATOR,
            _cached_here,
            Cost.DATA,
            waiting_helps=True,
        ),
    ),
)
def cinder_cache_place(request: CreateRequest, candidate: CacheEntry) -> bool:
    source, volume = candidate.source, request.volume
    if source is None:
        return True
    if volume.cluster_name is not None:
        return source.cluster_name == volume.cluster_name
    return (
        request.backend.clone_across_pools is True
        or source.host == volume.host
    )


# -- Cinder: upload ------------------------------------------------------

_CLONED = (
    "config.image_upload_use_cinder_backend",
    "image.disk_format",
    "image.container_format",
)


@rule(
    "If Cinder clones, the clone's project has volumes and GiB left for it.",
    Reason.CLONE_QUOTA,
    reads=("clone_quota", "volume.size", *_CLONED),
    citations=(_UPLOAD,),
    cures=clone_quota_suffices.cures,
)
def cinder_clone_quota(request: UploadRequest) -> bool:
    quota = request.clone_quota
    return (
        not _clones(request)
        or quota.missing is not None
        or attrs.evolve(quota, per_volume_gigabytes=None).admits(
            request.volume.size
        )
    )


@rule(
    "If Cinder clones, the quota of the clone's project can be read.",
    Reason.CLONE_QUOTA_UNKNOWN,
    reads=("clone_quota", *_CLONED),
    citations=(_UPLOAD,),
    cures=clone_quota_known.cures,
)
def cinder_clone_quota_known(request: UploadRequest) -> bool:
    return not _clones(request) or request.clone_quota.missing is None


def _clones(request: UploadRequest) -> bool:
    return (
        request.config.image_upload_use_cinder_backend
        and request.image.disk_format == "raw"
        and request.image.container_format == "bare"
    )


@rule(
    "If the internal tenant is to own the clone, it is configured.",
    Reason.FALLBACK_INTERNAL_TENANT,
    reads=wanted_tenant_set.reads,
    citations=(_UPLOAD,),
    cures=wanted_tenant_set.cures,
)
def tenant_as_wanted(request: UploadRequest) -> bool:
    return wanted_tenant_set.holds(request)


@rule(
    "The volume type names no store, or Glance has no locations API.",
    Reason.STORE_ID_UNSUPPORTED_BY_API,
    reads=("glance.has_location_api", "volume.volume_type"),
    citations=(cinder("GlanceImageService.add_location"),),
    cures=(
        Cure(
            "remove image_service:store_id from the volume type",
            Responsible.OPERATOR,
            _without_store,
        ),
    ),
)
def no_store_for_api(request: UploadRequest) -> bool:
    kind = request.volume.volume_type
    return (
        request.glance.has_location_api is not True
        or kind is None
        or kind.store_id is None
    )
