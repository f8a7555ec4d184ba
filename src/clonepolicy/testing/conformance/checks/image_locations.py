"""Locations: volumes that become the data of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    NotFoundError,
)
from clonepolicy.testing.conformance._check import (
    Level,
    Need,
    allow_refusal,
    expect_error,
    given,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._harness import (
    ImageHarness,
    LocationHarness,
)
from clonepolicy.testing.conformance.checks._suites import (
    DATA,
    IMAGES,
    offers_locations,
    only_changing,
    require_data,
)

LOCATIONS = Need(
    "not offered: locations (has_location_api, show_multiple_locations)",
    offers_locations,
)


def _gives(what: str, member: str) -> Need[ImageHarness]:
    # without any locations, the check fails: see `_locations`
    return Need(
        f"{what} (locations.{member})",
        lambda harness: getattr(harness.locations, member, True) is not None,
    )


SEVERAL = _gives(
    "the harness makes no image with several locations", "add_image"
)
READING = _gives("the harness cannot read volumes", "data_of")


def _locations(harness: ImageHarness) -> LocationHarness:
    return given(harness.locations, "locations")


def _queue(harness: ImageHarness) -> tuple[str, CinderLocation]:
    """Make a queued image, and a volume that can become its data."""
    return harness.queued(), _locations(harness).add_volume()


def _register(harness: ImageHarness) -> tuple[str, CinderLocation]:
    """Make an image, and a volume that is its data."""
    image_id, location = _queue(harness)
    harness.images.add_location(image_id, location)
    harness.images.verify_location(image_id, location)
    return image_id, location


def _require_shown(
    harness: ImageHarness,
    image_id: str,
    location: CinderLocation,
    *,
    shown: bool = True,
) -> None:
    """Fail unless an image shows a location, or not; its volume must stay."""
    # compare only volumes: a service may insert its store's name
    volumes = [
        found.volume_id
        for found in _locations(harness).locations_of(image_id)
        if isinstance(found, CinderLocation)
    ]
    found_it = location.volume_id in volumes
    require_equal(found_it, shown, f"image {image_id} shows {location}")
    _require_volume(harness, location)


def _require_volume(harness: ImageHarness, location: CinderLocation) -> None:
    there = _locations(harness).has_volume(location)
    require(there, f"the volume behind {location} is gone")


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def registers_a_volume_as_image_data(harness: ImageHarness) -> None:
    """Once its location is verified, an image is active and shows it."""
    image_id, location = _queue(harness)
    with only_changing(harness, "once verified", {image_id: "active"}):
        harness.images.add_location(image_id, location)
        harness.images.verify_location(image_id, location)
    _require_shown(harness, image_id, location)


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def registers_locations_idempotently(harness: ImageHarness) -> None:
    """A location may be registered twice, and is shown once."""
    image_id, location = _queue(harness)
    for _ in range(2):
        harness.images.add_location(image_id, location)
    for _ in range(2):
        harness.images.verify_location(image_id, location)
        harness.images.add_location(image_id, location)
    shown = _locations(harness).locations_of(image_id)
    require(len(shown) == 1, f"shows {[*map(str, shown)]} instead of one")


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def refuses_to_register_over_existing_data(harness: ImageHarness) -> None:
    """An image that has data refuses a location."""
    full = harness.active(DATA)
    made, _ = _register(harness)
    other = _locations(harness).add_volume()
    locations_of = _locations(harness).locations_of
    with only_changing(harness, "after registering over data"):
        for image_id in (full, made):
            shown = tuple(locations_of(image_id))
            with expect_error(ConflictError, "registering over data"):
                harness.images.add_location(image_id, other)
            require_equal(tuple(locations_of(image_id)), shown, "locations")
    require_data(harness, full)
    _require_volume(harness, other)


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def withdraws_a_location_or_refuses(harness: ImageHarness) -> str:
    """A location is withdrawn, or the call fails; its volume stays."""
    image_id, location = _register(harness)
    before = dict(harness.statuses())
    try:
        harness.images.withdraw_location(image_id, location)
    except AdapterError:
        _require_shown(harness, image_id, location)
        require_equal(dict(harness.statuses()), before, "after refusing")
        return "a location that is shown stays"
    _require_shown(harness, image_id, location, shown=False)
    status = harness.statuses().get(image_id)
    require(status != "active", "the image is active but has no data")
    harness.images.withdraw_location(image_id, location)
    _require_volume(harness, location)
    return "a location that is shown is withdrawn"


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def never_shows_a_withdrawn_location(harness: ImageHarness) -> str:
    """A withdrawn location is not shown later, when it is examined."""
    image_id, location = _queue(harness)
    harness.images.add_location(image_id, location)
    try:
        harness.images.withdraw_location(image_id, location)
    except AdapterError:
        harness.images.verify_location(image_id, location)
        return "a location that is being registered stays"
    with expect_error(AdapterError, "verifying a withdrawn location"):
        harness.images.verify_location(image_id, location)
    _require_shown(harness, image_id, location, shown=False)
    return "a location that is being registered is withdrawn"


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def never_discards_an_image_with_a_location(harness: ImageHarness) -> None:
    """An image that was given a location is not discarded, even at once."""
    image_id, location = _queue(harness)
    harness.images.add_location(image_id, location)
    with allow_refusal("discarding at once"):
        harness.images.discard(image_id)
    harness.images.verify_location(image_id, location)
    with only_changing(harness, "after discarding"):
        harness.images.discard(image_id)
    _require_shown(harness, image_id, location)


@IMAGES.check(Level.CLONES, LOCATIONS, clones=True)
def returns_the_locations_of_an_image(harness: ImageHarness) -> None:
    """An image's locations are returned; without data there are none."""
    queued, active = harness.queued(), harness.active(DATA)
    for image_id in (queued, active, _register(harness)[0]):
        _require_locations(harness, image_id)
    found = harness.images.get_locations(queued)
    require_equal(found, (), "locations of a queued image")


def _require_locations(harness: ImageHarness, image_id: str) -> int:
    found = harness.images.get_locations(image_id)
    expected = tuple(_locations(harness).locations_of(image_id))
    require_equal(found, expected, "locations")
    return len(found)


@IMAGES.check(Level.CLONES, LOCATIONS, SEVERAL)
def returns_locations_in_order(harness: ImageHarness) -> str:
    """Several locations are returned in the service's order."""
    add_image = given(_locations(harness).add_image, "locations.add_image")
    count = _require_locations(harness, add_image())
    require(count > 1, f"the image has {count} locations, and not several")
    return f"{count} locations"


@IMAGES.check(Level.CLONES, LOCATIONS)
def hides_locations_of_hidden_images(harness: ImageHarness) -> None:
    """The locations of an image that the requester must not see are hidden."""
    with expect_error(NotFoundError, "reading locations"):
        harness.images.get_locations(harness.unseen())


@IMAGES.check(Level.CLONES, LOCATIONS, READING, clones=True)
def downloads_the_data_of_a_registered_volume(harness: ImageHarness) -> str:
    """An image whose data is a volume has that volume's bytes."""
    read = given(_locations(harness).data_of, "locations.data_of")
    image_id, location = _register(harness)
    found = _digest(harness.images.download(image_id))
    require_equal(found, _digest(read(location)), "size and SHA-256")
    return f"{found[0]} bytes compared"


def _digest(pieces: Iterable[bytes]) -> tuple[int, str]:
    size, seen = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        seen.update(piece)
    return size, seen.hexdigest()
