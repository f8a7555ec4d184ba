"""Every combination of rule outcomes that a request can have.

Rules that share no fact fail independently of each other.  Rules that share
facts are tried with every combination of the values in `AXES`.  The
combinations of a table are the product over its groups of rules.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs

from clonepolicy import Operation, Request
from clonepolicy.policy import CANDIDATE_FIELDS, Rule, Values
from clonepolicy.scenarios._axes import AXES, UPLOAD_AXES
from clonepolicy.scenarios._put import can_have, candidate_of, with_facts

_MISSING = "candidate.missing"
_CANDIDATES = frozenset(CANDIDATE_FIELDS.values())
_AS_IS = object()
"""Stands for the value that a fact has already."""


def components(
    rules: tuple[Rule[Any], ...],
) -> list[tuple[frozenset[str], tuple[Rule[Any], ...]]]:
    """Group the rules that share a fact, with the facts of the group."""
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


def holds(rule: Rule[Any], request: Request) -> bool:
    """Ask a rule about a request, or about its only candidate."""
    if any(p.partition(".")[0] in {"source", "candidate"} for p in rule.reads):
        return bool(rule.holds(request, candidate_of(request)))
    return bool(rule.holds(request))


@functools.cache
def outcomes_of(
    base: Request,
    facts: frozenset[str],
    rules: tuple[Rule[Any], ...],
    *,
    missing: bool | None = None,
) -> dict[frozenset[str], Values]:
    """Find every combination of outcomes of rules that share facts.

    ``missing`` says whether the source is to be missing; None: either.
    """
    found: dict[frozenset[str], Values] = {}
    for values, request in variants(base, facts):
        if missing in {None, values.get(_MISSING) is not None}:
            failing = frozenset(r.name for r in rules if not holds(r, request))
            found.setdefault(failing, values)
    return found


def variants(
    base: Request, facts: frozenset[str], most: int | None = None
) -> Iterator[tuple[Values, Request]]:
    """Iterate over combinations of values of some facts.

    A field of candidates is first as in ``base``.  If there are more than
    ``most`` combinations, about as many are taken, evenly spread.
    """
    paths = sorted(facts)
    pools = [_values_of(base, path) for path in paths]
    count = math.prod(map(len, pools))
    step = 1 if most is None else max(1, count // most)
    # a step without a common divisor meets every value of each fact
    while math.gcd(step, count) > 1:
        step += 1
    choices = itertools.product(*pools)
    for chosen in itertools.islice(choices, 0, None, step):
        given = zip(paths, chosen, strict=True)
        values = {path: value for path, value in given if value is not _AS_IS}
        yield values, with_facts(base, values)


def _values_of(base: Request, path: str) -> tuple[Any, ...]:
    axes = UPLOAD_AXES if base.operation is Operation.UPLOAD else AXES
    if path in _CANDIDATES:
        return (_AS_IS, *axes.get(path, ((),)))
    candidate, values = candidate_of(base), axes[path]
    return tuple(v for v in values if can_have(candidate, path, v)) or values


_Outcomes: TypeAlias = tuple[tuple[frozenset[str], Values], ...]
"""For a group of rules, those that fail at once, each with values."""


@attrs.frozen
class Combinations:
    """Every combination of outcomes that the rules of one table can have."""

    base: Request
    cases: tuple[tuple[_Outcomes, ...], ...]
    """The outcomes of each group of rules: with a source, and without."""

    def __len__(self) -> int:
        """Return how many there are, with a source and without one."""
        return sum(math.prod(map(len, case)) for case in self.cases)

    def __iter__(self) -> Iterator[tuple[frozenset[str], Request]]:
        """Iterate over the names of the failing rules, each with a request."""
        return self.every(1)

    def every(self, step: int) -> Iterator[tuple[frozenset[str], Request]]:
        """Iterate over every ``step``-th of them, and make no other."""
        at = 0
        for case in self.cases:
            count = math.prod(map(len, case))
            for number in range(at, count, step):
                yield self._made(case, number)
            at = (at - count) % step

    def _made(
        self, case: tuple[_Outcomes, ...], at: int
    ) -> tuple[frozenset[str], Request]:
        failing: frozenset[str] = frozenset()
        merged: dict[str, Any] = {}
        for outcomes in case:
            at, chosen = divmod(at, len(outcomes))
            names, values = outcomes[chosen]
            failing |= names
            merged.update(values)
        return failing, with_facts(self.base, merged)


def _about_source(facts: frozenset[str]) -> bool:
    return any(path.partition(".")[0] == "source" for path in facts)


def combinations(base: Request, rules: tuple[Rule[Any], ...]) -> Combinations:
    """Find every combination of outcomes that the rules can have."""
    groups = components(rules)
    with_source = tuple(
        tuple(outcomes_of(base, facts, members, missing=False).items())
        for facts, members in groups
    )
    if not any(_MISSING in facts for facts, _ in groups):
        return Combinations(base, (with_source,))
    without = tuple(
        tuple(
            outcomes_of(
                base, facts, members, missing=_MISSING in facts
            ).items()
        )
        for facts, members in groups
        if _MISSING in facts or not _about_source(facts)
    )
    return Combinations(base, (with_source, without))


def independent_faults(
    base: Request,
    rules: tuple[Rule[Any], ...],
    *,
    keeping: tuple[Rule[Any], ...] = (),
) -> tuple[tuple[str, Values], ...]:
    """Return one fault for each group of rules that share facts.

    A fault is the name of the one rule that fails, and the values that make
    it fail.  Any subset of the faults can be put into ``base`` at once.  The
    rules in ``keeping`` hold for every fault.
    """
    faults: list[tuple[str, Values]] = []
    for facts, members in components(rules):
        for values, request in variants(base, facts):
            if values.get(_MISSING) is not None or _CANDIDATES & values.keys():
                continue
            failing = [r.name for r in members if not holds(r, request)]
            if len(failing) == 1 and all(holds(r, request) for r in keeping):
                faults.append((failing[0], values))
                break
    return tuple(faults)
