"""Rules about one candidate source; shared by the kinds of candidates.

One discipline of ownership, size, status, encryption and locality holds
for all three kinds.  A rule about a source that was not found holds: that
it was not found is the finding.
"""

from __future__ import annotations

from clonepolicy._locations import (
    CinderLocation,
    FileLocation,
    MalformedLocation,
    RbdLocation,
)
from clonepolicy._reasons import Reason
from clonepolicy._records import (
    ArrayImage,
    CacheEntry,
    Candidate,
    CreateRequest,
    GiB,
    Host,
    ImageVolume,
    StoredImage,
    Volume,
)
from clonepolicy._rules._rule import (
    cinder,
    glance,
    rule,
    spec,
)

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_RBD = cinder("RBDDriver._is_cloneable")
_CACHE = cinder("image.cache.ImageVolumeCache")
READY = frozenset({"available", "in-use"})
"""Statuses of a source that is at rest."""
SETTLED = frozenset({None, "none", "success", "error"})
"""``migration_status`` of a volume that stays where it is."""

# -- the location -----------------------------------------------------------


@rule(
    Reason.LOCATION_MALFORMED,
    reads=("candidate.location",),
    sources=(glance("glance_store cinder StoreLocation.parse_uri"),),
)
def location_well_formed(
    _request: CreateRequest, candidate: ArrayImage
) -> bool:
    """The location is a canonical URL."""
    return not isinstance(candidate.location, MalformedLocation)


@rule(
    Reason.LOCATION_MALFORMED,
    reads=("candidate.location",),
    sources=(
        spec("Proposed change, 2nd condition"),
        glance("glance_store cinder StoreLocation.parse_uri"),
    ),
    differs="Takes the last path segment of any cinder: URL.",
)
def location_names_volume(
    _request: CreateRequest, candidate: ImageVolume
) -> bool:
    """The location is cinder://[store/]volume-id, to the letter."""
    return isinstance(candidate.location, CinderLocation)


@rule(
    Reason.SOURCE_NOT_FOUND,
    reads=("candidate.location", "source.id"),
    sources=(_CLONE,),
)
def source_is_named(_request: CreateRequest, candidate: ImageVolume) -> bool:
    """The source is the very volume that the location names."""
    source, location = candidate.source, candidate.location
    return (
        source is None
        or not isinstance(location, CinderLocation)
        or source.id == location.volume_id
    )


@rule(
    Reason.SCHEME_UNSUPPORTED,
    reads=("candidate.location", "backend.image_schemes"),
    sources=(cinder("driver.clone_image"),),
)
def scheme_supported(request: CreateRequest, candidate: ArrayImage) -> bool:
    """The array can clone from a location of this scheme."""
    match candidate.location:
        case RbdLocation():
            return "rbd" in request.backend.image_schemes
        case FileLocation():
            return "file" in request.backend.image_schemes
        case location:
            return isinstance(location, MalformedLocation)


@rule(
    Reason.SOURCE_NOT_FOUND,
    reads=("source",),
    sources=(_CLONE,),
)
def source_found(_request: CreateRequest, candidate: Candidate) -> bool:
    """What the candidate names is there."""
    return candidate.source is not None


@rule(
    Reason.DIFFERENT_FSID,
    reads=("candidate.location", "backend.array_id"),
    sources=(_RBD,),
)
def same_fsid(request: CreateRequest, candidate: ArrayImage) -> bool:
    """An RBD location is in the array's own Ceph cluster."""
    return (
        not isinstance(candidate.location, RbdLocation)
        or candidate.location.fsid == request.backend.array_id
    )


@rule(
    Reason.DIFFERENT_ARRAY,
    reads=(
        "candidate.location",
        "candidate.backend.array_id",
        "backend.array_id",
    ),
    sources=(cinder("driver.clone_image"),),
    differs="Drivers take a location for their own by its path alone.",
)
def image_on_same_array(request: CreateRequest, candidate: ArrayImage) -> bool:
    """A file is on the array of the new volume."""
    return not isinstance(candidate.location, FileLocation) or (
        request.backend.array_id is not None
        and request.backend.array_id == candidate.backend.array_id
    )


@rule(
    Reason.POOL_NOT_ALLOWED,
    reads=("candidate.location", "config.trusted_image_pools"),
    sources=(_RBD,),
    differs="Any pool that the Ceph user can open will do.",
)
def pool_allowed(request: CreateRequest, candidate: ArrayImage) -> bool:
    """The location is in a pool that only Glance writes."""
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
    Reason.BACKREF_MISMATCH,
    reads=("candidate.location", "image.id"),
    sources=(glance("glance_store names what it stores by image id"),),
    differs="Any name will do.",
)
def location_names_image(
    request: CreateRequest, candidate: ArrayImage
) -> bool:
    """The stored image bears the image's id, its snapshot Glance's name."""
    match candidate.location:
        case RbdLocation(image=name, snapshot=snapshot):
            return (name, snapshot) == (request.image.id, "snap")
        case FileLocation(path=path):
            return path.rpartition("/")[2] == request.image.id
        case _:
            return True


