"""Findings: a rule that fails, and the facts that it compared."""

from __future__ import annotations

from typing import Any

import attrs

from clonepolicy._facts.requests import Candidate, Request
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import Rule
from clonepolicy.policy._tables import Route


@attrs.frozen(kw_only=True)
class Finding:
    """One rule that fails, and the facts that it compared."""

    reason: Reason
    rule: str
    requirement: str
    blocks: tuple[Route, ...]
    """The routes that it closes, for its candidate or for all; a note: ()."""
    candidate: str | None = None
    """The label of the candidate that it is about; None: the request."""
    values: tuple[tuple[str, Any], ...]
    """The path and the value of each fact that the rule reads."""


@attrs.frozen(kw_only=True)
class CandidateResult:
    """One candidate, and the findings against it; none: it can be cloned."""

    route: Route
    candidate: Candidate
    findings: tuple[Finding, ...]


def make_finding(
    rule: Rule[Any],
    blocks: tuple[Route, ...],
    request: Request,
    candidate: Candidate | None = None,
) -> Finding:
    """Make the finding of a rule that fails."""
    return Finding(
        reason=rule.reason,
        rule=rule.name,
        requirement=rule.requirement,
        blocks=blocks,
        candidate=None if candidate is None else candidate.label,
        values=tuple(
            (path, read_fact(path, request, candidate)) for path in rule.reads
        ),
    )


def read_fact(
    path: str, request: Request, candidate: Candidate | None = None
) -> object:
    """Return the fact at a path; None if a record on the way is missing."""
    root, _, rest = path.partition(".")
    value: object
    if root == "candidate":
        value = candidate
    elif root == "source":
        value = getattr(candidate, "source", None)
    else:
        value = getattr(request, root)
    for name in rest.split(".") if rest else ():
        value = getattr(value, name, None)
    return value
