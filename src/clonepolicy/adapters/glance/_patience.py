"""How long to wait, and how often to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import tenacity

from clonepolicy import FactError, UnavailableError

T = TypeVar("T")


def _positive(
    _instance: object, attribute: attrs.Attribute[Any], value: float
) -> None:
    if type(value) not in {int, float} or not value > 0:
        field = f"Patience.{attribute.name}"
        raise FactError(field, value, "a number > 0")


@attrs.frozen(kw_only=True)
class Patience:
    """How long to wait for Glance; pauses grow exponentially, with jitter.

    The timeout of a single request is the business of the client.
    """

    attempts: int = attrs.field(default=3, validator=_positive)
    """How often a request that may be repeated is sent in all."""
    first: float = attrs.field(default=0.5, validator=_positive)
    """Bound of the first pause, seconds."""
    longest: float = attrs.field(default=10.0, validator=_positive)
    """Bound of every pause, seconds."""
    total: float = attrs.field(default=300.0, validator=_positive)
    """For what Glance does in the background, seconds."""
    grace: float = attrs.field(default=5.0, validator=_positive)
    """For a request that Glance may still have before it, seconds."""

    def repeat(self, call: Callable[[], T]) -> T:
        """Send a request again while the service is not available.

        Raises:
            AdapterError: what the last attempt raised.
        """
        result: T = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=self._wait(),
            retry=tenacity.retry_if_exception_type(UnavailableError),
            reraise=True,
        )(call)
        return result

    def wait_until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Ask again until it is so, through outages of the service too.

        Raises:
            UnavailableError: it was not so in time.
            AdapterError: any other kind that ``is_so`` raises, at once.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.total),
            wait=self._wait(),
            retry=tenacity.retry_if_result(lambda so: not so)
            | tenacity.retry_if_exception_type(UnavailableError),
            reraise=True,
        )
        try:
            retrying(is_so)
        except tenacity.RetryError:
            message = f"{what}: not done after {self.total} s"
            raise UnavailableError(message) from None

    def _wait(self) -> tenacity.wait_random_exponential:
        return tenacity.wait_random_exponential(
            multiplier=self.first, max=self.longest
        )
