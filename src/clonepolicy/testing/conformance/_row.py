"""Rows: promises, what they need, and how they are kept or broken."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import attrs

from clonepolicy import AdapterError


class Level(IntEnum):
    """How much of what an adapter can be asked for is declared, and kept."""

    NONE = 0
    """Not even what every adapter has to keep."""
    STORES = 1
    """What every adapter of its kind has to do."""
    CLONES = 2
    """Clones, of whatever kind."""
    GROWS = 3
    """Clones that may be larger than their source."""
    SHARES = 4
    """Clones that move no data through the client."""


class Status(StrEnum):
    """What came of a row."""

    PASS = "PASS"  # noqa: S105 - no password
    SKIP = "SKIP"
    """What it is about is not declared, or the bench cannot show it."""
    XFAIL = "XFAIL"
    """It failed, as the bench says it does."""
    FAIL = "FAIL"


class BrokenError(AssertionError):
    """A promise is not kept; says which value was found instead."""


class Bench(Protocol):
    """What every kind of bench has."""

    @property
    def xfail(self) -> Mapping[str, str]:
        """Rows that are known to fail, each with the reason."""

    @property
    def close(self) -> Callable[[], None]:
        """Take everything down."""


B = TypeVar("B")


@attrs.frozen
class Need(Generic[B]):
    """Something without which a row says nothing, and how that is told."""

    missing: str
    there: Callable[[B], bool]


@attrs.frozen(kw_only=True)
class Row(Generic[B]):
    """One promise; ``body`` gives what it measured, or raises."""

    id: str
    promise: str
    level: Level
    clones: bool
    """It makes a clone; a run must have executed one such row."""
    needs: tuple[Need[B], ...]
    body: Callable[[B], str | None]

    def missing(self, bench: B) -> str | None:
        """Say why there is nothing to be seen of it; None: there is."""
        for need in self.needs:
            if not need.there(bench):
                return need.missing
        return None


@attrs.frozen(eq=False)
class Table(Generic[B]):
    """Rows about one kind of adapter, in the order in which they stand."""

    level_of: Callable[[B], Level]
    """The level that an adapter declares."""
    rows: list[Row[B]] = attrs.field(factory=list)

    def row(
        self, level: Level, *needs: Need[B], clones: bool = False
    ) -> Callable[[Callable[[B], str | None]], Callable[[B], str | None]]:
        """Add a function as a row: its name is the id, its doc the promise."""

        def add(
            body: Callable[[B], str | None],
        ) -> Callable[[B], str | None]:
            name = body.__name__.replace("_", "-")
            if any(row.id == name for row in self.rows):
                message = f"there is a row {name} already; name it otherwise"
                raise ValueError(message)
            self.rows.append(
                Row(
                    id=name,
                    promise=(body.__doc__ or "").strip().split("\n\n")[0],
                    level=level,
                    clones=clones,
                    needs=needs,
                    body=body,
                )
            )
            return body

        return add


@attrs.frozen(kw_only=True)
class Result:
    """What came of one row, and what was measured or is wrong."""

    row: Row[Any]
    status: Status
    detail: str
    seconds: float

    @property
    def executed(self) -> bool:
        """Whether the row's body was run."""
        return self.status is not Status.SKIP


@attrs.frozen(kw_only=True)
class Report:
    """What came of all rows."""

    declared: Level
    results: tuple[Result, ...]

    @property
    def level(self) -> Level:
        """The highest level up to which everything declared is kept."""
        broken = [
            result.row.level
            for result in self.results
            if result.status in {Status.FAIL, Status.XFAIL}
        ]
        return Level(min((self.declared, *(level - 1 for level in broken))))

    @property
    def problem(self) -> str | None:
        """Why this is no certificate; None: it is one."""
        failed = self.count(Status.FAIL)
        if failed:
            return f"{failed} of {len(self.results)} rows failed"
        if not any(
            result.row.clones and result.status is Status.PASS
            for result in self.results
        ):
            return "no row with a clone was executed and passed"
        return None

    def count(self, status: Status) -> int:
        """Count the rows with a status."""
        return len(self.told(status))

    def told(self, status: Status) -> dict[str, str]:
        """Give what was told of the rows with a status, by their ids."""
        return {
            result.row.id: result.detail
            for result in self.results
            if result.status is status
        }


def check(row: Row[Any], bench: Bench) -> Result:
    """Execute one row, if there is anything to be seen of it."""
    begin = time.perf_counter()
    known = bench.xfail.get(row.id)
    try:
        missing = row.missing(bench)
        if missing is not None:
            return Result(
                row=row, status=Status.SKIP, detail=missing, seconds=0.0
            )
        status, detail = Status.PASS, str(row.body(bench) or "")
    except BrokenError as error:
        status, detail = Status.FAIL, str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as adapters do
        status, detail = Status.FAIL, f"raised {told(error)} {_where(error)}"
    if known is not None:
        if status is Status.FAIL:
            status, detail = Status.XFAIL, f"{known} ({detail})"
        else:
            status = Status.FAIL
            detail = f"passes, but is listed as failing: {known}"
    return Result(
        row=row,
        status=status,
        detail=detail,
        seconds=time.perf_counter() - begin,
    )


def run(
    table: Table[Any],
    bench: Bench,
    *,
    rows: Sequence[Row[Any]] | None = None,
    told_of: Callable[[Result], None] | None = None,
) -> Report:
    """Execute a table's rows, or some of them, one after the other."""
    declared = table.level_of(bench)
    results = []
    for row in table.rows if rows is None else rows:
        result = check(row, bench)
        results.append(result)
        if told_of is not None:
            told_of(result)
    return Report(declared=declared, results=tuple(results))


def _where(error: BaseException) -> str:
    """Say in which line an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"({Path(frames[-1].filename).name}:{frames[-1].lineno})"


def told(error: BaseException) -> str:
    """Say in one line what was raised."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def broken(message: str) -> NoReturn:
    """Say that a promise is not kept."""
    raise BrokenError(message)


def hold(condition: bool, message: str) -> None:  # noqa: FBT001 - as assert
    """See that something holds, or say what does not."""
    if not condition:
        broken(message)


@contextlib.contextmanager
def refused(kind: type[AdapterError], what: str) -> Iterator[None]:
    """See that a call raises an error of a kind, and no other."""
    try:
        yield
    except kind:
        return
    except Exception as error:  # noqa: BLE001 - any other is wrong
        broken(f"{what}: expected {kind.__name__}, raised {told(error)}")
    broken(f"{what}: expected {kind.__name__}, and nothing was raised")


def same(before: Iterable[str], after: Iterable[str], what: str) -> None:
    """See that the array holds what it held before."""
    more, fewer = set(after) - set(before), set(before) - set(after)
    hold(
        not more and not fewer,
        f"{what}: left behind {sorted(more)}, lost {sorted(fewer)}",
    )
