"""How long to wait for Glance, and how often to repeat a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import tenacity

from clonepolicy import FactError, UnavailableError

T = TypeVar("T")
_UNAVAILABLE = tenacity.retry_if_exception_type(UnavailableError)


def _positive(
    _instance: object, attribute: attrs.Attribute[Any], value: float
) -> None:
    if type(value) not in {int, float} or not value > 0:
        field = f"Patience.{attribute.name}"
        raise FactError(field, value, "a number > 0")


@attrs.frozen(kw_only=True)
class Patience:
    """How long to wait for Glance; pauses grow exponentially, with jitter.

    The client itself sets the timeout of a single request.
    """

    attempts: int = attrs.field(default=3, validator=_positive)
    """How often a request that may be repeated is sent, the first included."""
    first: float = attrs.field(default=0.5, validator=_positive)
    """Upper bound of the first pause, in seconds."""
    longest: float = attrs.field(default=10.0, validator=_positive)
    """Upper bound of every pause, in seconds."""
    total: float = attrs.field(default=300.0, validator=_positive)
    """How long to wait for a background task of Glance, in seconds."""
    grace: float = attrs.field(default=5.0, validator=_positive)
    """How long a request without an answer may still arrive, in seconds."""

    def repeat(self, call: Callable[[], T]) -> T:
        """Send a request, and again while the service is unavailable.

        Raises:
            AdapterError: the error of the last attempt.
        """
        stop = tenacity.stop_after_attempt(self.attempts)
        result: T = self._retrying(stop, _UNAVAILABLE)(call)
        return result

    def wait_until(self, action: str, is_done: Callable[[], bool]) -> None:
        """Ask until ``is_done`` returns true; outages are waited out.

        Raises:
            UnavailableError: it did not return true within ``total``.
            AdapterError: any other error of ``is_done``, at once.
        """
        stop = tenacity.stop_after_delay(self.total)
        not_done = tenacity.retry_if_result(lambda done: not done)
        try:
            self._retrying(stop, not_done | _UNAVAILABLE)(is_done)
        except tenacity.RetryError:
            message = f"{action}: not done after {self.total} s"
            raise UnavailableError(message) from None

    def _retrying(self, stop: Any, retry: Any) -> tenacity.Retrying:  # noqa: ANN401 - conditions of tenacity
        wait = tenacity.wait_random_exponential(self.first, self.longest)
        return tenacity.Retrying(
            stop=stop, wait=wait, retry=retry, reraise=True
        )
