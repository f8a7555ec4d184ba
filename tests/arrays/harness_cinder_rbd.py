"""A harness for Cinder's own RBD driver, wrapped by `CinderArray`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import harness_rbd
from cinder import context, objects
from cinder.db import api as db
from cinder.volume import configuration
from cinder.volume import driver as base
from cinder.volume.drivers import rbd
from oslo_config import cfg

from clonepolicy import Volume
from clonepolicy.adapters.cinder import CinderArray, CinderVolumes
from clonepolicy.testing.conformance import ArrayHarness

if TYPE_CHECKING:
    from ceph import Cluster

HOST = "node@ceph"
KNOWN_FAILURES = {
    "refuses-a-source-whose-size-is-not-as-recorded": (
        "Cinder reads the record again and reports that it has changed"
    ),
    "passes-on-errors-of-the-data-stream": (
        "Cinder's image service raises an error of its own instead"
    ),
    "refuses-data-in-a-wrong-format": (
        "Cinder writes the container as if it were the disk"
    ),
    "finds-stored-images": (
        "for a missing pool the driver raises an error instead of reporting "
        "a missing image"
    ),
    "discards-a-source-without-harm-to-its-clones": (
        "a volume with clones is renamed, and stays after the last clone is "
        "deleted"
    ),
}
"""Promises that the driver, or Cinder around it, does not keep."""


def make_driver(cluster: Cluster, pool: str) -> Any:  # noqa: ANN401 - Cinder's
    """Start the unmodified driver on a pool."""
    known = [*base.volume_opts, *rbd.RBD_OPTS]
    options = configuration.Configuration(known, config_group=pool)
    for name, value in {
        "rbd_pool": pool,
        "rbd_ceph_conf": str(cluster.conf),
        "volume_backend_name": "ceph",
    }.items():
        cfg.CONF.set_override(name, value, pool)
    driver = rbd.RBDDriver(configuration=options, host=HOST, db=db)
    driver.do_setup(context.get_admin_context())
    driver.check_for_setup_error()
    driver.set_initialized()
    return driver


def make_harness(cluster: Cluster) -> ArrayHarness:
    """Start the driver on a new pool; Cinder's database must be open."""
    pool = f"cinder-{uuid.uuid4().hex[:8]}"
    cluster.add_pool(pool)
    admin = context.RequestContext("user", "harness", is_admin=True)
    volumes = CinderVolumes(context=admin)
    kind = db.volume_type_get_by_name(admin, "__DEFAULT__")["id"]

    def new_volume(size: int, status: str) -> Volume:
        row = objects.Volume(
            context=admin,
            project_id="harness",
            user_id="user",
            size=size,
            status=status,
            host=f"{HOST}#ceph",
            volume_type_id=kind,
            metadata={},
        )
        row.create()
        return volumes.get_volume(row.id)

    def set_status(volume_id: str, status: str) -> None:
        row = volumes.get_object(volume_id)
        row.status = status
        row.save()

    return ArrayHarness(
        array=CinderArray(driver=make_driver(cluster, pool), volumes=volumes),
        overwrite=lambda volume_id, offset, data: harness_rbd.overwrite(
            cluster, pool, volume_id, offset, data
        ),
        size_of=lambda volume_id: harness_rbd.size_of(
            cluster, pool, volume_id
        ),
        holds=lambda: harness_rbd.holds(cluster, pool),
        exclusive=lambda volume_id: harness_rbd.exclusive(
            cluster, pool, volume_id
        ),
        add_image=lambda pieces: harness_rbd.add_image(
            cluster, "images", pieces
        ),
        remove_image=lambda location: harness_rbd.remove_image(
            cluster, location
        ),
        # the driver uses eventlet's threads, and hangs in others
        threads=False,
        new_volume=new_volume,
        set_status=set_status,
        xfail=KNOWN_FAILURES,
        close=lambda: cluster.remove_pool(pool),
    )
