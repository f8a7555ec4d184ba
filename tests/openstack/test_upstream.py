"""The comparison of the runs of Cinder's own unit tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("stestr", reason="run `nox -s openstack`")
sys.path.insert(0, str(Path(__file__).parent / "upstream"))

import run

from clonepolicy import Reason

PASSED = run.Result(failed=False)
FAILED = run.Result(failed=True)


def failed_for(*reasons: str) -> run.Result:
    """Return a failure with one decision, which has these reasons."""
    return run.Result(failed=True, decisions=1, reasons=frozenset(reasons))


def test_each_listed_test_has_an_existing_reason() -> None:
    """It is a `Reason`, or says that nothing was decided."""
    reasons = {
        reason
        for policy in (run.SAME, run.SAFE)
        for reason in run.read_expected(policy).values()
    }
    assert reasons <= {*Reason, run.UNDECIDED}


def test_a_test_that_always_fails_is_expected() -> None:
    """It fails without the drop-in too."""
    assert run.unexpected({"a": FAILED}, {"a": FAILED}, {}) == []


def test_a_test_that_passes_is_expected() -> None:
    """It is not run without the drop-in, unless it fails with a policy."""
    for stock in ({}, {"a": PASSED}, {"a": FAILED}):
        assert run.unexpected(stock, {"a": PASSED}, {}) == []


def test_every_other_failure_is_unexpected() -> None:
    """A test fails with the drop-in only, or did not run without it."""
    dropped_in = {"a": FAILED, "b": FAILED}
    assert run.unexpected({"a": PASSED}, dropped_in, {}) == ["a", "b"]


def test_a_canary_must_fail_without_the_drop_in_only() -> None:
    """Otherwise nobody knows whether it was installed."""
    failed = dict.fromkeys(run.CANARIES, FAILED)
    passed = dict.fromkeys(run.CANARIES, PASSED)
    assert run.silent_canaries(failed, passed) == []
    for stock, dropped_in in ((passed, passed), (failed, failed), ({}, {})):
        silent = run.silent_canaries(stock, dropped_in)
        assert silent == list(run.CANARIES)


def test_a_listed_test_must_fail_for_its_reason() -> None:
    """A failure with other reasons is unexpected."""
    stock = {"a": PASSED, "b": PASSED}
    dropped_in = {
        "a": failed_for("cache-miss"),
        "b": failed_for("no-locations"),
    }
    reasons = {"a": "cache-miss", "b": "cache-miss"}
    assert run.unexpected(stock, dropped_in, reasons) == ["b"]


def test_a_listed_test_that_passes_is_unexpected() -> None:
    """The same holds for a listed test that does not exist."""
    reasons = {"a": run.UNDECIDED}
    for stock in ({}, {"a": PASSED}, {"a": FAILED}):
        assert run.unexpected(stock, {"a": PASSED}, reasons) == ["a"]
    assert run.unexpected({"a": FAILED}, {"a": FAILED}, reasons) == ["a"]
    assert run.unexpected({}, {}, reasons) == ["a"]
