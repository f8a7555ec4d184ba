"""A whole cloud in memory, the model that other adapters are compared with."""

from __future__ import annotations

import attrs

from clonepolicy.adapters.memory._audit import (
    contradictions,
    leftovers,
    named_ids,
)
from clonepolicy.adapters.memory._images import MemoryImages
from clonepolicy.adapters.memory._state import POOL, CloudState
from clonepolicy.adapters.memory._volumes import MemoryVolumes
from clonepolicy.ports import JournalEntry, Ports


@attrs.define(kw_only=True)
class MemoryCloud(CloudState):
    """Images, volumes, a cache, quotas and arrays, all in dictionaries.

    One thread may use it.  It has no clock.
    """

    def ports(self, project_id: str, pool: str = POOL) -> Ports:
        """Return the ports of a requester whose volume lies in a pool."""
        return Ports(
            images=MemoryImages(self, project_id),
            volumes=MemoryVolumes(self),
            array=self.arrays[pool],
        )

    def audit(self, entries: tuple[JournalEntry, ...] = ()) -> tuple[str, ...]:
        """List everything that is broken, sorted.

        Args:
            entries: journal entries of plans that are not finished.  The
                images and volumes that they name may be half made; they may
                not be shown as whole.
        """
        named = {name for entry in entries for name in named_ids(entry)}
        return tuple(sorted((*contradictions(self), *leftovers(self, named))))
