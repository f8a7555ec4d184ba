"""Checks, suites of checks, and how a check fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import attrs

from clonepolicy import AdapterError


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


H = TypeVar("H")
"""A harness."""
F = TypeVar("F")
"""What a check works with."""
T = TypeVar("T")
_Function: TypeAlias = Callable[[F], str | None]


@attrs.frozen
class Need(Generic[H]):
    """A condition without which a check is skipped."""

    reason: str
    """Why the check is skipped if the condition does not hold."""
    is_met: Callable[[H], bool]


@attrs.frozen
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

            promise = (function.__doc__ or "").strip().split("\n\n")[0]
            check = Check(check_id, promise, level, clones, needs, body)
            self.checks.append(check)
            return function

        return add


AnySuite: TypeAlias = Suite[Any, Any]


# -- what checks require ----------------------------------------------------


class CheckFailedError(AssertionError):
    """The adapter broke a promise; the message says what was found instead."""


def fail(message: str) -> NoReturn:
    """Fail the check."""
    raise CheckFailedError(message)


def require(condition: bool, message: str) -> None:  # noqa: FBT001 - as assert
    """Fail with a message unless a condition holds."""
    if not condition:
        fail(message)


def require_equal(found: object, expected: object, what: str) -> None:
    """Fail unless what was found is what was expected."""
    require(found == expected, f"{what}: expected {expected}, found {found}")


def require_same(
    before: Iterable[str], after: Iterable[str], when: str
) -> None:
    """Fail unless two listings have the same names."""
    more, fewer = set(after) - set(before), set(before) - set(after)
    require(
        not more and not fewer,
        f"{when}: left behind {sorted(more)}, lost {sorted(fewer)}",
    )


def given(member: T | None, name: str) -> T:
    """Return an optional member of a harness; fail if it was not given."""
    if member is None:
        fail(
            f"cannot test what the adapter declares: the harness lacks {name}"
        )
    return member


@contextlib.contextmanager
def expect_error(kind: type[AdapterError], what: str) -> Iterator[None]:
    """Fail unless the block raises an error of this kind."""
    try:
        yield
    except kind:
        return
    except Exception as error:  # noqa: BLE001 - any other error is wrong
        fail(f"{what}: expected {kind.__name__}, raised {describe(error)}")
    fail(f"{what}: expected {kind.__name__}, and nothing was raised")


@contextlib.contextmanager
def allow_refusal(what: str) -> Iterator[None]:
    """Fail if the block raises anything but an `AdapterError`."""
    try:
        yield
    except AdapterError:
        pass
    except CheckFailedError:
        raise
    except Exception as error:  # noqa: BLE001 - any other error is wrong
        fail(f"{what}: expected an AdapterError, raised {describe(error)}")


def describe(error: BaseException) -> str:
    """Describe an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
