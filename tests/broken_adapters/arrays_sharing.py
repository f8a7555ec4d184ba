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
    StoredImage,
)
from clonepolicy.testing.model import (
    BLOCK,
    EVERYTHING,
    UNIT,
    ModelArray,
    Stored,
    model_bench,
)


@broken_array(
    "shares-data-between-clone-and-source",
    "clones-images-by-the-declared-kind",
)
class CopiesInSecret(ModelArray):
    """It declares copy-on-write, but copies."""

    @override
    def cloned(self, held: Stored, parent: str) -> Stored:
        return held.copied(parent)


@broken_array("clones-in-constant-time", "clones-images-in-constant-time")
class TakesItsTime(ModelArray):
    """Its clones share data, but it reads all of that data first."""

    @override
    def cloned(self, held: Stored, parent: str) -> Stored:
        time.sleep(0.0005 * len(held.blocks))
        return super().cloned(held, parent)


@broken_array("copies-data-if-it-declares-copies")
class SharesInSecret(ModelArray):
    """It declares full copies, but shares data."""

    DOES: ClassVar[Backend] = attrs.evolve(
        EVERYTHING, clone_kind=CloneKind.FULL_COPY
    )

    @override
    def cloned(self, held: Stored, parent: str) -> Stored:
        return held.shared(parent)


@broken_array(
    "offloads-clones-to-the-array",
    "offloads-image-clones-to-the-array",
)
class CopiesByHand(ModelArray):
    """It declares offloaded copies, but moves all data itself."""

    DOES: ClassVar[Backend] = attrs.evolve(
        EVERYTHING,
        clone_kind=CloneKind.OFFLOADED_COPY,
        image_clone_kind=CloneKind.OFFLOADED_COPY,
    )

    @override
    def cloned(self, held: Stored, parent: str) -> Stored:
        self.moved += len(held.blocks) * BLOCK
        return super().cloned(held, parent)


@broken_array(
    "harness-measures-the-bytes-written",
    make=lambda kind: attrs.evolve(model_bench(kind()), exclusive=lambda _: 0),
)
class MeasuresNothing(ModelArray):
    """Its harness reports that no volume takes any space."""


@broken_array(
    "finds-the-same-volumes-when-reopened",
    make=lambda kind: attrs.evolve(model_bench(kind()), reopen=ModelArray),
)
class ForgetsEverything(ModelArray):
    """Opened again, it is another, empty array."""


@broken_array("finds-stored-images")
class RoundsDown(ModelArray):
    """It rounds the size of an image down to whole GiB."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        found = super().find_image(location)
        whole = self.images[location].size // UNIT if found else 0
        return found and attrs.evolve(found, size=whole)


@broken_array("clones-every-byte-of-an-image")
class StopsShort(ModelArray):
    """The clone of an image is no larger than the image."""

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        super().clone_image(volume_id, location)
        self.volume(volume_id).size = self.images[location].size


@broken_array("refuses-to-clone-an-image-over-existing-data")
class ReplacesByImages(ModelArray):
    """It replaces the data of a volume by a clone of an image."""

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        self.discard(volume_id)
        super().clone_image(volume_id, location)
