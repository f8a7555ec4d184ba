"""A kit that certifies adapters: rows of promises, measured one by one."""

from clonepolicy.testing.conformance._array_rows import ARRAYS
from clonepolicy.testing.conformance._bench import ArrayBench
from clonepolicy.testing.conformance._image_rows import (
    IMAGES,
    ImageBench,
    LocationBench,
)
from clonepolicy.testing.conformance._load import BenchError, load_bench
from clonepolicy.testing.conformance._row import (
    BrokenError,
    Level,
    Need,
    Report,
    Result,
    Row,
    Status,
    Table,
    broken,
    check,
    hold,
    refused,
    run,
    same,
)
from clonepolicy.testing.conformance._scene import Scene
from clonepolicy.testing.conformance._unittest import ConformanceTestCase
from clonepolicy.testing.conformance._volume_rows import VOLUMES, VolumeBench

__all__ = [
    "ARRAYS",
    "IMAGES",
    "VOLUMES",
    "ArrayBench",
    "BenchError",
    "BrokenError",
    "ConformanceTestCase",
    "ImageBench",
    "Level",
    "LocationBench",
    "Need",
    "Report",
    "Result",
    "Row",
    "Scene",
    "Status",
    "Table",
    "VolumeBench",
    "broken",
    "check",
    "hold",
    "load_bench",
    "refused",
    "run",
    "same",
]
