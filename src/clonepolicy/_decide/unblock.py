"""What it would take to open an efficient route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product

import attrs

from clonepolicy._decide.decide import decide
from clonepolicy._decide.decision import Clone, Decision, Register
from clonepolicy._decide.finding import Finding, Remedy
from clonepolicy._facts.requests import Candidate, Request
from clonepolicy.policy._change import changed
from clonepolicy.policy._cure import Cost
from clonepolicy.policy._shipped import SAFE
from clonepolicy.policy._tables import Policy, Route

_COSTS = tuple(Cost)
_CHOICES = 24
"""The most combinations of remedies that are tried for one source."""
_ROUNDS = 4
"""A remedy can lead to new findings; so often are those remedied, too."""
_SOURCES = 3
"""The most sources of one route that are tried."""


@attrs.frozen(kw_only=True)
class Unblock:
    """Remedies that open one efficient route together."""

    route: Route
    candidate: str | None
    """The source that it clones; None: one that does not exist yet."""
    remedies: tuple[Remedy, ...]

    @property
    def cost(self) -> Cost:
        """The highest cost of a remedy."""
        return max((r.cost for r in self.remedies), key=_COSTS.index)


def what_would_it_take(
    request: Request, policy: Policy = SAFE
) -> tuple[Unblock, ...]:
    """Return how each efficient route can be opened, the nearest way first.

    Each way has been tried: its remedies are applied to the facts of the
    request, and the route is then open.  A way with fewer remedies is
    nearer; of two with as many, the one that costs less.  A route that no
    remedies open is left out.  If an efficient route is open already, the
    result is empty.
    """
    decision = decide(request, policy)
    if isinstance(decision, Clone | Register):
        return ()
    best = (
        min(_ways(decision, route), key=_distance, default=None)
        for route in decision.efficient
    )
    return tuple(sorted(filter(None, best), key=_distance))


def _distance(way: Unblock) -> tuple[int, int]:
    done = {remedy.remedy for remedy in way.remedies}
    return (len(done), _COSTS.index(way.cost))


def _ways(decision: Decision, route: Route) -> Iterator[Unblock]:
    """Yield ways through the nearest sources, or through a new one."""
    results = [r for r in decision.candidates if r.route is route]
    nearest = sorted(results, key=lambda result: len(result.findings))
    sources = [result.candidate for result in nearest[:_SOURCES]]
    for source in sources or (None,):
        for remedies in _choices(_closing(decision, route, source)):
            applied = _open(decision, route, source, remedies)
            if applied is not None:
                label = None if source is None else source.label
                yield Unblock(route=route, candidate=label, remedies=applied)


def _closing(
    decision: Decision, route: Route, source: Candidate | None
) -> list[Finding]:
    """Return what closes a route for one source."""
    return [
        *(f for f in decision.evaluation.about_request if route in f.blocks),
        *(
            finding
            for result in decision.candidates
            if result.route is route and source == result.candidate
            for finding in result.findings
        ),
    ]


def _only_source(decision: Decision, route: Route) -> Candidate | None:
    """Return the source that a remedy has made, if one has."""
    there = (r.candidate for r in decision.candidates if r.route is route)
    return next(there, None)


def _choices(findings: Iterable[Finding]) -> Iterator[tuple[Remedy, ...]]:
    """Yield one remedy for each finding, in several combinations."""
    return islice(product(*(f.remedies for f in findings)), _CHOICES)


def _open(
    decision: Decision,
    route: Route,
    source: Candidate | None,
    remedies: tuple[Remedy, ...],
) -> tuple[Remedy, ...] | None:
    """Apply remedies until the route is open; None: they do not open it."""
    request, policy = decision.request, decision.policy
    applied: list[Remedy] = []
    for _ in range(_ROUNDS):
        for remedy in remedies:
            request, source = changed(request, dict(remedy.changes), source)
        applied += remedies
        decision = decide(request, policy)
        source = source or _only_source(decision, route)
        found = _closing(decision, route, source)
        if not found:
            opened = isinstance(decision, Clone | Register)
            return tuple(applied) if opened else None
        remedies = tuple(f.remedies[0] for f in found if f.remedies)
        if len(remedies) < len(found):
            return None
    return None
