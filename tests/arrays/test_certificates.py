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

import bench_qcow2
import bench_rbd
import bench_reflink
import ceph as ceph_cluster
from ceph import Cluster

import local_support
from clonepolicy.testing.array_machine import ArrayMachine
from clonepolicy.testing.conformance import (
    ARRAYS,
    ArrayBench,
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
    "does-not-do-what-it-does-not-declare",
    "tells-its-limit-before-it-is-hit",
    "tells-the-limit-of-an-image-before-it-is-hit",
    "moves-no-bytes-through-the-client",
    "moves-no-bytes-of-images-through-the-client",
}
"""These arrays declare all there is but a limit, and offload nothing."""

LEFT_OUT = {
    Level.SHARES: ALWAYS_LEFT_OUT | {"copies-if-it-says-so"},
    Level.GROWS: ALWAYS_LEFT_OUT
    | {
        "shares-its-data",
        "takes-no-longer-for-more",
        "takes-no-longer-for-a-larger-image",
    },
}
"""What says nothing of an array that shares, or of one that copies."""


def certify(bench: ArrayBench, level: Level, *left_out: str) -> None:
    """See that every row passes but those that say nothing here."""
    try:
        report = run(ARRAYS, bench)
    finally:
        bench.close()
    assert {} == report.told(Status.FAIL)
    assert LEFT_OUT[level] | {*left_out} == report.told(Status.SKIP).keys()
    assert (None, level) == (report.problem, report.declared)


def test_reflink_is_certified_on_each_file_system(
    place: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """It shares on XFS and btrfs, and copies elsewhere, as it says."""
    if "plain" in request.node.name:
        bench = bench_reflink.make_bench(place)
        certify(bench, Level.GROWS, "clones-nothing-from-another-array")
    else:
        bench = bench_reflink.make_bench(place, tmp_path / "elsewhere")
        certify(bench, Level.SHARES)


def test_qcow2_is_certified(xfs: Path, tmp_path: Path) -> None:
    """Chains of layers, by qemu-img."""
    place = xfs / tmp_path.name
    bench = bench_qcow2.make_bench(place, tmp_path / "other")
    certify(bench, Level.SHARES)


@pytest.mark.parametrize("clone_format", ["1", "2"])
def test_rbd_is_certified(ceph: Cluster, clone_format: str) -> None:
    """Clones of protected snapshots, and of snapshots that may go."""
    conf = ceph.conf_with(rbd_default_clone_format=clone_format)
    certify(
        bench_rbd.make_bench(ceph, conf),
        Level.SHARES,
        "clones-nothing-from-another-array",
    )


def random_history(
    make: Callable[[], tuple[ArrayBench, ArrayBench]],
) -> None:
    """Work on two arrays at random, a few times."""

    class Machine(ArrayMachine):
        @override
        def make(self) -> tuple[ArrayBench, ArrayBench]:
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

    def make() -> tuple[ArrayBench, ArrayBench]:
        here = tmp_path_factory.mktemp("history")
        return (
            bench_reflink.make_bench(xfs / here.name),
            bench_qcow2.make_bench(here / "q", here / "other"),
        )

    random_history(make)


def test_files_and_ceph_keep_their_bytes_apart(
    btrfs: Path, ceph: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random histories of reflink and rbd at once, with faults."""

    def make() -> tuple[ArrayBench, ArrayBench]:
        here = tmp_path_factory.mktemp("history")
        return (
            bench_reflink.make_bench(btrfs / here.name),
            bench_rbd.make_bench(ceph),
        )

    random_history(make)
