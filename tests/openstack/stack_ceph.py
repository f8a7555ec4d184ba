"""The cloud's volumes on a real Ceph cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import ceph
import harness_rbd

if TYPE_CHECKING:
    from ceph import Cluster
    from stack import Stack

_CINDER = """\
[ceph]
volume_backend_name = ceph
volume_driver = cinder.volume.drivers.rbd.RBDDriver
rbd_pool = volumes
rbd_ceph_conf = {conf}
[clonepolicy]
glance_stores = volumes=ceph
"""
_GLANCE = """\
[volumes]
cinder_volume_type = ceph
"""


@attrs.frozen
class Pool:
    """The backend of Cinder's RBD driver."""

    cluster: Cluster
    backend: str = "ceph"

    @property
    def conf(self) -> str:
        """The sections of cinder.conf that it takes."""
        return _CINDER.format(conf=self.cluster.conf)

    @classmethod
    def of(cls, cloud: Stack, cluster: Cluster) -> Pool:
        """Have Glance's store of volumes use the cluster."""
        services = cloud.services
        folder = services.namespace.folder
        # the services look for modules here
        (folder / "python").mkdir()
        ceph.link_bindings(folder / "python")
        cloud.add_volume_type("ceph")
        (folder / "glance.conf.d").mkdir()
        (folder / "glance.conf.d" / "volumes.conf").write_text(_GLANCE)
        services.process("glance-api").end()
        services.api("glance", "/healthcheck")
        return cls(cluster)

    def stored(self) -> set[str]:
        """Name the volumes in the pool, and their snapshots."""
        found = harness_rbd.holds(self.cluster, "volumes")
        return {name for name in found if name.startswith("volume-")}
