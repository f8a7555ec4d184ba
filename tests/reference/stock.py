"""What Cinder 24 to 29 do, by release: until 26, 27, 28, 29."""

from __future__ import annotations

from typing import Any

from reference.places import (
    database_finds,
    database_finds_by_host,
    is_clustered,
    text_of,
)
from reference.questions import has_internal_tenant, lacks_space
from reference.unknown import (
    lies_outside,
    no_candidates,
    no_entry,
    why_missing,
)
from reference.urls import lenient_volume_id, parse


def cinder_gates(request: Any, release: int) -> dict[str, set[str]]:
    """Collect what closes each of Cinder's routes."""
    image = request.image
    array = set()
    volumes = set()
    cache = set()
    if request.volume.encryption_key_id is not None:  # D1, C1, V9
        array.add("new-volume-encrypted")
        volumes.add("new-volume-encrypted")
        cache.add("new-volume-encrypted")
    if image.disk_format != "raw":  # 1.9 RBD, C2
        array.add("disk-format-not-raw")
        volumes.add("disk-format-not-raw")
    if image.container_format != "bare":  # C2
        volumes.add("container-not-bare")
    if "cinder" not in request.config.allowed_direct_url_schemes:  # D2
        volumes.add("scheme-not-allowed")
    hidden = {"hidden", "locations-api"} if release <= 26 else {"hidden"}
    if image.locations_from in hidden:  # L4; 26 asks only GET /v2/images/{id}
        array.add("locations-hidden")
        volumes.add("locations-hidden")
    elif image.locations_from == "image" and image.direct_url is None:  # L4
        if release > 26:
            array.add("locations-hidden-no-direct-url")
            volumes.add("locations-hidden-no-direct-url")
    if request.backend.finds_images:  # 1.9, not modelled
        array.add("driver-finds-images")
    array |= no_candidates(request, "array_images", "no-array-image")
    volumes |= no_candidates(request, "image_volumes", "no-locations")
    if not request.config.image_volume_cache_enabled:  # V1
        cache.add("cache-disabled")
    if not has_internal_tenant(request.config):  # K2
        cache.add("no-internal-tenant")
    if lacks_space(request):  # K1
        cache.add("conversion-space")
    cache |= no_entry(request)
    return {
        "array-image": array,
        "image-volume": volumes,
        "cache-entry": cache,
    }


def cinder_array_image(request: Any, candidate: Any) -> set[str]:
    """Judge an image on an array as the RBD driver does (1.9)."""
    location = parse(str(candidate.location))
    outside = lies_outside(request, location)
    malformed = location["kind"] == "malformed"
    told = outside is not None or malformed
    found = why_missing(candidate, outside=told)
    if outside:
        found.add(outside)
    if malformed:
        found.add("location-malformed")
    return found


def cinder_places(request: Any, source: Any, release: int) -> set[str]:
    """Ask the database for volumes of one place, as each release does."""
    new = request.volume
    across = request.backend.clone_across_pools is True
    by_host = database_finds_by_host(new.host, source.host)
    in_cluster = database_finds(new.cluster_name, source.cluster_name)
    on_host = database_finds(new.host, source.host)
    found = set()
    if release <= 26:
        # volume_get_all_by_host, or volume_get_all without a place
        if not across and not by_host:
            found.add("different-host")
        return found
    if release == 27:
        # the filter of one place, and volume_get_all_by_host if not across
        if not across and not by_host:
            found.add("different-host")
        if is_clustered(new) and not in_cluster:
            found.add("different-cluster")
        if not is_clustered(new) and not on_host:
            found.add("different-host")
        return found
    if across:  # C5, C6
        return found
    if is_clustered(new) and not in_cluster:
        found.add("different-cluster")
    if not is_clustered(new) and not on_host:
        found.add("different-host")
    return found


def cinder_image_volume(
    request: Any, candidate: Any, release: int
) -> set[str]:
    """Judge the volume behind a location as Cinder does (1.5)."""
    new = request.volume
    source = candidate.source
    owner = request.image.owner
    found = set()
    if lenient_volume_id(str(candidate.location)) is None:  # C4
        found.add("location-malformed")
    if source is None:
        return found | why_missing(candidate)
    found |= cinder_places(request, source, release)
    if owner not in (new.project_id, source.image_owner):  # C9
        found.add("owner-mismatch")
    return found


def cinder_cache_entry(request: Any, candidate: Any, release: int) -> set[str]:
    """Judge an entry of the cache as Cinder does (1.8)."""
    image = request.image
    new = request.volume
    source = candidate.source
    found = set()
    if candidate.image_id != image.id:  # V2
        found.add("backref-mismatch")
    if image.updated_at is None:  # V3
        found.add("cache-stale")
    elif candidate.image_updated_at != image.updated_at:
        found.add("cache-stale")
    if source is None:
        found |= why_missing(candidate)
    elif is_clustered(new):  # V2
        if text_of(new.cluster_name) != text_of(source.cluster_name):
            found.add("different-host")
    # until 28, the manager makes the cache before it knows the capability
    elif release <= 28 or request.backend.clone_across_pools is not True:
        if text_of(new.host) != text_of(source.host):
            found.add("different-host")
    return found
