"""Findings: a rule that fails, and the facts that it compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from clonepolicy._facts.requests import Candidate, Request
from clonepolicy.policy._cure import Cost, Responsible, as_line
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import Rule
from clonepolicy.policy._tables import Route


@attrs.frozen(kw_only=True)
class Remedy:
    """What removes one finding, and who can apply it."""

    reason: Reason
    remedy: str
    responsible: Responsible
    cost: Cost
    waiting_helps: bool
    changes: tuple[tuple[str, Any], ...] = attrs.field(repr=False)
    """The path and the new value of each fact that is different then."""

    def __str__(self) -> str:
        """Return one line: who can do what, and what it costs."""
        return as_line(
            self.remedy, self.responsible, self.cost, self.waiting_helps
        )


@attrs.frozen(kw_only=True)
class _Unread:
    """The remedies of a finding, before somebody reads them."""

    rule: Rule[Any]
    request: Request
    candidate: Candidate | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy them as what they are, because a rule cannot be pickled."""
        return tuple, (_read(self),)


def _read(remedies: tuple[Remedy, ...] | _Unread) -> tuple[Remedy, ...]:
    if isinstance(remedies, tuple):
        return remedies
    return tuple(
        _remedies(remedies.rule, remedies.request, remedies.candidate)
    )


@attrs.frozen(kw_only=True)
class Finding:
    """One rule that fails, and the facts that it compared."""

    reason: Reason
    rule: str
    requirement: str
    meaning: str
    """What is the case."""
    _remedies: tuple[Remedy, ...] | _Unread = attrs.field(
        alias="remedies", eq=_read, repr=lambda kept: repr(_read(kept))
    )
    blocks: tuple[Route, ...]
    """The routes that it closes, for its candidate or for all; a note: ()."""
    candidate: str | None = None
    """The label of the candidate that it is about; None: the request."""
    values: tuple[tuple[str, Any], ...]
    """The path and the value of each fact that the rule reads."""

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What removes this finding, the best first; each alone is enough."""
        made = _read(self._remedies)
        object.__setattr__(self, "_remedies", made)
        return made


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
        meaning=rule.meaning,
        remedies=_Unread(rule=rule, request=request, candidate=candidate),
        blocks=blocks,
        candidate=None if candidate is None else candidate.label,
        values=tuple(
            (path, read_fact(path, request, candidate)) for path in rule.reads
        ),
    )


def _remedies(
    rule: Rule[Any], request: Request, candidate: Candidate | None
) -> Iterator[Remedy]:
    given = (request,) if candidate is None else (request, candidate)
    for cure in rule.cures:
        changes = cure.changes(*given)
        if changes is not None:
            yield Remedy(
                reason=rule.reason,
                remedy=cure.remedy,
                responsible=cure.responsible,
                cost=cure.cost,
                waiting_helps=cure.waiting_helps,
                changes=tuple(changes.items()),
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
