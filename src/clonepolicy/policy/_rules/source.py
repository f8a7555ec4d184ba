"""Rules about the source itself: its owner, its state, its size.

Every rule here holds if the source is missing; rules in ``missing`` fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clonepolicy._facts.records import (
    AT_REST,
    GOING,
    NOT_MIGRATING,
    GiB,
    Inspection,
    Missing,
    StoredImage,
    VolumeType,
)
from clonepolicy._facts.requests import (
    CacheEntry,
    Candidate,
    CreateRequest,
    ImageVolume,
    VolumeCandidate,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible, always
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import advisory, cinder, glance, rule, spec
from clonepolicy.policy._rules.cache import can_be_filled
from clonepolicy.policy._rules.cures import (
    CACHED,
    KEPT_IN_STORE,
    UPLOADED,
    Changes,
    by_upload,
    declared,
    with_internal_tenant,
)
from clonepolicy.policy._rules.new_source import (
    DISK_SIZE,
    NEW_TENANT,
    disk,
    gib,
    replaced,
    trusted_project,
)

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_CACHE = cinder("image.cache.ImageVolumeCache")
_OWNERS = ("image.owner", "source.project_id", "source.image_owner")
_TRUSTED = (
    "config.trusted_projects",
    "config.cinder_internal_tenant_project_id",
)
_TYPES = (
    cinder("volume_types.volume_types_diff"),
    cinder("volume.api.API._retype_is_possible"),
)
_TYPES_DIFFER = "Cinder checks this only for clones that users ask for."
_REFUSED = Inspection.REFUSED
"""A module variable, because reading it is faster for many candidates."""


INSPECTED = always({"source.inspection": Inspection.PASSED})


def _vouched(
    request: CreateRequest, candidate: VolumeCandidate
) -> Mapping[str, Any] | None:
    source = candidate.source
    if source is None or not request.config.trusts(source.project_id):
        return None
    return {"source.image_owner": request.image.owner}


def _kept_by_cinder(
    request: CreateRequest, _candidate: VolumeCandidate
) -> Mapping[str, Any]:
    project = trusted_project(request)
    kept = {
        "source.project_id": project or NEW_TENANT,
        "source.image_owner": request.image.owner,
    }
    return kept if project else {**with_internal_tenant(request), **kept}


def _cached_anew(
    request: CreateRequest, candidate: CacheEntry
) -> Mapping[str, Any] | None:
    located: tuple[Candidate, ...] = (
        *request.array_images,
        *request.image_volumes,
    )
    gone = all(each.missing is Missing.ABSENT for each in located)
    if (located and gone) or not can_be_filled(request):
        return None  # the entry may be all that is left of the data
    return _kept_by_cinder(request, candidate)


_DELETE = (
    "delete the entry, if the image can be downloaded; the next create fills "
    "the cache anew"
)


def _other_data(remedy: str, changes: Changes) -> tuple[Cure, ...]:
    """Make the cures of data that is replaced; only Cinder fills its cache."""

    def located(
        request: CreateRequest, candidate: Candidate
    ) -> Mapping[str, Any] | None:
        cached = isinstance(candidate, CacheEntry)
        return None if cached else changes(request, candidate)

    def cached(
        request: CreateRequest, candidate: Candidate
    ) -> Mapping[str, Any] | None:
        if not isinstance(candidate, CacheEntry):
            return None
        filled = _cached_anew(request, candidate) is not None
        return changes(request, candidate) if filled else None

    return (
        Cure(remedy, Responsible.IMAGE_OWNER, located, Cost.DATA),
        Cure(_DELETE, Responsible.OPERATOR, cached, Cost.DATA),
    )


def _refreshed(
    request: CreateRequest, _candidate: CacheEntry
) -> Mapping[str, Any] | None:
    changed = request.image.updated_at
    if changed is None or not can_be_filled(request):
        return None
    return {"candidate.image_updated_at": changed}


def _settled(
    _request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    source = candidate.source
    if source is None or source.status in GOING:
        return None
    settled = {"source.status": "available"}
    if isinstance(candidate.source, StoredImage):
        return settled
    return {**settled, "source.migration_status": None}


def _settled_if(*, failed: bool) -> Changes:
    """Return the changes to a source at rest, if it is in error, or not."""
    return lambda request, candidate: (
        _settled(request, candidate)
        if candidate.source is not None
        and ("error" in candidate.source.status) is failed
        else None
    )


def _kept_elsewhere(
    request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    source = candidate.source
    if source is None or source.status not in GOING:
        return None
    if isinstance(candidate, CacheEntry) and not can_be_filled(request):
        return None
    return replaced(request, candidate)


def _as_large(
    _request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    size = _size(candidate)
    return None if size is None else {"volume.size": size}


def _of_its_size(
    request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    """Return the change to the source's size, if Cinder would accept it."""
    size, image = _size(candidate), request.image
    kind = request.volume.volume_type
    least = kind and kind.min_vol_size
    needed = max(1, image.min_disk, least or 0, gib(image.size), disk(request))
    return None if size is None or size < needed else {"volume.size": size}


