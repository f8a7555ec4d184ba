"""The installed Cinder: its release, its policy, and where it keeps things."""

from __future__ import annotations

import importlib
from typing import Any

import attrs
from cinder import objects

from clonepolicy import POLICIES, Request
from clonepolicy.adapters.cinder._releases import installed_release

objects.register_all()  # the imported modules name its classes

RELEASE = installed_release()
MAJOR, POLICY = RELEASE.number, RELEASE.stock
OTHERS = tuple(
    policy
    for name, policy in POLICIES.items()
    if name.startswith("CINDER_") and policy is not POLICY
)
"""What describes other releases."""

db: Any = importlib.import_module(RELEASE.database)
models: Any = importlib.import_module(RELEASE.models)

__all__ = [
    "MAJOR",
    "OTHERS",
    "POLICY",
    "RELEASE",
    "as_seen",
    "db",
    "models",
]


def as_seen(request: Request) -> Any:
    """Return the facts that this Cinder sees.

    Cinder 24 does not know that an array can clone across pools.
    """
    if RELEASE.clones_across_pools:
        return request
    backend = attrs.evolve(request.backend, clone_across_pools=None)
    return attrs.evolve(request, backend=backend)
