"""Checks as the methods of a test case, for unittest and stestr."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any, ClassVar

from typing_extensions import override

from clonepolicy.testing.conformance._check import AnySuite, Check
from clonepolicy.testing.conformance._load import open_harness
from clonepolicy.testing.conformance._report import Status, run_check
from clonepolicy.testing.conformance.checks._suites import ARRAYS

__unittest = True  # unittest leaves this module out of tracebacks


class ConformanceTestCase(unittest.TestCase):
    """A test for each check; a subclass defines ``make_harness``.

    Checks that the harness lists in ``xfail`` are expected failures.
    """

    suite: ClassVar[AnySuite] = ARRAYS
    """The checks, for the kind of harness that is made."""
    make_harness: ClassVar[Any]
    """Make the harness, once for the class in each process."""
    _harness: ClassVar[Any]

    def __init_subclass__(cls, **more: Any) -> None:  # noqa: ANN401 - as object has it
        """Add a test for each check to a class that makes a harness."""
        super().__init_subclass__(**more)
        if not hasattr(cls, "make_harness"):
            return
        methods = [_method(check) for check in cls.suite.checks]
        for method in (*methods, test_some_clone_check_applies):
            setattr(cls, method.__name__, method)

    @override
    @classmethod
    def setUpClass(cls) -> None:
        """Make the harness."""
        super().setUpClass()
        name = f"{cls.__module__}:{cls.__qualname__}.make_harness"
        _, cls._harness = open_harness(
            *(name, cls.make_harness, cls.suite),
            expected="a harness for the class's suite",
            remedy="set suite to that of {}s",
        )
        cls.addClassCleanup(cls._harness.close)
        for check_id in cls._harness.xfail:
            unittest.expectedFailure(getattr(cls, _method_name(check_id)))


def _method_name(check_id: str) -> str:
    return f"test_{check_id.replace('-', '_')}"


def _method(check: Check[Any]) -> Callable[[ConformanceTestCase], None]:
    def method(self: ConformanceTestCase) -> None:
        harness = self._harness
        result = run_check(check, harness)
        if result.status is Status.SKIP:
            self.skipTest(result.detail)
        # a known failure that passes: unittest reports an unexpected success
        known = result.status is Status.FAIL and check.id in harness.xfail
        if result.status is not Status.PASS and not known:
            self.fail(f"{result.detail}\n{check.promise}")

    method.__doc__ = check.promise
    method.__name__ = _method_name(check.id)
    return method


def test_some_clone_check_applies(self: ConformanceTestCase) -> None:
    """At least one check that makes a clone applies to the adapter."""
    if not any(
        check.clones
        and check.id not in self._harness.xfail
        and check.skip_reason(self._harness) is None
        for check in self.suite.checks
    ):
        self.fail("no check that makes a clone applies: see the skipped ones")
