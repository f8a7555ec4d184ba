"""The volumes of one check on an array, and what each should hold."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Self, TypeAlias

import attrs

from clonepolicy import (
    AdapterError,
    Backend,
    FileLocation,
    GiB,
    Image,
    LeftBehindError,
    RbdLocation,
    Volume,
)
from clonepolicy.ports import ArrayBackend
from clonepolicy.testing.conformance._check import (
    describe,
    expect_error,
    fail,
    given,
    require,
    require_equal,
    require_same,
)
from clonepolicy.testing.conformance._harness import ArrayHarness

_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


@attrs.define
class Content:
    """The bytes of a volume, most of them zero."""

    size: int
    """Bytes."""
    islands: list[tuple[int, bytes]] = attrs.field(factory=list)
    """Offsets and data; a later island overwrites earlier ones."""

    @classmethod
    def make(cls, size: int, data: int, seed: str) -> Content:
        """Put random data at the beginning, in the middle and at the end."""
        chance = random.Random(seed)  # noqa: S311 - any bytes will do
        part = data // 4
        return cls(
            size,
            [
                (0, chance.randbytes(2 * part)),
                (size // 2, chance.randbytes(part)),
                (size - part, chance.randbytes(part)),
            ],
        )

    def copy(self, size: int | None = None) -> Content:
        """Return a copy, of another size if one is given."""
        return Content(self.size if size is None else size, list(self.islands))

    def put(self, offset: int, data: bytes) -> None:
        """Overwrite bytes at an offset."""
        self.islands.append((offset, data))

    def pieces(self) -> Iterator[bytes]:
        """Return all bytes, in pieces."""
        for at in range(0, self.size, _PIECE):
            yield self._piece(at, min(_PIECE, self.size - at))

    def _piece(self, at: int, length: int) -> bytes:
        made = None
        for offset, data in self.islands:
            first, last = max(at, offset), min(at + length, offset + len(data))
            if first < last:
                made = made or bytearray(length)
                part = data[first - offset : last - offset]
                made[first - at : last - at] = part
        return _ZEROS[:length] if made is None else bytes(made)

    def compare(self, pieces: Iterable[bytes], what: str) -> None:
        """Fail unless the pieces are exactly these bytes."""
        at = 0
        for piece in pieces:
            if at + len(piece) > self.size:
                fail(f"{what}: has more than {self.size} bytes")
            for part in range(0, len(piece), _PIECE):
                got = piece[part : part + _PIECE]
                if got != self._piece(at + part, len(got)):
                    fail(f"{what}: wrong bytes from offset {at + part}")
            at += len(piece)
        require_equal(at, self.size, f"{what}: size in bytes")


_DATA = 4 << 20
"""Bytes of data in a volume; the rest is zeros."""

ImageLocation: TypeAlias = RbdLocation | FileLocation
Source: TypeAlias = Volume | ImageLocation


@attrs.define
class Fixture:
    """Creates volumes, compares their data, and discards them at the end."""

    harness: ArrayHarness
    expected: dict[str, Content] = attrs.field(factory=dict)
    """What each volume should hold, by id, in the order of creation."""
    images: dict[ImageLocation, Content] = attrs.field(factory=dict)
    """What each stored image holds."""
    before: frozenset[str] = frozenset()
    """What the array held when the check began."""

    def __enter__(self) -> Self:
        """Record what the array holds."""
        self.before = frozenset(self.harness.holds())
        return self

    def __exit__(self, *_: object) -> None:
        """Discard all volumes, clones first; ignore errors."""
        for volume_id in reversed(self.expected):
            with contextlib.suppress(Exception):
                self.array.discard(volume_id)
        for location in self.images:
            if self.harness.remove_image is not None:
                with contextlib.suppress(Exception):
                    self.harness.remove_image(location)

    @property
    def array(self) -> ArrayBackend:
        """The array under test."""
        return self.harness.array

    @property
    def backend(self) -> Backend:
        """What the array declares."""
        return self.array.get_backend()

    @property
    def data(self) -> int:
        """How many bytes of data a volume gets."""
        return min(_DATA, self.harness.gib // 4)

    def within_limit(self, clones: int) -> int:
        """Return how many of these clones one source may have."""
        limit = self.backend.clone_limit
        return clones if limit is None else min(clones, limit)

    # -- making volumes and images ------------------------------------------

    def record(self, size: int = 1, status: str = "available") -> Volume:
        """Make the record of a volume without data; the size is in GiB."""
        volume = self.harness.new_volume(size, status)
        self.expected[volume.id] = Content(size * self.harness.gib)
        return volume

    def target(self, size: int = 1) -> Volume:
        """Make the record of a volume that is to be created."""
        return self.record(size, "creating")

    def content_of(self, source: Source) -> Content:
        """Return what a volume or a stored image should hold."""
        if isinstance(source, Volume):
            return self.expected[source.id]
        return self.images[source]

    def content(
        self, seed: str, size: int = 1, data: int | None = None
    ) -> Content:
        """Make so many GiB with so many bytes of random data."""
        data = self.data if data is None else data
        return Content.make(size * self.harness.gib, data, seed)

    def volume(self, size: int = 1, data: int | None = None) -> Volume:
        """Make a volume of so many GiB with so many bytes of data."""
        target = self.target(size)
        self.write(target, self.content(target.id, size, data))
        return self.with_status(target)

    def with_status(self, record: Volume, status: str = "available") -> Volume:
        """Change the status in a record; return the changed record."""
        self.harness.set_status(record.id, status)
        return attrs.evolve(record, status=status)

    def write(
        self,
        target: Volume,
        content: Content,
        pieces: Iterator[bytes] | None = None,
        formats: tuple[str, str] = ("raw", "bare"),
    ) -> None:
        """Write a content, or these pieces instead, into a new volume."""
        data = content.pieces() if pieces is None else pieces
        image = self.image_record(content, formats)
        self.array.write(target.id, target.size, image, data)
        full = target.size * self.harness.gib
        self.expected[target.id] = content.copy(full)

    def image_record(
        self, content: Content, formats: tuple[str, str] = ("raw", "bare")
    ) -> Image:
        """Make the record of an image: its disk and its container format."""
        return Image(
            id=str(uuid.UUID(int=0)),
            status="active",
            disk_format=formats[0],
            container_format=formats[1],
            size=content.size * GiB // self.harness.gib,
        )

    def clone(self, source: Source) -> Volume:
        """Clone a volume, or a stored image to a volume of whole GiB."""
        size = self.content_of(source).size
        target = self.target(-(-size // self.harness.gib))
        self.clone_to(target, source)
        return self.with_status(target)

    clone_image = clone

    def clone_to(self, target: Volume, source: Source) -> None:
        """Clone a source to a target, whose record keeps its status."""
        self.clone_as(target.id, source)
        self.expect_clone(target, source)

    def clone_as(self, volume_id: str, source: Source) -> None:
        """Call the array's method that clones this kind of source."""
        if isinstance(source, Volume):
            self.array.clone_volume(volume_id, source)
        else:
            self.array.clone_image(volume_id, source)

    def expect_clone(self, target: Volume, source: Source) -> None:
        """Expect a target to hold its source's bytes, and then zeros."""
        size = target.size * self.harness.gib
        self.expected[target.id] = self.content_of(source).copy(size)

    def discard(self, *volumes: Volume) -> None:
        """Discard volumes; fail if the array still has data of them."""
        for volume in volumes:
            self.array.discard(volume.id)
            self.require_absent(volume)

    def extend(self, volume: Volume, size: int) -> Volume:
        """Extend a volume to so many GiB; return the record of that size."""
        self.array.extend(volume.id, size)
        self.expected[volume.id].size = size * self.harness.gib
        return attrs.evolve(volume, size=size)

    def image(self, content: Content | None = None) -> ImageLocation:
        """Store an image: 1 GiB with random data unless a content is given."""
        content = content or self.content("image")
        location = given(self.harness.add_image, "add_image")(content.pieces())
        if not isinstance(location, (RbdLocation, FileLocation)):
            fail(f"add_image returned {location}, expected rbd:// or file://")
        self.images[location] = content
        return location

    def overwrite(self, volume: Volume, offset: int, seed: int) -> None:
        """Write to a volume as a guest would."""
        data = bytes([seed]) * 512 + bytes(range(256)) * 2
        self.harness.overwrite(volume.id, offset, data)
        self.expected[volume.id].put(offset, data)

    def guest(
        self, volume: Volume
    ) -> contextlib.AbstractContextManager[Callable[[int, bytes], object]]:
        """Open a volume as a guest does; yield a function that writes."""
        if self.harness.guest is not None:
            return self.harness.guest(volume.id)
        return contextlib.nullcontext(
            partial(self.harness.overwrite, volume.id)
        )

    # -- requirements -------------------------------------------------------

    def require_intact(self, *volumes: Volume) -> None:
        """Fail unless volumes hold exactly what they should."""
        self._require_intact(volume.id for volume in volumes)

    def require_all_intact(self) -> None:
        """Fail unless all volumes hold exactly what they should."""
        self._require_intact(self.expected)

    def _require_intact(self, volume_ids: Iterable[str]) -> None:
        for volume_id in volume_ids:
            content = self.expected[volume_id]
            content.compare(self.array.read(volume_id), f"volume {volume_id}")
            self.require_size(volume_id, content.size)

    def require_size(self, volume_id: str, size: int) -> None:
        """Fail unless the array and its own tools report this size."""
        require_equal(self.harness.size_of(volume_id), size, "size by tools")
        try:
            found = self.array.stat(volume_id)
        except AdapterError:
            return
        full = size * GiB // self.harness.gib
        require_equal(found and found.size, full, "size by stat")

    def require_absent(self, *volumes: Volume) -> None:
        """Fail if the array still has data of these volumes."""
        for volume in volumes:
            size = self.harness.size_of(volume.id)
            require(size is None, f"volume {volume.id} still has {size} bytes")

    def require_unchanged(self, when: str = "at the end") -> None:
        """Fail unless the array holds what it held when the check began."""
        require_same(self.before, self.harness.holds(), when)

    @contextlib.contextmanager
    def leaving_nothing(self, when: str) -> Iterator[frozenset[str]]:
        """Fail unless the array holds the same before and after the block.

        Yields what it holds before.
        """
        before = frozenset(self.harness.holds())
        yield before
        require_same(before, self.harness.holds(), when)

    def expect_clone_error(
        self, kind: type[AdapterError], source: Source, what: str
    ) -> None:
        """Fail unless a clone raises this error and leaves nothing behind."""
        target = self.target(getattr(source, "size", 1))
        with self.leaving_nothing(what):
            with expect_error(kind, what):
                self.clone_as(target.id, source)
            self.require_absent(target)

    def breaking(self) -> contextlib.AbstractContextManager[object]:
        """Return a context in which the array begins changes and fails."""
        return given(self.harness.breaking, "breaking")()

    def expect_clean_failure(
        self, target: Volume, clone: Callable[[], None]
    ) -> None:
        """Fail unless a clone on a failing array leaves nothing behind.

        If the array raises `LeftBehindError`, `discard` must remove what is
        left.
        """
        with self.leaving_nothing("after a failed clone") as held:
            left = False
            with self.breaking():
                try:
                    clone()
                except AdapterError as error:
                    left = isinstance(error, LeftBehindError)
                except Exception as error:  # noqa: BLE001 - any other is wrong
                    fail(f"a failing clone raised {describe(error)}")
                else:
                    fail("a failing clone raised nothing")
            if left:
                found = frozenset(self.harness.holds())
                require(found != held, "LeftBehindError, but nothing is left")
                self.array.discard(target.id)
            self.require_absent(target)
