"""Register an adapter with its defect, and the checks that must find it.

The docstring of an adapter's class is its defect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from clonepolicy.adapters.memory import MemoryArray, MemoryCloud
from clonepolicy.testing.conformance import (
    ARRAYS,
    IMAGES,
    VOLUMES,
    ArrayHarness,
)
from clonepolicy.testing.conformance._check import AnySuite
from clonepolicy.testing.conformance._harness import Harness
from clonepolicy.testing.memory import memory_harness
from memory_harnesses import image_harness, volume_harness

K = TypeVar("K", bound=type[Any])


@attrs.frozen(kw_only=True)
class BrokenAdapter:
    """An adapter with a defect."""

    name: str
    defect: str
    suite: AnySuite
    make: Callable[[], Harness]
    caught_by: frozenset[str]
    """The ids of checks that must fail; others may fail, too."""


BROKEN_ADAPTERS: list[BrokenAdapter] = []


def _register(
    suite: AnySuite, make: Callable[[Any], Harness], checks: tuple[str, ...]
) -> Callable[[K], K]:
    def add(kind: K) -> K:
        BROKEN_ADAPTERS.append(
            BrokenAdapter(
                name=kind.__name__,
                defect=(kind.__doc__ or "").strip(),
                suite=suite,
                make=lambda: make(kind),
                caught_by=frozenset(checks),
            )
        )
        return kind

    return add


def _array_harness(kind: type[MemoryArray]) -> ArrayHarness:
    return memory_harness(kind())


def broken_array(
    *checks: str, make: Callable[[Any], ArrayHarness] = _array_harness
) -> Callable[[K], K]:
    """Register an array; ``make`` makes the harness for its class."""
    return _register(ARRAYS, make, checks)


def broken_images(
    *checks: str, cloud: Callable[[], MemoryCloud] = MemoryCloud
) -> Callable[[K], K]:
    """Register an image service; ``cloud`` makes the cloud that it serves."""
    return _register(IMAGES, lambda kind: image_harness(cloud(), kind), checks)


def broken_volumes(*checks: str) -> Callable[[K], K]:
    """Register a volume service."""
    return _register(
        VOLUMES, lambda kind: volume_harness(MemoryCloud(), kind), checks
    )
