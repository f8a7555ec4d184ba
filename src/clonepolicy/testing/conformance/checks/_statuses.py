"""What a call may change in a service: the statuses of its objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from clonepolicy.testing.conformance._harness import (
    ImageHarness,
    VolumeHarness,
)
from clonepolicy.testing.conformance._require import require_equal


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
