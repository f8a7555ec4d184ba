"""Reports as JSON, as JUnit's XML, and as tables."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from importlib.metadata import packages_distributions, version
from typing import Any

import attrs

from clonepolicy._terminal.errors import printable
from clonepolicy._terminal.render import Json, plain, seconds, table
from clonepolicy.testing.conformance._check import Check, Status
from clonepolicy.testing.conformance._harness import Harness
from clonepolicy.testing.conformance._load import Kind
from clonepolicy.testing.conformance._report import Report

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
    kind: Kind
    adapter: str
    """Module and class."""
    distribution: str | None
    """Name and version of the package that has the class."""
    declares: Json | None
    report: Report


def adapter_report(
    spec: str, kind: Kind, harness: Harness, report: Report
) -> AdapterReport:
    """Add to a report what is known of the adapter."""
    adapter = getattr(harness, kind.adapter)
    cls = type(adapter)
    declares = None
    if kind.declares is not None:
        declares = plain(getattr(adapter, kind.declares)())
    return AdapterReport(
        spec=spec,
        kind=kind,
        adapter=f"{cls.__module__}.{cls.__qualname__}",
        distribution=_distribution(cls.__module__),
        declares=declares,
        report=report,
    )


def _distribution(module: str) -> str | None:
    names = packages_distributions().get(module.partition(".")[0], [])
    versions = sorted({f"{name} {version(name)}" for name in names})
    return ", ".join(versions) or None


def report_to_dict(ran: AdapterReport) -> Json:
    """Convert a report to JSON's types."""
    report = ran.report
    return {
        "harness": ran.spec,
        "kind": ran.kind.name,
        "adapter": ran.adapter,
        "distribution": ran.distribution,
        "declares": ran.declares,
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
        text = "\n".join(parts) or None
        rows.append((result.status, result.check.id, took, text))
    return table(
        ("status", "check", "time", "what was measured, or is wrong"),
        rows,
        right=("time",),
        whole=("status", "check", "time"),
    )


def checks_table(checks: Iterable[Check[Any]]) -> object:
    """Make a table of promises, and of what makes their checks skip."""
    return table(
        ("level", "check", "promise, and when it is skipped"),
        (
            (
                check.level.label,
                check.id,
                "\n".join(
                    (check.promise, *(f"- {n.reason}" for n in check.needs))
                ),
            )
            for check in checks
        ),
        whole=("level", "check"),
    )


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
            time=_time(sum(result.seconds for result in report.results)),
        )
        for result in report.results:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=ran.spec,
                name=result.check.id,
                time=_time(result.seconds),
            )
            tag = _JUNIT.get(result.status)
            if tag is not None:
                # XML cannot hold characters that are not printable
                message = printable(result.detail)
                element = ET.SubElement(case, tag, message=message)
                element.text = result.check.promise
    written: bytes = ET.tostring(suites, "utf-8", xml_declaration=True)
    return written


def _time(duration: float) -> str:
    return f"{duration:.3f}"