def _of_its_type(
    request: CreateRequest, candidate: VolumeCandidate
) -> Mapping[str, Any] | None:
    source, size = candidate.source, request.volume.size
    if source is None:
        return None
    kind = source.volume_type
    low = None if kind is None else kind.min_vol_size
    high = None if kind is None else kind.max_vol_size
    if size < (low or 0) or (high is not None and size > high):
        return None
    return {"volume.volume_type": kind}


def _fewer_clones(
    request: CreateRequest, _candidate: Candidate
) -> Mapping[str, Any] | None:
    limit = request.backend.clone_limit
    return {"source.clones": limit - 1} if limit else None


_SIZED_AS_SOURCE = Cure(
    "ask for a volume of the source's size",
    Responsible.REQUESTER,
    _of_its_size,
)
_TYPED_AS_SOURCE = Cure(
    "choose the source's volume type",
    Responsible.REQUESTER,
    _of_its_type,
)
_KEPT_BY_CINDER = Cure(
    "upload the image anew with image_upload_use_internal_tenant",
    Responsible.OPERATOR,
    by_upload(_kept_by_cinder),
    Cost.DATA,
)


@rule(
    "The image's owner owns the source or, if a trusted project owns it, is "
    "its image_owner.",
    Reason.OWNER_MISMATCH,
    meaning="the source is not known to be the image owner's: its project or, "
    "if that is trusted, its image_owner is another",
    reads=(*_OWNERS, *_TRUSTED),
    citations=(spec("Proposed change, 4th condition"), _CLONE),
    differs="Cinder compares the image's owner with the new volume's "
    "project, and trusts image_owner on any volume.",
    cures=(
        Cure(
            "correct the image_owner of the image volume, if its data is this "
            "image's",
            Responsible.OPERATOR,
            _vouched,
        ),
        _KEPT_BY_CINDER,
    ),
)
def backing_owned(request: CreateRequest, candidate: ImageVolume) -> bool:
    source, owner = candidate.source, request.image.owner
    if source is None or owner is None:
        return True
    if request.config.trusts(source.project_id):
        return source.image_owner == owner
    return source.project_id == owner


@rule(
    "A trusted project owns the source, and image_owner names no other owner.",
    Reason.OWNER_MISMATCH,
    meaning="no trusted project owns the cached volume, or its "
    "image_owner names another owner",
    reads=(*_OWNERS, *_TRUSTED),
    citations=(_CACHE,),
    differs="Cinder does not check this.",
    cures=(
        Cure(
            "correct the image_owner of the cached volume, if its data is "
            "this image's",
            Responsible.OPERATOR,
            _vouched,
        ),
        Cure(_DELETE, Responsible.OPERATOR, _cached_anew, Cost.DATA),
    ),
)
def cache_vouched(request: CreateRequest, candidate: CacheEntry) -> bool:
    source, owner = candidate.source, request.image.owner
    return source is None or (
        request.config.trusts(source.project_id)
        and (owner is None or source.image_owner in {None, owner})
    )


@rule(
    "The source's glance_image_id is the image's id, or not set.",
    Reason.BACKREF_MISMATCH,
    meaning="the source's glance_image_id names another image",
    reads=("source.glance_image_id", "image.id"),
    citations=(cinder("VolumeManager._clone_image_volume_and_add_location"),),
    differs="Cinder does not check this.",
    cures=(UPLOADED, KEPT_IN_STORE, CACHED),
)
def backref_matches(
    request: CreateRequest, candidate: VolumeCandidate
) -> bool:
    source = candidate.source
    return (
        source is None
        or source.glance_image_id is None
        or source.glance_image_id == request.image.id
    )


