"""Rules about a source that is missing: each tells another reason.

Only `source_found` says that the source is not there.
"""

from __future__ import annotations

from clonepolicy._facts.locations import MalformedLocation, cinder_volume_id
from clonepolicy._facts.records import Missing
from clonepolicy._facts.requests import (
    ArrayImage,
    CacheEntry,
    Candidate,
    CreateRequest,
    ImageVolume,
    VolumeCandidate,
)
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, rule
from clonepolicy.policy._rules.location import same_fsid, scheme_supported

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_READS = ("candidate.missing",)
_UNANSWERED = frozenset({Missing.UNAVAILABLE, Missing.FAILED})
_UNASKED = frozenset({Missing.UNSUPPORTED, Missing.NOT_ASKED})


@rule(
    "The source was not looked up in vain.",
    Reason.SOURCE_NOT_FOUND,
    reads=_READS,
    citations=(_CLONE,),
)
def source_found(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.missing is not Missing.ABSENT


@rule(
    "Looking the source up is allowed.",
    Reason.SOURCE_FORBIDDEN,
    reads=_READS,
    citations=(_CLONE,),
)
def source_permitted(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.missing is not Missing.FORBIDDEN


@rule(
    "Looking the source up does not fail.",
    Reason.SOURCE_UNAVAILABLE,
    reads=_READS,
    citations=(_CLONE,),
)
def source_answered(_request: CreateRequest, candidate: Candidate) -> bool:
    return candidate.missing not in _UNANSWERED


@rule(
    "The source was looked up, unless the location names none.",
    Reason.SOURCE_NOT_LOOKED_UP,
    reads=(*_READS, "candidate.location"),
    citations=(_CLONE,),
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
)
def entry_asked(_request: CreateRequest, candidate: CacheEntry) -> bool:
    return candidate.missing not in _UNASKED


@rule(
    "The source lies where it was looked for.",
    Reason.SOURCE_ELSEWHERE,
    reads=_READS,
    citations=(_CLONE,),
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
        "backend.image_schemes",
        "backend.array_id",
    ),
    citations=(cinder("driver.clone_image"),),
)
def image_here(request: CreateRequest, candidate: ArrayImage) -> bool:
    return (
        candidate.missing is not Missing.ELSEWHERE
        or isinstance(candidate.location, MalformedLocation)
        or not scheme_supported.holds(request, candidate)
        or not same_fsid.holds(request, candidate)
    )
