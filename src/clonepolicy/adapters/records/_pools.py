"""Records of pools, as their services report them to Cinder's scheduler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from clonepolicy import Backend, CloneKind, FactError, Host
from clonepolicy.adapters.records._fields import fields_of

_CEPH = re.compile(r".*:([0-9a-f-]{36}):[^:]*:[^:]*")
"""``location_info`` of an RBD driver: it ends in FSID, user and pool."""
DECLARABLE = attrs.fields_dict(Backend).keys() - {"frozen", "image_schemes"}
"""The fields of a backend that a driver or an operator may declare."""
CACHES = "image_volume_cache_enabled"


@attrs.frozen(kw_only=True)
class Pool:
    """A pool as its service reports it to the scheduler."""

    host: Host
    cluster_name: Host | None = None
    backend: Backend
    caches: bool | None
    """The option ``image_volume_cache_enabled``; None: not reported."""
    backend_name: str | None = None
    """``volume_backend_name``."""

    @property
    def service(self) -> str:
        """Return ``host@backend``."""
        return str(attrs.evolve(self.host, pool=None))

    @property
    def is_ceph(self) -> bool:
        """Return whether Cinder's RBD driver serves it."""
        return "rbd" in self.backend.image_schemes


def pool_from_api(
    body: Mapping[str, Any], *, cluster_name: str | None = None
) -> Pool:
    """Make a pool from ``GET …/scheduler-stats/get_pools?detail=true``.

    Args:
        body: one of the list ``pools`` of the answer.
        cluster_name: the cluster of its service, which the answer lacks.

    Raises:
        FactError: its name or a declared value is missing or invalid.
    """
    fields = fields_of("Pool", body)
    name, found = fields.get("name"), fields.get("capabilities")
    if type(name) is not str:
        raise FactError("Pool.name", name, "host@backend#pool")
    if not isinstance(found, Mapping):
        raise FactError("Pool.capabilities", found, "ask with detail=true")
    declared = {field: found[field] for field in DECLARABLE & found.keys()}
    declared["array_id"] = reported_array(found)
    caches, backend_name = found.get(CACHES), found.get("volume_backend_name")
    return Pool(
        host=Host.parse(name),
        cluster_name=None
        if cluster_name is None
        else Host.parse(cluster_name),
        backend=declared_backend(
            declared, rbd=found.get("storage_protocol") == "ceph"
        ),
        caches=caches if isinstance(caches, bool) else None,
        backend_name=backend_name if isinstance(backend_name, str) else None,
    )


def reported_array(capabilities: Mapping[str, Any]) -> str | None:
    """Return the array that a driver reports; None: it reports none."""
    if capabilities.get("storage_protocol") == "ceph":
        ceph = _CEPH.fullmatch(str(capabilities.get("location_info")))
        return None if ceph is None else ceph[1]
    array_id = capabilities.get("array_id")
    return array_id if isinstance(array_id, str) else None


def declared_backend(
    declared: Mapping[str, Any], *, rbd: bool, frozen: bool = False
) -> Backend:
    """Make a backend of what is declared of it, by `DECLARABLE`.

    Raises:
        FactError: a declared value is invalid.
    """
    values = dict(declared)
    for name in ("clone_kind", "image_clone_kind"):
        kind = values.get(name)
        if kind is not None and kind not in tuple(CloneKind):
            expected = f"one of {', '.join(CloneKind)}"
            raise FactError(f"Backend.{name}", kind, expected)
        values[name] = None if kind is None else CloneKind(kind)
    return Backend(
        **values,
        frozen=frozen,
        image_schemes=frozenset({"rbd"} if rbd else ()),
    )
