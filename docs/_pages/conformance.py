"""The page of the conformance kit's checks and broken adapters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from _pages.markdown import code, table
from clonepolicy.testing.conformance import (
    ARRAYS,
    IMAGES,
    VOLUMES,
    Status,
    run,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from broken_adapters import BROKEN_ADAPTERS, BrokenAdapter

KITS = (
    ("Arrays", ARRAYS),
    ("Image services", IMAGES),
    ("Volume services", VOLUMES),
)


def conformance() -> Iterator[str]:
    """Write the kit's checks, and which broken adapters each catches."""
    yield "# The kit's checks"
    yield (
        "The checks of each kind of adapter, and the broken adapters with "
        "which they are tested. Every check catches at least one broken "
        "adapter. When this page was generated, every check that it names "
        "for a broken adapter failed."
    )
    for title, suite in KITS:
        yield f"## {title}"
        broken = [b for b in BROKEN_ADAPTERS if b.suite is suite]
        yield table(
            ("check", "promise", "level", "skipped if", "catches"),
            (
                (
                    f"`{check.id}`",
                    check.promise,
                    check.level.label,
                    "; ".join(need.reason for need in check.needs) or "-",
                    code(b.name for b in broken if check.id in caught(b)),
                )
                for check in suite.checks
            ),
        )
        yield f"### {title}: broken adapters"
        yield table(
            ("broken adapter", "defect", "caught by"),
            ((b.name, b.defect, code(caught(b))) for b in broken),
        )


@cache
def caught(broken: BrokenAdapter) -> tuple[str, ...]:
    """Run the checks that must catch a broken adapter.

    Raises:
        AssertionError: One of them passes.
    """
    harness = broken.make()
    checks = [c for c in broken.suite.checks if c.id in broken.caught_by]
    for result in run(broken.suite, harness, checks=checks).results:
        if result.status is not Status.FAIL:
            message = f"{broken.name} passes {result.check.id}"
            raise AssertionError(message)
    harness.close()
    return tuple(check.id for check in checks)
