"""A consumer's code: checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never, assert_type

import attrs

from clonepolicy import (
    POLICIES,
    SAFE,
    Candidate,
    Clone,
    CreateDecision,
    CreateRequest,
    Decision,
    Download,
    Finding,
    ImageVolume,
    Operation,
    Outcome,
    Reason,
    Refuse,
    Register,
    Request,
    Route,
    Upload,
    UploadDecision,
    UploadRequest,
    decide,
    execute,
)
from clonepolicy.plan import Attempt, Plan
from clonepolicy.policy import CloneTable, Policy, rule, spec
from clonepolicy.ports import Ports


def each_request_has_its_own_decision(
    create: CreateRequest, upload: UploadRequest, either: Request
) -> None:
    """``decide`` keeps the two operations apart where the caller does."""
    assert_type(decide(create), CreateDecision)
    assert_type(decide(upload, SAFE), UploadDecision)
    assert_type(decide(either), Decision)


def each_verdict_has_its_own_request(decision: Decision) -> str:
    """A match over the verdicts is exhaustive, and narrows the request."""
    match decision:
        case Clone():
            assert_type(decision.request, CreateRequest)
            assert_type(decision.source, Candidate)
            return decision.source.label
        case Download():
            assert_type(decision.request, CreateRequest)
            return str(decision.request.quota.volumes)
        case Register() | Upload():
            assert_type(decision.request, UploadRequest)
            return decision.request.clone_project
        case Refuse():
            assert_type(decision.request, Request)
            return decision.verdict
        case _:
            assert_never(decision)


def the_operation_narrows_the_request(
    request: Request,
) -> Mapping[str, object]:
    """No ``isinstance`` is needed to tell the operations apart."""
    if request.operation is Operation.CREATE:
        assert_type(request, CreateRequest)
        return {"volumes": request.image_volumes}
    assert_type(request, UploadRequest)
    return {"force": request.force}


def a_decision_is_read(decision: CreateDecision, ports: Ports) -> Outcome:
    """Findings, notes and the plan have types of their own."""
    assert_type(decision.findings, tuple[Finding, ...])
    assert_type(decision.findings[0].blocks, tuple[Route, ...])
    assert_type(decision.findings[0].reason, Reason)
    assert_type(decision.findings[0].remedies[0].remedy, str)
    assert_type(decision.plan, Plan)
    assert_type(decision.plan.attempts, tuple[Attempt, ...])
    return execute(decision.plan, ports)


@rule(
    "The image is small.",
    Reason.SIZE_INVALID,
    reads=("image.size",),
    citations=(spec("none"),),
)
def small(request: CreateRequest) -> bool:
    """A rule of a consumer's own."""
    return (request.image.size or 0) < 1


def a_policy_of_ones_own() -> Policy:
    """A rule and a table fit each other, or the type checker says so."""
    assert_type(small.name, str)
    table: CloneTable[ImageVolume] = POLICIES["SAFE"].create.clone[1]
    created = attrs.evolve(
        SAFE.create,
        clone=(table,),
        refuse=(*SAFE.create.refuse, small),
    )
    return attrs.evolve(SAFE, name="MINE", version=1, create=created)
