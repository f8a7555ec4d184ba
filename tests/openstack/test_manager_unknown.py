"""What the drop-in tells of an image that it cannot see on its array."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder_cloud import Start

start, database = cinder_cloud.start, cinder_cloud.database


@pytest.mark.parametrize(
    "url",
    [
        "file:///var/lib/glance/images/{}",
        "swift+config://ref1/glance/{}",
        "rbd://11111111-2222-4333-8444-555555555555/images/{}/snap",
        "https://mirror.example.org/{}.raw",
    ],
)
def test_an_image_in_another_store_is_not_called_lost(
    start: Start, url: str
) -> None:
    """It lies there, and a copy on the array would be cloned."""
    found = '{"finds_images": false}'
    cloud = start(options={"backend_defaults.extra_capabilities": found})
    image = cloud.images.add()
    cloud.images.locations[image] = [url.format(image)]
    cloud.log.set_level(logging.DEBUG, logger="clonepolicy")
    assert cloud.create(image).status == "available"
    text = "\n".join(cloud.log.messages)
    assert "scheme-unsupported" in text
    for reason in ("source-not-found", "pool-not-allowed", "different-fsid"):
        assert reason not in text


def test_a_driver_that_finds_images_is_told_to_be_not_asked(
    start: Start,
) -> None:
    """Nothing else is said of the image: it may well be there."""
    cloud = start()
    image = cloud.images.add()
    cloud.images.locations[image] = [f"file:///images/{image}"]
    cloud.create(image)
    assert "driver-finds-images" in cloud.reasons()
    assert "source-not-looked-up" in cloud.reasons()
    for reason in ("source-not-found", "pool-not-allowed"):
        assert reason not in cloud.reasons()


def test_hidden_locations_are_not_told_as_none(start: Start) -> None:
    """The roles that show them are named."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.images.locations[image] = []
    cloud.log.set_level(logging.DEBUG, logger="clonepolicy")
    cloud.create(image)
    text = "\n".join(m for m in cloud.log.messages if "clonepolicy" in m)
    assert "locations-hidden" in text
    assert "[glance] user the roles service and admin" in text
    assert "no-locations" not in text
