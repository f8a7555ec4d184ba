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

    def copied(self, count: int, left: int) -> None:
        """Observe that the array copied ``count`` more bytes for a clone.

        ``left`` bytes of the source's data are still to be copied.  Only an
        array that knows the observer tells it, as that of the local cloud.
        """
