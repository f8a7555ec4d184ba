"""The two questions: clone or download, register or upload."""

from __future__ import annotations

from array import array

from clonepolicy._decisions import (
    Clone,
    CreateDecision,
    Download,
    Refuse,
    Register,
    Upload,
    UploadDecision,
)
from clonepolicy._findings import CreateFindings, UploadFindings
from clonepolicy._plans import grown
from clonepolicy._policies import SAFE, Policy
from clonepolicy._records import CreateRequest, UploadRequest

_NONE = array("Q")


def decide_create(
    request: CreateRequest, policy: Policy = SAFE
) -> CreateDecision:
    """Decide how to fill a new volume from an image.

    Every rule is asked, whatever the others say; nothing is raised for a
    well-typed request.
    """
    code = 0
    for holds, bit in policy.create.predicates:
        if not holds(request):
            code |= bit
    source_codes = []
    for lane in policy.create.lanes:
        candidates = lane.candidates(request)
        if not candidates:
            source_codes.append(_NONE)
            continue
        codes = array("Q")
        for candidate in candidates:
            source_code = 0
            for holds, bit in lane.predicates:
                if not holds(request, candidate):
                    source_code |= bit
            codes.append(source_code)
        source_codes.append(codes)
    found = CreateFindings(
        policy=policy,
        request=request,
        code=code,
        source_codes=tuple(source_codes),
    )
    for lane, source in found.acceptable():
        return Clone(
            found=found,
            mechanism=lane.mechanism,
            source=source,
            extend_to=grown(request, source),
        )
    return Download(found=found) if found.ordinary else Refuse(found=found)


def decide_upload(
    request: UploadRequest, policy: Policy = SAFE
) -> UploadDecision:
    """Decide how to make an image of a volume.

    Every rule is asked, whatever the others say; nothing is raised for a
    well-typed request.
    """
    code = 0
    for holds, bit in policy.upload.predicates:
        if not holds(request):
            code |= bit
    found = UploadFindings(policy=policy, request=request, code=code)
    if found.efficient:
        return Register(
            found=found,
            project_id=request.clone_project,
            store=found.store,
        )
    return Upload(found=found) if found.ordinary else Refuse(found=found)
