"""Every combination of rule outcomes that a request can have.

Rules that share no fact fail independently of each other.  Rules that share
facts are tried with every combination of the values in `AXES`.  The
combinations of a table are the product over its groups of rules.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import attrs

from clonepolicy import Operation, Request
from clonepolicy.policy import CANDIDATE_FIELDS, Rule, Values
from clonepolicy.scenarios._axes import AXES, UPLOAD_AXES
from clonepolicy.scenarios._put import candidate_of, with_facts

_ABSENT = {"source": None, **dict.fromkeys(CANDIDATE_FIELDS.values(), ())}
"""For each path that can be absent, the value that it has then."""

_SOURCE = frozenset({"source"})


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


def outcomes_of(
    base: Request, facts: frozenset[str], rules: tuple[Rule[Any], ...]
) -> dict[frozenset[str], Values]:
    """Find every combination of outcomes of rules that share facts."""
    found: dict[frozenset[str], Values] = {}
    for values, request in variants(base, facts):
        failing = frozenset(r.name for r in rules if not holds(r, request))
        found.setdefault(failing, values)
    return found


def variants(
    base: Request, facts: frozenset[str]
) -> Iterator[tuple[Values, Request]]:
    """Iterate over every combination of values of some facts.

    A source or candidate is there, as in ``base``, or absent.
    """
    axes = UPLOAD_AXES if base.operation is Operation.UPLOAD else AXES
    present = sorted(facts - _ABSENT.keys())
    absent = sorted(facts & _ABSENT.keys())
    for gone in itertools.product((False, True), repeat=len(absent)):
        without = {p: _ABSENT[p] for p in itertools.compress(absent, gone)}
        for chosen in itertools.product(*(axes[path] for path in present)):
            values = {**dict(zip(present, chosen, strict=True)), **without}
            yield values, with_facts(base, values)


@attrs.frozen
class Combinations:
    """Every combination of outcomes that the rules of one table can have."""

    base: Request
    parts: tuple[tuple[frozenset[str], dict[frozenset[str], Values]], ...]

    def __len__(self) -> int:
        """Return how many there are, with a source and without one."""
        plain = [(f, len(o)) for f, o in self.parts if f != _SOURCE]
        absent = [count for f, count in plain if not _about_source(f)]
        can_be_absent = len(plain) < len(self.parts)
        return math.prod(count for _, count in plain) + (
            math.prod(absent) if can_be_absent else 0
        )

    def __iter__(self) -> Iterator[tuple[frozenset[str], Request]]:
        """Iterate over the names of the failing rules, each with a request."""
        plain = [(f, o) for f, o in self.parts if f != _SOURCE]
        present = [[*outcomes.items()] for _, outcomes in plain]
        yield from self._requests(present, frozenset(), {})
        for facts, outcomes in self.parts:
            if facts == _SOURCE:
                ((failing, values),) = (o for o in outcomes.items() if o[0])
                rest = [[*o.items()] for f, o in plain if not _about_source(f)]
                yield from self._requests(rest, failing, values)

    def _requests(
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
            yield names, with_facts(self.base, {**merged, **values})


def _about_source(facts: frozenset[str]) -> bool:
    return any(path.partition(".")[0] == "source" for path in facts)


def combinations(base: Request, rules: tuple[Rule[Any], ...]) -> Combinations:
    """Find every combination of outcomes that the rules can have."""
    return Combinations(
        base,
        tuple(
            (facts, outcomes_of(base, facts, members))
            for facts, members in components(rules)
        ),
    )


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
        if facts <= _ABSENT.keys():
            continue
        for values, request in variants(base, facts):
            failing = [r.name for r in members if not holds(r, request)]
            if len(failing) == 1 and all(holds(r, request) for r in keeping):
                faults.append((failing[0], values))
                break
    return tuple(faults)