@rule(
    "The cache entry is for this image.",
    Reason.BACKREF_MISMATCH,
    meaning="the cache entry is for another image",
    reads=("candidate.image_id", "image.id"),
    citations=(_CACHE,),
    cures=(CACHED,),
)
def entry_is_for_image(request: CreateRequest, candidate: CacheEntry) -> bool:
    return candidate.image_id == request.image.id


@rule(
    "The image has not changed since it was cached.",
    Reason.CACHE_STALE,
    reads=("candidate.image_updated_at", "image.updated_at"),
    citations=(_CACHE,),
    cures=(
        Cure(
            "create one volume, which refreshes the cache",
            Responsible.OPERATOR,
            _refreshed,
            Cost.DATA,
            waiting_helps=True,
        ),
    ),
)
def entry_fresh(request: CreateRequest, candidate: CacheEntry) -> bool:
    return (
        request.image.updated_at is not None
        and candidate.image_updated_at == request.image.updated_at
    )


@rule(
    "The source is available or in use, and is not being migrated.",
    Reason.SOURCE_STATUS,
    reads=("source.status", "source.migration_status"),
    citations=(cinder("volume.api.API.create, source volume"),),
    differs="Cinder does not check this.",
    cures=(
        Cure(
            "bring the source back to available",
            Responsible.OPERATOR,
            _settled_if(failed=True),
        ),
        Cure(
            "wait, or bring the source back to available",
            Responsible.OPERATOR,
            _settled_if(failed=False),
            waiting_helps=True,
        ),
        Cure(
            "keep the image in another source: this one is being deleted",
            Responsible.OPERATOR,
            _kept_elsewhere,
            Cost.DATA,
        ),
    ),
)
def source_ready(_request: CreateRequest, candidate: Candidate) -> bool:
    source = candidate.source
    return source is None or (
        source.status in AT_REST
        and (
            isinstance(source, StoredImage)
            or source.migration_status in NOT_MIGRATING
        )
    )


CLONES_IN_USE = Cure(
    "declare clone_in_use in extra_capabilities, if the driver clones a "
    "volume that is attached",
    Responsible.OPERATOR,
    declared("clone_in_use"),
    Cost.RESTART,
)


@rule(
    "The source is not in use, or the array declares that it clones a volume "
    "in use.",
    Reason.SOURCE_IN_USE,
    reads=("source.status", "backend.clone_in_use"),
    citations=(
        cinder("RemoteFSSnapDriverBase._create_cloned_volume"),
        glance("option do_secure_hash"),
    ),
    differs="Cinder tries to clone, and downloads if that fails.",
    cures=(
        Cure(
            "detach the source, or wait until Glance has computed the image's "
            "hash",
            Responsible.OPERATOR,
            always({"source.status": "available"}),
            waiting_helps=True,
        ),
        CLONES_IN_USE,
    ),
)
def source_in_use_cloned(
    request: CreateRequest, candidate: VolumeCandidate
) -> bool:
    source = candidate.source
    return (
        source is None
        or source.status != "in-use"
        or request.backend.clone_in_use is True
    )


@rule(
    "The source is not encrypted.",
    Reason.SOURCE_ENCRYPTED,
    meaning="the source is encrypted",
    reads=("source.encryption_key_id",),
    citations=(cinder("CreateVolumeFromSpecTask._rekey_volume"),),
    differs="Cinder does not check this.",
    cures=_other_data(
        "upload the image from a volume that is not encrypted",
        always({"source.encryption_key_id": None}),
    ),
)
def source_unencrypted(_request: CreateRequest, candidate: Candidate) -> bool:
    source = candidate.source
    return source is None or source.encryption_key_id is None


