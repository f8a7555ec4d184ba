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
    clones_against,
    compatible_types,
    disk_bytes,
    has_internal_tenant,
    is_trusted,
    quota_against,
)
from reference.unknown import (
    lies_outside,
    no_candidates,
    no_entry,
    unread_locations,
    why_missing,
)
from reference.urls import lenient_volume_id, parse


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
    return found | unread_locations(image)


def safe_gates(request: Any) -> dict[str, set[str]]:
    """Collect, for each route, what closes it in SAFE."""
    array = safe_location_gates(request)
    if request.backend.finds_images:  # 1.9
        array.add("driver-finds-images")
    array |= no_candidates(request, "array_images", "no-array-image")
    volumes = safe_location_gates(request)
    if "cinder" not in request.config.allowed_direct_url_schemes:  # D2, S11
        volumes.add("scheme-not-allowed")
    volumes |= no_candidates(request, "image_volumes", "no-locations")
    cache = safe_shared_gates(request)
    if not request.config.image_volume_cache_enabled:  # V1
        cache.add("cache-disabled")
    if not has_internal_tenant(request.config):  # K2
        cache.add("no-internal-tenant")
    cache |= no_entry(request)
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
    found |= clones_against(request.backend, source.clones)
    if source.inspection == "refused":  # OSSA-2024-001
        found.add("content-refused")
    if source.size is None:
        found.add("source-size-unknown")
        return found
    if source.size > request.volume.size:  # B6, S5
        found.add("source-larger-than-request")
    if source.size < request.volume.size:
        if request.backend.can_extend is not True:
            found.add("extend-unsupported")
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
    if candidate.source is not None:
        found |= safe_source(request, candidate.source)
    outside = lies_outside(request, location)
    if outside:
        found.add(outside)
    told = outside is not None or kind == "malformed"
    found |= why_missing(candidate, outside=told)
    if kind == "malformed":
        found.add("location-malformed")
    if outside or candidate.missing == "elsewhere":
        return found
    if kind not in backend.image_schemes:
        return found
    if kind == "rbd":
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
        return found | why_missing(candidate)
    if parse(str(candidate.location))["kind"] == "cinder":
        if parse(str(candidate.location))["volume"] != source.id:  # B19
            found.add("source-not-found")
    found |= safe_volume(request, candidate)
    if image.owner is not None:  # 4.3
        effective = source.project_id
        if is_trusted(request.config, source.project_id):
            effective = source.image_owner
        if effective != image.owner:
            found.add("owner-mismatch")
    return found


def safe_cache_entry(request: Any, candidate: Any) -> set[str]:
    """Judge an entry of the cache in SAFE."""
    image = request.image
    source = candidate.source
    if source is None:
        found = why_missing(candidate)
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
    kind = request.volume.volume_type
    if not request.glance.stores:
        # a type that names a store is of a Glance with named stores (X7)
        return kind is not None and kind.store_id is not None
    for store in request.glance.stores:
        if kind is None or store.read_only:
            continue
        if store.cinder_volume_type is not None:  # G9
            if store.cinder_volume_type == kind.name:
                return False
        before_29 = request.glance.has_location_api is False
        if before_29 and store.id == kind.store_id:  # P12
            return False
    return True


def forbidden_by_glance(request: Any) -> set[str]:
    """Say why Glance would not take a location."""
    glance = request.glance
    found = set()
    if glance.missing is not None:
        found.add("glance-unknown")
    elif glance.has_location_api is not True:  # G1
        if not glance.show_multiple_locations:
            found.add("legacy-write-disabled")
    if glance.has_location_api is not True:
        if glance.set_image_location is False:
            found.add("set-location-forbidden")
    if glance.has_location_api is True:  # G5, X5
        if "service" not in glance.service_roles:
            found.add("service-role-missing")
    hidden = request.image.visibility not in {"public", "community"}
    if hidden and glance.missing is None:  # L6, X4
        legacy = glance.has_location_api is False  # the requester's token
        if not legacy and "admin" not in glance.service_roles:
            found.add("admin-role-missing")
    return found


def never_clonable(request: Any) -> set[str]:
    """Say why no create could clone what an upload registers."""
    image = request.image
    volume = request.volume
    found = set()
    verifies = request.config.verify_glance_signatures != "disabled"
    if image.signed and verifies:  # K9
        found.add("signature-required")
    if image.encryption_key_id is not None:  # 1.11
        found.add("image-data-encrypted")
    if text_of(volume.host) is None and not is_clustered(volume):  # C5
        found.add("different-host")
    for size in (image.size, image.virtual_size):  # A8, A10
        if size is not None and size > volume.size * 1024**3:
            found.add("source-smaller-than-image")
    if image.min_disk > volume.size:  # A9
        found.add("below-min-disk")
    return found


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
    found |= never_clonable(request)
    if config.image_upload_use_internal_tenant:  # P5, X9
        if not has_internal_tenant(config):
            found.add("no-internal-tenant")
    if volume.project_id != request.project_id:  # U2
        found.add("owner-mismatch")
    if image.owner is not None and image.owner != request.project_id:  # U10
        found.add("owner-mismatch")
    found |= quota_against(request.clone_quota, volume.size, "clone-quota")
    if request.backend.clone_while_uploading is not True:  # P9, B20
        found.add("clone-while-uploading-unsupported")
    found |= clones_against(request.backend, volume.clones)
    if volume.inspection == "refused":  # OSSA-2024-001
        found.add("content-refused")
    if store_is_unresolved(request):
        found.add("store-unresolved")
    return found | forbidden_by_glance(request)


UNATTACHABLE = {
    "deleting",
    "error",
    "error_deleting",
    "error_managing",
    "error_restoring",
    "error_backing-up",
    "error_extending",
    "maintenance",
    "awaiting-transfer",
}


def defects_of_data(request: Any, candidate: Any) -> set[str]:
    """Say why a location's volume is no data to download."""
    image = request.image
    source = candidate.source
    found: set[str] = set()
    if source is None:
        return found
    if lenient_volume_id(str(candidate.location)) != source.id:
        return found
    gets_key = image.encryption_key_id is not None  # 1.11, A13
    if request.volume.encryption_key_id is None:
        gets_key = False
    if source.encryption_key_id is not None and not gets_key:
        found.add("source-encrypted")
    if source.status in UNATTACHABLE:
        found.add("source-status")
    if image.owner is not None and image.owner != source.project_id:
        if not is_trusted(request.config, source.project_id):
            found.add("owner-mismatch")
    if source.glance_image_id is not None:
        if source.glance_image_id != image.id:
            found.add("backref-mismatch")
    return found


def safe_download_gates(request: Any) -> set[str]:
    """Collect what the image's data closes the download for in SAFE."""
    found = set()
    if request.image.encryption_key_id is not None:  # 1.11
        if request.volume.encryption_key_id is None:
            found.add("image-data-encrypted")
    if request.array_images or not request.image_volumes:
        return found
    if request.image.locations_from == "image":  # G1
        if not request.glance.show_multiple_locations:
            return found
    elif request.image.locations_from != "locations-api":
        return found
    defects = [
        defects_of_data(request, candidate)
        for candidate in request.image_volumes
    ]
    if all(defects):
        found = found.union(*defects)
    return found
