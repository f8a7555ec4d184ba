"""A bench for Cinder's own RBD driver, as `CinderArray` wraps it."""

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
DRIVERS_OWN = {
    "refuses-a-source-whose-size-is-not-as-recorded": (
        "Cinder reads the record anew, and says that it has changed"
    ),
    "passes-on-errors-of-the-data-stream": (
        "what stops Cinder's image service is told as its own error"
    ),
    "refuses-data-in-a-wrong-format": (
        "Cinder takes data in a container for the disk itself"
    ),
    "finds-stored-images": (
        "a pool that is not there is no missing image to the driver, but an "
        "error"
    ),
    "clones-again-after-discard": (
        "the driver's snapshot of the source outlives a deleted clone, so "
        "that the same volume is not cloned again"
    ),
    "discards-a-source-without-harm-to-its-clones": (
        "what has clones is renamed and stays when the last of them goes"
    ),
}
"""Rows that the driver, or Cinder around it, does not keep."""


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
    """Put the driver over a pool of its own; Cinder's database is there."""
    pool = f"cinder-{uuid.uuid4().hex[:8]}"
    cluster.add_pool(pool)
    admin = context.RequestContext("user", "bench", is_admin=True)
    volumes = CinderVolumes(context=admin)
    kind = db.volume_type_get_by_name(admin, "__DEFAULT__")["id"]

    def new_volume(size: int, status: str) -> Volume:
        row = objects.Volume(
            context=admin,
            project_id="bench",
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
        # the driver works in eventlet's threads, and hangs in others
        threads=False,
        new_volume=new_volume,
        set_status=set_status,
        xfail=DRIVERS_OWN,
        close=lambda: cluster.remove_pool(pool),
    )
