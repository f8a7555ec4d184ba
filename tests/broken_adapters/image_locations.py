"""Image services that handle locations wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from typing_extensions import override

from broken_adapters._registry import broken_images
from clonepolicy import CinderLocation, ConflictError, Location
from clonepolicy.adapters.memory import MemoryCloud, MemoryImages, Registration

_LATE = partial(MemoryCloud, registration=Registration.LATE)
_WITHDRAWING = partial(MemoryCloud, can_withdraw=True)


@broken_images("registers-a-volume-as-image-data", cloud=_LATE)
class DoesNotWait(MemoryImages):
    """It verifies a location that is not shown yet."""

    @override
    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        if self.cloud.image_row(image_id).pending != location:
            super().verify_location(image_id, location)


@broken_images("registers-a-volume-as-image-data")
class ConsumesTheVolume(MemoryImages):
    """It deletes the volume whose location it registers."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        super().add_location(image_id, location)
        self.cloud.volumes.pop(location.volume_id, None)


@broken_images("registers-locations-idempotently")
class RegistersOnlyOnce(MemoryImages):
    """It fails if the location is already registered."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        if location in self.cloud.image_row(image_id).locations:
            message = f"image {image_id} is at {location} already: go on"
            raise ConflictError(message)
        super().add_location(image_id, location)


@broken_images("registers-locations-idempotently")
class RegistersEachTime(MemoryImages):
    """It shows a location as often as it was registered."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        held = self.cloud.image_row(image_id)
        if location in held.locations:
            held.locations = (*held.locations, location)
        super().add_location(image_id, location)


@broken_images("refuses-to-register-over-existing-data")
class AddsASecondSource(MemoryImages):
    """It registers a location of an image that has data."""

    @override
    def add_location(self, image_id: str, location: CinderLocation) -> None:
        held = self.cloud.image_row(image_id)
        if location not in held.locations and held.record.status == "active":
            held.locations = (*held.locations, location)
        super().add_location(image_id, location)


@broken_images("withdraws-a-location-or-refuses")
class SaysThatItWithdrew(MemoryImages):
    """It returns, but the location is still shown."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        pass


@broken_images("withdraws-a-location-or-refuses", cloud=_WITHDRAWING)
class DeletesTheVolume(MemoryImages):
    """It deletes the volume whose location it withdraws."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        super().withdraw_location(image_id, location)
        self.cloud.volumes.pop(location.volume_id, None)


@broken_images("withdraws-a-location-or-refuses", cloud=_WITHDRAWING)
class LeavesNoData(MemoryImages):
    """It leaves an image without data in status active."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        super().withdraw_location(image_id, location)
        if image_id in self.cloud.images:
            self.cloud.set_image(image_id, status="active")


@broken_images("never-shows-a-withdrawn-location", cloud=_LATE)
class WithdrawsTooEarly(MemoryImages):
    """It does not withdraw a location that is not shown yet."""

    @override
    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        held = self.cloud.images.get(image_id)
        if held is not None and held.pending != location:
            super().withdraw_location(image_id, location)


@broken_images("never-discards-an-image-with-a-location", cloud=_LATE)
class DiscardsTooEarly(MemoryImages):
    """It deletes an image whose location is not shown yet."""

    @override
    def discard(self, image_id: str) -> None:
        held = self.cloud.images.get(image_id)
        if held is not None and held.record.status == "queued":
            del self.cloud.images[image_id]


@broken_images(
    "returns-the-locations-of-an-image", "returns-locations-in-order"
)
class TellsNoLocation(MemoryImages):
    """It returns no locations."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        return ()


@broken_images("returns-the-locations-of-an-image")
class InventsALocation(MemoryImages):
    """It returns a location for an image that has none."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        found = super().get_locations(image_id)
        return found or (CinderLocation(image_id),)


@broken_images("returns-locations-in-order")
class TurnsLocationsRound(MemoryImages):
    """It returns the last location first."""

    @override
    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        return super().get_locations(image_id)[::-1]


@broken_images("downloads-the-data-of-a-registered-volume")
class GivesZeros(MemoryImages):
    """It returns zeros for a volume that it cannot read."""

    @override
    def download(self, image_id: str) -> Iterator[bytes]:
        for piece in super().download(image_id):
            here = self.cloud.images[image_id].data is not None
            yield piece if here else bytes(len(piece))
