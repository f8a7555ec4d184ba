"""The kit's checks of Cinder's own RBD driver, wrapped by `CinderArray`.

Reading a volume takes a second there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_cluster
from ceph import Cluster

from clonepolicy.testing.conformance import ARRAYS, Status, run

ceph = ceph_cluster.ceph

SKIPPED = {
    "declares-what-its-class-declares",
    "refuses-undeclared-operations",
    # these need another process of Cinder
    "finds-the-same-volumes-when-reopened",
    "clones-one-source-through-two-openings-at-once",
    "discards-what-a-killed-write-left",
    "discards-what-a-killed-clone-left",
    "discards-what-a-killed-image-clone-left",
    "extends-again-after-a-killed-extension",
    "refuses-a-source-on-another-array",
    # the driver uses eventlet's threads
    "writes-several-volumes-at-once",
    "clones-one-source-several-times-at-once",
    "clones-a-source-in-use-at-one-instant",
    # the harness cannot make the driver fail
    "recovers-from-a-failed-write",
    "recovers-from-a-failed-extension",
    "leaves-nothing-after-a-failed-clone",
    "leaves-nothing-after-a-failed-image-clone",
    # the driver declares no limit and no copies
    "counts-clones-of-a-volume-up-to-the-limit",
    "counts-clones-of-an-image-up-to-the-limit",
    "copies-data-if-it-declares-copies",
    "offloads-clones-to-the-array",
    "offloads-image-clones-to-the-array",
}
"""The checks that do not apply to the driver."""


@pytest.fixture
def cinder_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open Cinder's database, or skip the test without Cinder."""
    if importlib.util.find_spec("cinder") is None:
        pytest.skip("no cinder: nox -s arrays installs it")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "openstack")
    import cinder_cloud  # noqa: PLC0415 - the same

    cinder_cloud.prepare_cinder(tmp_path)
    (tmp_path / "conversion").mkdir()
    monkeypatch.setattr("cinder.utils.get_root_helper", lambda: "env")


@pytest.mark.usefixtures("cinder_database")
@pytest.mark.parametrize("at", ["snapshot", "clone", "nothing"])
def test_the_snapshot_of_a_source_is_removed_with_its_clone(
    ceph: Cluster, at: str
) -> None:
    """The driver is killed after the snapshot, after the clone, or before."""
    import harness_cinder_rbd  # noqa: PLC0415 - it needs Cinder
    from cinder.volume.drivers import rbd  # noqa: PLC0415 - it is Cinder's

    harness = harness_cinder_rbd.make_harness(ceph)
    array: Any = harness.array
    driver = array.driver
    source, made = (harness.new_volume(1, "available") for _ in range(2))
    driver.create_volume(array.get_object(source.id))
    target = array.get_object(made.id)
    name = array.get_object(source.id).name
    snapshot = f"{target.name}.clone_snap"
    if at == "clone":
        driver.create_cloned_volume(target, array.get_object(source.id))
    with rbd.RBDVolumeProxy(driver, name) as stored:
        if at == "snapshot":
            stored.create_snap(snapshot)
            stored.protect_snap(snapshot)
        before = [found["name"] for found in stored.list_snaps()]
    assert before == ([] if at == "nothing" else [snapshot])
    array.sources[made.id] = source.id
    array.discard(made.id)
    with rbd.RBDVolumeProxy(driver, name) as stored:
        assert list(stored.list_snaps()) == []
    driver.delete_volume(array.get_object(source.id))
    assert harness.holds() == set()
    harness.close()


@pytest.mark.usefixtures("cinder_database")
def test_the_driver_is_certified_with_known_failures(ceph: Cluster) -> None:
    """Every check passes that is not listed as a known failure."""
    import harness_cinder_rbd  # noqa: PLC0415 - it needs Cinder

    harness = harness_cinder_rbd.make_harness(ceph)
    report = run(ARRAYS, harness)
    harness.close()
    assert {} == report.details(Status.FAIL)
    assert (
        harness_cinder_rbd.KNOWN_FAILURES.keys()
        == report.details(Status.XFAIL).keys()
    )
    assert report.details(Status.SKIP).keys() == SKIPPED
    assert report.problem is None
