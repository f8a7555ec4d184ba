"""Rows as methods of a test case, for unittest and stestr."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any, ClassVar

from typing_extensions import override

from clonepolicy.testing.conformance._array_rows import ARRAYS
from clonepolicy.testing.conformance._load import BenchError, open_bench
from clonepolicy.testing.conformance._row import (
    Row,
    Status,
    Table,
    check,
)

__unittest = True  # lets unittest leave this module out of tracebacks


class ConformanceTestCase(unittest.TestCase):
    """A test for each row; a subclass gives ``make_bench``.

    Rows that the bench lists in ``xfail`` are expected failures.
    """

    table: ClassVar[Table[Any]] = ARRAYS
    """The rows; they must be about the kind of bench that is made."""
    make_bench: ClassVar[Callable[[], Any]]
    """Makes the bench, once for the class and process."""
    _bench: ClassVar[Any]

    def __init_subclass__(cls, **more: Any) -> None:  # noqa: ANN401 - as object has it
        """Give a class that has a bench its methods."""
        super().__init_subclass__(**more)
        if not hasattr(cls, "make_bench"):
            return
        methods = [_method(row) for row in cls.table.rows]
        for method in (*methods, test_some_clone_row_applies):
            setattr(cls, method.__name__, method)

    @override
    @classmethod
    def setUpClass(cls) -> None:
        """Open the bench."""
        super().setUpClass()
        name = f"{cls.__module__}:{cls.__qualname__}.make_bench"
        kind, cls._bench = open_bench(name, cls.make_bench)
        cls.addClassCleanup(cls._bench.close)
        if kind.table is not cls.table:
            raise BenchError(
                *(name, "a bench for the class's table", kind.bench.__name__),
                f"let the class have the table of {kind.name}s",
            )
        for row_id in cls._bench.xfail:
            unittest.expectedFailure(getattr(cls, _method_name(row_id)))


def _method_name(row_id: str) -> str:
    return f"test_{row_id.replace('-', '_')}"


def _method(row: Row[Any]) -> Callable[[ConformanceTestCase], None]:
    def method(self: ConformanceTestCase) -> None:
        bench = self._bench
        result = check(row, bench)
        match result.status:
            case Status.SKIP:
                self.skipTest(result.detail)
            case Status.FAIL if row.id in bench.xfail:
                # it passes: unittest tells of an unexpected success
                pass
            case Status.FAIL | Status.XFAIL:
                self.fail(f"{result.detail}\n{row.promise}")
            case Status.PASS:
                pass

    method.__doc__ = row.promise
    method.__name__ = _method_name(row.id)
    return method


def test_some_clone_row_applies(self: ConformanceTestCase) -> None:
    """The bench lets at least one row pass that makes a clone."""
    if not any(
        row.clones
        and row.id not in self._bench.xfail
        and row.missing(self._bench) is None
        for row in self.table.rows
    ):
        self.fail("no row with a clone applies: see what is skipped")
