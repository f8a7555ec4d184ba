"""Adapters that are wrong on purpose: the kit's own tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from clonepolicy.testing.conformance._row import Bench, Table


@attrs.frozen(kw_only=True)
class Saboteur:
    """An adapter that breaks a promise, and the rows that must catch it."""

    name: str
    sin: str
    table: Table[Any]
    make: Callable[[], Bench]
    caught_by: frozenset[str]
    """Ids of rows; others may catch it, too."""