# -- ownership --------------------------------------------------------------


@rule(
    Reason.OWNER_MISMATCH,
    reads=(
        "image.owner",
        "source.project_id",
        "source.image_owner",
        "config.trusted_projects",
        "config.cinder_internal_tenant_project_id",
    ),
    sources=(spec("Proposed change, 4th condition"), _CLONE),
    differs="Compares the image's owner with the new volume's project, and "
    "believes image_owner on any volume.",
)
def backing_owned(request: CreateRequest, candidate: ImageVolume) -> bool:
    """The volume is the image owner's, or a trusted project's for them."""
    source, owner = candidate.source, request.image.owner
    return (
        source is None
        or owner is None
        or source.project_id == owner
        or (
            source.image_owner == owner
            and request.config.trusts(source.project_id)
        )
    )


@rule(
    Reason.OWNER_MISMATCH,
    reads=(
        "image.owner",
        "source.project_id",
        "source.image_owner",
        "config.trusted_projects",
        "config.cinder_internal_tenant_project_id",
    ),
    sources=(_CACHE,),
    differs="Not looked at.",
)
def cache_vouched(request: CreateRequest, candidate: CacheEntry) -> bool:
    """The cached volume is a trusted project's, and names no other owner."""
    source, owner = candidate.source, request.image.owner
    return source is None or (
        request.config.trusts(source.project_id)
        and (owner is None or source.image_owner in {None, owner})
    )


