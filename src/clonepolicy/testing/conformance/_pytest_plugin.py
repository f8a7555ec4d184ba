"""Checks as pytest's items, for each harness that an option names."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from clonepolicy.testing.conformance._check import Check, Level
from clonepolicy.testing.conformance._harness import Harness
from clonepolicy.testing.conformance._load import (
    KINDS,
    HarnessError,
    Kind,
    find_harness,
    open_harness,
)
from clonepolicy.testing.conformance._report import (
    Report,
    Result,
    Status,
    run_check,
)

_CARRIED = "clonepolicy"
"""The attribute in which a worker's report carries a check's result."""


class HarnessNode(pytest.Collector):
    """A harness: opened for the first check, closed when the session ends."""

    kind: Kind
    make: Callable[[], Any]

    @override
    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each check."""
        for check in self.kind.suite.checks:
            item = CheckItem.from_parent(self, name=check.id)
            item.check = check
            yield item

    @cached_property
    def opened(self) -> Harness | HarnessError:
        """The harness, or why it cannot be opened; that is tried once."""
        harness: Harness
        try:
            _, harness = open_harness(
                *(self.name, self.make, self.kind.suite),
                expected=self.kind.harness.__name__,
                remedy="use --clonepolicy-{}",
            )
        except HarnessError as error:
            return error
        self.session.addfinalizer(harness.close)
        return harness


class CheckItem(pytest.Item):
    """A check, to be run against its parent's harness."""

    parent: HarnessNode
    check: Check[Any]
    carried: tuple[int, str, str, float] | None = None

    @override
    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the heading of a failure."""
        return self.path, None, f"{self.name} ({self.parent.name})"

    @override
    def runtest(self) -> None:
        """Run the check; translate its result into pytest's outcomes."""
        harness = self.parent.opened
        if isinstance(harness, HarnessError):
            raise pytest.fail.Exception(str(harness), pytrace=False)
        result = run_check(self.check, harness)
        declared = self.parent.kind.suite.level_of(harness)
        facts = str(result.status), result.detail, result.seconds
        self.carried = int(declared), *facts
        if result.status is Status.PASS:
            if result.detail:
                self.user_properties.append(("measured", result.detail))
            return
        if result.status is Status.SKIP:
            pytest.skip(result.detail)
        if result.status is Status.XFAIL:
            # under --runxfail this returns, and the test fails below
            pytest.xfail(result.detail)
        pytest.fail(f"{result.detail}\n{self.check.promise}", pytrace=False)


class Checks:
    """Adds harnesses to what pytest collects, and summarizes the results."""

    def __init__(
        self, config: pytest.Config, asked: Iterable[tuple[str, str]]
    ) -> None:
        """Find the harnesses: the name of a kind, the name of a harness.

        Raises:
            pytest.UsageError: A harness cannot be found.
        """
        self._config = config
        self._nodes: dict[str, tuple[Kind, Callable[[], Any]]] = {}
        self._reports: dict[str, Report] = {}
        kinds = {kind.name: kind for kind in KINDS}
        for name, spec in asked:
            kind = kinds[name]
            try:
                self._nodes[spec] = kind, find_harness(spec)
            except HarnessError as error:
                raise pytest.UsageError(str(error)) from None
            self._reports[spec] = Report(suite=kind.suite, declared=Level.NONE)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the harnesses to the session."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            for spec, (kind, make) in self._nodes.items():
                node = HarnessNode.from_parent(
                    collector, name=spec, nodeid=spec
                )
                node.kind, node.make = kind, make
                report.result.append(node)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach a check's result to the report, also in a worker."""
        report = yield
        if isinstance(item, CheckItem) and call.when == "call":
            vars(report)[_CARRIED] = item.carried
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect a check's result."""
        carried = vars(report).get(_CARRIED)
        if carried is None:
            return
        spec, _, name = report.nodeid.partition("::")
        before = self._reports[spec]
        declared, status, detail, seconds = carried
        check = next(c for c in before.suite.checks if c.id == name)
        result = Result(check, Status(status), detail, seconds)
        results = (*before.results, result)
        self._reports[spec] = Report(
            suite=before.suite, declared=Level(declared), results=results
        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a session in which no check of a harness made a clone."""
        good = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
        if self._is_silent() or session.exitstatus not in good:
            return
        if any(report.problem for report in self._reports.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Write the level of each adapter, or why it has no certificate."""
        if self._is_silent():
            return
        terminalreporter.section("clonepolicy")
        for spec, report in self._reports.items():
            for line in (spec, *report.summary()):
                terminalreporter.write_line(line)

    def _is_silent(self) -> bool:
        """Say whether this is a worker, or a session that only collects."""
        return bool(
            hasattr(self._config, "workerinput")
            or self._config.option.collectonly
        )
