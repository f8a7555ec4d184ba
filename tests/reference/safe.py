"""SAFE: what closes its routes, sources and registration."""

from __future__ import annotations

import posixpath
from typing import Any

from reference.places import (
    is_clustered,
    place_of,
    pool_of,
    service_of,
    text_of,
)
from reference.questions import (
    GIGABYTE,
    at_limit,
    compatible_types,
    disk_bytes,
    exceeds_quota,
    has_internal_tenant,
    is_trusted,
    why_cache_stays_empty,
)
from reference.urls import parse


def safe_shared_gates(request: Any) -> set[str]:
    """Collect what closes every route in SAFE."""
    image = request.image
    found = set()
    if request.volume.encryption_key_id is not None:  # C1, S6
        found.add("new-volume-encrypted")
    if image.encryption_key_id is not None:  # 1.11, S6
        found.add("image-data-encrypted")
    if image.signed and request.config.verify_glance_signatures != "disabled":
        found.add("signature-required")  # K9, S9
    if request.backend.can_clone is not True:
        found.add("driver-cannot-clone")
    if request.backend.frozen:  # C10
        found.add("backend-frozen")
    if image.owner is None:  # B3, S3
        found.add("image-owner-unknown")
    if image.container_format != "bare":  # B15
        found.add("container-not-bare")
    return found


def safe_location_gates(request: Any) -> set[str]:
    """Collect what closes both routes that go by location in SAFE."""
    image = request.image
    found = safe_shared_gates(request)
    if image.disk_format != "raw":  # S4
        found.add("disk-format-not-raw")
    if image.size is None:
        found.add("size-unknown")
    if image.locations_from == "unreadable":  # B21
        found.add("locations-unavailable")
    return found


def safe_gates(request: Any) -> dict[str, set[str]]:
    """Collect, for each route, what closes it in SAFE."""
    array = safe_location_gates(request)
    if request.backend.finds_images:  # 1.9
        array.add("driver-finds-images")
    if not request.array_images:
        array.add("no-array-image")
    volumes = safe_location_gates(request)
    if "cinder" not in request.config.allowed_direct_url_schemes:  # D2, S11
        volumes.add("scheme-not-allowed")
    if not request.image_volumes:
        volumes.add("no-locations")
    cache = safe_shared_gates(request)
    if not request.config.image_volume_cache_enabled:  # V1
        cache.add("cache-disabled")
    if not has_internal_tenant(request.config):  # K2
        cache.add("no-internal-tenant")
    cache |= why_cache_stays_empty(request)
    return {
        "array-image": array,
        "image-volume": volumes,
        "cache-entry": cache,
    }


def safe_source(request: Any, source: Any) -> set[str]:
    """Collect what SAFE holds against any source that is there."""
    found = set()
    if source.status not in {"available", "in-use"}:  # B4, S7
        found.add("source-status")
    if source.encryption_key_id is not None:  # B5, S6
        found.add("source-encrypted")
    if source.size > request.volume.size:  # B6, S5
        found.add("source-larger-than-request")
    if source.size < request.volume.size:
        if request.backend.can_extend is not True:
            found.add("extend-unsupported")
    if at_limit(request.backend, source.clones):
        found.add("snapshot-limit")
    if source.inspection == "refused":  # OSSA-2024-001
        found.add("content-refused")
    disk = disk_bytes(request.image)
    if disk is not None and source.size * GIGABYTE < disk:  # B19
        found.add("source-smaller-than-image")
    return found


def safe_volume(request: Any, candidate: Any) -> set[str]:
    """Collect what SAFE holds against a volume that is there."""
    new = request.volume
    source = candidate.source
    across = request.backend.clone_across_pools is True
    found = safe_source(request, source)
    if source.id == new.id:
        found.add("source-is-new-volume")
    if source.glance_image_id is not None:  # 5.3, 3
        if source.glance_image_id != request.image.id:
            found.add("backref-mismatch")
    if source.migration_status not in {None, "none", "success", "error"}:
        found.add("source-status")  # C10
    if source.status == "in-use":  # V11, P9
        if request.backend.clone_in_use is not True:
            found.add("source-in-use")
    if not compatible_types(new.volume_type, source.volume_type):  # V7
        found.add("type-incompatible")
    mine = place_of(new, new)
    theirs = place_of(source, new)
    if not across:  # C5, S10
        same = service_of(mine) == service_of(theirs)
        if service_of(mine) is None or not same:
            if is_clustered(new):
                found.add("different-cluster")
            else:
                found.add("different-host")
        if text_of(mine) is not None and text_of(theirs) is not None:
            if pool_of(mine) != pool_of(theirs):  # S10: unknown is no yes
                found.add("different-pool")
    my_array = request.backend.array_id
    their_array = candidate.backend.array_id
    if my_array is not None and their_array is not None:  # C6, X19
        if my_array != their_array:
            found.add("different-array")
    elif text_of(mine) is None or text_of(mine) != text_of(theirs):
        found.add("different-array")
    return found


