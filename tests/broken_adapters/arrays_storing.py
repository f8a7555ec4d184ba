"""Arrays that store, declare or extend volumes wrongly."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import attrs
from typing_extensions import override

from broken_adapters._registry import broken_array
from clonepolicy import (
    Backend,
    ConflictError,
    Image,
    Location,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.memory import (
    BLOCK_SIZE,
    EVERYTHING,
    MEMORY_GIB,
    BlockMap,
    MemoryArray,
)
from clonepolicy.ports import Inspection, StoredImage, StoredVolume


@broken_array("declares-what-its-class-declares")
class FromTheFuture(MemoryArray):
    """Its class was written for an unknown version of the port."""

    API_VERSION: ClassVar[int] = 99


@broken_array("declares-what-its-class-declares")
class Boaster(MemoryArray):
    """Its class declares what the array cannot do."""

    CAPABILITIES: ClassVar[Backend] = Backend(clone_across_pools=True)


@broken_array("has-a-stable-and-unique-identity")
class Nameless(MemoryArray):
    """It has no identity."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = attrs.evolve(self.backend, array_id=None)


@broken_array("has-a-stable-and-unique-identity")
class Namesake(MemoryArray):
    """Its identity is its driver's name, which other arrays share."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = attrs.evolve(self.backend, array_id="model")


@broken_array("has-a-stable-and-unique-identity")
class Fickle(MemoryArray):
    """Its identity differs at each call."""

    @override
    def get_backend(self) -> Backend:
        self.moved += 1
        return attrs.evolve(self.backend, array_id=f"model-{self.moved}")


@broken_array("declares-a-clone-kind-only-if-it-clones")
class Reticent(MemoryArray):
    """It clones, but declares no clone kind."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_kind=None)


@broken_array("refuses-undeclared-operations")
class HiddenTalent(MemoryArray):
    """It clones and extends volumes, but does not declare that."""

    DEFAULT: ClassVar[Backend] = Backend()

    @override
    def check_can(self, able: bool | None, what: str) -> None:
        pass


@broken_array("reads-back-what-was-written")
class LosesTheTail(MemoryArray):
    """It loses the last block that is written."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        super().write(volume_id, size, image, data)
        blocks = self.volumes[volume_id].blocks
        blocks.pop(max(blocks, default=0), None)


@broken_array("refuses-data-larger-than-the-volume")
class CutsToFit(MemoryArray):
    """It cuts off data that does not fit into the volume."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        whole = b"".join(data)[: size * MEMORY_GIB]
        super().write(volume_id, size, image, iter((whole,)))


@broken_array("passes-on-errors-of-the-data-stream")
class CallsItDone(MemoryArray):
    """It takes a stream that breaks off for a complete one."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        super().write(volume_id, size, image, _swallowed(data))


def _swallowed(data: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from data
    except Exception:  # noqa: BLE001 - this is the defect
        return


@broken_array("refuses-data-in-a-wrong-format")
class TakesAnything(MemoryArray):
    """It writes any data as raw data, whatever its format."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        raw = attrs.evolve(image, disk_format="raw", container_format="bare")
        super().write(volume_id, size, raw, data)


