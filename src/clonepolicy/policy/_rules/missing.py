"""Rules about a source that is missing: each tells another reason.

Only `source_found` says that the source is not there.
"""

from __future__ import annotations

import attrs

from clonepolicy._facts.locations import (
    MalformedLocation,
    OtherLocation,
    cinder_volume_id,
)
from clonepolicy._facts.records import Missing
from clonepolicy._facts.requests import (
    ArrayImage,
    CacheEntry,
    Candidate,
    CreateRequest,
    ImageVolume,
    VolumeCandidate,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, rule
from clonepolicy.policy._rules.cures import (
    CACHED,
    KEPT_IN_STORE,
    STORED_ON_ARRAY,
    UPLOADED,
    Changes,
)
from clonepolicy.policy._rules.location import same_fsid, scheme_supported
from clonepolicy.policy._rules.new_source import looked_up

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_READS = ("candidate.missing",)
_UNANSWERED = frozenset({Missing.UNAVAILABLE, Missing.FAILED})
_UNASKED = frozenset({Missing.UNSUPPORTED, Missing.NOT_ASKED})


def _looked_up_if(why: Missing) -> Changes:
    return lambda request, candidate: (
        looked_up(request, candidate)
        if candidate.missing is why and not _is_foreign(candidate)
        else None
    )


def _is_foreign(candidate: Candidate) -> bool:
    """Return whether no array can look a source up at its location."""
    return isinstance(getattr(candidate, "location", None), OtherLocation)


_CACHED = attrs.evolve(CACHED, waiting_helps=True)
_LOOK_UP = (
    Cure(
        "implement the look-up in the driver",
        Responsible.DRIVER_AUTHOR,
        _looked_up_if(Missing.UNSUPPORTED),
    ),
    Cure(
        "look the source up, and decide again",
        Responsible.OPERATOR,
        _looked_up_if(Missing.NOT_ASKED),
    ),
)


@rule(
    "The source exists, as far as that is known.",
    Reason.SOURCE_NOT_FOUND,
    reads=_READS,
    citations=(_CLONE,),
    cures=(STORED_ON_ARRAY, UPLOADED, KEPT_IN_STORE, _CACHED),
)
def source_found(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.missing is not Missing.ABSENT


@rule(
    "Looking the source up is allowed.",
    Reason.SOURCE_FORBIDDEN,
    reads=_READS,
    citations=(_CLONE,),
    cures=(
        Cure(
            "let Cinder read the source: check the capabilities of its Ceph "
            "user, the mode of the directory, or its roles",
            Responsible.OPERATOR,
            looked_up,
        ),
    ),
)
def source_permitted(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.missing is not Missing.FORBIDDEN


@rule(
    "Looking the source up does not fail.",
    Reason.SOURCE_UNAVAILABLE,
    reads=_READS,
    citations=(_CLONE,),
    cures=(
        Cure(
            "bring back the service that failed; the log has its error",
            Responsible.OPERATOR,
            looked_up,
            waiting_helps=True,
        ),
    ),
)
def source_answered(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.missing not in _UNANSWERED


@rule(
    "The source was looked up, unless the location names none.",
    Reason.SOURCE_NOT_LOOKED_UP,
    reads=(*_READS, "candidate.location"),
    citations=(_CLONE,),
    cures=_LOOK_UP,
)
def source_asked(
    _request: CreateRequest, candidate: ArrayImage | ImageVolume
) -> bool:
    location = candidate.location
    return candidate.missing not in _UNASKED or (
        isinstance(location, MalformedLocation)
        and cinder_volume_id(location) is None
    )


@rule(
    "The cached volume was looked up.",
    Reason.SOURCE_NOT_LOOKED_UP,
    reads=_READS,
    citations=(cinder("image.cache.ImageVolumeCache.get_entry"),),
    cures=_LOOK_UP,
)
def entry_asked(_request: CreateRequest, candidate: CacheEntry) -> bool:
    return candidate.missing not in _UNASKED


@rule(
    "The source lies where it was looked for.",
    Reason.SOURCE_ELSEWHERE,
    reads=_READS,
    citations=(_CLONE,),
    cures=(UPLOADED, KEPT_IN_STORE, _CACHED),
)
def source_here(_request: CreateRequest, candidate: VolumeCandidate) -> bool:
    return candidate.missing is not Missing.ELSEWHERE


@rule(
    "A location of the array's kind and cluster is one where the array looks "
    "for images.",
    Reason.SOURCE_ELSEWHERE,
    reads=(
        *_READS,
        "candidate.location",
        "backend.finds_images",
        "backend.image_schemes",
        "backend.array_id",
    ),
    citations=(cinder("driver.clone_image"),),
    cures=(
        Cure(
            "have the array look for images there, if it can",
            Responsible.OPERATOR,
            looked_up,
            Cost.RESTART,
        ),
        STORED_ON_ARRAY,
    ),
)
def image_here(request: CreateRequest, candidate: ArrayImage) -> bool:
    return (
        candidate.missing is not Missing.ELSEWHERE
        or isinstance(candidate.location, MalformedLocation)
        or not scheme_supported.holds(request, candidate)
        or not same_fsid.holds(request, candidate)
    )
