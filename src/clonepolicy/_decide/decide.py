"""Decide: ask every rule, then take the best route that is open.

Nothing here knows what a rule asks or which policy runs.
"""

from __future__ import annotations

from typing import TypeVar, overload

from clonepolicy._decide.decision import (
    Clone,
    CreateDecision,
    Decision,
    Download,
    Refuse,
    Register,
    Upload,
    UploadDecision,
)
from clonepolicy._decide.evaluation import Evaluation
from clonepolicy._facts.requests import (
    CreateRequest,
    Operation,
    Request,
    UploadRequest,
    size_to_extend_to,
)
from clonepolicy.policy._shipped import SAFE
from clonepolicy.policy._tables import Policy, Route

R = TypeVar("R", CreateRequest, UploadRequest)


@overload
def decide(
    request: CreateRequest, policy: Policy = SAFE
) -> CreateDecision: ...
@overload
def decide(
    request: UploadRequest, policy: Policy = SAFE
) -> UploadDecision: ...
@overload
def decide(request: Request, policy: Policy = SAFE) -> Decision: ...
def decide(request: Request, policy: Policy = SAFE) -> Decision:
    """Decide how to fill a new volume, or how to make an image of a volume.

    Every rule is asked, whatever the other rules answer.  If no rule
    raises, deciding raises nothing.
    """
    if request.operation is Operation.CREATE:
        return _create(_evaluate(request, policy))
    return _upload(_evaluate(request, policy))


def _evaluate(request: R, policy: Policy) -> Evaluation[R]:
    """Ask the rules about the request, and those about each candidate."""
    tables = policy.tables_for(request.operation)
    failing = [rule for holds, rule in tables.checks if not holds(request)]
    candidates = []
    for table in tables.clone:
        checks = table.source_checks
        for candidate in table.candidates(request):
            fails = [r for holds, r in checks if not holds(request, candidate)]
            candidates.append((table, candidate, tuple(fails)))
    closes = tables.closes
    return Evaluation(
        policy,
        request,
        tuple(failing),
        tuple(candidates),
        [route for rule in failing for route in closes[rule]],
    )


def _create(evaluation: Evaluation[CreateRequest]) -> CreateDecision:
    for table, source in evaluation.usable():
        return Clone(
            evaluation=evaluation,
            route=table.route,
            source=source,
            extend_to=size_to_extend_to(evaluation.request, source),
        )
    if Route.DOWNLOAD not in evaluation.closed:
        return Download(evaluation=evaluation)
    return Refuse(evaluation=evaluation)


def _upload(evaluation: Evaluation[UploadRequest]) -> UploadDecision:
    if Route.REGISTER not in evaluation.closed:
        request = evaluation.request
        return Register(
            evaluation=evaluation,
            project_id=request.clone_project,
            store=request.store_id,
        )
    if Route.UPLOAD not in evaluation.closed:
        return Upload(evaluation=evaluation)
    return Refuse(evaluation=evaluation)
