"""What it would take to open an efficient route."""

from __future__ import annotations

import attrs

from clonepolicy._decide.decide import decide
from clonepolicy._decide.decision import Clone, Decision, Register
from clonepolicy._decide.finding import Finding
from clonepolicy._facts.requests import Request
from clonepolicy.policy._reason import Reason, Responsible
from clonepolicy.policy._shipped import SAFE
from clonepolicy.policy._tables import Policy, Route


@attrs.frozen
class Remedy:
    """What removes one finding, and who can apply it."""

    reason: Reason
    responsible: Responsible
    remedy: str
    waiting_helps: bool


@attrs.frozen(kw_only=True)
class Unblock:
    """All remedies that it takes to open one efficient route."""

    route: Route
    candidate: str | None
    """The source that it would clone; None: there is none yet."""
    remedies: tuple[Remedy, ...]


def what_would_it_take(
    request: Request, policy: Policy = SAFE
) -> tuple[Unblock, ...]:
    """Return the fewest remedies that open each efficient route.

    If a route has several candidates, the candidate with the fewest remedies
    is chosen.  The route with the fewest remedies comes first.  If an
    efficient route is open already, the result is empty.
    """
    decision = decide(request, policy)
    if isinstance(decision, Clone | Register):
        return ()
    found = [_unblock(decision, route) for route in decision.efficient]
    return tuple(sorted(found, key=lambda way: len(way.remedies)))


def _unblock(decision: Decision, route: Route) -> Unblock:
    candidate, against = min(
        (
            (result.candidate.label, result.findings)
            for result in decision.candidates
            if result.route is route
        ),
        key=lambda pair: (len(pair[1]), pair[0]),
        default=(None, ()),
    )
    about_request = [
        finding
        for finding in decision.closing(route)
        if finding.candidate is None
    ]
    return Unblock(
        route=route,
        candidate=candidate,
        remedies=tuple(_remedy(f) for f in (*about_request, *against)),
    )


def _remedy(finding: Finding) -> Remedy:
    reason = finding.reason
    return Remedy(
        reason, reason.responsible, reason.remedy, reason.waiting_helps
    )
