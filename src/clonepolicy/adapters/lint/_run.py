"""Run the checks over an estate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from clonepolicy import AdapterError
from clonepolicy._text import masked
from clonepolicy.adapters.lint import _cinder, _cloud, _glance, _hosts
from clonepolicy.adapters.lint._check import Check, Estate, Spot

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (*_cinder.CHECKS, *_hosts.CHECKS, *_glance.CHECKS, *_cloud.CHECKS),
        key=lambda check: int(check.id[1:]),
    )
)
"""Every check, by the number of its misconfiguration."""


@attrs.frozen
class Finding:
    """One misconfiguration, at one place."""

    check: Check
    spot: Spot

    @property
    def line(self) -> int | None:
        """The line of `file`; None: the option is not set there."""
        at = self.spot.value.assignment
        return None if at is None else at.line

    @property
    def file(self) -> str:
        """The file that sets the option, or that could set it."""
        return self.spot.file

    @property
    def message(self) -> str:
        """What happens, with the option and its value."""
        value = self.spot.value
        words = {name: masked(text) for name, text in self.spot.words.items()}
        return self.check.message.format(
            option=value.option.name, value=value.shown, **words
        )

    @property
    def key(self) -> str:
        """What names it in a baseline; lines and values may change."""
        value = self.spot.value
        return f"{self.check.id} {self.file} [{value.group}] " + (
            value.option.name
        )


@attrs.frozen
class NotChecked:
    """A check that could not tell, and why."""

    check: Check
    why: str


@attrs.frozen
class Report:
    """What the checks found."""

    findings: tuple[Finding, ...]
    """The worst first, then by number and place."""
    not_checked: tuple[NotChecked, ...]
    passed: tuple[Check, ...]


def run(estate: Estate, checks: Iterable[Check] = CHECKS) -> Report:
    """Run checks over an estate.

    A check that lacks what it needs is never among those that passed.

    Raises:
        FactError: an option has an invalid value.
    """
    findings: list[Finding] = []
    not_checked: list[NotChecked] = []
    passed: list[Check] = []
    for check in checks:
        found, why = _run(estate, check)
        findings += found
        if why is not None:
            not_checked.append(NotChecked(check, why))
        elif not found:
            passed.append(check)
    findings.sort(key=_order)
    return Report(tuple(findings), tuple(not_checked), tuple(passed))


def _run(estate: Estate, check: Check) -> tuple[list[Finding], str | None]:
    lacking = [need for need in check.needs if estate.lacks(need)]
    if lacking:
        return [], f"needs {' and '.join(lacking)}"
    found: list[Finding] = []
    try:
        found.extend(_found(estate, check))
    except AdapterError as error:
        return found, str(error)
    lacking = [need for need in check.to_pass if estate.lacks(need)]
    if lacking and not found:
        return [], f"needs {' and '.join(lacking)}"
    return found, None


def _found(estate: Estate, check: Check) -> Iterator[Finding]:
    return (Finding(check, spot) for spot in check.find(estate))


def _order(finding: Finding) -> tuple[int, int, str, int]:
    check = finding.check
    number = int(check.id[1:])
    return check.level.rank, number, finding.file, finding.line or 0
