"""A kit that certifies adapters: it checks one promise after the other."""

from clonepolicy.testing.conformance._check import (
    Check,
    CheckFailedError,
    Level,
    Need,
    Suite,
    expect_error,
    fail,
    require,
    require_equal,
    require_same,
)
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance._harness import (
    ArrayHarness,
    ImageHarness,
    LocationHarness,
    VolumeHarness,
)
from clonepolicy.testing.conformance._load import HarnessError, load_harness
from clonepolicy.testing.conformance._report import (
    Report,
    Result,
    Status,
    run,
    run_check,
)
from clonepolicy.testing.conformance._unittest import ConformanceTestCase
from clonepolicy.testing.conformance.checks._suites import (
    ARRAYS,
    IMAGES,
    VOLUMES,
)

__all__ = [
    "ARRAYS",
    "IMAGES",
    "VOLUMES",
    "ArrayHarness",
    "Check",
    "CheckFailedError",
    "ConformanceTestCase",
    "Fixture",
    "HarnessError",
    "ImageHarness",
    "Level",
    "LocationHarness",
    "Need",
    "Report",
    "Result",
    "Status",
    "Suite",
    "VolumeHarness",
    "expect_error",
    "fail",
    "load_harness",
    "require",
    "require_equal",
    "require_same",
    "run",
    "run_check",
]
