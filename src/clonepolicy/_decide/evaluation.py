"""Evaluations: which rules fail, and what follows from that.

Deciding keeps only the rules that fail.  Findings, notes and the plan are
made when somebody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, Generic, TypeVar

import attrs

from clonepolicy._decide.finding import (
    CandidateResult,
    Finding,
    make_finding,
)
from clonepolicy._facts.requests import Candidate, Operation, Request
from clonepolicy.plan._build import plan_create, plan_upload
from clonepolicy.plan._steps import Plan
from clonepolicy.policy._rule import Rule
from clonepolicy.policy._tables import (
    CloneTable,
    CreateTables,
    Policy,
    Route,
    UploadTables,
)

R_co = TypeVar("R_co", bound=Request, covariant=True)


@attrs.frozen(kw_only=True)
class Evaluation(Generic[R_co]):
    """The rules of a policy that fail for a request."""

    policy: Policy
    request: R_co
    failing: tuple[Rule[Any], ...] = attrs.field(eq=False, repr=False)
    """The rules about the request that fail."""
    failing_of_candidates: tuple[Sequence[tuple[Rule[Any], ...]], ...] = (
        attrs.field(eq=False, repr=False)
    )
    """For each table that clones, for each candidate: its failing rules."""
    closed: AbstractSet[Route] = attrs.field(eq=False, repr=False)
    """The routes that a rule about the request closes."""

    @property
    def _request(self) -> Request:
        """The request, typed so that type checkers narrow it."""
        return self.request

    @property
    def tables(self) -> CreateTables | UploadTables:
        """The policy's tables for this operation."""
        return self.policy.tables_for(self.request.operation)

    def sources(self) -> Iterator[tuple[CloneTable[Any], Candidate]]:
        """Iterate over the sources to try, each once, best first."""
        request = self._request
        if request.operation is Operation.UPLOAD:
            return
        for table, each in zip(
            self.tables.clone, self.failing_of_candidates, strict=True
        ):
            if not each or table.route in self.closed:
                continue
            candidates = zip(table.candidates(request), each, strict=True)
            usable = [
                candidate for candidate, fails in candidates if not fails
            ]
            for candidate in table.ranked(request, usable):
                yield table, candidate

    @cached_property
    def candidates(self) -> tuple[CandidateResult, ...]:
        """Every candidate once, by table and label, with its findings."""
        request = self.request
        found = []
        for table, each in zip(
            self.tables.clone, self.failing_of_candidates, strict=True
        ):
            blocks = (table.route,)
            distinct = dict(zip(table.candidates(request), each, strict=True))
            found += [
                CandidateResult(
                    route=table.route,
                    candidate=candidate,
                    findings=tuple(
                        make_finding(rule, blocks, request, candidate)
                        for rule in distinct[candidate]
                    ),
                )
                for candidate in sorted(
                    distinct, key=lambda c: (c.label, repr(c))
                )
            ]
        return tuple(found)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that fails: for the request, then for candidates."""
        closes = self.tables.closes
        about_request = [
            make_finding(rule, closes[rule], self.request)
            for rule in self.failing
        ]
        of_candidates = [f for c in self.candidates for f in c.findings]
        return (*about_request, *of_candidates)

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """The rules of notes that fail for the route that is taken."""
        if self.request.operation is Operation.UPLOAD:
            if Route.REGISTER in self.closed:
                return ()
            return self._notes(self.policy.upload.notes)
        for table, source in self.sources():
            return (
                *self._notes(table.notes),
                *self._notes(table.source_notes, source),
            )
        return ()

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
    def plan(self) -> Plan:
        """The steps to take, and those to take if they fail."""
        request = self._request
        if request.operation is Operation.UPLOAD:
            return plan_upload(
                request,
                register=Route.REGISTER not in self.closed,
                upload=Route.UPLOAD not in self.closed,
            )
        return plan_create(
            request,
            ((table.route, source) for table, source in self.sources()),
            download=Route.DOWNLOAD not in self.closed,
        )
