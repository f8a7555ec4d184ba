"""An array in memory that shares blocks: what the kit is tried on.

A GiB is `UNIT` bytes here.  It keeps every promise of `ArrayBackend`; each
broken adapter of the tests breaks one.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, MutableMapping
from typing import ClassVar

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    CloneLimitError,
    ConflictError,
    FileLocation,
    GiB,
    Image,
    IntegrityError,
    Location,
    NotFoundError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    UnavailableError,
    UnsupportedError,
    Volume,
    check_source,
    check_volume_id,
)
from clonepolicy.testing.conformance import ArrayHarness

UNIT = 1 << 14
"""Bytes that the model takes for a GiB."""

BLOCK = 1 << 9
"""Bytes of one block: what is shared, or is not."""

EVERYTHING = Backend(
    can_clone=True,
    clone_kind=CloneKind.COPY_ON_WRITE,
    image_clone_kind=CloneKind.COPY_ON_WRITE,
    can_extend=True,
    clone_while_uploading=True,
    image_schemes=frozenset({"rbd"}),
)
"""What a model can do by default."""

_numbers = itertools.count(1)


class Block:
    """Data that any number of volumes may have in common."""

    def __init__(self, data: bytes) -> None:
        """Keep data; another block may keep the same, and is another."""
        self.data = data


@attrs.define
class Stored:
    """A volume or an image: its size in bytes, and blocks by number."""

    size: int
    blocks: dict[int, Block] = attrs.field(factory=dict)
    parent: str | None = None
    """The id, or the URL, of what it is a clone of."""

    def shared(self, parent: str) -> Stored:
        """Give a clone that has every block in common."""
        return Stored(self.size, dict(self.blocks), parent)

    def copied(self, parent: str) -> Stored:
        """Give a clone that has no block in common."""
        blocks = {at: Block(block.data) for at, block in self.blocks.items()}
        return Stored(self.size, blocks, parent)

    def put(self, offset: int, data: bytes) -> None:
        """Write whole blocks, those of zeros too, where they stood before."""
        for at in range(offset, offset + len(data), BLOCK):
            piece = data[at - offset : at - offset + BLOCK].ljust(BLOCK, b"\0")
            number = at // BLOCK
            if piece.strip(b"\0"):
                self.blocks[number] = Block(piece)
            else:
                self.blocks.pop(number, None)

    def pieces(self) -> Iterator[bytes]:
        """Give all bytes."""
        zeros = bytes(BLOCK)
        for at in range(0, self.size, BLOCK):
            block = self.blocks.get(at // BLOCK)
            data = zeros if block is None else block.data
            yield data[: self.size - at]


class ModelArray:
    """Volumes as blocks in memory; ``backend`` says what it can do."""

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend()
    DOES: ClassVar[Backend] = EVERYTHING

    def __init__(self, backend: Backend | None = None) -> None:
        """Make an empty array with an identity of its own."""
        does = self.DOES if backend is None else backend
        self.backend = attrs.evolve(does, array_id=f"model-{next(_numbers)}")
        self.volumes: MutableMapping[str, Stored] = {}
        self.images: MutableMapping[Location, Stored] = {}
        self.moved = 0
        """Bytes that passed through the client."""
        self.failing = False
        """Whether every change fails when it is half done."""
        self.lock = threading.RLock()

    def get_backend(self) -> Backend:
        """Tell what it is and can do."""
        return self.backend

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Tell a volume's size, and count its clones."""
        held = self.volumes.get(volume_id)
        if held is None:
            return None
        return StoredVolume(
            size=held.size * GiB // UNIT, clones=self.clones(volume_id)
        )

    def clones(self, parent: str) -> int:
        """Count the clones of a volume or of an image's URL."""
        return sum(held.parent == parent for held in self.volumes.values())

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for one of its images."""
        held = self.images.get(location)
        if held is None or not self.backend.image_schemes:
            return None
        return StoredImage(
            size=-(-held.size // UNIT), clones=self.clones(str(location))
        )

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Clone a volume by its kind of clone."""
        with self.lock:
            self.check_can(self.backend.can_clone, "clone")
            self.check_target(volume_id)
            held = self.volume(source.id)
            check_source(source, self.backend)
            if held.size != source.size * UNIT:
                message = f"volume {source.id} has {held.size} bytes"
                raise IntegrityError(message)
            self.check_limit(source.id)
            self.put(volume_id, self.cloned(held, source.id))

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Clone an image by its kind of clone, up to the whole GiB."""
        with self.lock:
            found = self.find_image(location)
            if found is None:
                message = f"no image {location}"
                raise NotFoundError(message)
            self.check_target(volume_id)
            self.check_limit(str(location))
            made = self.cloned(self.images[location], str(location))
            made.size = found.size * UNIT
            self.put(volume_id, made)

    def cloned(self, held: Stored, parent: str) -> Stored:
        """Clone what is stored, and count what passes through the client."""
        kind = self.backend.clone_kind
        if kind is CloneKind.COPY_ON_WRITE:
            return held.shared(parent)
        if kind is CloneKind.FULL_COPY:
            self.moved += len(held.blocks) * BLOCK
        return held.copied(parent)

    def put(self, volume_id: str, made: Stored) -> None:
        """Let a volume be there, or fail when that is half done."""
        self.volumes[volume_id] = made
        try:
            self.fail_if_asked()
        except UnavailableError:
            del self.volumes[volume_id]
            raise

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume."""
        with self.lock:
            self.check_can(self.backend.can_extend, "extend")
            held = self.volume(volume_id)
            if held.size > size * UNIT:
                message = f"volume {volume_id} has {held.size} bytes"
                raise ConflictError(message)
            self.fail_if_asked()
            held.size = size * UNIT
            self.volumes[volume_id] = held

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume, block by block."""
        if (image.disk_format, image.container_format) != ("raw", "bare"):
            message = f"image {image.id} is not raw and bare"
            raise UnsupportedError(message)
        self.check_target(volume_id)
        made = self.volumes[volume_id] = Stored(0)
        for piece in data:
            if made.size + len(piece) > size * UNIT:
                message = f"more than {size} GiB of data"
                raise IntegrityError(message)
            made.put(made.size, piece)
            made.size += len(piece)
        made.size = size * UNIT
        self.volumes[volume_id] = made
        self.fail_if_asked()

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's blocks."""
        yield from self.volume(volume_id).pieces()

    def discard(self, volume_id: str) -> None:
        """Remove a volume."""
        with self.lock:
            self.volumes.pop(volume_id, None)

    def volume(self, volume_id: str) -> Stored:
        """Give what is stored of a volume that is there."""
        held = self.volumes.get(volume_id)
        if held is None:
            message = f"no volume {volume_id}"
            raise NotFoundError(message)
        return held

    def check_can(self, able: bool | None, what: str) -> None:  # noqa: FBT001 - a capability
        """Refuse what is not declared."""
        if not able:
            message = f"this array cannot {what}"
            raise UnsupportedError(message)

    def check_target(self, volume_id: str) -> None:
        """Refuse an id that is none, or that has data."""
        check_volume_id(volume_id)
        if volume_id in self.volumes:
            message = f"volume {volume_id} has data"
            raise ConflictError(message)

    def check_limit(self, parent: str) -> None:
        """Refuse one clone too many."""
        limit = self.backend.clone_limit
        if limit is not None and self.clones(parent) >= limit:
            message = f"{parent} has {limit} clones"
            raise CloneLimitError(message)

    def fail_if_asked(self) -> None:
        """Fail in the middle of a change."""
        if self.failing:
            message = "the array fails"
            raise UnavailableError(message)