@rule(
    "The source's size is known.",
    Reason.SOURCE_SIZE_UNKNOWN,
    reads=("source.size",),
    citations=(cinder("driver.clone_image"),),
    differs="Cinder leaves this to the driver.",
    cures=(
        Cure(
            "make the driver report the source's size",
            Responsible.DRIVER_AUTHOR,
            lambda request, _: {"source.size": disk(request)},
        ),
    ),
)
def source_size_known(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.source is None or candidate.source.size is not None


@rule(
    "The source is no larger than the new volume.",
    Reason.SOURCE_LARGER_THAN_REQUEST,
    reads=("source.size", "volume.size"),
    citations=(cinder("volume.api.API.create, source volume"),),
    differs="Cinder leaves this to the driver; some drivers truncate.",
    cures=(
        Cure(
            "ask for a volume at least as large as the source",
            Responsible.REQUESTER,
            _as_large,
        ),
    ),
)
def source_fits(request: CreateRequest, candidate: Candidate) -> bool:
    size = _size(candidate)
    return size is None or size <= request.volume.size


# Only a cache entry is cloned for an image whose disk's size is not known:
# Cinder made it from that disk.  Other rules close the other routes.
@rule(
    "The source is no smaller than the disk in the image, if that is known.",
    Reason.SOURCE_SMALLER_THAN_IMAGE,
    reads=("source.size", *DISK_SIZE),
    citations=(cinder("image_utils.check_virtual_size"),),
    differs="Cinder does not check this.",
    cures=_other_data(
        "upload the image from a volume that holds it",
        lambda request, _: {"source.size": disk(request)},
    ),
)
def source_holds_image(request: CreateRequest, candidate: Candidate) -> bool:
    size, disk_size = _size(candidate), request.image.disk_size
    return size is None or disk_size is None or size * GiB >= disk_size


@rule(
    "The source is not the new volume itself.",
    Reason.SOURCE_IS_NEW_VOLUME,
    reads=("source.id", "volume.id"),
    citations=(_CLONE,),
    differs="Cinder does not check this.",
    cures=(
        Cure(
            "upload the image from another volume",
            Responsible.OPERATOR,
            replaced,
            Cost.DATA,
        ),
    ),
)
def source_is_another(
    request: CreateRequest, candidate: VolumeCandidate
) -> bool:
    source = candidate.source
    return source is None or source.id != request.volume.id


@rule(
    "The clone is large enough, or the array can extend it.",
    Reason.EXTEND_UNSUPPORTED,
    reads=("source.size", "volume.size", "backend.can_extend"),
    citations=(spec("Proposed change, extend"),),
    differs="Cinder leaves this to the driver.",
    cures=(
        _SIZED_AS_SOURCE,
        Cure(
            "declare can_extend in extra_capabilities, if the driver extends",
            Responsible.OPERATOR,
            declared("can_extend"),
            Cost.RESTART,
        ),
        Cure(
            "implement extending in the driver, and declare it",
            Responsible.DRIVER_AUTHOR,
            always({"backend.can_extend": True}),
        ),
    ),
)
def extend_possible(request: CreateRequest, candidate: Candidate) -> bool:
    size = _size(candidate)
    return (
        size is None
        or size >= request.volume.size
        or request.backend.can_extend is True
    )


def _promised(kind: VolumeType | None) -> frozenset[str] | None:
    """Return what a type's extra specs promise; no type promises nothing."""
    return frozenset() if kind is None else kind.extra_specs


@rule(
    "The volume types are the same, or their extra specs promise the same.",
    Reason.TYPE_INCOMPATIBLE,
    reads=("source.volume_type", "volume.volume_type"),
    citations=_TYPES,
    differs=_TYPES_DIFFER,
    meaning="the extra specs of the two volume types differ, or are not known",
    cures=(_TYPED_AS_SOURCE,),
)
def type_specs_equal(
    request: CreateRequest, candidate: VolumeCandidate
) -> bool:
    source, wanted = candidate.source, request.volume.volume_type
    if source is None:
        return True
    has = source.volume_type
    if has is not None and wanted is not None and has.id == wanted.id:
        return True
    promised = _promised(wanted)
    return promised is not None and promised == _promised(has)


@rule(
    "The volume types have the same QoS specs, or none.",
    Reason.TYPE_INCOMPATIBLE,
    reads=("source.volume_type", "volume.volume_type"),
    citations=_TYPES,
    differs=_TYPES_DIFFER,
    meaning="the QoS specs of the two volume types differ",
    cures=(_TYPED_AS_SOURCE,),
)
def type_qos_equal(request: CreateRequest, candidate: VolumeCandidate) -> bool:
    source, wanted = candidate.source, request.volume.volume_type
    if source is None:
        return True
    has = source.volume_type
    return (has and has.qos_specs_id) == (wanted and wanted.qos_specs_id)


@rule(
    "The number of the source's clones is known, if the array limits it.",
    Reason.CLONES_UNKNOWN,
    reads=("source.clones", "backend.clone_limit"),
    citations=(cinder("exception.SnapshotLimitReached"),),
    differs="Cinder tries to clone, and downloads if that fails.",
    cures=(
        Cure(
            "make the driver report the number of clones",
            Responsible.DRIVER_AUTHOR,
            always({"source.clones": 0}),
            waiting_helps=True,
        ),
    ),
)
def clones_known(request: CreateRequest, candidate: Candidate) -> bool:
    return (
        candidate.source is None
        or request.backend.clone_limit is None
        or candidate.source.clones is not None
    )


@rule(
    "The source has fewer clones than the array allows, as far as their "
    "number is known.",
    Reason.SNAPSHOT_LIMIT,
    reads=("source.clones", "backend.clone_limit"),
    citations=(cinder("exception.SnapshotLimitReached"),),
    differs="Cinder tries to clone, and downloads if that fails.",
    cures=(
        Cure(
            "add another image volume, or delete clones",
            Responsible.OPERATOR,
            _fewer_clones,
            waiting_helps=True,
        ),
    ),
)
def below_clone_limit(request: CreateRequest, candidate: Candidate) -> bool:
    source, limit = candidate.source, request.backend.clone_limit
    return (
        source is None
        or limit is None
        or source.clones is None
        or source.clones < limit
    )


@rule(
    "No inspection refuses the source's data.",
    Reason.CONTENT_REFUSED,
    reads=("source.inspection",),
    citations=(advisory("OSSA-2024-001"), cinder("image_utils.qemu_img_info")),
    differs="Cinder inspects what it downloads, but not what it clones.",
    cures=_other_data("replace the source's data by a raw disk", INSPECTED),
)
def source_not_refused(_request: CreateRequest, candidate: Candidate) -> bool:
    source = candidate.source
    return source is None or source.inspection is not _REFUSED


@rule(
    "The source's data has been inspected.",
    Reason.CONTENT_NOT_INSPECTED,
    reads=("source.inspection",),
    citations=(advisory("OSSA-2024-001"),),
    cures=(
        Cure(
            "implement inspection for the array",
            Responsible.DRIVER_AUTHOR,
            INSPECTED,
        ),
    ),
)
def source_inspected(_request: CreateRequest, candidate: Candidate) -> bool:
    source = candidate.source
    return source is None or source.inspection is not Inspection.NOT_INSPECTED


@rule(
    "The source's data could be read, if the array was asked to inspect it.",
    Reason.CONTENT_UNREADABLE,
    reads=("source.inspection",),
    citations=(advisory("OSSA-2024-001"),),
    cures=(
        Cure(
            "find in the log why the source cannot be read, and fix it",
            Responsible.OPERATOR,
            INSPECTED,
            waiting_helps=True,
        ),
    ),
)
def source_readable(_request: CreateRequest, candidate: Candidate) -> bool:
    source = candidate.source
    return source is None or source.inspection is not Inspection.UNREADABLE


@rule(
    "No tenant can write to the source.",
    Reason.TENANT_MUTABLE,
    reads=("source.project_id", *_TRUSTED),
    citations=(cinder("VolumeManager._clone_image_volume"),),
    cures=(_KEPT_BY_CINDER,),
)
def source_immutable(request: CreateRequest, candidate: ImageVolume) -> bool:
    source = candidate.source
    return source is None or request.config.trusts(source.project_id)


@rule(
    "The clone has the requested size without extending it.",
    Reason.EXTEND_REQUIRED,
    reads=("source.size", "volume.size"),
    citations=(spec("Proposed change, extend"),),
    cures=(_SIZED_AS_SOURCE,),
)
def no_extension(request: CreateRequest, candidate: Candidate) -> bool:
    size = _size(candidate)
    return size is None or size >= request.volume.size


def _size(candidate: Candidate) -> int | None:
    return None if candidate.source is None else candidate.source.size
