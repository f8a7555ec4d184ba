"""Checks, suites of checks, their runs, and reports of these."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import attrs

from clonepolicy import AdapterError
from clonepolicy.testing.conformance._harness import Harness


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


@attrs.frozen
class Result:
    """The outcome of one check."""

    check: Check[Any]
    status: Status
    detail: str
    """What was measured, or what is wrong; may be empty."""
    seconds: float


@attrs.frozen(kw_only=True)
class Report:
    """The outcome of a run of a suite, or of a part of it."""

    suite: AnySuite
    declared: Level
    results: tuple[Result, ...] = ()

    @property
    def level(self) -> Level:
        """The highest level up to which the adapter keeps all promises."""
        broken = [
            result.check.level
            for result in self.results
            if result.status in {Status.FAIL, Status.XFAIL}
        ]
        return Level(min((self.declared, *(level - 1 for level in broken))))

    @property
    def problem(self) -> str | None:
        """Why the checks that ran do not certify the adapter, or None."""
        failed = self.count(Status.FAIL)
        if failed:
            return f"{failed} of {len(self.results)} checks failed"
        if not any(
            result.check.clones and result.status is Status.PASS
            for result in self.results
        ):
            return "no check that makes a clone ran and passed"
        return None

    @property
    def is_complete(self) -> bool:
        """Whether every check of the suite ran."""
        return len(self.results) == len(self.suite.checks)

    @property
    def certificate_problem(self) -> str | None:
        """Why the report is no certificate; None: it is one."""
        if self.problem is None and not self.is_complete:
            return f"only {self._extent} ran"
        return self.problem

    @property
    def _extent(self) -> str:
        return f"{len(self.results)} of {len(self.suite.checks)} checks"

    def count(self, status: Status) -> int:
        """Count the checks with a status."""
        return len(self.details(status))

    def details(self, status: Status) -> dict[str, str]:
        """Return the details of the checks with a status, by their ids."""
        return {
            result.check.id: result.detail
            for result in self.results
            if result.status is status
        }

    def summary(self) -> tuple[str, ...]:
        """Summarize the report in three lines: counts, level and verdict."""
        counts = ", ".join(f"{self.count(s)} {s}" for s in Status)
        level, verdict = "unknown", "certificate"
        if self.is_complete:
            level = f"{self.level.label} (declared: {self.declared.label})"
        if self.certificate_problem is not None:
            verdict = f"no certificate: {self.certificate_problem}"
        return f"{self._extent}: {counts}", f"level: {level}", verdict


def run_check(check: Check[Any], harness: Harness) -> Result:
    """Run one check, unless it has to be skipped; never raise its errors."""
    begin = time.perf_counter()
    known = harness.xfail.get(check.id)
    try:
        reason = check.skip_reason(harness)
        if reason is not None:
            return Result(check, Status.SKIP, reason, 0.0)
        status, detail = Status.PASS, str(check.body(harness) or "")
    except CheckFailedError as error:
        status, detail = Status.FAIL, str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - adapters may raise anything
        status = Status.FAIL
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"({Path(frame.filename).name}:{frame.lineno})"
        detail = f"raised {describe(error)} {where}"
    if known is not None:
        if status is Status.FAIL:
            status, detail = Status.XFAIL, f"{known} ({detail})"
        else:
            status = Status.FAIL
            detail = f"passes, but xfail lists it: {known}"
    return Result(check, status, detail, time.perf_counter() - begin)


def run(
    suite: AnySuite,
    harness: Harness,
    *,
    checks: Sequence[Check[Any]] | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Report:
    """Run a suite, or only these of its checks, one after the other.

    The harness is of the kind that the suite takes.  `on_result` is called
    after each check.
    """
    declared = suite.level_of(harness)
    results = []
    for check in suite.checks if checks is None else checks:
        result = run_check(check, harness)
        results.append(result)
        if on_result is not None:
            on_result(result)
    return Report(suite=suite, declared=declared, results=tuple(results))
