"""Sources that do not exist yet, as remedies would make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clonepolicy._facts.locations import (
    CinderLocation,
    FileLocation,
    RbdLocation,
    cinder_volume_id,
    parse_location,
)
from clonepolicy._facts.records import (
    GiB,
    Inspection,
    LocationsFrom,
    StoredImage,
    Volume,
)
from clonepolicy._facts.requests import (
    ArrayImage,
    CacheEntry,
    Candidate,
    CreateRequest,
    ImageVolume,
)

_ID = "00000000-0000-4000-8000-000000000000"
"""Stands for the id that Cinder will choose."""

SHOWN_DIRECTLY: Mapping[str, Any] = {
    "image.locations_from": LocationsFrom.IMAGE,
    "image.direct_url": f"cinder://{_ID}",
}
"""What changes if the image itself shows its location."""
DISK_SIZE = (
    "image.size",
    "image.virtual_size",
    "image.disk_format",
    "image.container_format",
)
"""What `Image.disk_size` is derived from."""

NEW_TENANT = "the internal tenant"
"""Stands for the project that the operator will choose."""


NEW_OWNER = "the image's owner"
"""Stands for the project that the operator will give the image to."""


def gib(size: int | None) -> int:
    """Return the whole GiB that hold ``size`` bytes; 0 if not known."""
    return -(-(size or 0) // GiB)


def disk(request: CreateRequest) -> int:
    """Return the GiB of the disk in the image; 1 if that is not known."""
    return gib(request.image.disk_size or 1)


def trusted_project(request: CreateRequest) -> str | None:
    """Return the project to keep image volumes in; None: there is none."""
    config = request.config
    if config.cinder_internal_tenant_project_id is not None:
        return config.cinder_internal_tenant_project_id
    return min(config.trusted_projects, default=None)


def _volume(
    request: CreateRequest, project_id: str | None, id_: str = _ID
) -> Volume:
    image, volume = request.image, request.volume
    return Volume(
        id=id_,
        project_id=project_id or image.owner or NEW_OWNER,
        size=disk(request),
        status="available",
        host=volume.host,
        cluster_name=volume.cluster_name,
        volume_type=volume.volume_type,
        clones=0,
        inspection=Inspection.PASSED,
        image_owner=image.owner,
        glance_image_id=image.id,
    )


def image_volume(request: CreateRequest) -> ImageVolume:
    """Return the image volume of a new upload, near the new volume."""
    return ImageVolume(
        location=CinderLocation(_ID),
        source=_volume(request, trusted_project(request)),
        backend=request.backend,
    )


def cache_entry(request: CreateRequest) -> CacheEntry:
    """Return the entry that one create adds to the cache."""
    tenant = request.config.cinder_internal_tenant_project_id or NEW_TENANT
    return CacheEntry(
        image_id=request.image.id,
        image_updated_at=request.image.updated_at,
        source=_volume(request, tenant),
        backend=request.backend,
    )


def array_image(request: CreateRequest) -> ArrayImage | None:
    """Return the image in a store on the array; None: there can be none."""
    here, name = request.backend, request.image.id
    trusted = sorted(request.config.trusted_image_pools)
    location: RbdLocation | FileLocation
    if "rbd" in here.image_schemes and here.array_id is not None:
        pools = [pool for pool in trusted if not pool.startswith("/")]
        location = RbdLocation(
            here.array_id, (*pools, "images")[0], name, "snap"
        )
    elif "file" in here.image_schemes:
        folders = [pool for pool in trusted if pool.startswith("/")]
        folder = (*folders, "/images")[0].rstrip("/")
        location = FileLocation(f"{folder}/{name}")
    else:
        return None
    if parse_location(str(location)) != location:
        return None  # no store writes such a name
    source = _stored_image(request)
    return ArrayImage(location=location, source=source, backend=here)


def _stored_image(request: CreateRequest) -> StoredImage:
    return StoredImage(
        size=disk(request), clones=0, inspection=Inspection.PASSED
    )


def looked_up(
    request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any]:
    """Return the source that a look-up finds if nothing is wrong with it."""
    match candidate:
        case ArrayImage():
            return {"source": _stored_image(request)}
        case ImageVolume(location=location):
            project = trusted_project(request)
            id_ = cinder_volume_id(location) or _ID
            return {"source": _volume(request, project, id_)}
        case _:
            return {"source": cache_entry(request).source}


def replaced(
    request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    """Return the changes that put a new source in the place of one."""
    other: Candidate | None
    match candidate:
        case ImageVolume():
            other = image_volume(request)
        case CacheEntry():
            entry = cache_entry(request)
            return {
                "candidate.image_id": entry.image_id,
                "candidate.image_updated_at": entry.image_updated_at,
                "candidate.backend": entry.backend,
                "source": entry.source,
            }
        case _:
            other = array_image(request)
    return (
        None
        if other is None
        else {
            "candidate.location": other.location,
            "candidate.backend": other.backend,
            "source": other.source,
        }
    )
