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
    "declares-what-its-class-declares",
    "refuses-undeclared-operations",
    # another of Cinder's processes would be needed
    "finds-the-same-volumes-when-reopened",
    "clones-one-source-through-two-openings-at-once",
    "discards-what-a-killed-write-left",
    "discards-what-a-killed-clone-left",
    "discards-what-a-killed-image-clone-left",
    "extends-again-after-a-killed-extension",
    "refuses-a-source-on-another-array",
    # the driver's threads are eventlet's
    "writes-several-volumes-at-once",
    "clones-one-source-several-times-at-once",
    "clones-a-source-in-use-at-one-instant",
    # nothing in the driver is made to fail
    "recovers-from-a-failed-write",
    "recovers-from-a-failed-extension",
    "leaves-nothing-after-a-failed-clone",
    "leaves-nothing-after-a-failed-image-clone",
    # neither limited, nor copies
    "counts-clones-of-a-volume-up-to-the-limit",
    "counts-clones-of-an-image-up-to-the-limit",
    "copies-data-if-it-declares-copies",
    "offloads-clones-to-the-array",
    "offloads-image-clones-to-the-array",
}
"""Rows that say nothing of it here."""


def test_the_driver_is_certified_but_for_what_is_its_own(
    ceph: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not keep is listed, and every other row passes."""
    if importlib.util.find_spec("cinder") is None:
        pytest.skip("no cinder: nox -s arrays installs it")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "openstack")
    import cinder_here  # noqa: PLC0415 - the same
    import harness_cinder_rbd  # noqa: PLC0415 - it needs Cinder

    cinder_here.start_ground(tmp_path)
    (tmp_path / "conversion").mkdir()
    monkeypatch.setattr("cinder.utils.get_root_helper", lambda: "env")
    bench = harness_cinder_rbd.make_harness(ceph)
    report = run(ARRAYS, bench)
    bench.close()
    assert {} == report.details(Status.FAIL)
    assert (
        harness_cinder_rbd.DRIVERS_OWN.keys()
        == report.details(Status.XFAIL).keys()
    )
    assert report.details(Status.SKIP).keys() == LEFT_OUT
    assert report.problem is None
