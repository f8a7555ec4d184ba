"""Every combination of rule outcomes, one fault at a time, and policy diffs.

Rules that share no fact fail independently of each other; those that do
are tried with every combination of values in `worlds.AXES`.  What is
realisable for a whole table is the product of the two.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import attrs

from clonepolicy import (
    CreateRequest,
    Mechanism,
    Policy,
    Reason,
    Rule,
    UploadRequest,
    decide_create,
    decide_upload,
    tables,
    verb,
)
from clonepolicy.testing.worlds import (
    AXES,
    CLONEABLE,
    HELD,
    REGISTERABLE,
    UPLOAD_AXES,
    Request,
    Values,
    candidate_of,
    put,
)

_PRESENCE = frozenset({"source", *HELD.values()})


def _components(
    rules: tuple[Rule[Any], ...],
) -> list[tuple[frozenset[str], tuple[Rule[Any], ...]]]:
    """Group rules that share a fact, with every fact of the group."""
    groups: list[tuple[frozenset[str], tuple[Rule[Any], ...]]] = []
    for rule in rules:
        reads = frozenset(rule.reads)
        members: tuple[Rule[Any], ...] = (rule,)
        apart = []
        for others, theirs in groups:
            if reads & others:
                reads, members = reads | others, (*theirs, *members)
            else:
                apart.append((others, theirs))
        groups = [*apart, (reads, members)]
    return groups


def holds(rule: Rule[Any], world: Request) -> bool:
    """Ask a rule about a world, and about its candidate where it must."""
    if any(p.partition(".")[0] in {"source", "candidate"} for p in rule.reads):
        return bool(rule.holds(world, candidate_of(world)))
    return bool(rule.holds(world))


def _outcomes(
    base: Request, facts: frozenset[str], rules: tuple[Rule[Any], ...]
) -> dict[frozenset[str], Values]:
    """Find every combination of outcomes of rules that share facts."""
    found: dict[frozenset[str], Values] = {}
    for values, world in variants(base, facts):
        failing = frozenset(r.name for r in rules if not holds(r, world))
        found.setdefault(failing, values)
    return found


def variants(
    base: Request, facts: frozenset[str]
) -> Iterator[tuple[Values, Request]]:
    """Give a world for every combination of values of some facts."""
    axes = UPLOAD_AXES if isinstance(base, UploadRequest) else AXES
    paths = sorted(facts)
    for path in _PRESENCE.intersection(facts):
        for values in ({}, {path: None if path == "source" else ()}):
            yield values, put(base, values)
        return
    for chosen in itertools.product(*(axes[path] for path in paths)):
        values = dict(zip(paths, chosen, strict=True))
        yield values, put(base, values)


@attrs.frozen
class Combinations:
    """Every realisable combination of outcomes of one table's rules."""

    base: Request
    parts: tuple[tuple[frozenset[str], dict[frozenset[str], Values]], ...]

    def __len__(self) -> int:
        """Count them, those without a source apart from those with one."""
        plain = [(f, len(o)) for f, o in self.parts if not f & _PRESENCE]
        absent = [count for f, count in plain if not _about_source(f)]
        some_presence = len(plain) < len(self.parts)
        return math.prod(count for _, count in plain) + (
            math.prod(absent) if some_presence else 0
        )

    def __iter__(self) -> Iterator[tuple[frozenset[str], Request]]:
        """Give each combination: the failing rules' names, and a world."""
        plain = [(f, o) for f, o in self.parts if not f & _PRESENCE]
        present = [[*outcomes.items()] for _, outcomes in plain]
        yield from self._worlds(present, frozenset(), {})
        for facts, outcomes in self.parts:
            if facts & _PRESENCE:
                ((failing, values),) = (o for o in outcomes.items() if o[0])
                rest = [[*o.items()] for f, o in plain if not _about_source(f)]
                yield from self._worlds(rest, failing, values)

    def _worlds(
        self,
        parts: list[list[tuple[frozenset[str], Values]]],
        failing: frozenset[str],
        values: Values,
    ) -> Iterator[tuple[frozenset[str], Request]]:
        for chosen in itertools.product(*parts):
            merged: dict[str, Any] = {}
            for _, part in chosen:
                merged.update(part)
            names = failing.union(*(names for names, _ in chosen))
            yield names, put(self.base, {**merged, **values})


