"""A cloud around a real array that survives the death of its processes.

The rows and the journal of a cloud in memory lie in one file.  Each call
locks the file, reads it, does its work and replaces it.  So a process may
die at any instant, and several may work at once.  The array keeps the data
of volumes; files keep the data of images.
"""

from __future__ import annotations

import contextlib
import fcntl
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs
from typing_extensions import override

from clonepolicy import (
    CinderLocation,
    ConflictError,
    CreateDecision,
    GiB,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    UploadDecision,
    Volume,
    decide,
    gather_create,
    gather_upload,
)
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters._files.process_lock import ProcessLock
from clonepolicy.adapters.memory import (
    INTERNAL,
    POOL,
    MemoryArray,
    MemoryCloud,
    MemoryJournal,
    named_ids,
)
from clonepolicy.plan import Plan, VolumeRef
from clonepolicy.ports import (
    ArrayBackend,
    ImageService,
    JournalEntry,
    Phase,
    Ports,
    VolumeService,
)
from local_support import write_source

TENANT = "tenant"
_RAW = Image(
    id=str(uuid.UUID(int=0)),
    status="active",
    disk_format="raw",
    container_format="bare",
)


@attrs.define(kw_only=True)
class Records(MemoryCloud):
    """The content of the file: rows, journal and counters."""

    journal: MemoryJournal = attrs.field(factory=MemoryJournal)
    owners: dict[str, str] = attrs.field(factory=dict)
    """The owner of each journal entry."""
    named: set[str] = attrs.field(factory=set)
    """The ids of all volumes and images that any plan has named."""
    tally: dict[str, int] = attrs.field(factory=dict)
    """How often each kind of event has happened."""

    @override
    def new_id(self) -> str:
        return str(uuid.uuid4())

    @override
    def volume(self, volume_id: str) -> Volume:
        # only the real array can count clones
        return attrs.evolve(super().volume(volume_id), clones=None)


