"""The formats of a report of ``clonepolicy lint``."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from clonepolicy._terminal.command import version
from clonepolicy._terminal.render import Json, emit, say, show, table
from clonepolicy._text import masked, printable
from clonepolicy.adapters.conf import Value
from clonepolicy.adapters.lint import Check, Finding, Level, Report

_DOCS = "https://clonepolicy.readthedocs.io/"
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_IN_SARIF = {
    Level.INSECURE: "error",
    Level.BROKEN: "error",
    Level.OFF: "warning",
    Level.SLOW: "note",
}
_IN_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}


def write(report: Report, form: str) -> None:
    """Write a report to standard output."""
    match form:
        case "json":
            emit(_to_dict(report))
        case "sarif":
            emit(_to_sarif(report))
        case "junit":
            sys.stdout.write(_to_junit(report))
        case "github":
            for finding in report.findings:
                sys.stdout.write(_to_github(finding))
        case _:
            _show(report)


def list_checks(checks: Iterable[Check], *, as_json: bool) -> None:
    """Write what each check finds, and what it needs."""
    rows = [_check_to_dict(check) for check in checks]
    if as_json:
        emit({"checks": rows})
        return
    columns = ("id", "level", "needs", "remedy")
    show(table(columns, ([row[name] for name in columns] for row in rows)))


def _check_to_dict(check: Check) -> Json:
    return {
        "id": check.id,
        "level": str(check.level),
        "needs": list(map(str, (*check.needs, *check.to_pass))),
        "remedy": check.remedy,
        "reasons": list(map(str, check.reasons)),
        "page": f"{_DOCS}{_html(check)}",
    }


def _html(check: Check) -> str:
    return check.page.replace(".md", ".html")


# -- text ---------------------------------------------------------------------


def _show(report: Report) -> None:
    for finding in report.findings:
        line = "" if finding.line is None else f":{finding.line}"
        check = finding.check
        say(f"{finding.file}{line}: {check.id} {check.level}")
        say(f"  {finding.message}")
        for value in (finding.spot.value, *finding.spot.related):
            say(f"  {_told(value)}")
        say(f"  remedy: {check.remedy}")
        if check.reasons:
            say(f"  clonepolicy explain {check.reasons[0]}")
        say()
    say(_summary(report))
    ordered = sorted(report.not_checked, key=lambda row: row.why)
    for why, rows in groupby(ordered, key=lambda row: row.why):
        ids = " ".join(row.check.id for row in rows)
        say(f"not checked: {ids}: {why}")


def _told(value: Value) -> str:
    """Tell the value in force, and where it comes from."""
    at = value.assignment
    name = f"[{value.group}] {value.option.name}"
    if at is None:
        return f"{name}: {value.shown} (the default)"
    return f"{name} = {value.shown} ({value.origin} {at.file}:{at.line})"


def _summary(report: Report) -> str:
    counts = [
        f"{count} {level}"
        for level in Level
        if (count := sum(f.check.level is level for f in report.findings))
    ]
    found = ", ".join(counts) or "nothing"
    return (
        f"found: {found}; passed: {len(report.passed)}; "
        f"not checked: {len(report.not_checked)}"
    )


# -- JSON ---------------------------------------------------------------------


def _to_dict(report: Report) -> Json:
    return {
        "findings": [_finding_to_dict(found) for found in report.findings],
        "not_checked": [
            {"id": row.check.id, "why": masked(row.why)}
            for row in report.not_checked
        ],
        "passed": [check.id for check in report.passed],
    }


def _finding_to_dict(finding: Finding) -> Json:
    value = finding.spot.value
    return {
        "id": finding.check.id,
        "level": str(finding.check.level),
        "file": finding.file,
        "line": finding.line,
        **_value_to_dict(value),
        "message": finding.message,
        "related": [
            {
                "file": None if v.assignment is None else v.assignment.file,
                "line": None if v.assignment is None else v.assignment.line,
                **_value_to_dict(v),
            }
            for v in finding.spot.related
        ],
        "remedy": finding.check.remedy,
        "reasons": list(map(str, finding.check.reasons)),
        "page": f"{_DOCS}{_html(finding.check)}",
        "key": finding.key,
    }


def _value_to_dict(value: Value) -> Json:
    return {
        "group": value.group,
        "option": value.option.name,
        "value": value.shown,
        "origin": value.origin,
    }


# -- SARIF 2.1.0 --------------------------------------------------------------


def _to_sarif(report: Report) -> Json:
    checks = {
        check.id: check
        for check in (
            *report.passed,
            *(row.check for row in report.not_checked),
            *(found.check for found in report.findings),
        )
    }
    order = sorted(checks, key=lambda name: int(name[1:]))
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "clonepolicy",
                        "version": version(),
                        "informationUri": _DOCS,
                        "rules": [_rule(checks[name]) for name in order],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "note",
                                "associatedRule": {"id": row.check.id},
                                "message": {
                                    "text": "not checked: " + masked(row.why)
                                },
                            }
                            for row in report.not_checked
                        ],
                    }
                ],
                "results": [
                    _result(found, order.index(found.check.id))
                    for found in report.findings
                ],
            }
        ],
    }


def _rule(check: Check) -> Json:
    return {
        "id": check.id,
        "shortDescription": {"text": check.section},
        "help": {"text": f"Remedy: {check.remedy}."},
        "helpUri": f"{_DOCS}{_html(check)}",
        "defaultConfiguration": {"level": _IN_SARIF[check.level]},
        "properties": {
            "level": str(check.level),
            "reasons": list(map(str, check.reasons)),
        },
    }


def _result(finding: Finding, index: int) -> Json:
    found = {
        "ruleId": finding.check.id,
        "ruleIndex": index,
        "level": _IN_SARIF[finding.check.level],
        "message": {"text": finding.message + f" {_told(finding.spot.value)}"},
        "locations": [_location(finding.file, finding.line)],
        "partialFingerprints": {
            "clonepolicyKey/v1": hashlib.sha256(
                finding.key.encode()
            ).hexdigest()
        },
    }
    related = [
        {
            "id": at,
            **_location(value.assignment.file, value.assignment.line),
            "message": {"text": _told(value)},
        }
        for at, value in enumerate(finding.spot.related)
        if value.assignment is not None
    ]
    return {**found, "relatedLocations": related} if related else found


def _location(file: str, line: int | None) -> Json:
    path = Path(file)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    place: Json = {"artifactLocation": {"uri": uri}}
    if line is not None:
        place["region"] = {"startLine": line}
    return {"physicalLocation": place}


# -- JUnit --------------------------------------------------------------------


def _to_junit(report: Report) -> str:
    failed = {found.check.id for found in report.findings}
    skipped = [row for row in report.not_checked if row.check.id not in failed]
    suite = ET.Element(
        "testsuite",
        name="clonepolicy lint",
        tests=str(len(failed) + len(skipped) + len(report.passed)),
        failures=str(len(failed)),
        errors="0",
        skipped=str(len(skipped)),
    )
    by_check = groupby(sorted(report.findings, key=_number), _check_of)
    for check, found in by_check:
        failure = ET.SubElement(
            _case(suite, check),
            "failure",
            type=str(check.level),
            message=check.remedy,
        )
        failure.text = "\n".join(map(_line, found))
    for row in skipped:
        case = _case(suite, row.check)
        ET.SubElement(case, "skipped", message=printable(row.why))
    for check in report.passed:
        _case(suite, check)
    text = ET.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _number(finding: Finding) -> int:
    return int(finding.check.id[1:])


def _check_of(finding: Finding) -> Check:
    return finding.check


def _case(suite: ET.Element, check: Check) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname="clonepolicy.lint", name=check.id
    )


def _line(finding: Finding) -> str:
    line = "" if finding.line is None else f":{finding.line}"
    return printable(f"{finding.file}{line}: {finding.message}")


# -- GitHub's workflow commands -----------------------------------------------

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def _to_github(finding: Finding) -> str:
    place = {"file": finding.file, "title": finding.check.id}
    if finding.line is not None:
        place["line"] = str(finding.line)
    told = ",".join(
        f"{name}={_escaped(text, _PROPERTY)}" for name, text in place.items()
    )
    text = f"{finding.message} Remedy: {finding.check.remedy}."
    kind = _IN_GITHUB[_IN_SARIF[finding.check.level]]
    return f"::{kind} {told}::{_escaped(printable(text), _DATA)}\n"


def _escaped(text: str, marks: Mapping[str, str]) -> str:
    return "".join(marks.get(letter, letter) for letter in text)
