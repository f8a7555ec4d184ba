"""Checks that a cloud in memory is consistent."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from clonepolicy import CinderLocation
from clonepolicy.adapters.memory._state import CloudState
from clonepolicy.ports import JournalEntry


def contradictions(cloud: CloudState) -> Iterator[str]:
    """Yield each row that contradicts another row or the data."""
    for image_id, image in cloud.images.items():
        for location in image.locations:
            if (
                isinstance(location, CinderLocation)
                and location.volume_id not in cloud.volumes
            ):
                yield f"image {image_id}: dangling location {location}"
    for volume_id, row in cloud.volumes.items():
        whole = row.record.size * cloud.gib
        data = cloud.volume_data(volume_id)
        has = None if data is None else len(data)
        if row.record.status in {"available", "in-use"} and has != whole:
            yield f"volume {volume_id}: {has} of {whole} bytes"
    for pool, array in cloud.arrays.items():
        for volume_id in array.volumes:
            if volume_id not in cloud.volumes:
                yield f"pool {pool}: data of deleted volume {volume_id}"


def leftovers(cloud: CloudState, excused: Collection[str]) -> Iterator[str]:
    """Yield each image and volume that is half made; skip excused ids."""
    shown = {
        location.volume_id
        for image in cloud.images.values()
        for location in image.locations
        if isinstance(location, CinderLocation)
    }
    for image_id, image in cloud.images.items():
        status = image.record.status
        if status in {"queued", "saving"} and image_id not in excused:
            yield f"image {image_id}: stuck in {status}"
    for volume_id, row in cloud.volumes.items():
        if volume_id in excused:
            continue
        if row.record.status in {"creating", "uploading"}:
            yield f"volume {volume_id}: stuck in {row.record.status}"
        if row.for_image and volume_id not in shown:
            yield f"volume {volume_id}: orphan of an image"


def named_ids(entry: JournalEntry) -> Iterator[str]:
    """Yield the ids of all images and volumes that a plan changes."""
    yield from entry.ids.values()
    for step in entry.plan:
        for field in ("image_id", "volume_id"):
            name = getattr(step, field, None)
            if isinstance(name, str):
                yield name
