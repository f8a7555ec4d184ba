"""A kit that certifies adapters: rows of promises, measured one by one."""

from clonepolicy.testing.conformance._array_rows import ARRAYS
from clonepolicy.testing.conformance._bench import ArrayBench
from clonepolicy.testing.conformance._row import (
    Level,
    Report,
    Result,
    Row,
    Status,
    Table,
    check,
    run,
)
from clonepolicy.testing.conformance._scene import Scene

__all__ = [
    "ARRAYS",
    "ArrayBench",
    "Level",
    "Report",
    "Result",
    "Row",
    "Scene",
    "Status",
    "Table",
    "check",
    "run",
]
