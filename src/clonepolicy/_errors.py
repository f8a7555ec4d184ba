"""What clonepolicy raises.

* ClonePolicyError
    * FactError (also a ValueError): a record that cannot be
    * AdapterError: a port could not do what it was asked
        * NotFoundError, ConflictError, ForbiddenError, QuotaError
        * CloneLimitError, UnsupportedError, IntegrityError
        * UnavailableError
        * StaleError
        * LeftBehindError: not safe to fall back

Deciding raises none of these.
"""

from __future__ import annotations

from typing import ClassVar


class ClonePolicyError(Exception):
    """Everything this library raises on purpose."""


class FactError(ClonePolicyError, ValueError):
    """A field that cannot be: names the field, the value, the expectation."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        """Say which field had which value, and what was expected there."""
        super().__init__(field, value, expected)
        self.field = field
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        """Give field, value (shortened) and expectation in one line."""
        shown = repr(self.value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}…"
        return f"{self.field}: expected {self.expected}, got {shown}"


_SHOWN = 120


class AdapterError(ClonePolicyError):
    """A port could not do what it was asked.

    ``safe_to_fall_back`` says whether another way of reaching the same end
    may be tried after the step was undone.
    """

    safe_to_fall_back: ClassVar[bool] = True


class NotFoundError(AdapterError):
    """The image, volume or location is not there."""


class ConflictError(AdapterError):
    """The thing is in a state in which this cannot be done to it."""


class ForbiddenError(AdapterError):
    """The service refuses these credentials."""


class QuotaError(AdapterError):
    """The project has no quota left for it."""


class CloneLimitError(AdapterError):
    """The array makes no more clones of this source."""


class UnsupportedError(AdapterError):
    """The array or service cannot do this at all."""


class IntegrityError(AdapterError):
    """The bytes are not what their record claims."""


class UnavailableError(AdapterError):
    """The service did not answer, or not in time; waiting may cure it."""


class StaleError(AdapterError):
    """What the decision relied on no longer holds."""


class LeftBehindError(AdapterError):
    """It failed, and what it had begun could not be taken back.

    Nothing else is tried for the same end before that is done.
    """

    safe_to_fall_back = False
