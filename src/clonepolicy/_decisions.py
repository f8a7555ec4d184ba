"""Verdicts: what to do, with the findings that led there."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from clonepolicy._findings import (
    Considered,
    CreateFindings,
    Finding,
    Findings,
    UploadFindings,
)
from clonepolicy._plans import Plan
from clonepolicy._policies import Mechanism, Policy
from clonepolicy._records import Candidate, CreateRequest, UploadRequest


@attrs.frozen(kw_only=True)
class _Decision:
    found: Findings

    @property
    def policy(self) -> Policy:
        """The policy that decided."""
        return self.found.policy

    @property
    def request(self) -> CreateRequest | UploadRequest:
        """What was decided upon."""
        return self.found.request

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that fails: for the request, then for candidates."""
        return self.found.findings

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Every candidate source with the findings against it."""
        return self.found.considered

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What does not block but is worth knowing."""
        return self.found.notes

    @property
    def plan(self) -> Plan:
        """What to do, in what order, and what to do when that fails."""
        return self.found.plan


@attrs.frozen(kw_only=True)
class Clone(_Decision):
    """Fill the volume by cloning ``source``."""

    found: CreateFindings
    mechanism: Mechanism
    source: Candidate
    extend_to: int | None
    """GiB, where the clone has to grow."""


@attrs.frozen(kw_only=True)
class Download(_Decision):
    """Fill the volume with the image's bytes; the findings say why."""

    found: CreateFindings


@attrs.frozen(kw_only=True)
class Register(_Decision):
    """Clone the volume and register the clone as the image's location."""

    found: UploadFindings
    project_id: str
    """The project in which the clone will lie."""
    store: str | None
    """The Glance store that the location names, where there are several."""


@attrs.frozen(kw_only=True)
class Upload(_Decision):
    """Send the volume's bytes to the image; the findings say why."""

    found: UploadFindings


@attrs.frozen(kw_only=True)
class Refuse(_Decision):
    """Do neither: no path is open, and the findings say why."""


CreateDecision: TypeAlias = Clone | Download | Refuse
UploadDecision: TypeAlias = Register | Upload | Refuse
Decision: TypeAlias = Clone | Download | Register | Upload | Refuse
