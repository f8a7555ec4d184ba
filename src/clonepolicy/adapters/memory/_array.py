"""An array in memory whose volumes share blocks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from typing import ClassVar, Self

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
    UnavailableError,
    UnsupportedError,
    Volume,
)
from clonepolicy.ports import (
    Inspection,
    StoredImage,
    StoredVolume,
    check_source,
    check_volume_id,
)

MEMORY_GIB = 1 << 14
"""Bytes that stand for one GiB unless the caller chooses another number."""

BLOCK_SIZE = 1 << 9
"""Bytes of one block, the unit that volumes share."""

EVERYTHING = Backend(
    can_clone=True,
    clone_kind=CloneKind.COPY_ON_WRITE,
    image_clone_kind=CloneKind.COPY_ON_WRITE,
    can_extend=True,
    clone_while_uploading=True,
    clone_in_use=True,
    image_schemes=frozenset({"rbd"}),
)
"""The capabilities of an array in memory unless the caller limits them."""

_QCOW2 = b"QFI\xfb"
"""The first bytes of every qcow2 file."""

_numbers = itertools.count(1)


@attrs.frozen(eq=False)
class Block:
    """One block; two blocks with the same bytes are still two blocks."""

    data: bytes


@attrs.define
class BlockMap:
    """The blocks of a volume or an image, by number; missing ones are zero."""

    size: int
    """Bytes."""
    blocks: dict[int, Block] = attrs.field(factory=dict)
    parent: str | None = None
    """The volume id or the image URL that this is a clone of."""

    @classmethod
    def of(cls, data: Iterable[bytes]) -> Self:
        """Store data that comes in pieces."""
        made = cls(0)
        for piece in data:
            made.append(piece)
        return made

    def shared(self, parent: str) -> BlockMap:
        """Return a clone that shares all blocks."""
        return BlockMap(self.size, dict(self.blocks), parent)

    def copied(self, parent: str) -> BlockMap:
        """Return a clone that shares no block."""
        blocks = {at: Block(block.data) for at, block in self.blocks.items()}
        return BlockMap(self.size, blocks, parent)

    def append(self, data: bytes) -> None:
        """Add data at the end."""
        self.put(self.size, data)
        self.size += len(data)

    def put(self, offset: int, data: bytes) -> None:
        """Replace the bytes at an offset; leave the size as it is."""
        at = 0
        while at < len(data):
            number, start = divmod(offset + at, BLOCK_SIZE)
            piece = data[at : at + BLOCK_SIZE - start]
            at += len(piece)
            old = self._block(number)
            new = old[:start] + piece + old[start + len(piece) :]
            if new.strip(b"\0"):
                self.blocks[number] = Block(new)
            else:
                self.blocks.pop(number, None)

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes, one block at a time."""
        for at in range(0, self.size, BLOCK_SIZE):
            yield self._block(at // BLOCK_SIZE)[: self.size - at]

    def inspect(self) -> Inspection:
        """Inspect the first bytes."""
        if self._block(0).startswith(_QCOW2):
            return Inspection.REFUSED
        return Inspection.PASSED

    def _block(self, number: int) -> bytes:
        block = self.blocks.get(number)
        return bytes(BLOCK_SIZE) if block is None else block.data


class MemoryArray:
    """An `ArrayBackend` that keeps volumes and images in dictionaries.

    The kit's broken adapters are subclasses that replace a method.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend()
    DEFAULT: ClassVar[Backend] = EVERYTHING
    """The backend of an array that is created without one."""

    def __init__(
        self, backend: Backend | None = None, *, gib: int = MEMORY_GIB
    ) -> None:
        """Create an empty array.

        Args:
            backend: what the array can do.  If it has no ``array_id``, the
                array gets one of its own.
            gib: the number of bytes that stand for one GiB.
        """
        backend = self.DEFAULT if backend is None else backend
        array_id = backend.array_id or f"memory-{next(_numbers)}"
        self.backend = attrs.evolve(backend, array_id=array_id)
        self.gib = gib
        self.volumes: MutableMapping[str, BlockMap] = {}
        self.images: MutableMapping[Location, BlockMap] = {}
        self.moved = 0
        """Bytes that passed through the client."""
        self.failing = False
        """Whether every change fails after half of it is done."""
        self.lock = threading.RLock()

    def get_backend(self) -> Backend:
        """Return the array's identity and capabilities."""
        return self.backend

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return a volume's size and the number of its clones."""
        held = self.volumes.get(volume_id)
        if held is None:
            return None
        return StoredVolume(
            size=held.size * GiB // self.gib, clones=self.clones(volume_id)
        )

    def clones(self, parent: str) -> int:
        """Count the clones of a volume id or of an image's URL."""
        return sum(held.parent == parent for held in self.volumes.values())

    def inspect(self, source: str | Location) -> Inspection:
        """Refuse data that begins like a qcow2 file, and no other."""
        if isinstance(source, str):
            return self.volume(source).inspect()
        return self.image(source).inspect()

    def find_image(self, location: Location) -> StoredImage | None:
        """Return the size of a stored image, rounded up to whole GiB."""
        try:
            held = self.image(location)
        except NotFoundError:
            return None
        return StoredImage(
            size=self.whole_gib(held), clones=self.clones(str(location))
        )

    def whole_gib(self, held: BlockMap) -> int:
        """Return a size in GiB, rounded up."""
        return -(-held.size // self.gib)

    def image(self, location: Location) -> BlockMap:
        """Return a stored image; its location names this array.

        Raises:
            NotFoundError: there is no such image.
            UnsupportedError: the location names another array, or no image.
        """
        if (
            not isinstance(location, RbdLocation)
            or location.fsid != self.backend.array_id
            or "rbd" not in self.backend.image_schemes
        ):
            raise UnsupportedError(f"{location} is not on this array")
        if location not in self.images:
            raise NotFoundError(f"no image {location}: download it")
        return self.images[location]

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Clone a volume in the way that ``clone_kind`` declares."""
        with self.lock:
            self.check_can(self.backend.can_clone, "clone")
            self.check_target(volume_id)
            held = self.volume(source.id)
            check_source(source, self.backend)
            if held.size != source.size * self.gib:
                raise IntegrityError(
                    f"volume {source.id} has {held.size} bytes, its record "
                    f"says {source.size} GiB: correct the record"
                )
            self.check_limit(source.id)
            self.put(volume_id, self.cloned(held, source.id))

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Clone a stored image; zeros fill the last GiB."""
        with self.lock:
            held = self.image(location)
            self.check_target(volume_id)
            self.check_limit(str(location))
            made = self.cloned(held, str(location))
            made.size = self.whole_gib(held) * self.gib
            self.put(volume_id, made)

    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        """Return a clone; count the bytes that pass through the client."""
        kind = self.backend.clone_kind
        if kind is CloneKind.COPY_ON_WRITE:
            return held.shared(parent)
        if kind is CloneKind.FULL_COPY:
            self.moved += len(held.blocks) * BLOCK_SIZE
        return held.copied(parent)

    def put(self, volume_id: str, made: BlockMap) -> None:
        """Add a volume; if the array fails now, remove it again."""
        self.volumes[volume_id] = made
        try:
            self.fail_if_asked()
        except UnavailableError:
            del self.volumes[volume_id]
            raise

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB."""
        with self.lock:
            self.check_can(self.backend.can_extend, "extend")
            held = self.volume(volume_id)
            if held.size > size * self.gib:
                raise ConflictError(
                    f"volume {volume_id} has {held.size} bytes, more than "
                    f"{size} GiB: choose a larger size"
                )
            self.fail_if_asked()
            held.size = size * self.gib
            self.volumes[volume_id] = held

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of so many GiB, piece by piece.

        If ``data`` raises, the volume keeps the pieces that came before.
        """
        if (image.disk_format, image.container_format) != ("raw", "bare"):
            message = f"image {image.id} is not raw and bare: convert it"
            raise UnsupportedError(message)
        self.check_target(volume_id)
        made = self.volumes[volume_id] = BlockMap(0)
        for piece in data:
            if made.size + len(piece) > size * self.gib:
                message = f"image {image.id} exceeds {size} GiB: ask for more"
                raise IntegrityError(message)
            made.append(piece)
        if made.inspect() is Inspection.REFUSED:
            message = f"image {image.id} is qcow2, not raw: convert it"
            raise IntegrityError(message)
        made.size = size * self.gib
        self.volumes[volume_id] = made
        self.fail_if_asked()

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Yield a volume's data, one block at a time."""
        yield from self.volume(volume_id).pieces()

    def discard(self, volume_id: str) -> None:
        """Remove a volume, if there is one; its clones keep their data."""
        with self.lock:
            self.volumes.pop(volume_id, None)

    def volume(self, volume_id: str) -> BlockMap:
        """Return the blocks of a volume, or raise `NotFoundError`."""
        held = self.volumes.get(volume_id)
        if held is None:
            raise NotFoundError(
                f"array {self.backend.array_id} has no data of volume "
                f"{volume_id}: look on the other arrays"
            )
        return held

    def check_can(self, able: bool | None, what: str) -> None:  # noqa: FBT001 - a capability
        """Refuse an operation that the array does not declare."""
        if not able:
            message = f"array {self.backend.array_id} cannot {what}: download"
            raise UnsupportedError(message)

    def check_target(self, volume_id: str) -> None:
        """Refuse an id that is not a UUID, and a volume that has data."""
        check_volume_id(volume_id)
        if volume_id in self.volumes:
            message = f"volume {volume_id} has data: discard it first"
            raise ConflictError(message)

    def check_limit(self, parent: str) -> None:
        """Refuse a clone beyond ``clone_limit``."""
        limit = self.backend.clone_limit
        if limit is not None and self.clones(parent) >= limit:
            message = f"{parent} has {limit} clones, the most: download"
            raise CloneLimitError(message)

    def fail_if_asked(self) -> None:
        """Raise `UnavailableError` while ``failing`` is set."""
        if self.failing:
            message = f"array {self.backend.array_id} fails as it was asked to"
            raise UnavailableError(message)
