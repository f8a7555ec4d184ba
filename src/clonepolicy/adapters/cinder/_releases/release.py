"""What can differ between two releases of Cinder."""

from __future__ import annotations

import importlib
from typing import Any

import attrs

from clonepolicy import POLICIES
from clonepolicy.policy import Policy


@attrs.frozen(kw_only=True)
class CinderRelease:
    """One release, as far as this package depends on it.

    The values are data: nothing of Cinder is imported before a property or
    a method is used.
    """

    number: int
    """The first part of its version."""
    cycle: str
    """The OpenStack release that it belongs to."""
    stock_policy: str
    """The name of the policy that describes this release unchanged."""
    database: str
    """The module that reads and writes the tables, with the transactions."""
    models: str
    """The module with the tables."""
    evict: str
    """The method of the image cache that deletes an entry."""
    evict_reason: tuple[str, ...]
    """What it takes besides context and entry."""
    asks_locations_api: bool
    """Whether ``get_location`` asks Glance's locations API."""
    glance_user: bool
    """Whether it registers the credentials of ``[glance]``."""
    glance_region: bool
    """Whether it registers ``region_name`` of ``[glance]``."""
    clones_across_pools: bool
    """Whether unchanged Cinder asks drivers for ``clone_across_pools``."""
    rbd_in_eventlet: bool
    """Whether its RBD driver always waits in eventlet's pool of threads."""
    functions: str
    """What is called, replaced or relied on, see `functions_of`."""

    @property
    def stock(self) -> Policy:
        """The policy that describes this release unchanged."""
        return POLICIES[self.stock_policy]

    @property
    def transactions(self) -> Any:
        """The factory of this release's database transactions."""
        return importlib.import_module(self.database).main_context_manager

    def table(self, model: str) -> Any:
        """Return the table of a model."""
        found = getattr(importlib.import_module(self.models), model)
        return found.__table__

    def evict_entry(self, cache: object, context: object, entry: Any) -> None:
        """Delete an entry of the image cache, with its volume."""
        getattr(cache, self.evict)(context, entry, *self.evict_reason)

    def __str__(self) -> str:
        """Return number and cycle."""
        return f"{self.number} ({self.cycle})"
