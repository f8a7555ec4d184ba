"""A cloud that outlives those who work in it, around a real array.

The model's own records and journal lie in one file: each call locks it,
reads it, does its work and replaces it.  So a process may die at any
instant, and several may work at once.  The volumes' data is the array's;
images that have bytes of their own keep them in files.
"""

from __future__ import annotations

import contextlib
import fcntl
import pickle
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs
from typing_extensions import override

from clonepolicy import (
    ArrayBackend,
    CinderLocation,
    ConflictError,
    CreateDecision,
    Entry,
    GiB,
    Image,
    ImageService,
    Location,
    NotFoundError,
    Plan,
    Ports,
    RbdLocation,
    Ref,
    UploadDecision,
    Volume,
    VolumeService,
    decide_create,
    decide_upload,
    gather_create,
    gather_upload,
)
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.local._process_lock import ProcessLock
from clonepolicy.adapters.memory import (
    INTERNAL,
    POOL,
    MemoryCloud,
    MemoryJournal,
    _names,
)
from clonepolicy.testing.conformance import ArrayHarness
from local_support import content, write_source

TENANT = "tenant"
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RAW = Image(
    id=str(uuid.UUID(int=0)),
    status="active",
    disk_format="raw",
    container_format="bare",
)


@attrs.define(kw_only=True)
class Records(MemoryCloud):
    """The model, its journal, and what is counted."""

    journal: MemoryJournal = attrs.field(factory=MemoryJournal)
    owners: dict[str, str] = attrs.field(factory=dict)
    """Who takes care of an entry of the journal."""
    named: set[str] = attrs.field(factory=set)
    """Every volume and image that some plan was ever about."""
    tally: dict[str, int] = attrs.field(factory=dict)
    """How often something came about."""

    @override
    def new_id(self) -> str:
        return str(uuid.uuid4())

    @override
    def volume(self, volume_id: str) -> Volume:
        # only the array knows
        return attrs.evolve(super().volume(volume_id), clones=None)

    def leftovers(self) -> Iterator[str]:
        """List what some plan was about and left half made."""
        everything = {*self.images, *self.volumes}
        return self._leftovers(frozenset(everything - self.named))


