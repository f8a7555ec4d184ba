"""The exceptions that clonepolicy raises.

* ClonePolicyError
    * FactError (also a ValueError): a record has an invalid value
    * AdapterError: a port failed
        * NotFoundError, ConflictError, ForbiddenError, QuotaError
        * CloneLimitError, UnsupportedError, IntegrityError
        * UnavailableError
        * StaleError
        * LeftBehindError: do not try another route

Deciding raises none of these.
"""

from __future__ import annotations

from typing import ClassVar

from clonepolicy._text import printable, shown


class ClonePolicyError(Exception):
    """The base class of every exception of this library."""

    def __str__(self) -> str:
        """Return the message in one line of printable text."""
        return printable(super().__str__())

    def __repr__(self) -> str:
        """Return the class and the message, and not what is not shown."""
        return f"{type(self).__name__}({str(self)!r})"


class FactError(ClonePolicyError, ValueError):
    """A field has an invalid value."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        """Keep the field, its value, and a description of valid values."""
        super().__init__(field, value, expected)
        self.field = field
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        """Return field, value (shortened) and expectation in one line."""
        try:
            value = repr(self.value)
        except Exception:  # noqa: BLE001 - too many digits, or too deep
            value = f"a value of type {type(self.value).__name__}"
        field, value = shown(self.field), shown(value, _SHOWN)
        return f"{field}: expected {printable(self.expected)}, got {value}"


_SHOWN = 120


class AdapterError(ClonePolicyError):
    """A call of a port failed.

    ``safe_to_fall_back``: the next attempt may be made once the step is
    undone.
    """

    safe_to_fall_back: ClassVar[bool] = True


class NotFoundError(AdapterError):
    """The image, volume or location does not exist."""


class ConflictError(AdapterError):
    """The state of the image or volume does not allow the operation."""


class ForbiddenError(AdapterError):
    """The service does not allow the operation with these credentials."""


class QuotaError(AdapterError):
    """The project has no quota left for the volume."""


class CloneLimitError(AdapterError):
    """The source has as many clones as the array allows."""


class UnsupportedError(AdapterError):
    """The array or service does not support the operation."""


class IntegrityError(AdapterError):
    """The data does not match its record."""


class UnavailableError(AdapterError):
    """The service did not answer in time; waiting may help."""


class StaleError(AdapterError):
    """A fact that the decision relied on has changed."""


class LeftBehindError(AdapterError):
    """The operation failed, and the previous state could not be restored.

    The plan makes no other attempt.
    """

    safe_to_fall_back = False
