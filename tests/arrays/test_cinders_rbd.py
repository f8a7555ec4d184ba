"""Cinder's own RBD driver, as `CinderArray` wraps it, held to the kit.

Each volume that is read takes a second there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_cluster
from ceph import Cluster

from clonepolicy.testing.conformance import ARRAYS, Status, run

ceph = ceph_cluster.ceph

LEFT_OUT = {
    "declares-what-it-is",
    "does-not-do-what-it-does-not-declare",
    # another of Cinder's processes would be needed
    "is-the-same-array-when-opened-again",
    "clones-at-once-as-several-processes",
    "leaves-nothing-of-a-killed-write",
    "leaves-nothing-of-a-killed-clone",
    "leaves-nothing-of-a-killed-clone-of-an-image",
    "grows-again-after-a-kill",
    "clones-nothing-from-another-array",
    # the driver's threads are eventlet's
    "fills-many-at-once",
    "clones-many-at-once",
    "clones-a-source-in-use-at-one-instant",
    # nothing in the driver is made to fail
    "fails-to-write-without-harm",
    "fails-to-grow-without-harm",
    "fails-to-clone-without-trace",
    "fails-to-clone-an-image-without-trace",
    # neither limited, nor copies
    "tells-its-limit-before-it-is-hit",
    "tells-the-limit-of-an-image-before-it-is-hit",
    "copies-if-it-says-so",
    "moves-no-bytes-through-the-client",
    "moves-no-bytes-of-images-through-the-client",
}
"""Rows that say nothing of it here."""


def test_the_driver_is_certified_but_for_what_is_its_own(
    ceph: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not keep is listed, and every other row passes."""
    if importlib.util.find_spec("cinder") is None:
        pytest.skip("no cinder: nox -s arrays installs it")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "openstack")
    import bench_cinder_rbd  # noqa: PLC0415 - it needs Cinder
    import cinder_here  # noqa: PLC0415 - the same

    cinder_here.start_ground(tmp_path)
    (tmp_path / "conversion").mkdir()
    monkeypatch.setattr("cinder.utils.get_root_helper", lambda: "env")
    bench = bench_cinder_rbd.make_bench(ceph)
    report = run(ARRAYS, bench)
    bench.close()
    assert {} == report.told(Status.FAIL)
    assert (
        bench_cinder_rbd.DRIVERS_OWN.keys() == report.told(Status.XFAIL).keys()
    )
    assert report.told(Status.SKIP).keys() == LEFT_OUT
    assert report.problem is None
