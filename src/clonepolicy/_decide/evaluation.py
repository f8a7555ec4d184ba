"""Evaluations: which rules fail, and what follows from that.

Deciding keeps only the rules that fail.  Findings, notes and the plan are
made when somebody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from clonepolicy import plan as plans
from clonepolicy._decide.finding import CandidateResult, Finding, make_finding
from clonepolicy._facts.requests import Candidate, Operation, Request
from clonepolicy.policy._rule import Rule
from clonepolicy.policy._tables import (
    CloneTable,
    CreateTables,
    Policy,
    Route,
    UploadTables,
)

R_co = TypeVar("R_co", bound=Request, covariant=True)

Checked: TypeAlias = tuple[CloneTable[Any], Candidate, tuple[Rule[Any], ...]]


def _distinct(checked: Iterable[Checked]) -> Iterator[Checked]:
    """Yield each candidate once, by table and label.

    Candidates are compared by their text, not by their hashes: anybody can
    compute the hash of a number, so a tenant could make many collide.
    """
    for _, group in groupby(checked, key=lambda entry: entry[0].route):
        alike: dict[str, dict[str, Checked]] = {}
        for entry in group:
            _, candidate, _ = entry
            same = alike.setdefault(candidate.label, {})
            same.setdefault(repr(candidate), entry)
        for _, same in sorted(alike.items()):
            for _, entry in sorted(same.items()):
                yield entry


@attrs.frozen
class Evaluation(Generic[R_co]):
    """The rules of a policy that fail for a request."""

    policy: Policy
    request: R_co
    failing: tuple[Rule[Any], ...] = attrs.field(eq=False, repr=False)
    """The rules about the request that fail."""
    checked: tuple[Checked, ...] = attrs.field(eq=False, repr=False)
    """Every candidate, with its table and the rules that fail for it."""
    closed: Sequence[Route] = attrs.field(eq=False, repr=False)
    """The routes that the failing rules about the request close."""

    @property
    def _request(self) -> Request:
        """The request, typed so that type checkers narrow it."""
        return self.request

    @property
    def tables(self) -> CreateTables | UploadTables:
        """The policy's tables for this operation."""
        return self.policy.tables_for(self.request.operation)

    def usable(self) -> list[tuple[CloneTable[Any], Candidate]]:
        """Return the sources to try, each once, best first."""
        closed = self.closed
        passing = [
            (table, candidate)
            for table, candidate, fails in self.checked
            if not fails and table.route not in closed
        ]
        if len(passing) < 2:  # noqa: PLR2004 - nothing to rank
            return passing
        return [
            (table, source)
            for table, group in groupby(passing, key=itemgetter(0))
            for source in table.ranked(self.request, [c for _, c in group])
        ]

    @cached_property
    def candidates(self) -> tuple[CandidateResult, ...]:
        """Every candidate once, by table and label, with its findings."""
        return tuple(
            CandidateResult(
                route=table.route,
                candidate=candidate,
                findings=tuple(
                    make_finding(rule, (table.route,), self.request, candidate)
                    for rule in fails
                ),
            )
            for table, candidate, fails in _distinct(self.checked)
        )

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that fails: for the request, then for candidates."""
        of_candidates = [f for c in self.candidates for f in c.findings]
        return (*self.about_request, *of_candidates)

    @cached_property
    def about_request(self) -> tuple[Finding, ...]:
        """Every rule about the request that fails."""
        closes = self.tables.closes
        return tuple(
            make_finding(rule, closes[rule], self.request)
            for rule in self.failing
        )

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """The rules of notes that fail for the route that is taken."""
        if self.request.operation is Operation.UPLOAD:
            if Route.REGISTER in self.closed:
                return ()
            return self._notes(self.policy.upload.notes)
        for table, source in self.usable():
            return (
                *self._notes(table.notes),
                *self._notes(table.source_notes, source),
            )
        if Route.DOWNLOAD in self.closed:
            return ()
        return self._notes(self.policy.create.download_notes)

    def _notes(
        self, rules: Iterable[Rule[Any]], *candidate: Candidate
    ) -> tuple[Finding, ...]:
        request = self.request
        return tuple(
            make_finding(rule, (), request, *candidate)
            for rule in rules
            if not rule.holds(request, *candidate)
        )

    @cached_property
    def plan(self) -> plans.Plan:
        """The attempts in order, and the steps to take if all of them fail."""
        # steps have many classes, and who only decides needs none
        from clonepolicy.plan._build import (  # noqa: PLC0415
            plan_create,
            plan_upload,
        )

        request = self._request
        if request.operation is Operation.UPLOAD:
            return plan_upload(
                request,
                register=Route.REGISTER not in self.closed,
                upload=Route.UPLOAD not in self.closed,
            )
        return plan_create(
            request,
            ((table.route, source) for table, source in self.usable()),
            download=Route.DOWNLOAD not in self.closed,
        )
