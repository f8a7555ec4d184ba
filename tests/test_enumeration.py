"""Every realisable combination of rule outcomes, table by table.

What a decision is depends on each table only through whether any of its
rules fails; so each table is walked whole while the others hold, and the
tables are crossed by one failing world each.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from clonepolicy.testing.worlds import CLONEABLE, Request, put

from clonepolicy import (
    POLICIES,
    SAFE,
    Clone,
    CreateRequest,
    Decision,
    Download,
    Mechanism,
    Policy,
    Refuse,
    Register,
    Rule,
    Upload,
    decide_create,
    decide_upload,
)
from clonepolicy.testing import combinations as combos

TABLES = [
    (policy, table)
    for policy in POLICIES.values()
    for table in combos.worlds_of(policy)
    if table.rules and not table.name.endswith("notes")
]
every_table = pytest.mark.parametrize(
    ("policy", "table"), TABLES, ids=[f"{p.name}-{t.name}" for p, t in TABLES]
)
EVERY, SAMPLE = 144_855, 4_000
"""How many combinations there are, and how many a table shows by default."""


def decide(request: Request, policy: Policy) -> Decision:
    """Ask the question that the request is."""
    if isinstance(request, CreateRequest):
        return decide_create(request, policy)
    return decide_upload(request, policy)


def expected(world: Request, policy: Policy) -> type:
    """Say what the tables come to, each asked by itself."""

    def shut(rules: tuple[Rule[Any], ...]) -> bool:
        return not all(combos.holds(rule, world) for rule in rules)

    if isinstance(world, CreateRequest):
        create = policy.create
        open_lane = any(
            lane.candidates(world) and not shut((*lane.gates, *lane.rules))
            for lane in create.lanes
        )
        closed, efficient = shut(create.download), open_lane
        refused = shut(create.refuse)
        verdicts: tuple[type, type] = (Clone, Download)
    else:
        upload = policy.upload
        closed, efficient = shut(upload.upload), not shut(upload.register)
        refused, verdicts = shut(upload.refuse), (Register, Upload)
    if refused or (closed and not efficient):
        return Refuse
    return verdicts[0] if efficient else verdicts[1]


def check(policy: Policy, table: combos.Table, stride: int) -> int:
    """Decide every ``stride``-th combination; give how many that were."""
    seen = 0
    names = {rule.name for rule in table.rules}
    every = iter(combos.combinations(table.base, table.rules))
    for failing, world in itertools.islice(every, 0, None, stride):
        decision = decide(world, policy)
        assert failing == {f.rule for f in decision.findings} & names
        assert expected(world, policy) is type(decision)
        seen += 1
    return seen


@every_table
def test_a_sample_of_every_tables_combinations(
    policy: Policy, table: combos.Table
) -> None:
    """The failing rules are reported, and the verdict follows from them."""
    count = len(combos.combinations(table.base, table.rules))
    assert check(policy, table, max(1, count // SAMPLE)) >= min(count, SAMPLE)


@pytest.mark.deep
@every_table
def test_every_combination_of_every_table(
    policy: Policy, table: combos.Table
) -> None:
    """All of them."""
    count = len(combos.combinations(table.base, table.rules))
    assert count == check(policy, table, 1)


def test_the_number_of_combinations_is_known() -> None:
    """A new rule multiplies it; the documents state it."""
    total = sum(
        len(combos.combinations(table.base, table.rules))
        for _, table in TABLES
    )
    assert total == EVERY


@pytest.mark.parametrize("mechanism", Mechanism)
def test_tables_cross_as_the_verdict_says(mechanism: Mechanism) -> None:
    """Refuse, gate, source and ordinary path: open or closed, all 16."""
    lane = next(x for x in SAFE.create.lanes if x.mechanism is mechanism)
    base = CLONEABLE[mechanism]
    faults: dict[str, dict[str, Any]] = {
        "refuse": {"image.status": "queued"},
        "gate": {"image.encryption_key_id": "key-1"},
        "rule": {"source.status": "error"},
        "download": {"conversion_free": 0},
    }
    for shut in itertools.product((False, True), repeat=4):
        closed = dict(zip(faults, shut, strict=True))
        values: dict[str, Any] = {}
        for name, part in faults.items():
            values.update(part if closed[name] else {})
        decision = decide_create(put(base, values))
        if closed["refuse"]:
            wanted: type = Refuse
        elif not closed["gate"] and not closed["rule"]:
            wanted = Clone
        else:
            wanted = Refuse if closed["download"] else Download
        assert wanted is type(decision), (lane.mechanism, closed)