@broken_array("writes-several-volumes-at-once")
class SharesABuffer(MemoryArray):
    """All volumes that are written at the same time share one buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        self.pieces = list(data)
        if threading.current_thread() is not threading.main_thread():
            # a loaded machine starts the next thread late
            time.sleep(0.05)
        super().write(volume_id, size, image, iter(self.pieces))


@broken_array("serves-interleaved-reads")
class ReadsWithOneHead(MemoryArray):
    """All reads share one position."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    @override
    def read(self, volume_id: str) -> Iterator[bytes]:
        held, self.at = self.volume(volume_id), 0
        while self.at < held.size:
            block = held.blocks.get(self.at // BLOCK_SIZE)
            self.at += BLOCK_SIZE
            yield bytes(BLOCK_SIZE) if block is None else block.data


@broken_array("recovers-from-a-failed-write")
class StaysLocked(MemoryArray):
    """If a write failed, its volume cannot be written or discarded."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        try:
            super().write(volume_id, size, image, data)
        except UnavailableError:
            self.locked.add(volume_id)
            raise

    @override
    def discard(self, volume_id: str) -> None:
        if volume_id in self.locked:
            message = f"volume {volume_id} is locked"
            raise ConflictError(message)
        super().discard(volume_id)


@broken_array(
    "refuses-to-write-over-existing-data",
    "refuses-to-clone-over-existing-data",
)
class WritesOver(MemoryArray):
    """It writes over the existing data of a volume."""

    @override
    def check_target(self, volume_id: str) -> None:
        self.volumes.pop(volume_id, None)


@broken_array("reports-a-missing-volume-as-missing")
class ReadsAnything(MemoryArray):
    """It returns no data and no error for a missing volume."""

    @override
    def read(self, volume_id: str) -> Iterator[bytes]:
        if volume_id in self.volumes:
            yield from super().read(volume_id)


@broken_array("reports-the-size-that-its-own-tools-report")
class Remembers(MemoryArray):
    """It reports the first size that a volume had."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, StoredVolume] = {}

    @override
    def stat(self, volume_id: str) -> StoredVolume | None:
        found = super().stat(volume_id)
        return found and self.seen.setdefault(volume_id, found)


@broken_array("inspects-what-a-guest-wrote")
class Trustful(MemoryArray):
    """It inspects nothing, and says that all data is raw."""

    @override
    def inspect(self, source: str | Location) -> Inspection:
        return Inspection.PASSED


@broken_array("inspects-what-a-guest-wrote")
class Suspicious(MemoryArray):
    """It refuses all data."""

    @override
    def inspect(self, source: str | Location) -> Inspection:
        super().inspect(source)
        return Inspection.REFUSED


@broken_array("inspects-what-a-guest-wrote")
class InspectsOnce(MemoryArray):
    """It inspects a volume once, and not what a guest writes later."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[object, Inspection] = {}

    @override
    def inspect(self, source: str | Location) -> Inspection:
        return self.known.setdefault(source, super().inspect(source))


@broken_array("inspects-what-a-guest-wrote")
class InspectsNoClones(MemoryArray):
    """It takes a clone for raw, whatever its source holds."""

    @override
    def inspect(self, source: str | Location) -> Inspection:
        if isinstance(source, str) and self.volume(source).parent:
            return Inspection.PASSED
        return super().inspect(source)


@broken_array("inspects-stored-images")
class InspectsNoImages(MemoryArray):
    """It takes a stored image for raw, whatever that holds."""

    @override
    def inspect(self, source: str | Location) -> Inspection:
        if isinstance(source, str):
            return super().inspect(source)
        return Inspection.PASSED


@broken_array("discards-volumes-idempotently")
class DiscardsOnce(MemoryArray):
    """It fails to discard a volume that is already discarded."""

    @override
    def discard(self, volume_id: str) -> None:
        self.volume(volume_id)
        super().discard(volume_id)


@broken_array("discards-volumes-idempotently")
class KeepsTheTrash(MemoryArray):
    """It keeps a discarded volume under another name."""

    @override
    def discard(self, volume_id: str) -> None:
        if volume_id in self.volumes:
            self.volumes[f"trash-{volume_id}"] = self.volume(volume_id)
        super().discard(volume_id)


@broken_array("isolates-hostile-volume-ids")
class Traverses(MemoryArray):
    """It takes an id for a path, and discards what the path leads to."""

    @override
    def discard(self, volume_id: str) -> None:
        super().discard(volume_id.rpartition("/")[2])


@broken_array("isolates-hostile-volume-ids")
class CaseBlind(MemoryArray):
    """It ignores the case of ids."""

    @override
    def stat(self, volume_id: str) -> StoredVolume | None:
        return super().stat(volume_id.lower())


@broken_array("finds-no-image-at-foreign-locations")
class FindsEverything(MemoryArray):
    """It finds an image at any location."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        try:
            return super().find_image(location)
        except UnsupportedError:
            return StoredImage(size=1)


@broken_array("finds-no-image-at-foreign-locations")
class TakesForeignersForAbsent(MemoryArray):
    """It says that an image is not there, wherever it is."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        with contextlib.suppress(UnsupportedError):
            return super().find_image(location)
        return None


@broken_array("extends-a-volume-with-zeros")
class GrowsDirt(MemoryArray):
    """The space that it adds to a volume contains old data."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        end = self.volume(volume_id).size
        super().extend(volume_id, size)
        if size * MEMORY_GIB > end:
            self.volume(volume_id).put(end, b"dirt")


@broken_array("extends-a-volume-with-zeros")
class GrowsOnce(MemoryArray):
    """It fails to extend a volume to the size that it already has."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        if self.volume(volume_id).size == size * MEMORY_GIB:
            message = "it has that size"
            raise ConflictError(message)
        super().extend(volume_id, size)


@broken_array("refuses-to-shrink-a-volume")
class Shrinks(MemoryArray):
    """It shrinks a volume to a smaller size."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        held = self.volume(volume_id)
        held.size = min(held.size, size * MEMORY_GIB)
        super().extend(volume_id, size)


@broken_array("refuses-to-extend-a-missing-volume")
class GrowsNothing(MemoryArray):
    """It creates an empty volume by extending a missing one."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        self.volumes.setdefault(volume_id, BlockMap(0))
        super().extend(volume_id, size)


@broken_array("recovers-from-a-failed-extension")
class LosesItByGrowing(MemoryArray):
    """A failed extension loses the data."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        try:
            super().extend(volume_id, size)
        except UnavailableError:
            self.volume(volume_id).blocks.clear()
            raise
