"""Decisions: the verdict, and the evaluation that led to it."""

from __future__ import annotations

from typing import Generic, TypeAlias

import attrs

from clonepolicy import plan as plans
from clonepolicy._decide.evaluation import Evaluation, R_co
from clonepolicy._decide.finding import CandidateResult, Finding
from clonepolicy._decide.relevance import relevant
from clonepolicy._facts.requests import (
    Candidate,
    CreateRequest,
    Request,
    UploadRequest,
)
from clonepolicy.policy._tables import Policy, Route


@attrs.frozen(kw_only=True)
class _Decision(Generic[R_co]):
    evaluation: Evaluation[R_co]

    @property
    def verdict(self) -> str:
        """The verdict in one word: clone, download, register, ..."""
        return type(self).__name__.lower()

    @property
    def policy(self) -> Policy:
        """The policy that decided."""
        return self.evaluation.policy

    @property
    def request(self) -> R_co:
        """The request that was decided."""
        return self.evaluation.request

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that fails: for the request, then for candidates."""
        return self.evaluation.findings

    @property
    def relevant(self) -> tuple[Finding, ...]:
        """The findings about routes that this cloud uses, nearest first."""
        return relevant(self.evaluation)

    @property
    def candidates(self) -> tuple[CandidateResult, ...]:
        """Every candidate, with the findings against it."""
        return self.evaluation.candidates

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings about the route taken that do not close it."""
        return self.evaluation.notes

    @property
    def plan(self) -> plans.Plan:
        """The attempts in order, and the steps to take if all of them fail."""
        return self.evaluation.plan

    @property
    def efficient(self) -> tuple[Route, ...]:
        """The efficient routes, in the policy's order of preference."""
        return self.evaluation.tables.efficient

    @property
    def ordinary(self) -> Route:
        """The ordinary route, which moves the data."""
        return self.evaluation.tables.ordinary

    def closing(self, *routes: Route) -> tuple[Finding, ...]:
        """Return the findings that each close all of these routes."""
        return tuple(f for f in self.findings if {*routes} <= {*f.blocks})


@attrs.frozen(kw_only=True)
class Clone(_Decision[CreateRequest]):
    """Fill the volume by cloning ``source``."""

    route: Route
    source: Candidate
    """The candidate whose source is cloned."""
    extend_to: int | None
    """The size in GiB to extend the clone to; None: it is large enough."""


@attrs.frozen(kw_only=True)
class Download(_Decision[CreateRequest]):
    """Fill the volume with the image's data; the findings say why."""


@attrs.frozen(kw_only=True)
class Register(_Decision[UploadRequest]):
    """Clone the volume, and register the clone as the image's location."""

    project_id: str
    """The project that will own the clone."""
    store: str | None
    """The Glance store that the location names; None: Glance has one store."""


@attrs.frozen(kw_only=True)
class Upload(_Decision[UploadRequest]):
    """Send the volume's data to the image; the findings say why."""


@attrs.frozen(kw_only=True)
class Refuse(_Decision[Request]):
    """Do nothing: every route is closed, and the findings say why."""


CreateDecision: TypeAlias = Clone | Download | Refuse
UploadDecision: TypeAlias = Register | Upload | Refuse
Decision: TypeAlias = Clone | Download | Register | Upload | Refuse
