"""Checks, and suites of checks: a check tests one promise of an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import IntEnum, StrEnum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs


class Level(IntEnum):
    """How much an adapter does; each level includes the levels below it."""

    NONE = 0
    """Less than every adapter of its kind has to do."""
    STORES = 1
    """What every adapter of its kind has to do."""
    CLONES = 2
    """It makes clones, of any kind."""
    GROWS = 3
    """Its clones can be extended beyond the size of their source."""
    SHARES = 4
    """Its clones move no data through the client."""

    @property
    def label(self) -> str:
        """The name as reports write it."""
        return self.name.lower()


class Status(StrEnum):
    """The outcome of a check."""

    PASS = "PASS"  # noqa: S105 - no password
    SKIP = "SKIP"
    """The check does not apply, or the harness cannot run it."""
    XFAIL = "XFAIL"
    """The check failed, and the harness lists it as a known failure."""
    FAIL = "FAIL"


class Harness(Protocol):
    """What all harnesses have in common."""

    @property
    def xfail(self) -> Mapping[str, str]:
        """Known failures: the ids of checks, each with a reason."""

    @property
    def close(self) -> Callable[[], None]:
        """Remove everything that the harness created."""


H = TypeVar("H")
"""A harness."""
F = TypeVar("F")
"""What a check works with."""


@attrs.frozen
class Need(Generic[H]):
    """A condition without which a check is skipped."""

    reason: str
    """Why the check is skipped if the condition does not hold."""
    is_met: Callable[[H], bool]


@attrs.frozen(kw_only=True)
class Check(Generic[H]):
    """One promise, and the function that tests it."""

    id: str
    promise: str
    """One sentence."""
    level: Level
    """The lowest level that includes the promise."""
    clones: bool
    """Whether the check makes a clone; a certificate takes one such check."""
    needs: tuple[Need[H], ...]
    body: Callable[[H], str | None]
    """Return what was measured, or None; raise if the promise is broken."""

    def skip_reason(self, harness: H) -> str | None:
        """Return why the check cannot run; None: it can."""
        for need in self.needs:
            if not need.is_met(harness):
                return need.reason
        return None


@attrs.frozen(eq=False)
class Suite(Generic[H, F]):
    """The checks of one kind of adapter, in the order in which they run."""

    level_of: Callable[[H], Level]
    """Return the level that an adapter declares."""
    fixture: Callable[[H], AbstractContextManager[F]]
    """Set up what a check works with, and clean up after it."""
    checks: list[Check[H]] = attrs.field(factory=list)

    def check(
        self, level: Level, *needs: Need[H], clones: bool = False
    ) -> Callable[[_Function[F]], _Function[F]]:
        """Add a function to the suite as a check.

        The function's name gives the check's id, and the first paragraph of
        its docstring the promise.  The function takes what `fixture` yields.

        Raises:
            ValueError: The suite already has a check with that id.
        """

        def add(function: _Function[F]) -> _Function[F]:
            check_id = function.__name__.replace("_", "-")
            if any(check.id == check_id for check in self.checks):
                message = f"the suite already has a check {check_id}; rename"
                raise ValueError(message)

            def body(harness: H) -> str | None:
                with self.fixture(harness) as fixture:
                    return function(fixture)

            self.checks.append(
                Check(
                    id=check_id,
                    promise=(function.__doc__ or "").strip().split("\n\n")[0],
                    level=level,
                    clones=clones,
                    needs=needs,
                    body=body,
                )
            )
            return function

        return add


_Function: TypeAlias = Callable[[F], str | None]
AnySuite: TypeAlias = Suite[Any, Any]
