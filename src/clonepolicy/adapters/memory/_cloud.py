"""A whole cloud in memory, the model that other adapters are compared with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import attrs

from clonepolicy import CinderLocation
from clonepolicy.adapters.memory._services import MemoryImages, MemoryVolumes
from clonepolicy.adapters.memory._state import POOL, CloudState
from clonepolicy.plan import Plan, VolumeRef
from clonepolicy.ports import JournalEntry, Phase, Ports


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
        return tuple(sorted((*_contradictions(self), *leftovers(self, named))))


def _contradictions(cloud: CloudState) -> Iterator[str]:
    for image_id, image in cloud.images.items():
        for location in image.locations:
            if (
                isinstance(location, CinderLocation)
                and location.volume_id not in cloud.volumes
            ):
                yield f"image {image_id}: dangling location {location}"
    for volume_id, row in cloud.volumes.items():
        whole = row.record.size * cloud.gib
        data = cloud.volume_data(volume_id)
        has = None if data is None else len(data)
        if row.record.status in {"available", "in-use"} and has != whole:
            yield f"volume {volume_id}: {has} of {whole} bytes"
    for pool, array in cloud.arrays.items():
        for volume_id in array.volumes:
            if volume_id not in cloud.volumes:
                yield f"pool {pool}: data of deleted volume {volume_id}"


def leftovers(cloud: CloudState, excused: Collection[str]) -> Iterator[str]:
    """Yield each image and volume that is half made; skip excused ids."""
    shown = {
        location.volume_id
        for image in cloud.images.values()
        for location in image.locations
        if isinstance(location, CinderLocation)
    }
    for image_id, image in cloud.images.items():
        status = image.record.status
        if status in {"queued", "saving"} and image_id not in excused:
            yield f"image {image_id}: stuck in {status}"
    for volume_id, row in cloud.volumes.items():
        if volume_id in excused:
            continue
        if row.record.status in {"creating", "uploading"}:
            yield f"volume {volume_id}: stuck in {row.record.status}"
        if row.for_image and volume_id not in shown:
            yield f"volume {volume_id}: orphan of an image"


def named_ids(entry: JournalEntry) -> Iterator[str]:
    """Yield the ids of all images and volumes that a plan changes."""
    yield from entry.ids.values()
    for step in entry.plan:
        for field in ("image_id", "volume_id"):
            name = getattr(step, field, None)
            if isinstance(name, str):
                yield name


@attrs.define
class MemoryJournal:
    """A `Journal` in memory; `crash` simulates the death of all owners."""

    entries: dict[str, JournalEntry] = attrs.field(factory=dict)
    dead: set[str] = attrs.field(factory=set)
    """Ids of the entries whose owners died."""
    begun: int = 0
    """How many entries were ever created."""

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Store a plan before its first step; return the entry's id."""
        self.begun += 1
        entry_id = str(self.begun)
        self.entries[entry_id] = JournalEntry(
            id=entry_id, plan=plan, ids=dict(ids)
        )
        return entry_id

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Store which step begins now."""
        self.entries[entry_id] = attrs.evolve(
            self.entries[entry_id], phase=phase, attempt=attempt, step=step
        )

    def end(self, entry_id: str) -> None:
        """Delete the entry of a plan that is finished."""
        self.entries.pop(entry_id, None)
        self.dead.discard(entry_id)

    def crash(self) -> None:
        """Declare the owner of every entry dead."""
        self.dead.update(self.entries)

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Return the entries whose owners died."""
        return tuple(self.entries[entry_id] for entry_id in sorted(self.dead))

    def open(self) -> tuple[JournalEntry, ...]:
        """Return every entry, whether its owner lives or not."""
        return tuple(self.entries.values())
