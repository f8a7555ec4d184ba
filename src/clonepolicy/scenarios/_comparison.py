"""One fault at a time, and where two policies differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from clonepolicy import (
    Clone,
    CreateRequest,
    LocationsFrom,
    Operation,
    Reason,
    Request,
    Route,
    UploadRequest,
    decide,
)
from clonepolicy.policy import Policy, Rule
from clonepolicy.scenarios._combinations import (
    components,
    holds,
    outcomes_of,
    variants,
)
from clonepolicy.scenarios._put import with_facts
from clonepolicy.scenarios._requests import (
    CLONEABLE,
    DOWNLOADED,
    REGISTERABLE,
    SOURCE_ID,
)


@attrs.frozen
class Table:
    """One table of a policy, and a request for which all its rules hold."""

    name: str
    rules: tuple[Rule[Any], ...]
    base: Request


def scenarios_of(policy: Policy) -> Iterator[Table]:
    """Iterate over the tables of a policy, each with a base request."""
    last = policy.create.clone[-1].route
    for name, rules in policy.tables():
        operation, _, rest = name.partition(".")
        if operation == "upload":
            yield Table(name, rules, REGISTERABLE)
        elif rest.startswith("download"):
            yield Table(name, rules, DOWNLOADED)
        else:
            route = rest.partition(".")[0]
            known = route in set(CLONEABLE)
            base = CLONEABLE[Route(route) if known else last]
            yield Table(name, rules, _seen_by(policy, base))


def _seen_by(policy: Policy, base: Request) -> Request:
    """Have the image show its locations, if the policy reads no others."""
    if isinstance(base, UploadRequest) or _clones(policy, base):
        return base
    shows = {
        "image.locations_from": LocationsFrom.IMAGE,
        "image.direct_url": f"cinder://{SOURCE_ID}",
    }
    shown = with_facts(base, shows)
    return shown if _clones(policy, shown) else base


def _clones(policy: Policy, request: CreateRequest) -> bool:
    return isinstance(decide(request, policy), Clone)


_MANY = 2_000
"""Of more combinations of the facts of a rule, some are taken."""


def one_fault(policy: Policy) -> dict[tuple[str, str], Request]:
    """Return a request for each rule: no other rule of its table fails.

    The keys are the names of the table and of the rule.
    """
    found: dict[tuple[str, str], Request] = {}
    for table in scenarios_of(policy):
        for facts, members in components(table.rules):
            outcomes = outcomes_of(table.base, facts, members)
            for rule in members:
                values = outcomes.get(frozenset({rule.name}))
                if values is not None:
                    found[table.name, rule.name] = with_facts(
                        table.base, values
                    )
    return found


@attrs.frozen
class Difference:
    """A rule that one policy has and another lacks, with an example."""

    rule: str
    table: str
    reason: Reason
    only_in: str
    request: Request
    """The rule fails for it and, if possible, the verdicts differ."""
    verdict_a: str
    verdict_b: str
    requirement: str
    """What the policy that has the rule requires."""
    instead: str
    """What Cinder does instead, if the other policy describes Cinder."""

    @property
    def why(self) -> str:
        """Say which policy requires what, and what Cinder does instead."""
        return f"{self.only_in} requires: {self.told}"

    @property
    def told(self) -> str:
        """Say what is required, and what Cinder does instead."""
        return f"{self.requirement} {self.instead}".rstrip()

    @property
    def changes_verdict(self) -> bool:
        """Whether the verdicts differ, and not only the reasons."""
        return self.verdict_a != self.verdict_b


def differences(a: Policy, b: Policy) -> tuple[Difference, ...]:
    """Return every rule that is in a table of one policy only."""
    return tuple(
        difference
        for has, lacks in ((a, b), (b, a))
        for difference in _missing(has, lacks, (a, b))
    )


def _missing(
    has: Policy, lacks: Policy, pair: tuple[Policy, Policy]
) -> Iterator[Difference]:
    theirs = dict(lacks.tables())
    for table in scenarios_of(has):
        if not table.name.endswith("notes"):
            others = theirs.get(table.name, ())
            both = attrs.evolve(table, base=_seen_by(lacks, table.base))
            for rule in table.rules:
                if rule not in others:
                    facts = _facts(rule, others)
                    yield _difference(both, rule, facts, has, pair)


def _facts(rule: Rule[Any], others: tuple[Rule[Any], ...]) -> frozenset[str]:
    """Return what a rule reads, and what rules with its reason read."""
    alike = (each.reads for each in others if each.reason is rule.reason)
    return frozenset(rule.reads).union(*alike)


def _difference(
    table: Table,
    rule: Rule[Any],
    facts: frozenset[str],
    has: Policy,
    pair: tuple[Policy, Policy],
) -> Difference:
    a, b = pair
    failing = [
        request
        for _, request in variants(table.base, facts, _MANY)
        if not holds(rule, request)
    ]
    request = next((r for r in failing if _differ(r, a, b)), failing[0])
    return Difference(
        rule=rule.name,
        table=table.name,
        reason=rule.reason,
        only_in=has.name,
        request=request,
        verdict_a=decide(request, a).verdict,
        verdict_b=decide(request, b).verdict,
        requirement=rule.requirement,
        instead=_instead(rule, b if has is a else a, request.operation),
    )


_OF_CINDER = "CINDER_"
"""How the names of the policies begin that describe releases of Cinder."""


def _instead(rule: Rule[Any], lacks: Policy, operation: Operation) -> str:
    if not lacks.name.startswith(_OF_CINDER):
        return ""
    uploads = operation is Operation.UPLOAD
    return (rule.upload_differs if uploads else "") or rule.differs


def _differ(request: Request, a: Policy, b: Policy) -> bool:
    return decide(request, a).verdict != decide(request, b).verdict
