"""What cinder-volume reports of its pools, and the scheduler reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from clonepolicy import Backend, Host
from clonepolicy.adapters.cinder._arrays import reported_array
from clonepolicy.adapters.cinder._driver import FIELDS, declared_backend

_CACHES = "image_volume_cache_enabled"


def with_facts(
    capabilities: Mapping[str, Any], backend: Backend, *, caches: bool
) -> dict[str, Any]:
    """Add to a driver's report what its drop-in knows of the backend.

    The items are named like those of ``extra_capabilities``.  The report
    itself is not changed, because it may be the driver's own.
    """
    known = {
        name: value
        for name in FIELDS
        if (value := getattr(backend, name)) is not None
    }
    known[_CACHES] = caches
    pools = capabilities.get("pools")
    if not isinstance(pools, list):
        return {**capabilities, **known}
    return {**capabilities, "pools": [{**pool, **known} for pool in pools]}


@attrs.frozen(kw_only=True)
class Pool:
    """A pool as its service reports it to the scheduler."""

    host: Host
    cluster_name: Host | None
    backend: Backend
    caches: bool | None
    """The option ``image_volume_cache_enabled``; None: not reported."""

    @property
    def service(self) -> str:
        """Return ``host@backend``."""
        return str(attrs.evolve(self.host, pool=None))

    @classmethod
    def reported(cls, state: Any) -> Self:
        """Read a ``PoolState`` of Cinder's scheduler.

        Raises:
            FactError: its name or a declared value is invalid.
        """
        found = state.capabilities
        declared = {name: found[name] for name in FIELDS if name in found}
        declared["array_id"] = reported_array(found)
        cluster, caches = state.cluster_name, found.get(_CACHES)
        return cls(
            host=Host.parse(state.host),
            cluster_name=None if cluster is None else Host.parse(cluster),
            backend=declared_backend(
                declared, rbd=found.get("storage_protocol") == "ceph"
            ),
            caches=caches if isinstance(caches, bool) else None,
        )
