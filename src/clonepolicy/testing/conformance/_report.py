"""Runs of suites, and their reports."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs

from clonepolicy._text import masked
from clonepolicy.testing.conformance._check import (
    AnySuite,
    Check,
    CheckFailedError,
    Level,
    describe,
)
from clonepolicy.testing.conformance._harness import Harness


class Status(StrEnum):
    """The outcome of a check."""

    PASS = "PASS"  # noqa: S105 - no password
    SKIP = "SKIP"
    """The check does not apply, or the harness cannot run it."""
    XFAIL = "XFAIL"
    """The check failed, and the harness lists it as a known failure."""
    FAIL = "FAIL"


@attrs.frozen
class Result:
    """The outcome of one check."""

    check: Check[Any]
    status: Status
    detail: str = attrs.field(converter=masked)
    """What was measured, or what is wrong; may be empty."""
    seconds: float


@attrs.frozen(kw_only=True)
class Report:
    """The outcome of a run of a suite, or of a part of it."""

    suite: AnySuite
    declared: Level
    results: tuple[Result, ...] = ()

    @property
    def level(self) -> Level:
        """The highest level up to which the adapter keeps all promises."""
        broken = [
            result.check.level
            for result in self.results
            if result.status in {Status.FAIL, Status.XFAIL}
        ]
        return Level(min((self.declared, *(level - 1 for level in broken))))

    @property
    def problem(self) -> str | None:
        """Why the checks that ran do not certify the adapter, or None."""
        failed = self.count(Status.FAIL)
        if failed:
            return f"{failed} of {len(self.results)} checks failed"
        if not any(
            result.check.clones and result.status is Status.PASS
            for result in self.results
        ):
            return "no check that makes a clone ran and passed"
        return None

    @property
    def is_complete(self) -> bool:
        """Whether every check of the suite ran."""
        return len(self.results) == len(self.suite.checks)

    @property
    def certificate_problem(self) -> str | None:
        """Why the report is no certificate; None: it is one."""
        if self.problem is None and not self.is_complete:
            return f"only {self._extent} ran"
        return self.problem

    @property
    def _extent(self) -> str:
        return f"{len(self.results)} of {len(self.suite.checks)} checks"

    def count(self, status: Status) -> int:
        """Count the checks with a status."""
        return len(self.details(status))

    def details(self, status: Status) -> dict[str, str]:
        """Return the details of the checks with a status, by their ids."""
        return {
            result.check.id: result.detail
            for result in self.results
            if result.status is status
        }

    def summary(self) -> tuple[str, ...]:
        """Summarize the report in three lines: counts, level and verdict."""
        counts = ", ".join(f"{self.count(s)} {s}" for s in Status)
        level, verdict = "unknown", "certificate"
        if self.is_complete:
            level = f"{self.level.label} (declared: {self.declared.label})"
        if self.certificate_problem is not None:
            verdict = f"no certificate: {self.certificate_problem}"
        return f"{self._extent}: {counts}", f"level: {level}", verdict


def run_check(check: Check[Any], harness: Harness) -> Result:
    """Run one check, unless it has to be skipped; never raise its errors."""
    begin = time.perf_counter()
    known = harness.xfail.get(check.id)
    try:
        reason = check.skip_reason(harness)
        if reason is not None:
            return Result(check, Status.SKIP, reason, 0.0)
        status, detail = Status.PASS, str(check.body(harness) or "")
    except CheckFailedError as error:
        status, detail = Status.FAIL, str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - adapters may raise anything
        status = Status.FAIL
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"({Path(frame.filename).name}:{frame.lineno})"
        detail = f"raised {describe(error)} {where}"
    if known is not None:
        if status is Status.FAIL:
            status, detail = Status.XFAIL, f"{known} ({detail})"
        else:
            status = Status.FAIL
            detail = f"passes, but xfail lists it: {known}"
    return Result(check, status, detail, time.perf_counter() - begin)


def run(
    suite: AnySuite,
    harness: Harness,
    *,
    checks: Sequence[Check[Any]] | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Run a suite, or only these of its checks, one after the other.

    The harness is of the kind that the suite takes.  `on_result` is called
    after each check.
    """
    declared = suite.level_of(harness)
    results = []
    for check in suite.checks if checks is None else checks:
        result = run_check(check, harness)
        results.append(result)
        if on_result is not None:
            on_result(result)
    return Report(suite=suite, declared=declared, results=tuple(results))