class SavedCloud:
    """A cloud in a directory, as one process sees it."""

    def __init__(
        self, place: Path, open_array: Callable[[], ArrayBackend]
    ) -> None:
        """Open a cloud; create it if the directory does not exist."""
        self._place = place
        self.source = place / "source"
        self.array = open_array()
        # it has the backend, and never any data
        self._arrays = {POOL: MemoryArray(self.array.get_backend(), gib=GiB)}
        if not place.exists():
            for path in (place, place / "alive", place / "images"):
                path.mkdir()
            write_source(self.source)
            self._save(Records(gib=GiB))
        self.owner = ProcessLock(place / "alive")

    @contextlib.contextmanager
    def records(self) -> Iterator[Records]:
        """Lock the records, yield them, and save what was changed."""
        with (self._place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            old, new = self._place / "records", self._place / "records.new"
            if not old.exists():
                new.rename(old)
            records = pickle.loads(old.read_bytes())  # noqa: S301 - written by `_save`
            records.arrays = self._arrays
            try:
                yield records
            finally:
                self._save(records)

    def _save(self, records: Records) -> None:
        records.arrays = {}
        new = self._place / "records.new"
        new.write_bytes(pickle.dumps(records))
        # to replace the file in one step, ext4 would wait for the disk
        old = self._place / "records"
        old.unlink(missing_ok=True)
        new.rename(old)

    @property
    def ports(self) -> Ports:
        """The tenant's ports."""
        return Ports(
            images=cast("ImageService", _Images(self, "images")),
            volumes=cast("VolumeService", _SavedPort(self, "volumes")),
            array=self.array,
        )

    @property
    def journal(self) -> SavedJournal:
        """The journal that all processes share."""
        return SavedJournal(self)

    def path(self, image_id: str) -> Path:
        """Return the path of an image's data, which may not exist."""
        return self._place / "images" / image_id

    # -- adding images and volumes ------------------------------------------

    def add_volume(self, *, for_image: bool = False) -> Volume:
        """Add a volume of 1 GiB with the source's data."""
        with self.records() as records:
            project = INTERNAL if for_image else TENANT
            volume = records.add_volume(project, 1, status="creating")
            row = records.volumes[volume.id]
            row.for_image = for_image
            if for_image:
                row.metadata["image_owner"] = TENANT
        self.array.write(volume.id, 1, _RAW, _stream(self.source))
        with self.records() as records:
            records.set_volume(volume.id, status="available")
        return volume

    def add_image(self, *locations: Location) -> str:
        """Add an image with the source's data and with locations."""
        with self.records() as records:
            image_id = records.add_image(TENANT, None, locations=locations)
            for location in locations:
                if not isinstance(location, CinderLocation):
                    # a stored image has the image's id in its name
                    row = records.images.pop(image_id)
                    image_id = _stored_id(location)
                    records.images[image_id] = row
            size = self.source.stat().st_size
            records.set_image(
                image_id, id=image_id, status="active", size=size
            )
        shutil.copy(self.source, self.path(image_id))
        return image_id

    def count(self, event: str) -> None:
        """Add one to the tally of an event."""
        with self.records() as records:
            records.tally[event] = records.tally.get(event, 0) + 1

    # -- asking for decisions -----------------------------------------------

    def decide_create(self, image_id: str, size: int = 1) -> CreateDecision:
        """Ask for a new volume from an image."""
        with self.records() as records:
            volume = records.add_volume(TENANT, size, status="creating")
            config = records.config
        request = gather_create(image_id, volume, config, self.ports)
        return decide(request)

    def decide_upload(self, volume_id: str) -> UploadDecision:
        """Ask for a new image from a volume that is available."""
        with self.records() as records:
            before = records.volume(volume_id).status
            if before not in {"available", "uploading"}:
                message = f"volume {volume_id} is {before}"
                raise ConflictError(message)
            records.set_volume(
                volume_id, status="uploading", previous_status="available"
            )
            image_id = records.add_image(TENANT, None)
            config = records.config
        request = gather_upload(
            volume_id, image_id, TENANT, config, self.ports
        )
        return decide(request)


@attrs.frozen
class _SavedPort:
    """A port in memory whose every call loads and saves the records."""

    cloud: SavedCloud
    port: str

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(self._call, method)

    def _call(self, method: str, *arguments: object) -> object:
        with self.cloud.records() as records:
            port = getattr(records.ports(TENANT), self.port)
            return getattr(port, method)(*arguments)


@attrs.frozen
class _Images(_SavedPort):
    """Glance with its data in files, or else in the image's first volume."""

    def download(self, image_id: str) -> Iterator[bytes]:
        """Return an image's data."""
        status = self.get_image(image_id).status
        if status != "active":
            message = f"image {image_id} is {status}: it has no data"
            raise ConflictError(message)
        path = self.cloud.path(image_id)
        if path.exists():
            return _stream(path)
        locations = self.get_locations(image_id)
        if not locations:
            message = f"image {image_id} has lost its location: it has no data"
            raise ConflictError(message)
        return self.cloud.array.read(locations[0].volume_id)

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Fill a queued image."""
        with self.cloud.records() as records:
            if records.image_row(image_id).record.status != "queued":
                message = f"image {image_id} is not queued"
                raise ConflictError(message)
            records.set_image(image_id, status="saving")
        path = self.cloud.path(image_id)
        size = fill(path, data)
        with self.cloud.records() as records:
            try:
                records.set_image(image_id, status="active", size=size)
            except NotFoundError:
                # another process deleted the volume, and so the image
                path.unlink()
                raise


@attrs.frozen
class SavedJournal:
    """The saved journal; the kernel's locks say which owners are dead."""

    cloud: SavedCloud

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Store a plan before its first step; return the entry's id."""
        with self.cloud.records() as records:
            entry_id = records.journal.begin(plan, ids)
            entry = records.journal.entries[entry_id]
            records.named.update(named_ids(entry))
            # every call pickles the records; the plan is the largest part
            packed = cast("Plan", pickle.dumps(plan))
            records.journal.entries[entry_id] = attrs.evolve(
                entry, plan=packed
            )
            records.owners[entry_id] = self.cloud.owner.token
        return entry_id

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Store which step begins now."""
        with self.cloud.records() as records:
            records.journal.mark(entry_id, phase, attempt, step)

    def end(self, entry_id: str) -> None:
        """Delete the entry of a plan that is finished."""
        with self.cloud.records() as records:
            records.journal.end(entry_id)
            del records.owners[entry_id]

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Return the entries of dead owners; this process owns them now."""
        mine = self.cloud.owner.token
        with self.cloud.records() as records:
            records.journal.dead = {
                entry_id
                for entry_id, token in records.owners.items()
                if token == mine or self.cloud.owner.is_dead(token)
            }
            entries = records.journal.interrupted()
            records.owners.update((entry.id, mine) for entry in entries)
        plans = [cast("bytes", entry.plan) for entry in entries]
        return tuple(
            attrs.evolve(entry, plan=pickle.loads(plan))  # noqa: S301 - written by `begin`
            for entry, plan in zip(entries, plans, strict=True)
        )


def _stored_id(location: Location) -> str:
    if isinstance(location, RbdLocation):
        return location.image
    return str(location).rpartition("/")[2]


def _stream(path: Path) -> Iterator[bytes]:
    with paths.closing(paths.open_read(path)) as fd:
        yield from sparse.stream(fd, path.stat().st_size)


def fill(path: Path, data: Iterable[bytes]) -> int:
    """Write data to a file; return the number of bytes."""
    with path.open("w+b") as file:
        return sparse.fill(file.fileno(), data)
