"""The outcome of a run, and whether it is a certificate."""

from __future__ import annotations

from typing import Any

import attrs

from clonepolicy.testing.conformance._check import (
    AnySuite,
    Check,
    Level,
    Status,
)


@attrs.frozen(kw_only=True)
class Result:
    """The outcome of one check."""

    check: Check[Any]
    status: Status
    detail: str
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
        level = "level: unknown"
        if self.is_complete:
            level = (
                f"level: {self.level.label} (declared: {self.declared.label})"
            )
        problem = self.certificate_problem
        verdict = "certificate"
        if problem is not None:
            verdict = f"no certificate: {problem}"
        return f"{self._extent}: {counts}", level, verdict
