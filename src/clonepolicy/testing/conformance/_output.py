"""Reports of the program as tables, as JSON and as JUnit's XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

import attrs

from clonepolicy._terminal.render import Json, plain, seconds, table
from clonepolicy._text import printable_lines
from clonepolicy.testing.conformance._check import Check
from clonepolicy.testing.conformance._harness import Harness
from clonepolicy.testing.conformance._load import Kind
from clonepolicy.testing.conformance._report import Report, Status

_JUNIT = {
    Status.FAIL: "failure",
    Status.SKIP: "skipped",
    Status.XFAIL: "skipped",
}


@attrs.frozen
class AdapterReport:
    """A report, and the adapter that it is about."""

    spec: str
    """The name of the harness."""
    adapter: Json
    """Its kind, its class, the package that has the class, and what the
    adapter declares."""
    report: Report


def adapter_report(
    spec: str, kind: Kind, harness: Harness, report: Report
) -> AdapterReport:
    """Add to a report what is known of the adapter."""
    adapter = getattr(harness, kind.adapter)
    cls, declares = type(adapter), None
    if kind.declares is not None:
        declares = plain(getattr(adapter, kind.declares)())
    names = metadata.packages_distributions().get(
        cls.__module__.partition(".")[0], []
    )
    versions = sorted({f"{name} {metadata.version(name)}" for name in names})
    facts = {
        "kind": kind.name,
        "adapter": f"{cls.__module__}.{cls.__qualname__}",
        "distribution": ", ".join(versions) or None,
        "declares": declares,
    }
    return AdapterReport(spec, facts, report)


def report_to_dict(ran: AdapterReport) -> Json:
    """Convert a report to JSON's types."""
    report = ran.report
    return {
        "harness": ran.spec,
        **ran.adapter,
        "level_declared": report.declared.label,
        "level_held": report.level.label if report.is_complete else None,
        "counts": {str(status): report.count(status) for status in Status},
        "checks": [
            {
                "check": result.check.id,
                "status": str(result.status),
                "detail": result.detail,
                "seconds": result.seconds,
                "promise": result.check.promise,
                "level": result.check.level.label,
            }
            for result in report.results
        ],
        "problem": report.certificate_problem,
    }


def check_to_dict(check: Check[Any]) -> Json:
    """Convert a check to JSON's types."""
    return {
        "check": check.id,
        "promise": check.promise,
        "level": check.level.label,
        "clones": check.clones,
        "skipped_if": [need.reason for need in check.needs],
    }


def report_table(report: Report, *, promises: bool) -> object:
    """Make a table of results, with the promises of failed checks or all."""
    rows = []
    for result in report.results:
        parts = [result.detail] if result.detail else []
        if promises or result.status in {Status.FAIL, Status.XFAIL}:
            parts.append(result.check.promise)
        skipped = result.status is Status.SKIP
        took = None if skipped else seconds(result.seconds)
        rows.append((result.status, result.check.id, took, tuple(parts)))
    return table(
        ("status", "check", "time", "what was measured, or is wrong"),
        rows,
        right=("time",),
        whole=("status", "check", "time"),
    )


def checks_table(checks: Iterable[Check[Any]]) -> object:
    """Make a table of promises, and of what makes their checks skip."""
    rows = []
    for check in checks:
        text = (check.promise, *(f"- {need.reason}" for need in check.needs))
        rows.append((check.level.label, check.id, text))
    columns = ("level", "check", "promise, and when it is skipped")
    return table(columns, rows, whole=("level", "check"))


def to_junit(reports: Sequence[AdapterReport]) -> bytes:
    """Write reports as JUnit's XML: a suite for each harness."""
    suites = ET.Element("testsuites")
    for ran in reports:
        report = ran.report
        skipped = report.count(Status.SKIP) + report.count(Status.XFAIL)
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=ran.spec,
            tests=str(len(report.results)),
            failures=str(report.count(Status.FAIL)),
            errors="0",
            skipped=str(skipped),
            time=f"{sum(result.seconds for result in report.results):.3f}",
        )
        for result in report.results:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=ran.spec,
                name=result.check.id,
                time=f"{result.seconds:.3f}",
            )
            tag = _JUNIT.get(result.status)
            if tag is not None:
                # XML cannot hold characters that are not printable
                message = printable_lines(result.detail)
                element = ET.SubElement(case, tag, message=message)
                element.text = result.check.promise
    written: bytes = ET.tostring(suites, "utf-8", xml_declaration=True)
    return written
