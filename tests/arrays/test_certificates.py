"""The kit certifies the arrays of this repository."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_cluster
import harness_qcow2
import harness_rbd
import harness_reflink
from ceph import Cluster

import local_support
from clonepolicy.testing.array_machine import ArrayMachine
from clonepolicy.testing.conformance import (
    ARRAYS,
    ArrayHarness,
    Level,
    Status,
    run,
)

ceph = ceph_cluster.ceph
xfs, btrfs, place = (
    local_support.xfs,
    local_support.btrfs,
    local_support.place,
)

ALWAYS_SKIPPED = {
    "refuses-undeclared-operations",
    "counts-clones-of-a-volume-up-to-the-limit",
    "counts-clones-of-an-image-up-to-the-limit",
    "offloads-clones-to-the-array",
    "offloads-image-clones-to-the-array",
}
"""The arrays declare everything except a limit and offloaded copies."""

SKIPPED = {
    Level.SHARES: ALWAYS_SKIPPED | {"copies-data-if-it-declares-copies"},
    Level.GROWS: ALWAYS_SKIPPED
    | {
        "shares-data-between-clone-and-source",
        "clones-in-constant-time",
        "clones-images-in-constant-time",
    },
}
"""The checks that do not apply to an array that shares or copies."""


def certify(harness: ArrayHarness, level: Level, *skipped: str) -> None:
    """Assert that exactly these checks are skipped, and the others pass."""
    try:
        report = run(ARRAYS, harness)
    finally:
        harness.close()
    assert {} == report.details(Status.FAIL)
    assert SKIPPED[level] | {*skipped} == report.details(Status.SKIP).keys()
    assert (None, level) == (report.problem, report.declared)


def test_reflink_is_certified_on_each_file_system(
    place: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """It shares data on XFS and btrfs, and copies it elsewhere."""
    if "plain" in request.node.name:
        harness = harness_reflink.make_harness(place)
        certify(harness, Level.GROWS, "refuses-a-source-on-another-array")
    else:
        elsewhere = tmp_path / "elsewhere"
        harness = harness_reflink.make_harness(place, elsewhere)
        certify(harness, Level.SHARES)


def test_qcow2_is_certified(xfs: Path, tmp_path: Path) -> None:
    """Clones are chains of layers."""
    place = xfs / tmp_path.name
    harness = harness_qcow2.make_harness(place, tmp_path / "other")
    certify(harness, Level.SHARES)


@pytest.mark.parametrize("clone_format", ["1", "2"])
def test_rbd_is_certified(ceph: Cluster, clone_format: str) -> None:
    """With either of Ceph's clone formats."""
    conf = ceph.conf_with(rbd_default_clone_format=clone_format)
    certify(
        harness_rbd.make_harness(ceph, conf),
        Level.SHARES,
        "refuses-a-source-on-another-array",
    )


def random_history(
    make: Callable[[], tuple[ArrayHarness, ArrayHarness]],
) -> None:
    """Run a few random histories of two arrays."""

    class Machine(ArrayMachine):
        @override
        def make(self) -> tuple[ArrayHarness, ArrayHarness]:
            return make()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=5 * (settings().max_examples // 100),
            stateful_step_count=15,
            phases=(Phase.generate,),
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_files_and_layers_keep_their_bytes_apart(
    xfs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random histories of reflink and qcow2, with faults."""

    def make() -> tuple[ArrayHarness, ArrayHarness]:
        here = tmp_path_factory.mktemp("history")
        return (
            harness_reflink.make_harness(xfs / here.name),
            harness_qcow2.make_harness(here / "q", here / "other"),
        )

    random_history(make)


def test_files_and_ceph_keep_their_bytes_apart(
    btrfs: Path, ceph: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random histories of reflink and rbd, with faults."""

    def make() -> tuple[ArrayHarness, ArrayHarness]:
        here = tmp_path_factory.mktemp("history")
        return (
            harness_reflink.make_harness(btrfs / here.name),
            harness_rbd.make_harness(ceph),
        )

    random_history(make)
