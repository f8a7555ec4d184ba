"""The rules under test, and what the tests of the laws share.

A rule is under test as soon as it stands in a table: nothing names one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs
import pytest

from clonepolicy import (
    POLICIES,
    CreateRequest,
    Decision,
    Request,
    Route,
    scenarios,
)
from clonepolicy.policy import (
    CANDIDATE_FIELDS,
    CloneTable,
    CreateTables,
    Policy,
    Rule,
    UploadTables,
    Values,
)

EVERY = tuple(POLICIES.values())
every_policy = pytest.mark.parametrize("policy", EVERY, ids=lambda p: p.name)

Tables: TypeAlias = CreateTables | CloneTable[Any] | UploadTables
Row: TypeAlias = tuple[Policy, scenarios.Table, Rule[Any]]


def _own_tables() -> Iterator[tuple[Policy, scenarios.Table]]:
    """Give each table once: releases of Cinder share most of theirs."""
    given: set[tuple[str, tuple[Rule[Any], ...]]] = set()
    for policy in reversed(EVERY):
        for table in scenarios.scenarios_of(policy):
            if (table.name, table.rules) not in given:
                given.add((table.name, table.rules))
                yield policy, table


TABLES = tuple(_own_tables())
ROWS: list[Row] = [
    (policy, table, rule) for policy, table in TABLES for rule in table.rules
]
VERDICT_ROWS = [row for row in ROWS if not row[1].name.endswith("notes")]
"""Those that can block something."""
RULES: dict[Rule[Any], list[Request]] = {}
for _, _table, _rule in ROWS:
    RULES.setdefault(_rule, []).append(_table.base)

MANY = 2_000
"""Of more combinations of the facts of a rule, some are taken."""


def some_variants(
    rule: Rule[Any], base: Request
) -> Iterator[tuple[Values, Request]]:
    """Iterate over combinations of the facts that a rule reads."""
    return scenarios.variants(base, frozenset(rule.reads), MANY)


one_fault = functools.cache(scenarios.one_fault)


def over(rows: list[Row]) -> pytest.MarkDecorator:
    """Run a test for each of some rows, named after it."""
    return pytest.mark.parametrize(
        ("policy", "table", "rule"),
        rows,
        ids=[f"{p.name}-{t.name}-{r.name}" for p, t, r in rows],
    )


every_row = over(ROWS)
every_verdict_row = over(VERDICT_ROWS)


def rules_in(tables: Tables) -> Iterator[tuple[str, Rule[Any]]]:
    """Walk the fields of a policy's tables that are given, by themselves.

    `Policy.tables` and what the engine derives from the tables are
    under test, and are not used.
    """
    for field in attrs.fields(type(tables)):
        value = getattr(tables, field.name)
        if field.init and isinstance(value, tuple):
            for item in value:
                if isinstance(item, Rule):
                    yield field.name, item


def create_tables(policy: Policy) -> tuple[Tables, ...]:
    """Give the tables of a create and those of each route that clones."""
    return (policy.create, *policy.create.clone)


def failing_rules(request: Request, policy: Policy) -> set[tuple[str, str]]:
    """Evaluate every rule by itself: names, and what they are about."""
    if not isinstance(request, CreateRequest):
        return {
            (rule.name, "")
            for field, rule in rules_in(policy.upload)
            if field != "notes" and not rule.holds(request)
        }
    failing = {
        (rule.name, "")
        for part in create_tables(policy)
        for field, rule in rules_in(part)
        if field in {"refuse", "download", "preconditions"}
        and not rule.holds(request)
    }
    for clone_table in policy.create.clone:
        for candidate in getattr(request, CANDIDATE_FIELDS[clone_table.route]):
            failing |= {
                (rule.name, str(candidate))
                for rule in clone_table.source_rules
                if not rule.holds(request, candidate)
            }
    return failing


def reported(decision: Decision) -> set[tuple[str, str]]:
    """Collect what a decision reports, in the shape of `failing_rules`."""
    about_request = {
        (f.rule, "") for f in decision.findings if f.candidate is None
    }
    about_sources = {
        (finding.rule, str(considered.candidate))
        for considered in decision.candidates
        for finding in considered.findings
    }
    return about_request | about_sources


def closed(decision: Decision) -> set[Route]:
    """Collect every path that some finding closes."""
    return {path for finding in decision.findings for path in finding.blocks}
