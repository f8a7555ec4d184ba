"""Ids that an adapter must refuse, or keep away from all real objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clonepolicy import AdapterError
from clonepolicy.testing.conformance._check import allow_refusal, expect_error
from clonepolicy.testing.conformance._harness import (
    ImageHarness,
    VolumeHarness,
)
from clonepolicy.testing.conformance.checks._statuses import only_changing

HOSTILE = (
    *("", " ", ".", "..", "../escape", "a/b", "/absolute", "-rf", "--help"),
    *("*", "%", "a,b", "a:b", "a@b", "a\nb", "a\0b", "$(id)", "' OR '1'='1"),
    *("ü" * 85, "\ud800", "x" * 255, "x" * 5000, "\u202e", "con", "{}"),
)
"""Ids that are no UUIDs."""

Calls = Mapping[str, Callable[[str], object]]


def pass_hostile_ids(
    harness: ImageHarness | VolumeHarness,
    names: Sequence[str],
    *,
    refused: Calls,
    harmless: Calls,
) -> str:
    """Call methods with hostile ids; fail if that changes any status.

    Args:
        harness: The harness of the service.
        names: Ids in addition to `HOSTILE`.
        refused: Calls that must raise `AdapterError`.
        harmless: Calls that may also return.
    """
    for name in (*HOSTILE, *names):
        what = f"id {name[:40]!r}"
        with only_changing(harness, what):
            for method, call in refused.items():
                with expect_error(AdapterError, f"{what}: {method}"):
                    call(name)
            for method, call in harmless.items():
                with allow_refusal(f"{what}: {method}"):
                    call(name)
    return f"{len(HOSTILE) + len(names)} ids refused"