class SavedCloud:
    """A cloud in a directory, as one process sees it."""

    def __init__(
        self, place: Path, open_array: Callable[[], ArrayBackend]
    ) -> None:
        """Enter a cloud, or make one."""
        self._place = place
        self.source = place / "source"
        self.array = open_array()
        if not place.exists():
            for path in (place, place / "alive", place / "images"):
                path.mkdir()
            write_source(self.source)
            self._save(
                Records(unit=GiB, arrays={POOL: self.array.get_backend()})
            )
        self.owner = ProcessLock.acquire(place / "alive")

    @contextlib.contextmanager
    def records(self) -> Iterator[Records]:
        """Give the records to be read and changed, to one at a time."""
        with (self._place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            old, new = self._place / "records", self._place / "records.new"
            if not old.exists():
                new.rename(old)
            records = pickle.loads(old.read_bytes())  # noqa: S301 - our own
            try:
                yield records
            finally:
                self._save(records)

    def _save(self, records: Records) -> None:
        new = self._place / "records.new"
        new.write_bytes(pickle.dumps(records))
        # replacing it in one step, ext4 would wait for the disk
        old = self._place / "records"
        old.unlink(missing_ok=True)
        new.rename(old)

    @property
    def ports(self) -> Ports:
        """The ports of the tenant."""
        return Ports(
            images=cast("ImageService", _Images(self, "images")),
            volumes=cast("VolumeService", _Saved(self, "volumes")),
            array=self.array,
        )

    @property
    def journal(self) -> SavedJournal:
        """The journal of everybody's plans."""
        return SavedJournal(self)

    def path(self, image_id: str) -> Path:
        """Give the place of an image's own bytes, whether there are any."""
        return self._place / "images" / image_id

    # -- what there is ------------------------------------------------------

    def add_volume(self, *, for_image: bool = False) -> Volume:
        """Add a volume of 1 GiB with the source's data."""
        with self.records() as records:
            project = INTERNAL if for_image else TENANT
            volume = records.add_volume(project, 1, status="creating")
            held = records.volumes[volume.id]
            held.for_image = for_image
            if for_image:
                held.metadata["image_owner"] = TENANT
        self.array.write(volume.id, 1, _RAW, _stream(self.source))
        with self.records() as records:
            records.set_volume(volume.id, status="available")
        return volume

    def add_image(self, *locations: Location) -> str:
        """Add an image of the source's bytes, with locations beside."""
        with self.records() as records:
            image_id = records.add_image(TENANT, None, locations=locations)
            for location in locations:
                if not isinstance(location, CinderLocation):
                    # what lies on an array bears the image's id
                    held = records.images.pop(image_id)
                    image_id = _stored_id(location)
                    records.images[image_id] = held
            size = self.source.stat().st_size
            records.set_image(
                image_id, id=image_id, status="active", size=size
            )
        shutil.copy(self.source, self.path(image_id))
        return image_id

    def count(self, what: str) -> None:
        """Note that something came about once more."""
        with self.records() as records:
            records.tally[what] = records.tally.get(what, 0) + 1

    # -- what is asked for --------------------------------------------------

    def decide_create(self, image_id: str, size: int = 1) -> CreateDecision:
        """Ask for a new volume of an image."""
        with self.records() as records:
            volume = records.add_volume(TENANT, size, status="creating")
            config = records.config
        request = gather_create(image_id, volume, config, self.ports)
        return decide_create(request)

    def decide_upload(self, volume_id: str) -> UploadDecision:
        """Ask for a new image of a volume that is available."""
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
        return decide_upload(request)


@attrs.frozen
class _Saved:
    """Has the model's port do each call on the records as they are saved."""

    cloud: SavedCloud
    port: str

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(self._call, method)

    def _call(self, method: str, *arguments: object) -> object:
        with self.cloud.records() as records:
            port = getattr(records.ports(TENANT), self.port)
            return getattr(port, method)(*arguments)


@attrs.frozen
class _Images(_Saved):
    """Glance with a store of files, which reads volumes where it has none."""

    def download(self, image_id: str) -> Iterator[bytes]:
        """Give an image's data."""
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
        """Take a queued image's data."""
        with self.cloud.records() as records:
            _check_there(records, image_id)
            if records.images[image_id].record.status != "queued":
                message = f"image {image_id} is not queued"
                raise ConflictError(message)
            records.set_image(image_id, status="saving")
        path = self.cloud.path(image_id)
        size = _fill(path, data)
        with self.cloud.records() as records:
            try:
                _check_there(records, image_id)
            except NotFoundError:
                path.unlink()
                raise
            records.set_image(image_id, status="active", size=size)


def _check_there(records: MemoryCloud, image_id: str) -> None:
    # who deletes the volume that an image is in deletes the image
    if image_id not in records.images:
        message = f"image {image_id} was deleted"
        raise NotFoundError(message)


@attrs.frozen
class SavedJournal:
    """The model's journal, which learns who is dead from the kernel."""

    cloud: SavedCloud

    def begin(self, plan: Plan, ids: Mapping[Ref, str]) -> str:
        """Remember a plan before its first step; give its entry's id."""
        with self.cloud.records() as records:
            entry_id = records.journal.begin(plan, ids)
            entry = records.journal.entries[entry_id]
            records.named.update(_names(entry))
            # saved with every call, and by far the largest
            packed = cast("Plan", pickle.dumps(plan))
            records.journal.entries[entry_id] = attrs.evolve(
                entry, plan=packed
            )
            records.owners[entry_id] = self.cloud.owner.token
        return entry_id

    def mark(
        self, entry_id: str, attempt: int, step: int, *, undoing: bool
    ) -> None:
        """Remember what is about to begin."""
        with self.cloud.records() as records:
            records.journal.mark(entry_id, attempt, step, undoing=undoing)

    def end(self, entry_id: str) -> None:
        """Forget a plan that came to its end."""
        with self.cloud.records() as records:
            records.journal.end(entry_id)
            del records.owners[entry_id]

    def interrupted(self) -> tuple[Entry, ...]:
        """Give the entries of which nobody alive takes care, now ours."""
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
            attrs.evolve(entry, plan=pickle.loads(plan))  # noqa: S301 - our own
            for entry, plan in zip(entries, plans, strict=True)
        )


def _stored_id(location: Location) -> str:
    if isinstance(location, RbdLocation):
        return location.image
    return str(location).rpartition("/")[2]


def _stream(path: Path) -> Iterator[bytes]:
    with paths.closing(paths.open_read(path)) as fd:
        yield from sparse.stream(fd, path.stat().st_size)


def _fill(path: Path, data: Iterable[bytes]) -> int:
    with path.open("w+b") as file:
        return sparse.fill(file.fileno(), data)


# -- what has to hold -------------------------------------------------------


def faults(cloud: SavedCloud, bench: ArrayHarness) -> list[str]:
    """Say what does not hold of a cloud in which nobody is at work."""
    with cloud.records() as records:
        pass
    whole = {
        volume_id: held.record.size * GiB
        for volume_id, held in records.volumes.items()
        if held.record.status == "available"
    }
    expected = content(cloud.source)
    found = [f"plan left: {entry}" for entry in records.journal.open()]
    found += records.leftovers()
    for name in bench.holds():
        ids = _UUID.findall(name)
        if not ids or not whole.keys() >= {*ids}:
            found.append(f"of no volume that is whole: {name}")
    for volume_id, size in whole.items():
        told = bench.size_of(volume_id)
        if told != size:
            found.append(f"volume {volume_id}: {told} instead of {size} bytes")
            continue
        spool = cloud.path("spool")
        read = _fill(spool, bench.array.read(volume_id))
        if (read, content(spool)) != (size, expected):
            found.append(f"volume {volume_id}: other data")
    for image_id, image in records.images.items():
        path = cloud.path(image_id)
        if image.record.status != "active":
            continue
        if path.exists() and content(path) != expected:
            found.append(f"image {image_id}: other data")
        found += [
            f"image {image_id}: {location} is not whole"
            for location in image.locations
            if getattr(location, "volume_id", None) not in {None, *whole}
        ]
        if not path.exists() and not image.locations:
            found.append(f"image {image_id}: no data")
    return found
