"""Rules about the location of a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clonepolicy._facts.locations import (
    CinderLocation,
    FileLocation,
    Location,
    MalformedLocation,
    RbdLocation,
    cinder_volume_id,
)
from clonepolicy._facts.records import Missing
from clonepolicy._facts.requests import ArrayImage, CreateRequest, ImageVolume
from clonepolicy.policy._cure import Cost, Cure, Responsible
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, glance, rule, spec
from clonepolicy.policy._rules.cures import STORED_ON_ARRAY
from clonepolicy.policy._rules.new_source import replaced
from clonepolicy.policy._rules.place import identified

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_RBD = cinder("RBDDriver._is_cloneable")


def _canonical(
    _request: CreateRequest, candidate: ImageVolume
) -> Mapping[str, Any] | None:
    volume_id = cinder_volume_id(candidate.location)
    if volume_id is None:
        return None
    return {"candidate.location": CinderLocation(volume_id)}


def _on_known_array(
    request: CreateRequest, candidate: ArrayImage
) -> Mapping[str, Any] | None:
    known = request.backend.array_id is not None
    return replaced(request, candidate) if known else None


def _fsid_declared(
    request: CreateRequest, candidate: ArrayImage
) -> Mapping[str, Any] | None:
    location = candidate.location
    if request.backend.array_id is not None or not isinstance(
        location, RbdLocation
    ):
        return None
    changes = {"backend.array_id": location.fsid}
    if candidate.backend.array_id is None:
        changes["candidate.backend.array_id"] = location.fsid
    return changes


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _pool(location: Location) -> str:
    """Return the pool of an RBD location, or the directory of a file."""
    if isinstance(location, RbdLocation):
        return location.pool
    return _folder(str(location).removeprefix("file://"))


def _with_pool(
    request: CreateRequest, candidate: ArrayImage
) -> Mapping[str, Any]:
    trusted = request.config.trusted_image_pools
    return {
        "config.trusted_image_pools": trusted | {_pool(candidate.location)}
    }


@rule(
    "The location is a canonical URL.",
    Reason.LOCATION_MALFORMED,
    reads=("candidate.location",),
    citations=(glance("glance_store cinder StoreLocation.parse_uri"),),
    cures=(STORED_ON_ARRAY,),
)
def location_well_formed(
    _request: CreateRequest, candidate: ArrayImage
) -> bool:
    return not isinstance(candidate.location, MalformedLocation)


@rule(
    "The location is exactly cinder://[store/]volume-id.",
    Reason.LOCATION_MALFORMED,
    meaning="the location is not cinder://[store/]volume-id, as Glance "
    "writes it",
    reads=("candidate.location",),
    citations=(
        spec("Proposed change, 2nd condition"),
        glance("glance_store cinder StoreLocation.parse_uri"),
    ),
    differs="Cinder takes the last path segment of any cinder: URL.",
    cures=(
        Cure(
            "register the location as cinder://[store/]volume-id",
            Responsible.OPERATOR,
            _canonical,
        ),
    ),
)
def location_names_volume(
    _request: CreateRequest, candidate: ImageVolume
) -> bool:
    return isinstance(candidate.location, CinderLocation)


@rule(
    "The source is the volume that the location names.",
    Reason.SOURCE_NOT_FOUND,
    meaning="the location names another volume",
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
    "The array can clone from a location of this scheme, or the driver looks "
    "for images by itself.",
    Reason.SCHEME_UNSUPPORTED,
    reads=(
        "candidate.location",
        "backend.image_schemes",
        "backend.finds_images",
    ),
    citations=(cinder("driver.clone_image"),),
    cures=(STORED_ON_ARRAY,),
)
def scheme_supported(request: CreateRequest, candidate: ArrayImage) -> bool:
    if request.backend.finds_images:
        return True
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
    meaning="the location is not known to be in the array's Ceph cluster",
    reads=(
        "candidate.location",
        "backend.image_schemes",
        "backend.array_id",
    ),
    citations=(_RBD,),
    cures=(
        Cure(
            "copy the image to a store in the volume's Ceph cluster",
            Responsible.OPERATOR,
            _on_known_array,
            Cost.DATA,
        ),
        Cure(
            "declare the cluster's fsid as array_id in extra_capabilities, if "
            "the location's is the array's",
            Responsible.OPERATOR,
            _fsid_declared,
            Cost.RESTART,
        ),
    ),
)
def same_fsid(request: CreateRequest, candidate: ArrayImage) -> bool:
    return (
        not isinstance(candidate.location, RbdLocation)
        or "rbd" not in request.backend.image_schemes
        or candidate.location.fsid == request.backend.array_id
    )


def _is_own(request: CreateRequest, candidate: ArrayImage) -> bool:
    """Return whether the location is one where the array itself looks."""
    match candidate.location:
        case RbdLocation():
            scheme = "rbd"
        case FileLocation():
            scheme = "file"
        case _:
            return False
    return (
        candidate.missing is not Missing.ELSEWHERE
        and scheme in request.backend.image_schemes
        and same_fsid.holds(request, candidate)
    )


@rule(
    "A file location where the array looks is on the new volume's array.",
    Reason.DIFFERENT_ARRAY,
    reads=(*_OWN, "candidate.backend.array_id"),
    citations=(cinder("driver.clone_image"),),
    differs="Drivers accept any file whose path matches.",
    cures=(
        Cure(
            "declare array_id in extra_capabilities of the backend",
            Responsible.OPERATOR,
            identified,
            Cost.RESTART,
        ),
        Cure(
            "keep the image on the new volume's array",
            Responsible.OPERATOR,
            _on_known_array,
            Cost.DATA,
        ),
    ),
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
    cures=(
        Cure(
            "list the pool or directory in trusted_image_pools, if only "
            "Glance writes to it",
            Responsible.OPERATOR,
            _with_pool,
            Cost.RESTART,
        ),
    ),
)
def pool_allowed(request: CreateRequest, candidate: ArrayImage) -> bool:
    return (
        not _is_own(request, candidate)
        or _pool(candidate.location) in request.config.trusted_image_pools
    )


@rule(
    "Where the array looks, the image's id is the name of the stored image, "
    "and its RBD snapshot is named snap.",
    Reason.BACKREF_MISMATCH,
    meaning="the stored image does not have the name that Glance gives "
    "to this image",
    reads=(*_OWN, "image.id"),
    citations=(glance("glance_store names what it stores by image id"),),
    differs="Cinder accepts any name.",
    cures=(
        Cure(
            "store the image under its own id",
            Responsible.OPERATOR,
            replaced,
            Cost.DATA,
        ),
    ),
)
def location_names_image(
    request: CreateRequest, candidate: ArrayImage
) -> bool:
    location = candidate.location
    if not _is_own(request, candidate):
        return True
    if isinstance(location, RbdLocation):
        named = (location.image, location.snapshot)
        return named == (request.image.id, "snap")
    return str(location).rpartition("/")[2] == request.image.id
