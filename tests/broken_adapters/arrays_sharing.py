"""Arrays that share, copy or clone images other than they declare."""

from __future__ import annotations

import time
from typing import ClassVar

import attrs
from typing_extensions import override

from broken_adapters._registry import broken_array
from clonepolicy import (
    Backend,
    CloneKind,
    FileLocation,
    Location,
    RbdLocation,
)
from clonepolicy.adapters.memory import (
    BLOCK_SIZE,
    EVERYTHING,
    MEMORY_GIB,
    BlockMap,
    MemoryArray,
)
from clonepolicy.ports import StoredImage
from clonepolicy.testing.memory import memory_harness


@broken_array(
    "shares-data-between-clone-and-source",
    "clones-images-by-the-declared-kind",
)
class CopiesInSecret(MemoryArray):
    """It declares copy-on-write, but copies."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        return held.copied(parent)


@broken_array("clones-in-constant-time", "clones-images-in-constant-time")
class TakesItsTime(MemoryArray):
    """Its clones share data, but it reads all of that data first."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        time.sleep(0.0005 * len(held.blocks))
        return super().cloned(held, parent)


@broken_array("copies-data-if-it-declares-copies")
class SharesInSecret(MemoryArray):
    """It declares full copies, but shares data."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(
        EVERYTHING, clone_kind=CloneKind.FULL_COPY
    )

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        return held.shared(parent)


@broken_array(
    "offloads-clones-to-the-array",
    "offloads-image-clones-to-the-array",
)
class CopiesByHand(MemoryArray):
    """It declares offloaded copies, but moves all data itself."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(
        EVERYTHING,
        clone_kind=CloneKind.OFFLOADED_COPY,
        image_clone_kind=CloneKind.OFFLOADED_COPY,
    )

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        self.moved += len(held.blocks) * BLOCK_SIZE
        return super().cloned(held, parent)


@broken_array(
    "harness-measures-the-bytes-written",
    make=lambda kind: attrs.evolve(
        memory_harness(kind()), exclusive=lambda _: 0
    ),
)
class MeasuresNothing(MemoryArray):
    """Its harness reports that no volume takes any space."""


@broken_array(
    "finds-the-same-volumes-when-reopened",
    make=lambda kind: attrs.evolve(memory_harness(kind()), reopen=MemoryArray),
)
class ForgetsEverything(MemoryArray):
    """Opened again, it is another, empty array."""


@broken_array("finds-stored-images")
class RoundsDown(MemoryArray):
    """It rounds the size of an image down to whole GiB."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        found = super().find_image(location)
        whole = self.images[location].size // MEMORY_GIB if found else 0
        return found and attrs.evolve(found, size=whole)


@broken_array("clones-every-byte-of-an-image")
class StopsShort(MemoryArray):
    """The clone of an image is no larger than the image."""

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        super().clone_image(volume_id, location)
        self.volume(volume_id).size = self.images[location].size


@broken_array("refuses-to-clone-an-image-over-existing-data")
class ReplacesByImages(MemoryArray):
    """It replaces the data of a volume by a clone of an image."""

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        self.discard(volume_id)
        super().clone_image(volume_id, location)
