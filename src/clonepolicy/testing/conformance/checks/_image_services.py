"""The suite of image services, and what its checks share."""

from __future__ import annotations

import uuid
from contextlib import nullcontext

from clonepolicy import CinderLocation
from clonepolicy.testing.conformance._check import Level, Suite, require
from clonepolicy.testing.conformance._harness import ImageHarness


def offers_locations(harness: ImageHarness) -> bool:
    """Say whether a service offers locations."""
    config = harness.images.get_config()
    return bool(config.has_location_api or config.show_multiple_locations)


def _level_of(harness: ImageHarness) -> Level:
    return Level.CLONES if offers_locations(harness) else Level.STORES


IMAGES: Suite[ImageHarness, ImageHarness] = Suite(_level_of, nullcontext)
"""The checks of image services."""

DATA = b"some data"


def missing_id() -> str:
    """Make an id that no image has."""
    return str(uuid.uuid4())


def missing_volume() -> CinderLocation:
    """Make a location at which there is no volume."""
    return CinderLocation(str(uuid.uuid4()))


def require_data(
    harness: ImageHarness, image_id: str, data: bytes = DATA
) -> None:
    """Fail unless an image has this data."""
    found = harness.data_of(image_id)
    require(
        found == data,
        f"image {image_id} has {len(found)} bytes that are not the expected "
        f"{len(data)}",
    )
