"""Images, volumes and decisions in a cloud in memory."""

from __future__ import annotations

from clonepolicy import (
    CinderLocation,
    CreateDecision,
    Outcome,
    RbdLocation,
    UploadDecision,
    decide,
    gather_create,
    gather_upload,
)
from clonepolicy.adapters.memory import INTERNAL, POOL, BlockMap, MemoryCloud

TENANT = "tenant"
DATA = b"bytes of an image"
"""The data of every image and volume; it takes 5 GiB of a cloud."""


def add_source(cloud: MemoryCloud) -> CinderLocation:
    """Add a volume that vouches for an image of the tenant's."""
    volume = cloud.add_volume(INTERNAL, 5, data=DATA)
    cloud.volumes[volume.id].metadata["image_owner"] = TENANT
    return CinderLocation(volume.id)


def store(
    cloud: MemoryCloud, location: RbdLocation, data: bytes = DATA
) -> None:
    """Store an image on the array, in place of any that was there."""
    cloud.arrays[POOL].images[location] = BlockMap.of([data])


def add_stored_image(cloud: MemoryCloud) -> tuple[str, RbdLocation]:
    """Add an image that lies in Glance and on the array."""
    image_id = cloud.add_image(TENANT, DATA)
    location = RbdLocation("array", "images", image_id, "snap")
    store(cloud, location)
    cloud.images[image_id].locations = (location,)
    return image_id, location


def ask_create(
    cloud: MemoryCloud, image_id: str, size: int = 5
) -> CreateDecision:
    """Add a volume in creation, and decide how to fill it."""
    volume = cloud.add_volume(TENANT, size, status="creating")
    ports = cloud.ports(TENANT)
    return decide(gather_create(image_id, volume, cloud.config, ports))


def ask_upload(cloud: MemoryCloud) -> UploadDecision:
    """Add an uploading volume and a queued image; decide how to upload."""
    volume = cloud.add_volume(
        TENANT, 5, data=DATA, status="uploading", previous_status="available"
    )
    image_id = cloud.add_image(TENANT, None)
    ports = cloud.ports(TENANT)
    return decide(
        gather_upload(volume.id, image_id, TENANT, cloud.config, ports)
    )


def errors(outcome: Outcome) -> list[str]:
    """Return the class names of an outcome's errors."""
    return [type(failure.error).__name__ for failure in outcome.failures]
