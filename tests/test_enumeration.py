"""Every combination of rule outcomes that can occur, table by table.

A verdict depends on each table only through whether any of its rules fails.
So each table is walked whole while the rules of the others hold, and the
tables are crossed with one failing rule each.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    CINDER_29,
    SAFE,
    Clone,
    CreateRequest,
    Download,
    Refuse,
    Register,
    Request,
    Route,
    Upload,
    decide,
    scenarios,
)
from clonepolicy.policy import Policy, Rule
from clonepolicy.scenarios import CLONEABLE, differences, with_facts
from laws import EVERY, TABLES

pytestmark = pytest.mark.one_python

COUNTED = [
    (policy, table)
    for policy, table in TABLES
    if table.rules and not table.name.endswith("notes")
]
every_table = pytest.mark.parametrize(
    ("policy", "table"),
    COUNTED,
    ids=[f"{p.name}-{t.name}" for p, t in COUNTED],
)
SAMPLE = 4_000
"""How many combinations of a table are decided by default."""
MOST = 1_000_000
"""How many are decided of a table that has more."""
CENSUS = Path(__file__).parents[1] / "docs/reference/census.md"


def expected(scenario: Request, policy: Policy) -> type:
    """Derive the verdict from the rules, each evaluated by itself."""

    def shut(rules: tuple[Rule[Any], ...]) -> bool:
        return not all(scenarios.holds(rule, scenario) for rule in rules)

    if isinstance(scenario, CreateRequest):
        create = policy.create
        can_clone = any(
            not shut(clone_table.preconditions)
            and all(
                rule.holds(scenario, candidate)
                for rule in clone_table.source_rules
            )
            for clone_table in create.clone
            for candidate in clone_table.candidates(scenario)
        )
        closed, efficient = shut(create.download), can_clone
        refused = shut(create.refuse)
        verdicts: tuple[type, type] = (Clone, Download)
    else:
        upload = policy.upload
        closed, efficient = shut(upload.upload), not shut(upload.register)
        refused, verdicts = shut(upload.refuse), (Register, Upload)
    if refused or (closed and not efficient):
        return Refuse
    return verdicts[0] if efficient else verdicts[1]


def check(policy: Policy, table: scenarios.Table, stride: int) -> int:
    """Decide every ``stride``-th combination; return how many."""
    seen = 0
    names = {rule.name for rule in table.rules}
    combinations = scenarios.combinations(table.base, table.rules)
    for failing, scenario in combinations.every(stride):
        decision = decide(scenario, policy)
        assert failing == {f.rule for f in decision.findings} & names
        assert expected(scenario, policy) is type(decision)
        seen += 1
    return seen


@every_table
def test_a_sample_of_every_tables_combinations(
    policy: Policy, table: scenarios.Table
) -> None:
    """The failing rules are reported, and the verdict follows from them."""
    count = len(scenarios.combinations(table.base, table.rules))
    assert check(policy, table, max(1, count // SAMPLE)) >= min(count, SAMPLE)


def census() -> dict[tuple[str, str], int]:
    """Read how many combinations the census counts for each table."""
    counted = {}
    policy = ""
    for line in CENSUS.read_text().splitlines():
        heading = re.fullmatch(r"## (\w+)", line)
        policy = heading[1] if heading else policy
        row = re.fullmatch(r"\| (\S+) \| \d+ \| (\d+) \|", line)
        if row and row[1] != "all":
            counted[policy, row[1]] = int(row[2])
    return counted


def test_the_census_counts_every_table() -> None:
    """The generated page is the one place where the numbers are written."""
    counted = {
        (policy.name, table.name): len(
            scenarios.combinations(table.base, table.rules)
        )
        for policy in EVERY
        for table in scenarios.scenarios_of(policy)
        if table.rules and not table.name.endswith("notes")
    }
    remedy = "run: python docs/generate.py --write"
    assert census() == counted, remedy


@pytest.mark.deep
@every_table
def test_every_combination_of_every_table(
    policy: Policy, table: scenarios.Table
) -> None:
    """As many are decided as the census counts, or `MOST` of them."""
    count = census()[policy.name, table.name]
    step = 1 + (count - 1) // MOST
    assert -(-count // step) == check(policy, table, step)


@pytest.mark.parametrize("route", CLONEABLE)
def test_tables_cross_as_the_verdict_says(route: Route) -> None:
    """Refusal, gate, source, download: each open or closed, all 16 ways."""
    clone_table = next(x for x in SAFE.create.clone if x.route is route)
    base = CLONEABLE[route]
    faults: dict[str, dict[str, Any]] = {
        "refuse": {"image.status": "queued"},
        "gate": {"image.container_format": "ovf"},
        "rule": {"source.size": 2},
        "download": {"conversion_free": 0},
    }
    for shut in itertools.product((False, True), repeat=4):
        closed = dict(zip(faults, shut, strict=True))
        values: dict[str, Any] = {}
        for name, part in faults.items():
            values.update(part if closed[name] else {})
        decision = decide(with_facts(base, values))
        if closed["refuse"]:
            wanted: type = Refuse
        elif not closed["gate"] and not closed["rule"]:
            wanted = Clone
        else:
            wanted = Refuse if closed["download"] else Download
        assert wanted is type(decision), (clone_table.route, closed)


def test_a_difference_of_an_upload_says_what_an_upload_does() -> None:
    """Cinder falls back from a clone in a create, and not in an upload."""
    why = {
        each.table: each.why
        for each in differences(SAFE, CINDER_29)
        if each.rule == "array_can_clone"
    }
    uploading = why.pop("upload.register")
    assert "stays behind" in uploading
    assert why
    assert uploading not in why.values()
