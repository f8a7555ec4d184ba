"""Images: their records, their data, and their removal."""

from __future__ import annotations

import random

from clonepolicy import (
    AdapterError,
    ConflictError,
    GiB,
    IntegrityError,
    NotFoundError,
)
from clonepolicy.testing.conformance._check import (
    Level,
    allow_refusal,
    describe,
    expect_error,
    given,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._harness import ImageHarness
from clonepolicy.testing.conformance.checks._suites import (
    DATA,
    IMAGES,
    broken,
    expect_refusal,
    gives,
    missing_id,
    missing_volume,
    only_changing,
    pass_hostile_ids,
    require_bytes,
    require_data,
)

_LARGE = random.Random(0).randbytes((1 << 20) + 1)  # noqa: S311 - any bytes will do
"""More data than usual clients return in one piece."""

CORRUPTING = gives("the harness cannot change data", "corrupt")


@IMAGES.check(Level.STORES)
def returns_the_same_configuration_each_time(harness: ImageHarness) -> str:
    """The service offers the same whenever it is asked."""
    config = harness.images.get_config()
    require(config == harness.images.get_config(), "get_config varies")
    return (
        f"has_location_api {config.has_location_api}, "
        f"show_multiple_locations {config.show_multiple_locations}"
    )


@IMAGES.check(Level.STORES)
def returns_the_status_and_size_of_an_image(harness: ImageHarness) -> None:
    """An image has its status, and its size in bytes if it has data."""
    for image_id, status, size in (
        (harness.queued(), "queued", None),
        (harness.active(DATA), "active", len(DATA) * GiB // harness.gib),
    ):
        image = harness.images.get_image(image_id)
        found = (image.id, image.status, image.size, image.visible)
        require_equal(found, (image_id, status, size, True), "the image")


@IMAGES.check(Level.STORES)
def reports_a_missing_image_as_not_found(harness: ImageHarness) -> None:
    """A missing image is not found, and no call creates it."""
    missing = missing_id()
    with only_changing(harness, "after asking for a missing image"):
        with expect_error(NotFoundError, "reading"):
            harness.images.get_image(missing)
        with expect_error(NotFoundError, "downloading"):
            list(harness.images.download(missing))
        with expect_error(NotFoundError, "uploading"):
            harness.images.upload(missing, iter([b"data"]))


@IMAGES.check(Level.STORES)
def hides_images_from_other_projects(harness: ImageHarness) -> None:
    """An image that the requester must not see is not found."""
    unseen = harness.unseen()
    with expect_error(NotFoundError, "reading"):
        harness.images.get_image(unseen)
    with expect_error(NotFoundError, "downloading"):
        list(harness.images.download(unseen))


@IMAGES.check(Level.STORES)
def downloads_exactly_the_data_of_an_image(harness: ImageHarness) -> str:
    """A download returns all bytes of the image, in order."""
    for data in (b"x", _LARGE):
        image_id = harness.active(data)
        found = b"".join(harness.images.download(image_id))
        require_bytes(found, data, "returned")
    return f"{len(_LARGE)} bytes compared"


@IMAGES.check(Level.STORES, CORRUPTING)
def refuses_to_download_corrupted_data(harness: ImageHarness) -> None:
    """If the data has changed since the upload, the download fails."""
    image_id = harness.active(DATA)
    given(harness.corrupt, "corrupt")(image_id)
    with expect_error(IntegrityError, "changed data"):
        list(harness.images.download(image_id))


@IMAGES.check(Level.STORES)
def refuses_to_download_an_image_without_data(harness: ImageHarness) -> None:
    """Downloading an image without data fails; it is not an empty image."""
    with expect_error(ConflictError, "a queued image"):
        list(harness.images.download(harness.queued()))


@IMAGES.check(Level.STORES)
def uploads_all_data(harness: ImageHarness) -> str:
    """A queued image becomes active with all data, in pieces of any size."""
    image_id = harness.queued()
    pieces = (_LARGE[:1], b"", _LARGE[1:5000], _LARGE[5000:])
    with only_changing(harness, "after uploading", {image_id: "active"}):
        harness.images.upload(image_id, iter(pieces))
    require_data(harness, image_id, _LARGE)
    return f"{len(_LARGE)} bytes compared"


@IMAGES.check(Level.STORES)
def refuses_to_upload_over_existing_data(harness: ImageHarness) -> None:
    """An image that has data refuses an upload and keeps its data."""
    image_id = harness.active(DATA)
    with expect_refusal(harness, ConflictError, "uploading again"):
        harness.images.upload(image_id, iter([b"other data"]))
    require_data(harness, image_id)


@IMAGES.check(Level.STORES)
def passes_on_errors_of_the_data_stream(harness: ImageHarness) -> None:
    """Errors of the data's iterator reach the caller and make no image."""
    for error in (Exception("torn"), IntegrityError("other bytes")):
        image_id, raised = harness.queued(), "nothing"
        with only_changing(harness, "after discarding", {image_id: None}):
            try:
                harness.images.upload(image_id, broken([_LARGE], error))
            except Exception as found:  # noqa: BLE001 - it is compared
                raised = describe(found)
            require_equal(raised, describe(error), "raised")
            status = harness.statuses().get(image_id)
            require(
                status != "active", "the image has only a part of the data"
            )
            harness.images.discard(image_id)


@IMAGES.check(Level.STORES)
def discards_images_without_data(harness: ImageHarness) -> None:
    """An image without data is deleted; repeating that is no error."""
    image_id = harness.queued()
    for _ in range(2):
        with only_changing(harness, "after discarding", {image_id: None}):
            harness.images.discard(image_id)
    with only_changing(harness, "after discarding a missing image"):
        harness.images.discard(missing_id())


@IMAGES.check(Level.STORES)
def never_discards_an_image_with_data(harness: ImageHarness) -> None:
    """Discarding an image that has data changes nothing."""
    image_id = harness.active(DATA)
    with only_changing(harness, "after discarding an image with data"):
        harness.images.discard(image_id)
    require_data(harness, image_id)


@IMAGES.check(Level.STORES)
def refuses_to_verify_an_unregistered_location(harness: ImageHarness) -> None:
    """Verifying a location that no image was given fails."""
    active, queued = harness.active(DATA), harness.queued()
    with only_changing(harness, "after verifying"):
        for image_id in (active, queued, missing_id()):
            with expect_error(AdapterError, f"verifying on image {image_id}"):
                harness.images.verify_location(image_id, missing_volume())


@IMAGES.check(Level.STORES)
def ignores_withdrawals_of_unregistered_locations(
    harness: ImageHarness,
) -> None:
    """Withdrawing a location that was never registered changes nothing."""
    active, queued = harness.active(DATA), harness.queued()
    location = missing_volume()
    with only_changing(harness, "after withdrawing"):
        for image_id in (queued, queued, missing_id()):
            harness.images.withdraw_location(image_id, location)
        # a service that hides an active image's locations may refuse
        with allow_refusal("an active image"):
            harness.images.withdraw_location(active, location)
    require_data(harness, active)


@IMAGES.check(Level.STORES)
def refuses_the_location_of_a_missing_volume(harness: ImageHarness) -> None:
    """A missing volume makes no image; the data can still be uploaded."""
    image_id, location = harness.queued(), missing_volume()
    with only_changing(harness, "after withdrawing"):
        # some services accept a location first and examine it later
        with allow_refusal("registering"):
            harness.images.add_location(image_id, location)
        with expect_error(AdapterError, "verifying"):
            harness.images.verify_location(image_id, location)
        harness.images.withdraw_location(image_id, location)
    harness.images.upload(image_id, iter([DATA]))
    require_data(harness, image_id)


@IMAGES.check(Level.STORES)
def refuses_hostile_image_ids(harness: ImageHarness) -> str:
    """An id that is no image's raises `AdapterError` and changes nothing."""
    active, queued = harness.active(DATA), harness.queued()
    images, location = harness.images, missing_volume()
    verify, withdraw = images.verify_location, images.withdraw_location
    result = pass_hostile_ids(
        harness,
        (
            *(f"../images/{queued}", f"../{queued}", f"{queued}/../{active}"),
            *(f"{active}/file", f"{queued}?", f"{queued}#"),
        ),
        refused={
            "get_image": images.get_image,
            "get_locations": images.get_locations,
            "download": lambda name: list(images.download(name)),
            "upload": lambda name: images.upload(name, iter([b"other data"])),
            "add_location": lambda name: images.add_location(name, location),
            "verify_location": lambda name: verify(name, location),
        },
        harmless={
            "withdraw_location": lambda name: withdraw(name, location),
            "discard": images.discard,
        },
    )
    require_data(harness, active)
    return result
