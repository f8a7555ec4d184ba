"""Rules of Cinder 24 to 28 where Cinder 29 has others."""

from __future__ import annotations

from clonepolicy._facts.records import Host, LocationsFrom
from clonepolicy._facts.requests import (
    CacheEntry,
    CreateRequest,
    ImageVolume,
    UploadRequest,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible, always
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import Citation, rule
from clonepolicy.policy._rules import cinder, cloning, place
from clonepolicy.policy._rules.cloning import SHOW_DIRECT_URL


def _release(release: str, at: str) -> Citation:
    return Citation(f"cinder {release}", at)


_CLONE = "CreateVolumeFromSpecTask._clone_image_volume"
_BY_HOST = "db.sqlalchemy.api.volume_get_all_by_host"
_LOCATIONS = _release("26.3.0", "GlanceImageService.get_location")


# -- until 26: only the image itself is asked -------------------------------


@rule(
    "Glance returned the image with its locations.",
    Reason.LOCATIONS_UNAVAILABLE,
    reads=cinder.cinder_locations_read.reads,
    citations=(_LOCATIONS,),
    cures=cloning.locations_readable.cures,
)
def cinder26_locations_read(request: CreateRequest) -> bool:
    return cinder.cinder_locations_read.holds(request)


@rule(
    "The image itself shows its locations or its direct URL.",
    Reason.LOCATIONS_HIDDEN,
    meaning="the image itself is not known to show where it lies, and Cinder "
    "asks nothing else",
    reads=("image.locations_from",),
    citations=(_LOCATIONS,),
    cures=(SHOW_DIRECT_URL,),
)
def cinder26_sees_locations(request: CreateRequest) -> bool:
    return request.image.locations_from not in {
        LocationsFrom.HIDDEN,
        LocationsFrom.LOCATIONS_API,
    }


@rule(
    "Glance's image API accepts locations.",
    Reason.LEGACY_WRITE_DISABLED,
    meaning="Glance's image API does not accept locations, and this Cinder "
    "has no user of its own for the locations API",
    reads=("glance.show_multiple_locations", "glance.missing"),
    citations=(_release("26.3.0", "GlanceImageService.add_location"),),
    cures=(
        Cure(
            "set show_multiple_locations in glance-api.conf, if image owners "
            "may write locations",
            Responsible.OPERATOR,
            always({"glance.show_multiple_locations": True}),
            Cost.RESTART,
        ),
    ),
)
def cinder26_location_writable(request: UploadRequest) -> bool:
    return (
        request.glance.missing is not None
        or request.glance.show_multiple_locations
    )


# -- until 27: a source is looked for on the host ---------------------------


def _by_host(wanted: Host | None, has: Host | None) -> bool:
    """Match a host also with its pools, but not with its backends."""
    return wanted is None or (
        has is not None
        and (wanted == has or cinder.sql_like(f"{wanted}#%", str(has)))
    )


@rule(
    "The source's host matches the new volume's by SQL LIKE, unless the array "
    "clones across pools.",
    Reason.DIFFERENT_HOST,
    meaning=cinder.cinder_same_host.meaning,
    reads=("volume.host", "source.host", "backend.clone_across_pools"),
    citations=(_release("26.3.0", _CLONE), _release("26.3.0", _BY_HOST)),
    cures=(place.ON_EACH_BACKEND,),
)
def cinder26_same_host(request: CreateRequest, candidate: ImageVolume) -> bool:
    return (
        candidate.source is None
        or request.backend.clone_across_pools is True
        or _by_host(request.volume.host, candidate.source.host)
    )


@rule(
    "The source's host matches the new volume's by SQL LIKE, unless that "
    "volume is in a cluster and the array clones across pools.",
    Reason.DIFFERENT_HOST,
    meaning=cinder.cinder_same_host.meaning,
    reads=place.same_host.reads,
    citations=(_release("27.0.0", _CLONE), _release("27.0.0", _BY_HOST)),
    cures=(place.ON_EACH_BACKEND,),
)
def cinder27_same_host(request: CreateRequest, candidate: ImageVolume) -> bool:
    source, volume = candidate.source, request.volume
    across = request.backend.clone_across_pools is True
    return source is None or (
        (across or _by_host(volume.host, source.host))
        and (
            volume.cluster_name is not None
            or cinder.filter_host(volume.host, source.host)
        )
    )


@rule(
    "The source's cluster matches the new volume's by SQL LIKE, unless that "
    "volume is in no cluster.",
    Reason.DIFFERENT_CLUSTER,
    meaning=cinder.cinder_same_cluster.meaning,
    reads=("volume.cluster_name", "source.cluster_name"),
    citations=(_release("27.0.0", _CLONE),),
    cures=(place.IN_EACH_CLUSTER,),
)
def cinder27_same_cluster(
    request: CreateRequest, candidate: ImageVolume
) -> bool:
    source, volume = candidate.source, request.volume
    return source is None or cinder.filter_host(
        volume.cluster_name, source.cluster_name
    )


# -- until 28: the cache knows of no array that clones across pools ---------


@rule(
    "The cached volume is in the same cluster or host.",
    Reason.DIFFERENT_HOST,
    meaning=cinder.cinder_cache_place.meaning,
    reads=(
        "volume.host",
        "volume.cluster_name",
        "source.host",
        "source.cluster_name",
    ),
    citations=(
        _release("28.0.0", "VolumeManager.__init__"),
        _release("28.0.0", "image.cache.ImageVolumeCache._get_query_filters"),
    ),
    cures=cinder.cinder_cache_place.cures,
)
def cinder28_cache_place(
    request: CreateRequest, candidate: CacheEntry
) -> bool:
    source, volume = candidate.source, request.volume
    if source is None:
        return True
    if volume.cluster_name is not None:
        return source.cluster_name == volume.cluster_name
    return source.host == volume.host
