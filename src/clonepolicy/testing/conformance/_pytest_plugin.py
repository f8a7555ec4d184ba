"""Rows as pytest's items, for each bench that an option names."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from clonepolicy.testing.conformance._load import (
    KINDS,
    BenchError,
    Kind,
    find_bench,
    open_bench,
)
from clonepolicy.testing.conformance._row import (
    Bench,
    Level,
    Report,
    Result,
    Row,
    Status,
    check,
)
from clonepolicy.testing.conformance._words import summary

_MINE = "clonepolicy"
"""The attribute in which a worker's report carries a row's result."""


class BenchNode(pytest.Collector):
    """A bench: opened when its first row is run, closed at the very end."""

    def __init__(
        self,
        *,
        kind: Kind,
        make: Callable[[], Any],
        **more: Any,  # noqa: ANN401 - as pytest has it
    ) -> None:
        """Open nothing yet."""
        super().__init__(**more)
        self.kind = kind
        self._make = make
        self._opened: Bench | BenchError | None = None

    @override
    def collect(self) -> Iterator[pytest.Item]:
        """Give an item for each row."""
        for row in self.kind.table.rows:
            yield RowItem.from_parent(self, name=row.id, row=row)

    def opened(self) -> Bench:
        """Open the bench, or give the one that is open.

        Raises:
            BenchError: it cannot be opened, which is tried once only.
        """
        if self._opened is None:
            try:
                self._opened = self._open()
            except BenchError as error:
                self._opened = error
            self.session.addfinalizer(self._close)
        if isinstance(self._opened, BenchError):
            raise self._opened
        return self._opened

    def _open(self) -> Bench:
        kind, bench = open_bench(self.name, self._make)
        if kind is not self.kind:
            bench.close()
            raise BenchError(
                *(self.name, self.kind.bench.__name__, kind.bench.__name__),
                f"use --clonepolicy-{kind.name}",
            )
        made: Bench = bench
        return made

    def _close(self) -> None:
        was, self._opened = self._opened, None
        if was is not None and not isinstance(was, BenchError):
            was.close()


class RowItem(pytest.Item):
    """A row, to be executed on its parent's bench."""

    parent: BenchNode

    def __init__(
        self,
        *,
        row: Row[Any],
        **more: Any,  # noqa: ANN401 - as pytest has it
    ) -> None:
        """Execute nothing yet."""
        super().__init__(**more)
        self.row = row
        self.carried: tuple[int, str, str, float] | None = None

    @override
    def reportinfo(self) -> tuple[Path, None, str]:
        """Say what failures are headed with."""
        return self.path, None, f"{self.name} ({self.parent.name})"

    @override
    def runtest(self) -> None:
        """Execute the row, and say how that went in pytest's terms."""
        try:
            bench = self.parent.opened()
        except BenchError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        result = check(self.row, bench)
        declared = self.parent.kind.table.level_of(bench)
        self.carried = (
            int(declared),
            str(result.status),
            result.detail,
            result.seconds,
        )
        match result.status:
            case Status.PASS:
                if result.detail:
                    self.user_properties.append(("measured", result.detail))
                return
            case Status.SKIP:
                pytest.skip(result.detail)
            case Status.XFAIL:
                # does nothing under --runxfail, so that it fails below
                pytest.xfail(result.detail)
            case Status.FAIL:
                pass
        pytest.fail(f"{result.detail}\n{self.row.promise}", pytrace=False)


class Rows:
    """Adds benches to what is collected, and sums up what came of them."""

    def __init__(
        self, config: pytest.Config, asked: Iterable[tuple[str, str]]
    ) -> None:
        """Find the benches.

        Raises:
            pytest.UsageError: one cannot be found.
        """
        self._config = config
        self._nodes: dict[str, tuple[Kind, Callable[[], Any]]] = {}
        self._reports: dict[str, Report] = {}
        kinds = {kind.name: kind for kind in KINDS}
        for name, spec in asked:
            try:
                self._nodes[spec] = kinds[name], find_bench(spec)
            except BenchError as error:
                raise pytest.UsageError(str(error)) from None
            self._reports[spec] = Report(declared=Level.NONE, results=())

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Let the session have the benches, too."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            report.result.extend(
                BenchNode.from_parent(
                    collector, name=spec, nodeid=spec, kind=kind, make=make
                )
                for spec, (kind, make) in self._nodes.items()
            )
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let the report carry what came of a row, from a worker too."""
        report = yield
        if isinstance(item, RowItem) and call.when == "call":
            vars(report)[_MINE] = item.carried
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what came of a row."""
        carried = vars(report).get(_MINE)
        if carried is None:
            return
        spec, _, name = report.nodeid.partition("::")
        rows = {row.id: row for row in self._nodes[spec][0].table.rows}
        declared, status, detail, seconds = carried
        result = Result(
            row=rows[name],
            status=Status(status),
            detail=detail,
            seconds=seconds,
        )
        self._reports[spec] = Report(
            declared=Level(declared),
            results=(*self._reports[spec].results, result),
        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let no run pass in which a bench had no clone made."""
        good = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
        if self._says_nothing() or session.exitstatus not in good:
            return
        if any(report.problem for report in self._reports.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Tell which level each adapter holds, or why it has none."""
        if self._says_nothing():
            return
        terminalreporter.section("clonepolicy")
        for spec, report in self._reports.items():
            table = self._nodes[spec][0].table
            for line in (spec, *summary(report, table)):
                terminalreporter.write_line(line)

    def _says_nothing(self) -> bool:
        """Whether it is a worker, whose controller speaks, or runs nothing."""
        return bool(
            hasattr(self._config, "workerinput")
            or self._config.option.collectonly
        )
