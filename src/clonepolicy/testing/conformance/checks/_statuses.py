"""What a call may change in a service: the statuses of its objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from clonepolicy import AdapterError
from clonepolicy.testing.conformance._check import expect_error, require_equal
from clonepolicy.testing.conformance._harness import (
    ImageHarness,
    VolumeHarness,
)


@contextlib.contextmanager
def only_changing(
    harness: ImageHarness | VolumeHarness,
    when: str,
    changes: Mapping[str, str | None] | None = None,
) -> Iterator[None]:
    """Fail unless the block makes these changes of statuses and no other.

    Args:
        harness: The harness of the service.
        when: When this is required, for the message.
        changes: The new status of each object that changes; None: it is
            deleted.
    """
    expected: dict[str, str | None] = {**harness.statuses(), **(changes or {})}
    yield
    found = harness.statuses()
    for name in sorted(expected.keys() | found.keys()):
        status = found.get(name)
        require_equal(status, expected.get(name), f"{when}: status of {name}")


@contextlib.contextmanager
def expect_refusal(
    harness: ImageHarness | VolumeHarness, kind: type[AdapterError], what: str
) -> Iterator[None]:
    """Fail unless the block raises this error and changes no status."""
    with only_changing(harness, f"after {what}"), expect_error(kind, what):
        yield
