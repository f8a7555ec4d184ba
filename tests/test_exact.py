"""Where one value is right, its neighbours on either side are not."""

from __future__ import annotations

import pytest

from clonepolicy import (
    Clone,
    Mechanism,
    Register,
    decide_create,
    decide_upload,
)
from clonepolicy.testing.worlds import CLONEABLE, REGISTERABLE, put

BELOW, ABOVE = "!", "~"
CREATES = [
    (Mechanism.IMAGE_VOLUME, "image.status"),
    (Mechanism.IMAGE_VOLUME, "image.disk_format"),
    (Mechanism.IMAGE_VOLUME, "image.container_format"),
    (Mechanism.IMAGE_VOLUME, "image.owner"),
    (Mechanism.IMAGE_VOLUME, "source.status"),
    (Mechanism.IMAGE_VOLUME, "source.migration_status"),
    (Mechanism.IMAGE_VOLUME, "source.glance_image_id"),
    (Mechanism.IMAGE_VOLUME, "source.id"),
    (Mechanism.CACHE_ENTRY, "source.image_owner"),
    (Mechanism.CACHE_ENTRY, "candidate.image_id"),
    (Mechanism.CACHE_ENTRY, "source.project_id"),
    (Mechanism.ARRAY_IMAGE, "image.id"),
    (Mechanism.ARRAY_IMAGE, "backend.array_id"),
    (Mechanism.ARRAY_IMAGE, "source.status"),
]
UPLOADS = [
    "image.status",
    "image.disk_format",
    "image.container_format",
    "volume.previous_status",
    "volume.migration_status",
]


@pytest.mark.parametrize("value", [BELOW, ABOVE])
@pytest.mark.parametrize(("mechanism", "path"), CREATES)
def test_no_other_value_is_cloned(
    mechanism: Mechanism, path: str, value: str
) -> None:
    """Neither what sorts before the right one nor what sorts behind."""
    world = CLONEABLE[mechanism]
    assert isinstance(decide_create(world), Clone)
    assert not isinstance(decide_create(put(world, {path: value})), Clone)


@pytest.mark.parametrize("value", [BELOW, ABOVE])
@pytest.mark.parametrize("path", UPLOADS)
def test_no_other_value_is_registered(path: str, value: str) -> None:
    """Neither what sorts before the right one nor what sorts behind."""
    assert isinstance(decide_upload(REGISTERABLE), Register)
    world = put(REGISTERABLE, {path: value})
    assert not isinstance(decide_upload(world), Register)
