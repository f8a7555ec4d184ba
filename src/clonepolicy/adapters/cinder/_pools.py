"""What cinder-volume reports of its pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clonepolicy import Backend
from clonepolicy.adapters.records._pools import CACHES, DECLARABLE


def with_facts(
    capabilities: Mapping[str, Any], backend: Backend, *, caches: bool
) -> dict[str, Any]:
    """Add to a driver's report what its drop-in knows of the backend.

    The items are named like those of ``extra_capabilities``.  The report
    itself is not changed, because it may be the driver's own.
    """
    known = {
        name: value
        for name in DECLARABLE
        if (value := getattr(backend, name)) is not None
    }
    known[CACHES] = caches
    pools = capabilities.get("pools")
    if not isinstance(pools, list):
        return {**capabilities, **known}
    return {**capabilities, "pools": [{**pool, **known} for pool in pools]}
