"""What must hold of a saved cloud in which no process works."""

from __future__ import annotations

import re
from collections.abc import Iterator

from saved_cloud import Records, SavedCloud, fill

from clonepolicy import GiB
from clonepolicy.adapters.memory import leftovers
from clonepolicy.testing.conformance import ArrayHarness
from local_support import content

_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def audit(cloud: SavedCloud, harness: ArrayHarness) -> list[str]:
    """List everything that is broken."""
    with cloud.records() as records:
        pass
    whole = {
        volume_id: row.record.size * GiB
        for volume_id, row in records.volumes.items()
        if row.record.status == "available"
    }
    expected = content(cloud.source)
    # a request that no plan was made for may be half made
    unnamed = {*records.images, *records.volumes} - records.named
    return [
        *(f"plan in the journal: {entry}" for entry in records.journal.open()),
        *leftovers(records, unnamed),
        *_strays(harness, whole),
        *_wrong_volumes(cloud, harness, whole, expected),
        *_wrong_images(cloud, records, whole, expected),
    ]


def _strays(harness: ArrayHarness, whole: dict[str, int]) -> Iterator[str]:
    for name in harness.holds():
        ids = _UUID.findall(name)
        if not ids or not whole.keys() >= {*ids}:
            yield f"of no available volume: {name}"


def _wrong_volumes(
    cloud: SavedCloud,
    harness: ArrayHarness,
    whole: dict[str, int],
    expected: dict[int, bytes],
) -> Iterator[str]:
    copy = cloud.path("copy")
    for volume_id, size in whole.items():
        has = harness.size_of(volume_id)
        if has != size:
            yield f"volume {volume_id}: {has} instead of {size} bytes"
        elif fill(copy, harness.array.read(volume_id)) != size or (
            content(copy) != expected
        ):
            yield f"volume {volume_id}: other data"


def _wrong_images(
    cloud: SavedCloud,
    records: Records,
    whole: dict[str, int],
    expected: dict[int, bytes],
) -> Iterator[str]:
    for image_id, row in records.images.items():
        if row.record.status != "active":
            continue
        path = cloud.path(image_id)
        if path.exists() and content(path) != expected:
            yield f"image {image_id}: other data"
        for location in row.locations:
            if getattr(location, "volume_id", None) not in {None, *whole}:
                yield f"image {image_id}: {location} is not whole"
        if not path.exists() and not row.locations:
            yield f"image {image_id}: no data"
