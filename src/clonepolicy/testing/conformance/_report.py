"""What came of a run, as JSON, as JUnit's XML, and as a table."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from importlib.metadata import packages_distributions, version
from typing import Any

import attrs

from clonepolicy._terminal.errors import printable
from clonepolicy._terminal.render import Json, plain, seconds, table
from clonepolicy.testing.conformance._load import Kind
from clonepolicy.testing.conformance._row import Bench, Report, Row, Status
from clonepolicy.testing.conformance._words import is_whole, problem, word

_JUNIT = {
    Status.FAIL: "failure",
    Status.SKIP: "skipped",
    Status.XFAIL: "skipped",
}


@attrs.frozen
class Told:
    """A bench's report, and what it is about."""

    spec: str
    kind: Kind
    adapter: str
    distribution: str | None
    declares: Json | None
    report: Report


def tell(spec: str, kind: Kind, bench: Bench, report: Report) -> Told:
    """Say what a report is about."""
    adapter = getattr(bench, kind.adapter)
    cls = type(adapter)
    declared = None
    if kind.declares is not None:
        declared = plain(getattr(adapter, kind.declares)())
    return Told(
        spec=spec,
        kind=kind,
        adapter=f"{cls.__module__}.{cls.__qualname__}",
        distribution=_distribution(cls.__module__),
        declares=declared,
        report=report,
    )


def _distribution(module: str) -> str | None:
    offers = packages_distributions().get(module.partition(".")[0], [])
    named = sorted({f"{name} {version(name)}" for name in offers})
    return ", ".join(named) or None


def to_dict(told: Told) -> Json:
    """Write a report as JSON's own types."""
    report = told.report
    whole = is_whole(report, told.kind.table)
    return {
        "bench": told.spec,
        "kind": told.kind.name,
        "adapter": told.adapter,
        "distribution": told.distribution,
        "declares": told.declares,
        "level_declared": word(report.declared),
        "level_held": word(report.level) if whole else None,
        "counts": {str(status): report.count(status) for status in Status},
        "rows": [
            {
                "row": result.row.id,
                "status": str(result.status),
                "detail": result.detail,
                "seconds": result.seconds,
                "promise": result.row.promise,
                "level": word(result.row.level),
            }
            for result in report.results
        ],
        "problem": problem(report, told.kind.table),
    }


def row_to_dict(row: Row[Any]) -> Json:
    """Write a row as JSON's own types."""
    return {
        "row": row.id,
        "promise": row.promise,
        "level": word(row.level),
        "clones": row.clones,
        "left_out_if": [need.missing for need in row.needs],
    }


def to_table(report: Report, *, promises: bool) -> object:
    """Show what came of each row; what failed with its promise."""
    rows = []
    for result in report.results:
        failed = result.status in {Status.FAIL, Status.XFAIL}
        parts = [result.detail] if result.detail else []
        if promises or failed:
            parts.append(result.row.promise)
        took = None if not result.executed else seconds(result.seconds)
        told = "\n".join(parts) or None
        rows.append((result.status, result.row.id, took, told))
    return table(
        ("status", "row", "time", "what was measured, or is wrong"),
        rows,
        right=("time",),
        whole=("status", "row", "time"),
    )


def rows_table(rows: Iterable[Row[Any]]) -> object:
    """Show what rows promise, and when they are left out."""
    return table(
        ("level", "row", "promise, and when it is left out"),
        (
            (
                word(row.level),
                row.id,
                "\n".join(
                    (row.promise, *(f"- {n.missing}" for n in row.needs))
                ),
            )
            for row in rows
        ),
        whole=("level", "row"),
    )


def to_junit(all_told: Sequence[Told]) -> bytes:
    """Write reports as JUnit's XML: a suite for each bench."""
    suites = ET.Element("testsuites")
    for told in all_told:
        report = told.report
        skipped = report.count(Status.SKIP) + report.count(Status.XFAIL)
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=told.spec,
            tests=str(len(report.results)),
            failures=str(report.count(Status.FAIL)),
            errors="0",
            skipped=str(skipped),
            time=_time(sum(result.seconds for result in report.results)),
        )
        for result in report.results:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=told.spec,
                name=result.row.id,
                time=_time(result.seconds),
            )
            tag = _JUNIT.get(result.status)
            if tag is not None:
                # what XML cannot hold is not printable, either
                message = printable(result.detail)
                said = ET.SubElement(case, tag, message=message)
                said.text = result.row.promise
    written: bytes = ET.tostring(suites, "utf-8", xml_declaration=True)
    return written


def _time(duration: float) -> str:
    return f"{duration:.3f}"
