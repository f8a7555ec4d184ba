"""Arrays that clone volumes wrongly."""

from __future__ import annotations

import copy
import threading
import time
from typing import ClassVar

import attrs
from typing_extensions import override

from broken_adapters._registry import broken_array
from clonepolicy import (
    Backend,
    ConflictError,
    FileLocation,
    Location,
    NotFoundError,
    RbdLocation,
    UnavailableError,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters.memory import (
    BLOCK_SIZE,
    EVERYTHING,
    MEMORY_GIB,
    Block,
    BlockMap,
    MemoryArray,
)
from clonepolicy.ports import StoredImage, StoredVolume
from clonepolicy.testing.conformance import ArrayHarness
from clonepolicy.testing.memory import memory_harness


@broken_array("clones-every-byte-of-a-volume", "clones-every-byte-of-an-image")
class ClonesTheHead(MemoryArray):
    """It clones all blocks but the last."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        made = super().cloned(held, parent)
        made.blocks.pop(max(made.blocks, default=0), None)
        return made


@broken_array(
    "isolates-writes-between-clone-and-source",
    "isolates-writes-between-clones-and-their-image",
)
class Aliases(MemoryArray):
    """Its clone is its source under another name."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        return held


@broken_array("extends-a-clone-with-zeros")
class SeesItsParent(MemoryArray):
    """An extended clone shows later data of its source."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        held = self.volume(volume_id)
        ghost = {
            MEMORY_GIB // BLOCK_SIZE: Block(b"ghost".ljust(BLOCK_SIZE, b"\0"))
        }
        super().extend(volume_id, size)
        if held.parent is not None:
            held.blocks = {**ghost, **held.blocks}


@broken_array("clones-an-extended-volume")
class ClonesTheFirstSize(MemoryArray):
    """A clone has the first size that its source had."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, int] = {}

    @override
    def extend(self, volume_id: str, size: int) -> None:
        self.first.setdefault(volume_id, self.volume(volume_id).size)
        super().extend(volume_id, size)

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        made = super().cloned(held, parent)
        made.size = self.first.get(parent, made.size)
        return made


@broken_array("clones-and-extends-a-clone-of-an-image")
class KeepsImagesSmall(MemoryArray):
    """It does not extend clones of images."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        if "://" in (self.volume(volume_id).parent or ""):
            message = f"volume {volume_id} is an image"
            raise ConflictError(message)
        super().extend(volume_id, size)


@broken_array(
    "refuses-to-clone-a-missing-source", "refuses-to-clone-a-missing-image"
)
class ClonesNothing(MemoryArray):
    """It creates an empty volume if the source is not its own."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        try:
            super().clone_volume(volume_id, source)
        except NotFoundError:
            self.volumes[volume_id] = BlockMap(source.size * MEMORY_GIB)

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        try:
            super().clone_image(volume_id, location)
        except UnsupportedError:
            self.volumes[volume_id] = BlockMap(MEMORY_GIB)


@broken_array("refuses-to-clone-a-busy-source")
class Impatient(MemoryArray):
    """It clones a source in any status."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        super().clone_volume(
            volume_id, attrs.evolve(source, status="available")
        )


@broken_array("clones-or-refuses-a-source-in-use")
class TearsWhatIsInUse(MemoryArray):
    """Its clone of a source in use lacks a block."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        super().clone_volume(volume_id, source)
        if source.status == "in-use":
            self.volume(volume_id).blocks.popitem()


@broken_array("clones-a-source-in-use-at-one-instant")
class CopiesPieceByPiece(MemoryArray):
    """It copies a source in use in two steps, between which it changes."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        made = super().cloned(held, parent)
        self.lock.release()
        time.sleep(0.02)
        self.lock.acquire()
        later = super().cloned(held, parent).blocks
        half = held.size // BLOCK_SIZE // 2
        made.blocks |= {at: later[at] for at in later if at >= half}
        return made


@broken_array("clones-a-source-that-is-uploading")
class BusyWhileUploading(MemoryArray):
    """It declares that it clones while uploading, but refuses to."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        if source.status == "uploading":
            message = "wait for the upload"
            raise ConflictError(message)
        super().clone_volume(volume_id, source)


@broken_array("refuses-a-source-whose-size-is-not-as-recorded")
class Truncates(MemoryArray):
    """It cuts or extends a clone to the recorded size of its source."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        has = self.volume(source.id).size // MEMORY_GIB
        super().clone_volume(volume_id, attrs.evolve(source, size=has))
        self.volume(volume_id).size = source.size * MEMORY_GIB


@broken_array("refuses-a-source-on-another-array")
class ReachesAcross(MemoryArray):
    """It finds a source on any array."""

    everywhere: ClassVar[dict[str, BlockMap]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.volumes = _Shared(self.everywhere)

    @override
    def volume(self, volume_id: str) -> BlockMap:
        return self.volumes.get(volume_id) or self.everywhere[volume_id]


class _Shared(dict[str, BlockMap]):
    """Also puts its items into a dictionary of all arrays."""

    def __init__(self, everywhere: dict[str, BlockMap]) -> None:
        super().__init__()
        self.everywhere = everywhere

    @override
    def __setitem__(self, key: str, value: BlockMap) -> None:
        super().__setitem__(key, value)
        self.everywhere[key] = value


@broken_array(
    "clones-again-after-discard",
    "discards-a-source-without-harm-to-its-clones",
)
class LeavesSnapshots(MemoryArray):
    """It never removes the snapshot from which it made a clone."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        super().clone_volume(volume_id, source)
        self.volumes[f"snapshot-of-{source.id}"] = self.volume(source.id)


@broken_array("clones-a-clone-of-a-clone")
class ClonesTheEldest(MemoryArray):
    """It clones the first ancestor of a clone instead of the clone."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        eldest = held
        while eldest.parent is not None and eldest.parent in self.volumes:
            eldest = self.volumes[eldest.parent]
        return super().cloned(eldest, parent)


@broken_array("clones-one-source-several-times-at-once")
class OneAtATime(MemoryArray):
    """It refuses to clone a source that is being cloned."""

    def __init__(self) -> None:
        super().__init__()
        self.cloning = threading.Lock()

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        if not self.cloning.acquire(blocking=False):
            message = "the source is being cloned"
            raise ConflictError(message)
        try:
            time.sleep(0.005)
            super().clone_volume(volume_id, source)
        finally:
            self.cloning.release()


def _with_other_openings(kind: type[LocksForItselfAlone]) -> ArrayHarness:
    array = kind()

    def reopen() -> MemoryArray:
        opened = copy.copy(array)
        opened.cloning = threading.Lock()
        return opened

    return attrs.evolve(memory_harness(array), reopen=reopen)


@broken_array(
    "clones-one-source-through-two-openings-at-once",
    make=_with_other_openings,
)
class LocksForItselfAlone(MemoryArray):
    """Its lock on a source does not bind another opening of the array."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots: set[str] = set()
        self.cloning = threading.Lock()

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        with self.cloning:
            if source.id in self.snapshots:
                message = f"volume {source.id} has the snapshot"
                raise ConflictError(message)
            self.snapshots.add(source.id)
            time.sleep(0.005)
            super().clone_volume(volume_id, source)
            self.snapshots.remove(source.id)


@broken_array("discards-a-source-without-harm-to-its-clones")
class TakesClonesAlong(MemoryArray):
    """Discarding a source discards the data of its clones, too."""

    @override
    def discard(self, volume_id: str) -> None:
        for held in self.volumes.values():
            if held.parent == volume_id:
                held.blocks.clear()
        super().discard(volume_id)


@broken_array(
    "leaves-nothing-after-a-failed-clone",
    "leaves-nothing-after-a-failed-image-clone",
)
class LeavesTheHalf(MemoryArray):
    """A failed clone stays, half made."""

    @override
    def put(self, volume_id: str, made: BlockMap) -> None:
        self.volumes[volume_id] = made
        self.fail_if_asked()


@broken_array("leaves-nothing-after-a-failed-clone")
class LeaksItsClients(MemoryArray):
    """It raises the error of its client library."""

    @override
    def fail_if_asked(self) -> None:
        if self.failing:
            message = "rados: errno 5"
            raise OSError(message)


@broken_array("leaves-nothing-after-a-failed-clone")
class SwallowsErrors(MemoryArray):
    """It returns as if a failed clone had succeeded."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        try:
            super().clone_volume(volume_id, source)
        except UnavailableError:
            return


@broken_array("counts-clones-of-a-volume-up-to-the-limit")
class CountsNothing(MemoryArray):
    """It declares a limit of clones, but counts none."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def stat(self, volume_id: str) -> StoredVolume | None:
        found = super().stat(volume_id)
        return found and attrs.evolve(found, clones=0)


@broken_array("counts-clones-of-a-volume-up-to-the-limit")
class ForgetsItsLimit(MemoryArray):
    """It declares a limit of clones, but does not enforce it."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def check_limit(self, parent: str) -> None:
        pass


@broken_array("counts-clones-of-an-image-up-to-the-limit")
class CountsNoClonesOfImages(MemoryArray):
    """It counts the clones of volumes, but not those of images."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        found = super().find_image(location)
        return found and attrs.evolve(found, clones=None)


@broken_array("refuses-undeclared-operations")
class ClonesBeyondNone(MemoryArray):
    """It declares a limit of no clones at all, but clones."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=0)

    @override
    def check_limit(self, parent: str) -> None:
        pass
