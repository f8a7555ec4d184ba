"""Harnesses for the services of the cloud in memory."""

from __future__ import annotations

from collections.abc import Callable

from clonepolicy import CacheEntry, CinderLocation, Volume
from clonepolicy.adapters.memory import (
    POOL,
    MemoryCloud,
    MemoryImages,
    MemoryVolumes,
)
from clonepolicy.testing.conformance import (
    ImageHarness,
    LocationHarness,
    VolumeHarness,
)

OWNER = "alice"


def image_harness(
    cloud: MemoryCloud,
    kind: Callable[[MemoryCloud, str], MemoryImages] = MemoryImages,
) -> ImageHarness:
    """Make the harness of a cloud's image service."""

    def corrupt(image_id: str) -> None:
        cloud.images[image_id].data = b"other data"

    def add_volume() -> CinderLocation:
        return CinderLocation(cloud.add_volume(OWNER, 1, data=b"vol").id)

    def add_image() -> str:
        return cloud.add_image(
            OWNER, None, locations=(add_volume(), add_volume(), add_volume())
        )

    return ImageHarness(
        images=kind(cloud, OWNER),
        queued=lambda: cloud.add_image(OWNER, None),
        active=lambda data: cloud.add_image(OWNER, data),
        unseen=lambda: cloud.add_image("bob", b"bob's data"),
        statuses=lambda: {
            image_id: held.record.status
            for image_id, held in cloud.images.items()
        },
        data_of=lambda image_id: cloud.image_data(image_id) or b"",
        corrupt=corrupt,
        locations=LocationHarness(
            add_volume=add_volume,
            has_volume=lambda at: at.volume_id in cloud.volumes,
            locations_of=lambda image_id: cloud.images[image_id].locations,
            add_image=add_image,
            data_of=lambda at: [cloud.volume_data(at.volume_id) or b""],
        ),
        gib=cloud.gib,
    )


def volume_harness(
    cloud: MemoryCloud,
    kind: Callable[[MemoryCloud], MemoryVolumes] = MemoryVolumes,
) -> VolumeHarness:
    """Make the harness of a cloud's volume service."""

    def new_volume(size: int, status: str, previous: str | None) -> Volume:
        return cloud.add_volume(
            OWNER, size, status=status, previous_status=previous
        )

    def fill(volume_id: str) -> None:
        cloud.fill_volume(volume_id, b"data")

    def cache(image_id: str, volume_id: str) -> None:
        source = cloud.volume(volume_id)
        cloud.cache.append(CacheEntry(image_id=image_id, source=source))

    return VolumeHarness(
        volumes=kind(cloud),
        new_volume=new_volume,
        statuses=lambda: {
            volume_id: held.record.status
            for volume_id, held in cloud.volumes.items()
        },
        is_readonly=lambda volume_id: cloud.volumes[volume_id].readonly,
        array_id=cloud.arrays[POOL].backend.array_id,
        fill=fill,
        cache=cache,
        set_quota=cloud.limits.__setitem__,
    )
