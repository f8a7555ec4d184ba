"""The arrays of this repository hold the kit's certificate."""

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

ALWAYS_LEFT_OUT = {
    "refuses-undeclared-operations",
    "counts-clones-of-a-volume-up-to-the-limit",
    "counts-clones-of-an-image-up-to-the-limit",
    "offloads-clones-to-the-array",
    "offloads-image-clones-to-the-array",
}
"""These arrays declare all there is but a limit, and offload nothing."""

LEFT_OUT = {
    Level.SHARES: ALWAYS_LEFT_OUT | {"copies-data-if-it-declares-copies"},
    Level.GROWS: ALWAYS_LEFT_OUT
    | {
        "shares-data-between-clone-and-source",
        "clones-in-constant-time",
        "clones-images-in-constant-time",
    },
}
"""What says nothing of an array that shares, or of one that copies."""


def certify(bench: ArrayHarness, level: Level, *left_out: str) -> None:
    """See that every row passes but those that say nothing here."""
    try:
        report = run(ARRAYS, bench)
    finally:
        bench.close()
    assert {} == report.details(Status.FAIL)
    assert LEFT_OUT[level] | {*left_out} == report.details(Status.SKIP).keys()
    assert (None, level) == (report.problem, report.declared)


def test_reflink_is_certified_on_each_file_system(
    place: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """It shares on XFS and btrfs, and copies elsewhere, as it says."""
    if "plain" in request.node.name:
        bench = harness_reflink.make_harness(place)
        certify(bench, Level.GROWS, "refuses-a-source-on-another-array")
    else:
        bench = harness_reflink.make_harness(place, tmp_path / "elsewhere")
        certify(bench, Level.SHARES)


def test_qcow2_is_certified(xfs: Path, tmp_path: Path) -> None:
    """Chains of layers, by qemu-img."""
    place = xfs / tmp_path.name
    bench = harness_qcow2.make_harness(place, tmp_path / "other")
    certify(bench, Level.SHARES)


@pytest.mark.parametrize("clone_format", ["1", "2"])
def test_rbd_is_certified(ceph: Cluster, clone_format: str) -> None:
    """Clones of protected snapshots, and of snapshots that may go."""
    conf = ceph.conf_with(rbd_default_clone_format=clone_format)
    certify(
        harness_rbd.make_harness(ceph, conf),
        Level.SHARES,
        "refuses-a-source-on-another-array",
    )


def random_history(
    make: Callable[[], tuple[ArrayHarness, ArrayHarness]],
) -> None:
    """Work on two arrays at random, a few times."""

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
    """Random histories of reflink and qcow2 at once, with faults."""

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
    """Random histories of reflink and rbd at once, with faults."""

    def make() -> tuple[ArrayHarness, ArrayHarness]:
        here = tmp_path_factory.mktemp("history")
        return (
            harness_reflink.make_harness(btrfs / here.name),
            harness_rbd.make_harness(ceph),
        )

    random_history(make)
