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


def problem(report: Report, table: Table[Any]) -> str | None:
    """Say why a run of a table is no certificate; None: it is one."""
    if report.problem is None and not is_whole(report, table):
        return f"only {_ran(report, table)} were run"
    return report.problem


def _ran(report: Report, table: Table[Any]) -> str:
    return f"{len(report.results)} of {len(table.rows)} rows"


def summary(report: Report, table: Table[Any]) -> tuple[str, ...]:
    """Tell in some lines how many rows there were, and what they say."""
    counts = ", ".join(f"{report.count(s)} {s}" for s in Status)
    why = problem(report, table)
    verdict = "certificate" if why is None else f"no certificate: {why}"
    held, declared = word(report.level), word(report.declared)
    if is_whole(report, table):
        level = f"level: {held} (declared: {declared})"
    else:
        level = "level: unknown"
    return f"{_ran(report, table)}: {counts}", level, verdict
