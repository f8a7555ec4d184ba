"""What came of a run, in words."""

from __future__ import annotations

from typing import Any

from clonepolicy.testing.conformance._row import Level, Report, Status, Table


def word(level: Level) -> str:
    """Name a level."""
    return level.name.lower()


def is_whole(report: Report, table: Table[Any]) -> bool:
    """Whether no row of the table was left out of the run."""
    return len(report.results) == len(table.rows)


def summary(report: Report, table: Table[Any]) -> tuple[str, ...]:
    """Tell in some lines how many rows there were, and what they say."""
    counts = ", ".join(f"{report.count(s)} {s}" for s in Status)
    ran = f"{len(report.results)} of {len(table.rows)} rows"
    if report.problem is not None:
        verdict = f"no certificate: {report.problem}"
    elif is_whole(report, table):
        verdict = "certificate"
    else:
        verdict = f"no certificate: only {ran} were run"
    held, declared = word(report.level), word(report.declared)
    if is_whole(report, table):
        level = f"level: {held} (declared: {declared})"
    else:
        level = "level: unknown"
    return f"{ran}: {counts}", level, verdict
