"""What checks require of an adapter, and how they fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NoReturn, TypeVar

from clonepolicy import AdapterError

T = TypeVar("T")


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
    except (AdapterError, CheckFailedError) as error:
        if isinstance(error, CheckFailedError):
            raise
    except Exception as error:  # noqa: BLE001 - any other error is wrong
        fail(f"{what}: expected an AdapterError, raised {describe(error)}")


def describe(error: BaseException) -> str:
    """Describe an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