def safe_array_image(request: Any, candidate: Any) -> set[str]:
    """Judge an image on an array in SAFE."""
    image = request.image
    backend = request.backend
    pools = request.config.trusted_image_pools
    location = parse(str(candidate.location))
    kind = location["kind"]
    found = set()
    if candidate.source is None:
        found.add("source-not-found")
    else:
        found |= safe_source(request, candidate.source)
    if kind == "malformed":
        found.add("location-malformed")
    elif kind not in {"rbd", "file"} or kind not in backend.image_schemes:
        if not backend.finds_images:
            found.add("scheme-unsupported")
    if kind == "rbd":
        if location["fsid"] != backend.array_id:  # 1.9, RBD
            found.add("different-fsid")
        if location["pool"] not in pools:  # B16
            found.add("pool-not-allowed")
        if location["image"] != image.id:  # 5.3, 3
            found.add("backref-mismatch")
        if location["snapshot"] != "snap":  # B16
            found.add("backref-mismatch")
    if kind == "file":
        mine = backend.array_id
        if mine is None or mine != candidate.backend.array_id:
            found.add("different-array")
        if posixpath.dirname(location["path"]) not in pools:  # B16
            found.add("pool-not-allowed")
        if posixpath.basename(location["path"]) != image.id:  # 5.3, 3
            found.add("backref-mismatch")
    return found


def safe_image_volume(request: Any, candidate: Any) -> set[str]:
    """Judge the volume behind a location in SAFE."""
    image = request.image
    source = candidate.source
    found = set()
    if parse(str(candidate.location))["kind"] != "cinder":  # 1.6
        found.add("location-malformed")
    if source is None:
        found.add("source-not-found")
        return found
    if parse(str(candidate.location))["kind"] == "cinder":
        if parse(str(candidate.location))["volume"] != source.id:  # B19
            found.add("source-not-found")
    found |= safe_volume(request, candidate)
    if image.owner is not None and source.project_id != image.owner:  # 4.3
        if not is_trusted(request.config, source.project_id):
            found.add("owner-mismatch")
        elif source.image_owner != image.owner:
            found.add("owner-mismatch")
    return found


def safe_cache_entry(request: Any, candidate: Any) -> set[str]:
    """Judge an entry of the cache in SAFE."""
    image = request.image
    source = candidate.source
    if source is None:
        found = {"source-not-found"}
    else:
        found = safe_volume(request, candidate)
        if not is_trusted(request.config, source.project_id):  # V5
            found.add("owner-mismatch")
        if image.owner is not None and source.image_owner is not None:
            if source.image_owner != image.owner:
                found.add("owner-mismatch")
    if candidate.image_id != image.id:
        found.add("backref-mismatch")
    if image.updated_at is None:  # V3
        found.add("cache-stale")
    elif candidate.image_updated_at != image.updated_at:
        found.add("cache-stale")
    return found


def store_is_unresolved(request: Any) -> bool:
    """Say whether no one store takes the volume (G9, X8)."""
    stores = request.glance.stores
    if not stores:
        return False
    kind = request.volume.volume_type
    matches = []
    for store in stores:
        if kind is not None and kind.store_id is not None:  # P12
            if store.id == kind.store_id:
                matches.append(store)
        elif kind is None:
            if store.cinder_volume_type is None:
                matches.append(store)
        elif store.cinder_volume_type == kind.name:
            matches.append(store)
    return len(matches) != 1 or matches[0].read_only


def uploaded_in_use(request: Any) -> set[str]:
    """Say whether the volume is attached, and cannot be cloned then (P9)."""
    before = request.volume.status
    if before == "uploading":
        before = request.volume.previous_status
    if before == "in-use" and request.backend.clone_in_use is not True:
        return {"source-in-use"}
    return set()


def safe_register_gates(request: Any) -> set[str]:
    """Collect what closes the registration in SAFE."""
    image = request.image
    volume = request.volume
    config = request.config
    glance = request.glance
    found = uploaded_in_use(request)
    if image.disk_format != "raw":  # P3
        found.add("disk-format-not-raw")
    if image.container_format != "bare":  # P3
        found.add("container-not-bare")
    if image.owner is None:  # B3
        found.add("image-owner-unknown")
    if request.backend.can_clone is not True:
        found.add("driver-cannot-clone")
    if request.backend.frozen:
        found.add("backend-frozen")
    if not config.image_upload_use_cinder_backend:  # P2
        found.add("upload-backend-disabled")
    if volume.encryption_key_id is not None:  # B1
        found.add("encrypted-source")
    if volume.migration_status not in {None, "none", "success", "error"}:
        found.add("source-status")  # P4
    project = request.project_id
    if config.image_upload_use_internal_tenant:  # P5, X9
        if has_internal_tenant(config):
            project = config.cinder_internal_tenant_project_id
        else:
            found.add("no-internal-tenant")
    if project == request.project_id:  # U10
        if image.owner is not None and image.owner != project:
            found.add("owner-mismatch")
    if exceeds_quota(request.clone_quota, volume.size):  # P6, B10
        found.add("clone-quota")
    if request.backend.clone_while_uploading is not True:  # P9, B20
        found.add("clone-while-uploading-unsupported")
    if at_limit(request.backend, volume.clones):
        found.add("snapshot-limit")
    if volume.inspection == "refused":  # OSSA-2024-001
        found.add("content-refused")
    if store_is_unresolved(request):
        found.add("store-unresolved")
    if glance.has_location_api is not True:  # G1
        if not glance.show_multiple_locations:
            found.add("legacy-write-disabled")
    if glance.has_location_api is True:  # G5, X5
        if "service" not in glance.service_roles:
            found.add("service-role-missing")
    if image.visibility not in {"public", "community"}:  # L6, X4
        if "admin" not in glance.service_roles:
            found.add("admin-role-missing")
    return found
