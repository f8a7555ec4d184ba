"""Run checks against a harness."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clonepolicy.testing.conformance._check import (
    AnySuite,
    Check,
    CheckFailedError,
    Status,
    describe,
)
from clonepolicy.testing.conformance._harness import Harness
from clonepolicy.testing.conformance._report import Report, Result


def run_check(check: Check[Any], harness: Harness) -> Result:
    """Run one check, unless it has to be skipped; never raise its errors."""
    begin = time.perf_counter()
    known = harness.xfail.get(check.id)
    try:
        reason = check.skip_reason(harness)
        if reason is not None:
            return Result(
                check=check, status=Status.SKIP, detail=reason, seconds=0.0
            )
        status, detail = Status.PASS, str(check.body(harness) or "")
    except CheckFailedError as error:
        status, detail = Status.FAIL, str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - adapters may raise anything
        status = Status.FAIL
        detail = f"raised {describe(error)} {_where(error)}"
    if known is not None:
        if status is Status.FAIL:
            status, detail = Status.XFAIL, f"{known} ({detail})"
        else:
            status = Status.FAIL
            detail = f"passes, but xfail lists it: {known}"
    return Result(
        check=check,
        status=status,
        detail=detail,
        seconds=time.perf_counter() - begin,
    )


def _where(error: BaseException) -> str:
    """Name the file and the line in which an error was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"({Path(frame.filename).name}:{frame.lineno})"


def run(
    suite: AnySuite,
    harness: Harness,
    *,
    checks: Sequence[Check[Any]] | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Run a suite, or some of its checks, one after the other.

    Args:
        suite: The suite to which the checks belong.
        harness: A harness of the kind that the suite takes.
        checks: The checks to run; None: all of the suite.
        on_result: Called after each check.
    """
    declared = suite.level_of(harness)
    results = []
    for check in suite.checks if checks is None else checks:
        result = run_check(check, harness)
        results.append(result)
        if on_result is not None:
            on_result(result)
    return Report(suite=suite, declared=declared, results=tuple(results))
