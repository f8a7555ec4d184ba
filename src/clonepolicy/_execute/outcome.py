"""The outcome of a plan."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from clonepolicy._errors import AdapterError
from clonepolicy.plan._steps import Attempt, Step, VolumeRef


@attrs.frozen
class Failure:
    """One step that failed."""

    attempt: Attempt | None
    """None: the step belongs to ``abandon``."""
    step: Step
    error: AdapterError


@attrs.frozen(kw_only=True)
class Outcome:
    """How a plan ended."""

    attempt: Attempt | None
    """The attempt that succeeded; None: none did."""
    failures: tuple[Failure, ...]
    settled: bool
    """False: undoing, abandoning or closing failed.  The journal keeps the
    plan, and `recover` continues it."""
    ids: Mapping[VolumeRef, str]
    """The ids of the volumes that the plan created."""
