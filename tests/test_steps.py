"""A step of "To add a rule" in CONTRIBUTING.md that was left out is named.

Each message begins with the name of the step.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    CreateRequest,
    Reason,
    Request,
    UploadRequest,
    scenarios,
)
from clonepolicy.policy import CANDIDATE_FIELDS, Policy, Rule, _rules
from clonepolicy.scenarios import AXES, CLONEABLE, REGISTERABLE, UPLOAD_AXES
from clonepolicy.testing import strategies as some
from laws import RULES, VERDICT_ROWS, one_fault, over
from sentences import SENTENCES

PRESENCE = {"source", *CANDIDATE_FIELDS.values()}
"""Facts that have no values of their own: something is there, or not."""
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)


def starts(request: Request, root: str) -> list[object]:
    """Give the records at which a path may begin."""
    candidates = [
        candidate
        for scenario in CLONEABLE.values()
        for field in CANDIDATE_FIELDS.values()
        for candidate in getattr(scenario, field)
    ]
    if root == "candidate":
        return candidates
    if root == "source":
        return [candidate.source for candidate in candidates]
    return [getattr(request, root)]


def exists(request: Request, path: str) -> bool:
    """Say whether a path leads to a field of some record."""
    root, _, rest = path.partition(".")
    if root not in {"candidate", "source"} and not hasattr(request, root):
        return False
    found = starts(request, root)
    for name in rest.split(".") if rest else ():
        found = [getattr(at, name) for at in found if hasattr(at, name)]
    return bool(found)


@every_rule
def test_every_fact_that_a_rule_reads_is_a_field(rule: Rule[Any]) -> None:
    """The records have the fact."""
    for path in rule.reads:
        assert all(exists(base, path) for base in RULES[rule]), (
            f"Fact: {rule.name} reads {path}, and no record has that field"
        )


@every_rule
def test_every_fact_that_a_rule_reads_has_values(rule: Rule[Any]) -> None:
    """The scenarios vary the fact, and so do all tests that use them."""
    for base in RULES[rule]:
        upload = isinstance(base, UploadRequest)
        axes, name = (UPLOAD_AXES, "UPLOAD_AXES") if upload else (AXES, "AXES")
        missing = set(rule.reads) - PRESENCE - set(axes)
        assert not missing, (
            f"Values: {rule.name} reads {', '.join(missing)}, which has no "
            f"values in {name}"
        )


@over(VERDICT_ROWS)
def test_every_rule_has_values_with_which_it_fails_alone(
    policy: Policy, table: scenarios.Table, rule: Rule[Any]
) -> None:
    """The other rules of the table hold."""
    assert (table.name, rule.name) in one_fault(policy), (
        f"Values: {rule.name} never fails alone in {table.name}; give the "
        f"facts that it reads more values: {', '.join(rule.reads)}"
    )


@every_rule
def test_every_sentence_claims_something(rule: Rule[Any]) -> None:
    """The law *true* knows what to check."""
    assert rule.meaning in SENTENCES, (
        f"Sentence: tests/sentences.py has no claim for {rule.name}: "
        f"{rule.meaning}"
    )


def test_every_reason_is_reported_by_a_rule() -> None:
    """No reason is without a rule in a table."""
    unused = set(Reason) - {rule.reason for rule in RULES}
    assert not unused, (
        f"Table: no rule in a table reports {', '.join(sorted(unused))}"
    )


def test_every_rule_stands_in_a_table() -> None:
    """No rule is written and not used."""
    written = {
        rule
        for module in pkgutil.iter_modules(
            _rules.__path__, f"{_rules.__name__}."
        )
        for rule in vars(importlib.import_module(module.name)).values()
        if isinstance(rule, Rule)
    }
    unused = sorted(rule.name for rule in written - set(RULES))
    assert not unused, f"Table: no table has {', '.join(unused)}"


def parts(record: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - any record
    """Give every field of a request, by its path."""
    found: dict[str, Any] = {}
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        found[f"{path}{field.name}"] = value
        if not path and attrs.has(type(value)):
            found |= parts(value, f"{field.name}.")
    return found


def test_the_strategies_draw_every_fact_that_a_rule_reads() -> None:
    """No fact of a request keeps one value in all requests drawn."""
    drawn: dict[tuple[type, str], set[str]] = {}

    @settings(max_examples=3000, database=None)
    @given(create=some.create_requests(), upload=some.upload_requests())
    def collect(create: CreateRequest, upload: UploadRequest) -> None:
        for request in (create, upload):
            for path, value in parts(request).items():
                drawn.setdefault((type(request), path), set()).add(repr(value))

    collect()
    for rule, bases in RULES.items():
        for base in bases:
            for path in rule.reads:
                values = drawn.get((type(base), path), {"one", "two"})
                assert len(values) > 1, (
                    f"Values: strategies draw {path} only as {values}"
                )


def test_every_fact_with_values_is_a_field() -> None:
    """A field that is gone leaves no values behind."""
    create = next(iter(CLONEABLE.values()))
    for axes, base in ((AXES, create), (UPLOAD_AXES, REGISTERABLE)):
        for path in axes:
            assert exists(base, path), f"Fact: no record has {path}"
