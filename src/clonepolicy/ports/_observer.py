"""An observer of an execution."""

from __future__ import annotations

from clonepolicy._errors import AdapterError
from clonepolicy.plan._steps import Attempt, Step


class Observer:
    """Hooks of an execution, all empty; override those that you need."""

    def attempt_started(self, attempt: Attempt) -> None:
        """Observe that an attempt starts."""

    def step_started(self, step: Step) -> None:
        """Observe that a step starts."""

    def step_done(self, step: Step) -> None:
        """Observe that a step succeeded."""

    def step_failed(self, step: Step, error: AdapterError) -> None:
        """Observe that a step failed."""

    def moved(self, count: int) -> None:
        """Observe that ``count`` more bytes were transferred."""