@rule(
    Reason.BACKREF_MISMATCH,
    reads=("source.glance_image_id", "image.id"),
    sources=(cinder("VolumeManager._clone_image_volume_and_add_location"),),
    differs="Not looked at.",
)
def backref_matches(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """The volume's glance_image_id, if any, is the image's id."""
    source = candidate.source
    return (
        source is None
        or source.glance_image_id is None
        or source.glance_image_id == request.image.id
    )


@rule(
    Reason.BACKREF_MISMATCH,
    reads=("candidate.image_id", "image.id"),
    sources=(_CACHE,),
)
def entry_is_for_image(request: CreateRequest, candidate: CacheEntry) -> bool:
    """The cache entry is for this image."""
    return candidate.image_id == request.image.id


@rule(
    Reason.CACHE_STALE,
    reads=("candidate.image_updated_at", "image.updated_at"),
    sources=(_CACHE,),
)
def entry_fresh(request: CreateRequest, candidate: CacheEntry) -> bool:
    """The image has not changed since it was cached."""
    return (
        request.image.updated_at is not None
        and candidate.image_updated_at == request.image.updated_at
    )


# -- status, encryption, size, type -----------------------------------------


@rule(
    Reason.SOURCE_STATUS,
    reads=("source.status", "source.migration_status"),
    sources=(cinder("volume.api.API.create, source volume"),),
    differs="Not looked at.",
)
def source_ready(_request: CreateRequest, candidate: Candidate) -> bool:
    """The source is available or in use, and is not being migrated."""
    source = candidate.source
    return source is None or (
        source.status in READY
        and (
            isinstance(source, StoredImage)
            or source.migration_status in SETTLED
        )
    )


@rule(
    Reason.SOURCE_ENCRYPTED,
    reads=("source.encryption_key_id",),
    sources=(cinder("CreateVolumeFromSpecTask._rekey_volume"),),
    differs="Not looked at.",
)
def source_unencrypted(_request: CreateRequest, candidate: Candidate) -> bool:
    """The source is not encrypted."""
    source = candidate.source
    return source is None or source.encryption_key_id is None


@rule(
    Reason.SOURCE_LARGER_THAN_REQUEST,
    reads=("source.size", "volume.size"),
    sources=(cinder("volume.api.API.create, source volume"),),
    differs="Left to the driver, of which some truncate.",
)
def source_fits(request: CreateRequest, candidate: Candidate) -> bool:
    """The source is no larger than the new volume."""
    source = candidate.source
    return source is None or source.size <= request.volume.size


@rule(
    Reason.SOURCE_SMALLER_THAN_IMAGE,
    reads=("source.size", "image.size", "image.virtual_size"),
    sources=(cinder("image_utils.check_virtual_size"),),
    differs="Not looked at.",
)
def source_holds_image(request: CreateRequest, candidate: Candidate) -> bool:
    """The source is large enough to hold the image."""
    source, image = candidate.source, request.image
    return source is None or source.size * GiB >= max(
        image.size or 0, image.virtual_size or 0
    )


@rule(
    Reason.SOURCE_IS_NEW_VOLUME,
    reads=("source.id", "volume.id"),
    sources=(_CLONE,),
    differs="Not looked at.",
)
def source_is_another(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """The source is not the new volume itself."""
    source = candidate.source
    return source is None or source.id != request.volume.id


@rule(
    Reason.EXTEND_UNSUPPORTED,
    reads=("source.size", "volume.size", "backend.can_extend"),
    sources=(spec("Proposed change, extend"),),
    differs="Left to the driver.",
)
def extend_possible(request: CreateRequest, candidate: Candidate) -> bool:
    """The clone need not grow, or the array can extend."""
    source = candidate.source
    return (
        source is None
        or source.size >= request.volume.size
        or request.backend.can_extend is True
    )


@rule(
    Reason.TYPE_INCOMPATIBLE,
    reads=("source.volume_type", "volume.volume_type"),
    sources=(cinder("volume.api.API._retype_is_possible"),),
    differs="Asked for clones that users make, not for these.",
)
def type_compatible(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """The types are the same, or have the same volume_backend_name."""
    source, wanted = candidate.source, request.volume.volume_type
    if source is None or source.volume_type == wanted:
        return True
    has = source.volume_type
    return (
        has is not None
        and wanted is not None
        and (
            has.id == wanted.id
            or (
                has.volume_backend_name is not None
                and has.volume_backend_name == wanted.volume_backend_name
            )
        )
    )


@rule(
    Reason.SNAPSHOT_LIMIT,
    reads=("source.clones", "backend.clone_limit"),
    sources=(cinder("exception.SnapshotLimitReached"),),
    differs="Found out by trying.",
)
def below_clone_limit(request: CreateRequest, candidate: Candidate) -> bool:
    """The array has a clone of this source to give."""
    source, limit = candidate.source, request.backend.clone_limit
    return (
        source is None
        or limit is None
        or (source.clones is not None and source.clones < limit)
    )


# -- locality ---------------------------------------------------------------


def _service(volume: Volume, other: Volume) -> Host | None:
    """Where ``other`` is, told by what places ``volume``."""
    return volume.host if other.cluster_name is None else volume.cluster_name


def _same_service(one: Host | None, two: Host | None) -> bool:
    return (
        one is not None
        and two is not None
        and one.host == two.host
        and one.backend == two.backend
    )


_PLACE = (
    "volume.host",
    "volume.cluster_name",
    "source.host",
    "source.cluster_name",
)


@rule(
    Reason.DIFFERENT_HOST,
    reads=(
        "volume.host",
        "volume.cluster_name",
        "source.host",
        "backend.clone_across_pools",
    ),
    sources=(spec("Proposed change, 3rd condition"), _CLONE),
    differs="Matches like SQL LIKE; with clone_across_pools any host will do.",
)
def same_host(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """Source and new volume are on one host and backend, if not clustered."""
    source = candidate.source
    return (
        source is None
        or request.volume.cluster_name is not None
        or request.backend.clone_across_pools is True
        or _same_service(request.volume.host, source.host)
    )


@rule(
    Reason.DIFFERENT_CLUSTER,
    reads=(
        "volume.cluster_name",
        "source.cluster_name",
        "backend.clone_across_pools",
    ),
    sources=(_CLONE,),
    differs="Matches like SQL LIKE; the cache ignores clone_across_pools.",
)
def same_cluster(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """Source and new volume are in one cluster, if clustered."""
    source = candidate.source
    return (
        source is None
        or request.volume.cluster_name is None
        or request.backend.clone_across_pools is True
        or _same_service(request.volume.cluster_name, source.cluster_name)
    )


@rule(
    Reason.DIFFERENT_POOL,
    reads=(*_PLACE, "backend.clone_across_pools"),
    sources=(_CLONE,),
)
def same_pool(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """Source and new volume are in one pool, or the array clones across."""
    source = candidate.source
    if source is None or request.backend.clone_across_pools is True:
        return True
    here = _service(request.volume, request.volume)
    there = _service(source, request.volume)
    return here is None or there is None or here.pool == there.pool


@rule(
    Reason.DIFFERENT_ARRAY,
    reads=(*_PLACE, "backend.array_id", "candidate.backend.array_id"),
    sources=(_CACHE,),
    differs="clone_across_pools is taken to span every array there is.",
)
def same_array(
    request: CreateRequest, candidate: ImageVolume | CacheEntry
) -> bool:
    """The arrays are known to be one, or the place is the very same."""
    source = candidate.source
    if source is None:
        return True
    here, there = request.backend.array_id, candidate.backend.array_id
    if here is not None and there is not None:
        return here == there
    place = _service(request.volume, request.volume)
    return place is not None and place == _service(source, request.volume)


# -- notes ------------------------------------------------------------------


@rule(
    Reason.TENANT_MUTABLE,
    reads=(
        "source.project_id",
        "config.trusted_projects",
        "config.cinder_internal_tenant_project_id",
    ),
    sources=(cinder("VolumeManager._clone_image_volume"),),
)
def source_immutable(request: CreateRequest, candidate: ImageVolume) -> bool:
    """The source lies where no tenant can write to it."""
    source = candidate.source
    return source is None or request.config.trusts(source.project_id)


@rule(
    Reason.EXTEND_REQUIRED,
    reads=("source.size", "volume.size"),
    sources=(spec("Proposed change, extend"),),
)
def no_extension(request: CreateRequest, candidate: Candidate) -> bool:
    """The clone has the requested size at once."""
    source = candidate.source
    return source is None or source.size >= request.volume.size
