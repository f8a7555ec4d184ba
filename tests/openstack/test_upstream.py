"""The comparison of runs of Cinder's own unit tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("stestr", reason="run `nox -s openstack`")
sys.path.insert(0, str(Path(__file__).parent / "upstream"))

import run

from clonepolicy import Reason

PASSED = run.Ran(failed=False)
FAILED = run.Ran(failed=True)


def given(*reasons: str) -> run.Ran:
    """Give a failure in which a decision had these reasons."""
    return run.Ran(failed=True, decisions=1, reasons=frozenset(reasons))


def test_each_listed_test_has_a_rule_that_there_is() -> None:
    """A rule is a reason of the library's, or that nothing was decided."""
    rules = set(run.read_expected().values())
    assert rules <= {*Reason, run.UNDECIDED}


def test_a_failure_as_shipped_is_no_difference() -> None:
    """Sets are compared, not numbers of failures."""
    assert run.doubts({"a": FAILED}, {"a": FAILED}, {}) == []


def test_every_other_result_is_a_difference() -> None:
    """A test may neither fail newly, nor pass newly, nor be left out."""
    stock = {"a": PASSED, "b": FAILED, "c": PASSED}
    over = {"a": FAILED, "b": PASSED, "d": PASSED}
    assert run.doubts(stock, over, {}) == ["a", "b", "c", "d"]


def test_a_listed_failure_must_have_its_own_rule() -> None:
    """It is not enough that the test fails."""
    stock = {"a": PASSED, "b": PASSED}
    over = {"a": given("cache-miss"), "b": given("no-locations")}
    rules = {"a": "cache-miss", "b": "cache-miss"}
    assert run.doubts(stock, over, rules) == ["b"]


def test_a_listed_test_that_passes_is_told() -> None:
    """The list holds no more than there is."""
    rules = {"a": run.UNDECIDED}
    assert run.doubts({"a": PASSED}, {"a": PASSED}, rules) == ["a"]
    assert run.doubts({}, {}, rules) == ["a"]