def _about_source(facts: frozenset[str]) -> bool:
    return any(path.partition(".")[0] == "source" for path in facts)


def combinations(base: Request, rules: tuple[Rule[Any], ...]) -> Combinations:
    """Find every realisable combination of the rules' outcomes."""
    return Combinations(
        base,
        tuple(
            (facts, _outcomes(base, facts, members))
            for facts, members in _components(rules)
        ),
    )


def independent_faults(
    base: Request,
    rules: tuple[Rule[Any], ...],
    *,
    keeping: tuple[Rule[Any], ...] = (),
) -> tuple[tuple[str, Values], ...]:
    """Give for each group of rules without shared facts one lone fault.

    Each comes with the name of the rule that fails; any subset of them can
    be put into ``base`` at once.  The rules to keep hold all the while.
    """
    faults: list[tuple[str, Values]] = []
    for facts, members in _components(rules):
        if facts & _PRESENCE:
            continue
        for values, world in variants(base, facts):
            failing = [r.name for r in members if not holds(r, world)]
            if len(failing) == 1 and all(holds(r, world) for r in keeping):
                faults.append((failing[0], values))
                break
    return tuple(faults)


@attrs.frozen
class Table:
    """One table of a policy, and a world in which all its rules hold."""

    name: str
    rules: tuple[Rule[Any], ...]
    base: Request


def worlds_of(policy: Policy) -> Iterator[Table]:
    """Give each table of a policy with a world of its own."""
    preferred = policy.create.lanes[-1].mechanism
    for name, rules in tables(policy):
        operation, _, rest = name.partition(".")
        if operation == "upload":
            yield Table(name, rules, REGISTERABLE)
        else:
            lane = rest.partition(".")[0]
            known = lane in set(Mechanism)
            mechanism = Mechanism(lane) if known else preferred
            yield Table(name, rules, CLONEABLE[mechanism])


def one_fault(policy: Policy) -> dict[tuple[str, str], Request]:
    """Give a world for each rule in which no other of its table fails.

    The keys are the table's and the rule's names.
    """
    found: dict[tuple[str, str], Request] = {}
    for table in worlds_of(policy):
        for facts, members in _components(table.rules):
            outcomes = _outcomes(table.base, facts, members)
            for rule in members:
                values = outcomes.get(frozenset({rule.name}))
                if values is not None:
                    found[table.name, rule.name] = put(table.base, values)
    return found


def verdict(request: Request, policy: Policy) -> str:
    """Decide, and name the verdict in one word."""
    decision = (
        decide_create(request, policy)
        if isinstance(request, CreateRequest)
        else decide_upload(request, policy)
    )
    return verb(decision)


@attrs.frozen
class Difference:
    """A rule that one policy asks and another does not, with a witness."""

    rule: str
    table: str
    reason: Reason
    only_in: str
    request: CreateRequest | UploadRequest
    """One for which the rule fails and, if there is any, verdicts differ."""
    verdict_a: str
    verdict_b: str
    why: str


def differences(a: Policy, b: Policy) -> tuple[Difference, ...]:
    """List every rule that stands in a table of one policy only."""
    return tuple(
        difference
        for has, lacks in ((a, b), (b, a))
        for difference in _missing(has, lacks, (a, b))
    )


def _missing(
    has: Policy, lacks: Policy, pair: tuple[Policy, Policy]
) -> Iterator[Difference]:
    theirs = dict(tables(lacks))
    for table in worlds_of(has):
        if not table.name.endswith("notes"):
            for rule in table.rules:
                if rule not in theirs.get(table.name, ()):
                    yield _difference(table, rule, has, pair)


def _difference(
    table: Table, rule: Rule[Any], has: Policy, pair: tuple[Policy, Policy]
) -> Difference:
    a, b = pair
    failing = [
        world
        for _, world in variants(table.base, frozenset(rule.reads))
        if not holds(rule, world)
    ]
    request = next(
        (w for w in failing if verdict(w, a) != verdict(w, b)), failing[0]
    )
    return Difference(
        rule=rule.name,
        table=table.name,
        reason=rule.reason,
        only_in=has.name,
        request=request,
        verdict_a=verdict(request, a),
        verdict_b=verdict(request, b),
        why=rule.differs or rule.requirement,
    )
