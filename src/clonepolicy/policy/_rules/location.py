"""Rules about the location of a candidate."""

from __future__ import annotations

from clonepolicy._facts.locations import (
    CinderLocation,
    FileLocation,
    MalformedLocation,
    RbdLocation,
)
from clonepolicy._facts.records import Missing
from clonepolicy._facts.requests import ArrayImage, CreateRequest, ImageVolume
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, glance, rule, spec

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_RBD = cinder("RBDDriver._is_cloneable")


@rule(
    "The location is a canonical URL.",
    Reason.LOCATION_MALFORMED,
    reads=("candidate.location",),
    citations=(glance("glance_store cinder StoreLocation.parse_uri"),),
)
def location_well_formed(
    _request: CreateRequest, candidate: ArrayImage
) -> bool:
    return not isinstance(candidate.location, MalformedLocation)


@rule(
    "The location is exactly cinder://[store/]volume-id.",
    Reason.LOCATION_MALFORMED,
    reads=("candidate.location",),
    citations=(
        spec("Proposed change, 2nd condition"),
        glance("glance_store cinder StoreLocation.parse_uri"),
    ),
    differs="Cinder takes the last path segment of any cinder: URL.",
)
def location_names_volume(
    _request: CreateRequest, candidate: ImageVolume
) -> bool:
    return isinstance(candidate.location, CinderLocation)


@rule(
    "The source is the volume that the location names.",
    Reason.SOURCE_NOT_FOUND,
    reads=("candidate.location", "source.id"),
    citations=(_CLONE,),
)
def source_is_named(_request: CreateRequest, candidate: ImageVolume) -> bool:
    source, location = candidate.source, candidate.location
    return (
        source is None
        or not isinstance(location, CinderLocation)
        or source.id == location.volume_id
    )


@rule(
    "The array can clone from a location of this scheme.",
    Reason.SCHEME_UNSUPPORTED,
    reads=("candidate.location", "backend.image_schemes"),
    citations=(cinder("driver.clone_image"),),
)
def scheme_supported(request: CreateRequest, candidate: ArrayImage) -> bool:
    match candidate.location:
        case RbdLocation():
            return "rbd" in request.backend.image_schemes
        case FileLocation():
            return "file" in request.backend.image_schemes
        case location:
            return isinstance(location, MalformedLocation)


_OWN = (
    "candidate.location",
    "candidate.missing",
    "backend.image_schemes",
    "backend.array_id",
)
"""What says whether the location is one of the array's own."""


@rule(
    "If the array clones from RBD, an RBD location is in its own Ceph "
    "cluster.",
    Reason.DIFFERENT_FSID,
    reads=(
        "candidate.location",
        "backend.image_schemes",
        "backend.array_id",
    ),
    citations=(_RBD,),
)
def same_fsid(request: CreateRequest, candidate: ArrayImage) -> bool:
    return (
        not isinstance(candidate.location, RbdLocation)
        or "rbd" not in request.backend.image_schemes
        or candidate.location.fsid == request.backend.array_id
    )


def _is_own(request: CreateRequest, candidate: ArrayImage) -> bool:
    """Return whether no other rule says that the image lies elsewhere."""
    return (
        candidate.missing is not Missing.ELSEWHERE
        and scheme_supported.holds(request, candidate)
        and same_fsid.holds(request, candidate)
    )


@rule(
    "A file location where the array looks is on the new volume's array.",
    Reason.DIFFERENT_ARRAY,
    reads=(*_OWN, "candidate.backend.array_id"),
    citations=(cinder("driver.clone_image"),),
    differs="Drivers accept any file whose path matches.",
)
def image_on_same_array(request: CreateRequest, candidate: ArrayImage) -> bool:
    here, there = request.backend.array_id, candidate.backend.array_id
    return (
        not isinstance(candidate.location, FileLocation)
        or not _is_own(request, candidate)
        or (here is not None and here == there)
    )


@rule(
    "A location where the array looks is in a pool that only Glance writes "
    "to.",
    Reason.POOL_NOT_ALLOWED,
    reads=(*_OWN, "config.trusted_image_pools"),
    citations=(_RBD,),
    differs="Cinder accepts every pool that the Ceph user can open.",
)
def pool_allowed(request: CreateRequest, candidate: ArrayImage) -> bool:
    if not _is_own(request, candidate):
        return True
    match candidate.location:
        case RbdLocation(pool=pool):
            return pool in request.config.trusted_image_pools
        case FileLocation(path=path):
            return (
                path.rpartition("/")[0] or "/"
            ) in request.config.trusted_image_pools
        case _:
            return True


@rule(
    "Where the array looks, the image's id is the name of the stored image, "
    "and its RBD snapshot is named snap.",
    Reason.BACKREF_MISMATCH,
    reads=(*_OWN, "image.id"),
    citations=(glance("glance_store names what it stores by image id"),),
    differs="Cinder accepts any name.",
)
def location_names_image(
    request: CreateRequest, candidate: ArrayImage
) -> bool:
    if not _is_own(request, candidate):
        return True
    match candidate.location:
        case RbdLocation(image=name, snapshot=snapshot):
            return (name, snapshot) == (request.image.id, "snap")
        case FileLocation(path=path):
            return path.rpartition("/")[2] == request.image.id
        case _:
            return True
