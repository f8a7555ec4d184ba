"""Which sources a plan tries, and in which order."""

from __future__ import annotations

import attrs
import pytest

from clonepolicy import (
    CINDER_29,
    SAFE,
    ArrayImage,
    CinderLocation,
    CreateRequest,
    Host,
    ImageVolume,
    RbdLocation,
    Route,
    decide,
)
from clonepolicy.policy import Policy
from clonepolicy.scenarios import (
    ARRAY,
    CLONEABLE,
    IMAGE_ID,
    NOW,
    OTHER_ID,
    SOURCE_ID,
    with_facts,
)

SCENARIO = with_facts(
    CLONEABLE[Route.IMAGE_VOLUME], {"backend.clone_across_pools": True}
)
NEAR, FAR, NEW = (f"{OTHER_ID[:-1]}{n}" for n in (7, 8, 9))


def offered(*candidates: ImageVolume) -> CreateRequest:
    """Offer image volumes for a clone."""
    return attrs.evolve(SCENARIO, image_volumes=candidates)


def volume(volume_id: str, **facts: object) -> ImageVolume:
    """Make an acceptable image volume that has some facts."""
    (found,) = with_facts(
        SCENARIO,
        {
            "source.id": volume_id,
            "candidate.location": CinderLocation(volume_id),
            **{f"source.{name}": value for name, value in facts.items()},
        },
    ).image_volumes
    return found


def attempts(request: CreateRequest, policy: Policy = SAFE) -> list[str]:
    """Give the names of the attempts that a plan makes."""
    return [str(a) for a in decide(request, policy).plan.attempts]


def test_every_source_is_tried_the_nearest_first_and_then_the_newest() -> None:
    """Same pool, same backend, elsewhere."""
    request = offered(
        volume(FAR, host=Host.parse("h2@b1#p1")),
        volume(NEAR, host=Host.parse("h1@b1#p2")),
        volume(SOURCE_ID),
        volume(NEW, created_at=NOW),
    )
    assert [
        *(f"clone cinder://{i}" for i in (NEW, SOURCE_ID, NEAR, FAR)),
        "download",
    ] == attempts(request)


def test_a_volume_that_two_locations_name_is_tried_once() -> None:
    """By the location that sorts first."""
    twice = attrs.evolve(
        volume(SOURCE_ID), location=CinderLocation(SOURCE_ID, "store")
    )
    request = offered(twice, volume(SOURCE_ID), volume(NEW))
    assert [
        *(f"clone cinder://{i}" for i in (SOURCE_ID, NEW)),
        "download",
    ] == attempts(request)


def test_images_on_the_array_are_tried_before_image_volumes() -> None:
    """Each of them, though they have no id."""
    request = CLONEABLE[Route.ARRAY_IMAGE]
    (image,) = request.array_images
    location = RbdLocation(ARRAY, "copies", IMAGE_ID, "snap")
    both: tuple[ArrayImage, ...] = (
        image,
        attrs.evolve(image, location=location),
    )
    request = attrs.evolve(
        with_facts(
            request,
            {"config.trusted_image_pools": frozenset({"images", "copies"})},
        ),
        array_images=both,
        image_volumes=(volume(SOURCE_ID),),
    )
    assert [
        f"clone rbd://{ARRAY}/copies/{IMAGE_ID}/snap",
        f"clone rbd://{ARRAY}/images/{IMAGE_ID}/snap",
        f"clone cinder://{SOURCE_ID}",
        "download",
    ] == attempts(request)


@pytest.mark.parametrize("route", CLONEABLE)
def test_cinder_tries_one_source_of_each_route(
    route: Route,
) -> None:
    """The next route is tried, but no second source of this one."""
    request = offered(volume(SOURCE_ID), volume(NEW, created_at=NOW))
    scenario = CLONEABLE[route]
    if route is Route.ARRAY_IMAGE:
        request = attrs.evolve(request, array_images=scenario.array_images)
    if route is Route.CACHE_ENTRY:
        request = attrs.evolve(request, cache_entries=scenario.cache_entries)
    names = attempts(request, CINDER_29)
    routes = 1 if route is Route.IMAGE_VOLUME else 2
    assert routes + 1 == len(names)
    assert f"clone cinder://{NEW}" in names
    assert "download" == names[-1]
