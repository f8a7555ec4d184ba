"""Image services that handle images and their data wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import attrs
from typing_extensions import override

from broken_adapters._registry import broken_images
from clonepolicy import (
    AdapterError,
    CinderLocation,
    ForbiddenError,
    GiB,
    GlanceConfig,
    Image,
    Location,
    NotFoundError,
    UnavailableError,
)
from clonepolicy.adapters.memory import MemoryCloud, MemoryImages, Registration

_LATE = partial(MemoryCloud, registration=Registration.LATE)


@broken_images("returns-the-same-configuration-each-time")
class ChangesItsMind(MemoryImages):
    """It offers something else at each call."""

    @override
    def get_config(self) -> GlanceConfig:
        role = self.cloud.new_id()
        return attrs.evolve(
            super().get_config(), service_roles=frozenset({role})
        )


@broken_images("returns-the-status-and-size-of-an-image")
class CountsInGiB(MemoryImages):
    """It returns an image's size in GiB."""

    @override
    def get_image(self, image_id: str) -> Image:
        image = super().get_image(image_id)
        size = None if image.size is None else -(-image.size // GiB)
        return attrs.evolve(image, size=size)


@broken_images("returns-the-status-and-size-of-an-image")
class TellsOfOneStatusOnly(MemoryImages):
    """It returns every image as active."""

    @override
    def get_image(self, image_id: str) -> Image:
        return attrs.evolve(super().get_image(image_id), status="active")


@broken_images(
    "reports-a-missing-image-as-not-found", "refuses-hostile-image-ids"
)
class LeaksItsClientsError(MemoryImages):
    """It raises the error of its client."""

    @override
    def get_image(self, image_id: str) -> Image:
        self.cloud.images[image_id]
        return super().get_image(image_id)


@broken_images(
    "reports-a-missing-image-as-not-found", "refuses-hostile-image-ids"
)
class FindsEverything(MemoryImages):
    """It finds an image under any id."""

    @override
    def get_image(self, image_id: str) -> Image:
        try:
            return super().get_image(image_id)
        except NotFoundError:
            return Image(id=image_id or "none", status="queued")


@broken_images("reports-a-missing-image-as-not-found")
class MakesWhatItUploadsTo(MemoryImages):
    """It creates a missing image when data is uploaded."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        if image_id not in self.cloud.images:
            made = self.cloud.add_image(self.project_id, None)
            self.cloud.images[image_id] = self.cloud.images.pop(made)
        super().upload(image_id, data)


@broken_images("hides-images-from-other-projects")
class ShowsToAll(MemoryImages):
    """It reads images with credentials that may see every image."""

    @override
    def get_image(self, image_id: str) -> Image:
        return attrs.evolve(
            self.cloud.image_row(image_id).record, visible=True
        )


@broken_images("hides-images-from-other-projects")
class TellsThatItHides(MemoryImages):
    """It reveals that there is an image which the requester may not see."""

    @override
    def get_image(self, image_id: str) -> Image:
        try:
            return super().get_image(image_id)
        except NotFoundError as error:
            if image_id in self.cloud.images:
                message = f"image {image_id} is not yours: ask its owner"
                raise ForbiddenError(message) from error
            raise


@broken_images("hides-locations-of-hidden-images")
class ShowsLocationsToAll(MemoryImages):
    """It returns the locations of hidden images."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        return self.cloud.image_row(image_id).locations


@broken_images("downloads-exactly-the-data-of-an-image")
class LosesTheEnd(MemoryImages):
    """It loses the last piece of a download."""

    @override
    def download(self, image_id: str) -> Iterator[bytes]:
        pieces = list(super().download(image_id))
        return iter(pieces[:-1])


@broken_images("refuses-to-download-corrupted-data")
class Trusts(MemoryImages):
    """It does not compare the data with its hash."""

    @override
    def checked(self, image: Image, data: bytes) -> Iterator[bytes]:
        yield data


@broken_images("refuses-to-download-an-image-without-data")
class GivesNothingForData(MemoryImages):
    """It returns no bytes and no error for an image without data."""

    @override
    def download(self, image_id: str) -> Iterator[bytes]:
        if self.get_image(image_id).status == "queued":
            return iter(())
        return super().download(image_id)


@broken_images("uploads-all-data")
class StopsAtAnEmptyPiece(MemoryImages):
    """It takes an empty piece for the end of the data."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        super().upload(image_id, iter(iter(data).__next__, b""))


@broken_images("uploads-all-data")
class LeavesItSaving(MemoryImages):
    """It takes the data, but leaves the image in status saving."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        super().upload(image_id, data)
        self.cloud.set_image(image_id, status="saving")


@broken_images("refuses-to-upload-over-existing-data")
class Overwrites(MemoryImages):
    """It takes an upload to an image that has data."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        self.cloud.image_row(image_id)
        self.cloud.set_image(image_id, status="queued")
        super().upload(image_id, data)


@broken_images("passes-on-errors-of-the-data-stream")
class KeepsWhatCame(MemoryImages):
    """It makes an image of the data that came before an error."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        super().upload(image_id, islice(data, 1))
        list(data)


@broken_images("passes-on-errors-of-the-data-stream")
class CoversUp(MemoryImages):
    """It raises another error than the one of the data."""

    @override
    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        try:
            super().upload(image_id, data)
        except AdapterError:
            raise
        except Exception as error:
            message = f"uploading to image {image_id} failed: try again"
            raise UnavailableError(message) from error


@broken_images("discards-images-without-data")
class DiscardsOnlyOnce(MemoryImages):
    """It fails if there is nothing to discard."""

    @override
    def discard(self, image_id: str) -> None:
        self.cloud.image_row(image_id)
        super().discard(image_id)


@broken_images("discards-images-without-data")
class DiscardsNothing(MemoryImages):
    """It does not delete images without data."""

    @override
    def discard(self, image_id: str) -> None:
        pass


@broken_images(
    "never-discards-an-image-with-data",
    "never-discards-an-image-with-a-location",
)
class DiscardsData(MemoryImages):
    """It deletes any image, also one that has data."""

    @override
    def discard(self, image_id: str) -> None:
        self.cloud.images.pop(image_id, None)


@broken_images(
    "refuses-to-verify-an-unregistered-location",
    "refuses-the-location-of-a-missing-volume",
    "refuses-hostile-image-ids",
)
class BelievesEverything(MemoryImages):
    """It verifies every location."""

    @override
    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        pass


@broken_images("ignores-withdrawals-of-unregistered-locations")
class WithdrawsOnlyWhatIsThere(MemoryImages):
    """It fails if there is nothing to withdraw."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        if location not in self.cloud.image_row(image_id).locations:
            message = f"image {image_id} is not at {location}: look there"
            raise NotFoundError(message)
        super().withdraw_location(image_id, location)


@broken_images("ignores-withdrawals-of-unregistered-locations")
class WithdrawsTheImage(MemoryImages):
    """It deletes the image to withdraw a location."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        self.cloud.images.pop(image_id, None)


@broken_images("refuses-the-location-of-a-missing-volume")
class TakesAnyLocation(MemoryImages):
    """It does not look whether the volume exists."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        held = self.cloud.image_row(image_id)
        if held.record.status == "queued":
            held.locations = (location,)
            self.cloud.set_image(image_id, status="active")


@broken_images("refuses-the-location-of-a-missing-volume", cloud=_LATE)
class LeavesARejectedImageSaving(MemoryImages):
    """It leaves an image with a rejected location in status saving."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        super().add_location(image_id, location)
        if location.volume_id not in self.cloud.volumes:
            self.cloud.set_image(image_id, status="saving")


@broken_images("refuses-hostile-image-ids")
class TakesTheLastPart(MemoryImages):
    """It uses ids in paths without quoting."""

    @override
    def discard(self, image_id: str) -> None:
        super().discard(image_id.rpartition("/")[2].rstrip("?#"))