def model_bench(
    array: ModelArray | None = None, other: ModelArray | None = None
) -> ArrayHarness:
    """Make a harness for an array in memory."""
    tested = ModelArray() if array is None else array

    def overwrite(volume_id: str, offset: int, data: bytes) -> None:
        with tested.lock:
            held = tested.volumes[volume_id]
            held.put(offset, data)
            tested.volumes[volume_id] = held

    def size_of(volume_id: str) -> int | None:
        held = tested.volumes.get(volume_id)
        return None if held is None else held.size

    def exclusive(volume_id: str) -> int:
        others = {
            id(block)
            for held in (*tested.volumes.values(), *tested.images.values())
            if held is not tested.volumes[volume_id]
            for block in held.blocks.values()
        }
        mine = tested.volumes[volume_id].blocks.values()
        return sum(BLOCK for block in mine if id(block) not in others)

    def add_image(pieces: Iterator[bytes]) -> Location:
        held = Stored(0)
        for piece in pieces:
            held.put(held.size, piece)
            held.size += len(piece)
        name = f"image-{next(_numbers)}"
        location = RbdLocation("model", "images", name, "snap")
        tested.images[location] = held
        return location

    @contextlib.contextmanager
    def breaking() -> Iterator[None]:
        tested.failing = True
        try:
            yield
        finally:
            tested.failing = False

    return ArrayHarness(
        array=tested,
        other=type(tested)() if other is None else other,
        overwrite=overwrite,
        size_of=size_of,
        holds=lambda: frozenset(tested.volumes),
        exclusive=exclusive,
        transferred=lambda: tested.moved,
        add_image=add_image,
        remove_image=lambda location: tested.images.pop(location, None),
        breaking=breaking,
        reopen=lambda: tested,
        gib=UNIT,
    )
