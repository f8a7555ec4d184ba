"""The arrays of this repository hold the kit's certificate."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import local_support
from bench_reflink import make_bench as reflink_bench

from clonepolicy.testing.array_machine import ArrayMachine
from clonepolicy.testing.conformance import (
    ARRAYS,
    ArrayBench,
    Level,
    Status,
    run,
)

xfs, btrfs, place = (
    local_support.xfs,
    local_support.btrfs,
    local_support.place,
)


def certify(bench: ArrayBench, level: Level, *skipped: str) -> None:
    """See that every row passes but those that say nothing here."""
    try:
        report = run(ARRAYS, bench)
    finally:
        bench.close()
    failed = {
        r.row.id: r.detail
        for r in report.results
        if r.status in {Status.FAIL, Status.XFAIL}
    }
    assert {} == failed
    left_out = {
        r.row.id for r in report.results if r.status is Status.SKIP
    }
    assert set(skipped) == left_out
    assert (None, level) == (report.problem, report.level)


NOT_FOR_FILES = (
    "does-not-do-what-it-does-not-declare",
    "tells-its-limit-before-it-is-hit",
    "moves-no-bytes-through-the-client",
)
BY_KIND = {
    Level.SHARES: ("copies-if-it-says-so",),
    Level.GROWS: ("shares-its-data", "takes-no-longer-for-more"),
}


def test_reflink_is_certified_on_each_file_system(
    place: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """It shares on XFS and btrfs, and copies elsewhere, as it says."""
    shares = "plain" not in request.node.name
    level = Level.SHARES if shares else Level.GROWS
    elsewhere = None
    if shares:
        elsewhere = tmp_path / "elsewhere"
    more = () if shares else ("clones-nothing-from-another-array",)
    certify(
        reflink_bench(place, elsewhere),
        level,
        *NOT_FOR_FILES,
        *BY_KIND[level],
        *more,
    )
