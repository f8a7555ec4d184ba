"""Laws about each rule of each table."""

from __future__ import annotations

import itertools
import pathlib
import random
import sys
from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from agreement import label
from clonepolicy import (
    Decision,
    Request,
    Route,
    UploadRequest,
    decide,
    scenarios,
)
from clonepolicy.policy import CANDIDATE_FIELDS, Policy, Rule
from clonepolicy.scenarios import AXES, UPLOAD_AXES, candidate_of, with_facts
from laws import (
    RULES,
    create_tables,
    every_policy,
    every_row,
    every_verdict_row,
    one_fault,
    rules_in,
)

pytestmark = pytest.mark.one_python
WHOLE = frozenset(CANDIDATE_FIELDS.values())
"""The facts that are candidates."""


class TestAlone:
    """For every rule, a request exists in which only it fails in its table."""

    @every_verdict_row
    def test_a_rule_can_fail_alone(
        self, policy: Policy, table: scenarios.Table, rule: Rule[Any]
    ) -> None:
        """No rule is implied by its neighbours."""
        scenario = one_fault(policy)[table.name, rule.name]
        failing = [r for r in table.rules if not scenarios.holds(r, scenario)]
        assert [rule] == failing


class TestFramed:
    """A rule depends on the facts that it names, on all, and on no other."""

    @every_row
    @settings(max_examples=settings().max_examples // 4)
    @given(rng=st.randoms(use_true_random=False, note_method_calls=False))
    def test_a_rule_depends_on_its_reads_only(
        self,
        policy: Policy,  # noqa: ARG002 - a row names it
        table: scenarios.Table,
        rule: Rule[Any],
        rng: random.Random,
    ) -> None:
        """Two requests that agree on the reads agree on the outcome.

        A rule that reads a fact of the source holds if there is none.
        """
        axes = UPLOAD_AXES if isinstance(table.base, UploadRequest) else AXES
        # whole candidates would hide the facts of the base's candidate
        one, two = (
            {
                path: rng.choice(pool)
                for path, pool in axes.items()
                if path in rule.reads or path not in WHOLE
            }
            for _ in range(2)
        )
        read = {path: one[path] for path in rule.reads if path in axes}
        if any(path.startswith("source.") for path in rule.reads):
            read["candidate.missing"] = one["candidate.missing"] = None
        assert scenarios.holds(rule, with_facts(table.base, one)) == (
            scenarios.holds(rule, with_facts(table.base, {**two, **read}))
        )

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
    def test_a_rule_uses_every_fact_that_it_names(
        self, rule: Rule[Any]
    ) -> None:
        """For each fact, two requests that differ in it alone differ."""
        used: set[str] = set()
        for base in {id(base): base for base in RULES[rule]}.values():
            used |= dependencies(rule, base)
        assert set(rule.reads) == used


def dependencies(rule: Rule[Any], base: Request) -> set[str]:
    """Find facts that alone make two requests differ in the outcome."""
    asked = [
        ({p: id(v) for p, v in values.items()}, scenarios.holds(rule, request))
        for values, request in scenarios.variants(base, frozenset(rule.reads))
    ]
    found: set[str] = set()
    for path in rule.reads:
        outcomes: dict[tuple[int | None, ...], bool] = {}
        for values, held in asked:
            rest = tuple(values.get(p) for p in rule.reads if p != path)
            if outcomes.setdefault(rest, held) is not held:
                found.add(path)
                break
    return found


def without(policy: Policy, table: str, rule: Rule[Any]) -> Policy:
    """Take one rule out of one table."""
    operation, _, place = table.partition(".")
    part = getattr(policy, operation)
    route_name, _, field = place.partition(".")
    if field:
        part = attrs.evolve(
            part,
            clone=tuple(
                attrs.evolve(
                    clone_table,
                    **{
                        field: tuple(
                            r
                            for r in getattr(clone_table, field)
                            if r is not rule
                        )
                    },
                )
                if clone_table.route == route_name
                else clone_table
                for clone_table in part.clone
            ),
        )
    else:
        rest = tuple(r for r in getattr(part, place) if r is not rule)
        part = attrs.evolve(part, **{place: rest})
    return attrs.evolve(policy, **{operation: part})


class TestNeeded:
    """Without a rule in a table, some decision changes."""

    @every_verdict_row
    def test_a_table_without_the_rule_reports_less(
        self, policy: Policy, table: scenarios.Table, rule: Rule[Any]
    ) -> None:
        """Where it fails alone, its finding or what it closes is missing."""
        scenario = one_fault(policy)[table.name, rule.name]
        fewer = without(policy, table.name, rule)
        has, lacks = decide(scenario, policy), decide(scenario, fewer)

        def blocks(decision: Decision) -> set[tuple[str, Route]]:
            return {
                (f.rule, path) for f in decision.findings for path in f.blocks
            }

        assert blocks(lacks) < blocks(has)


class TestTables:
    """The engine loses no rule of a table, and adds none."""

    @every_policy
    def test_a_walk_over_the_tables_finds_every_rule(
        self, policy: Policy
    ) -> None:
        """As often as the tables' own fields hold it."""
        parts = (*create_tables(policy), policy.upload)
        given_ = [rule for part in parts for _, rule in rules_in(part)]
        walked = [rule for _, rules in policy.tables() for rule in rules]
        assert Counter(given_) == Counter(walked)


def blocked(policy: Policy, table: str, rule: Rule[Any]) -> list[Route]:
    """Derive the paths that a rule's finding closes from its tables."""
    operation, _, place = table.partition(".")
    routes = {clone_table.route for clone_table in policy.create.clone}
    own = {
        "create.refuse": {*routes, Route.DOWNLOAD},
        "create.download": {Route.DOWNLOAD},
        "upload.refuse": {Route.REGISTER, Route.UPLOAD},
        "upload.register": {Route.REGISTER},
        "upload.upload": {Route.UPLOAD},
        **{f"create.{path}.preconditions": {path} for path in routes},
    }
    if place.endswith(".source_rules"):
        return [Route(place.removesuffix(".source_rules"))]
    found = {
        path
        for name, rules in policy.tables()
        if name.startswith(f"{operation}.") and rule in rules
        for path in own.get(name, ())
    }
    return [path for path in Route if path in found]


def lacks(scenario: Request, path: str) -> bool:
    """Say whether the kind of source in a scenario has no such field."""
    candidate = candidate_of(scenario)
    root, _, field = path.partition(".")
    if root != "source" or candidate is None or candidate.source is None:
        return False
    return not hasattr(candidate.source, field)


class TestFindings:
    """A finding says which rule failed, on which values, and what it closes.

    The values are compared with those that were put into the request.
    """

    @every_verdict_row
    def test_a_finding_is_that_of_the_rule_that_fails(
        self, policy: Policy, table: scenarios.Table, rule: Rule[Any]
    ) -> None:
        """In up to twenty requests in which the rule fails."""
        failing = (
            (values, scenario)
            for values, scenario in scenarios.variants(
                table.base, frozenset(rule.reads)
            )
            if not scenarios.holds(rule, scenario)
        )
        seen = 0
        for values, scenario in itertools.islice(failing, 20):
            (finding,) = (
                f
                for f in decide(scenario, policy).findings
                if f.rule == rule.name
            )
            seen += 1
            source = candidate_of(scenario)
            if not table.name.endswith(".source_rules"):
                source = None
            as_it_is = {
                path: getattr(table.base, path)
                for path in CANDIDATE_FIELDS.values()
                if path in rule.reads
            }
            assert (
                rule.reason,
                rule.requirement,
                source and label(source),
                blocked(policy, table.name, rule),
                rule.reads,
                {
                    path: None if lacks(scenario, path) else value
                    for path, value in (as_it_is | {**values}).items()
                },
            ) == (
                finding.reason,
                finding.requirement,
                finding.candidate,
                list(finding.blocks),
                tuple(path for path, _ in finding.values),
                dict(finding.values),
            )
        assert seen
