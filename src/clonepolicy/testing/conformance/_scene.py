"""One row's volumes on an array under test, and what they should hold."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

import attrs

from clonepolicy import (
    AdapterError,
    ArrayBackend,
    Backend,
    FileLocation,
    GiB,
    Image,
    Location,
    RbdLocation,
    Volume,
)
from clonepolicy.testing.conformance._bench import ArrayBench
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._row import (
    broken,
    hold,
    refused,
    same,
    told,
)

_DATA = 4 << 20
"""Bytes of data in a volume, most of which is zeros."""


@attrs.define
class Scene:
    """Makes volumes, compares them, and takes them down at the end."""

    bench: ArrayBench
    made: dict[str, Content] = attrs.field(factory=dict)
    images: list[Location] = attrs.field(factory=list)
    before: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        """Remember what the array holds."""
        self.before = frozenset(self.bench.holds())
        return self

    def __exit__(self, *_: object) -> None:
        """Discard all volumes, clones first; broken ones stay behind."""
        for volume_id in reversed(list(self.made)):
            with contextlib.suppress(Exception):
                self.array.discard(volume_id)
        for location in self.images:
            if self.bench.remove_image is not None:
                with contextlib.suppress(Exception):
                    self.bench.remove_image(location)

    @property
    def array(self) -> ArrayBackend:
        """The array under test."""
        return self.bench.array

    @property
    def backend(self) -> Backend:
        """What it declares."""
        return self.array.get_backend()

    @property
    def data(self) -> int:
        """How many bytes of data a volume gets."""
        return min(_DATA, self.bench.gib // 4)

    def most(self, wanted: int) -> int:
        """Give how many clones one source may have, of so many."""
        limit = self.backend.clone_limit
        return wanted if limit is None else min(wanted, limit)

    def record(self, size: int = 1, status: str = "available") -> Volume:
        """Make a record without data; it is discarded in the end."""
        volume = self.bench.new_volume(size, status)
        self.made[volume.id] = Content(size * self.bench.gib)
        return volume

    def target(self, size: int = 1) -> Volume:
        """Make the record of a volume to come."""
        return self.record(size, "creating")

    def volume(self, size: int = 1, data: int | None = None) -> Volume:
        """Make a volume with data in it."""
        record = self.bench.new_volume(size, "creating")
        content = Content.make(
            size * self.bench.gib,
            self.data if data is None else data,
            record.id,
        )
        self.made[record.id] = content
        self.write(record.id, size, content)
        return self.published(record)

    def published(self, record: Volume, status: str = "available") -> Volume:
        """Let a record say that its volume is whole, or another status."""
        self.bench.set_status(record.id, status)
        return attrs.evolve(record, status=status)

    def write(
        self,
        volume_id: str,
        size: int,
        content: Content,
        pieces: Iterator[bytes] | None = None,
        formats: tuple[str, str] = ("raw", "bare"),
    ) -> None:
        """Have the array fill a volume with all of a content, or pieces."""
        image = self.stored(content, formats)
        data = content.pieces() if pieces is None else pieces
        self.array.write(volume_id, size, image, data)

    def stored(
        self, content: Content, formats: tuple[str, str] = ("raw", "bare")
    ) -> Image:
        """Make the record of an image with a content, in some formats."""
        return Image(
            id=str(uuid.UUID(int=0)),
            status="active",
            disk_format=formats[0],
            container_format=formats[1],
            size=content.size * GiB // self.bench.gib,
        )

    def clone(self, source: Volume) -> Volume:
        """Have the array clone a volume."""
        target = self.target(source.size)
        self.array.clone_volume(target.id, source)
        self.made[target.id] = self.made[source.id].copy()
        return self.published(target)

    def image(self, content: Content) -> RbdLocation | FileLocation:
        """Put an image where stored images lie."""
        if self.bench.add_image is None:
            broken("images are claimed; give the bench add_image")
        location = self.bench.add_image(content.pieces())
        self.images.append(location)
        if not isinstance(location, (RbdLocation, FileLocation)):
            broken(f"add_image gave {location}: expected rbd:// or file://")
        return location

    def overwrite(self, volume: Volume, offset: int, seed: int) -> None:
        """Write to a volume as a guest would, and expect that there."""
        data = bytes([seed]) * 512 + bytes(range(256)) * 2
        self.bench.overwrite(volume.id, offset, data)
        self.made[volume.id].put(offset, data)

    @contextlib.contextmanager
    def guest(
        self, volume: Volume
    ) -> Iterator[Callable[[int, bytes], object]]:
        """Keep a volume open, and give what writes to it."""
        if self.bench.guest is None:
            yield partial(self.bench.overwrite, volume.id)
            return
        with self.bench.guest(volume.id) as write:
            yield write

    def intact(self, *volumes: Volume) -> None:
        """See that volumes hold what they should, and no more or less."""
        for volume in volumes:
            self._intact(volume.id)

    def all_intact(self) -> None:
        """See the same of all volumes that were made."""
        for volume_id in self.made:
            self._intact(volume_id)

    def _intact(self, volume_id: str) -> None:
        content = self.made[volume_id]
        content.compare(self.array.read(volume_id), f"volume {volume_id}")
        self.sized(volume_id, content.size)

    def sized(self, volume_id: str, size: int) -> None:
        """See that the array and its own tools agree on a size."""
        has = self.bench.size_of(volume_id)
        hold(has == size, f"has {has} bytes by its tools instead of {size}")
        try:
            found = self.array.stat(volume_id)
        except AdapterError:
            return
        says = None if found is None else found.size
        full = size * GiB // self.bench.gib
        hold(says == full, f"stat says {says} bytes instead of {full}")

    def absent(self, *volumes: Volume) -> None:
        """See that the array has no data of volumes."""
        for volume in volumes:
            has = self.bench.size_of(volume.id)
            hold(has is None, f"volume {volume.id} has {has} bytes left")

    def unchanged(self, what: str = "the array") -> None:
        """See that the array holds what it held before."""
        same(self.before, self.bench.holds(), what)

    def refused_clone(
        self, kind: type[AdapterError], source: Volume, what: str
    ) -> None:
        """See that a clone is refused, and that nothing is left of it."""
        target = self.target(source.size)
        held = frozenset(self.bench.holds())
        with refused(kind, what):
            self.array.clone_volume(target.id, source)
        self.absent(target)
        same(held, self.bench.holds(), what)


@contextlib.contextmanager
def any_refusal(what: str) -> Iterator[None]:
    """Let an adapter refuse in whatever kind, but not with a defect."""
    try:
        yield
    except AdapterError:
        pass
    except Exception as error:  # noqa: BLE001 - any other is wrong
        broken(f"{what}: expected an AdapterError, raised {told(error)}")
