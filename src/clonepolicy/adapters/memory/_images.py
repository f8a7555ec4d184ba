"""Glance of the cloud in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import attrs

from clonepolicy import (
    CinderLocation,
    ConflictError,
    ForbiddenError,
    GlanceConfig,
    Image,
    IntegrityError,
    Location,
    LocationsFrom,
    NotFoundError,
)
from clonepolicy.adapters.memory._state import CloudState, Registration

_PIECE = 3
"""Bytes of a piece: few, so that even small data comes in several pieces."""


@attrs.frozen
class MemoryImages:
    """An `ImageService` on behalf of one project."""

    cloud: CloudState
    project_id: str

    def get_config(self) -> GlanceConfig:
        """Return the service's options."""
        return self.cloud.glance

    def get_image(self, image_id: str) -> Image:
        """Return an image of the requester's, or a shared one."""
        record = self.cloud.image_row(image_id).record
        shared = {"public", "community"}
        if record.owner != self.project_id and record.visibility not in shared:
            message = f"no image {image_id}: ask its owner to share it"
            raise NotFoundError(message)
        return attrs.evolve(record, visible=True, downloadable=True)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Return the image's locations, if the requester sees the image."""
        self.get_image(image_id)
        row = self.cloud.image_row(image_id)
        if row.record.locations_from is LocationsFrom.UNREADABLE:
            raise ForbiddenError(
                f"Glance does not show the locations of image {image_id}: "
                "enable its locations API"
            )
        return row.locations

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location of a queued image."""
        row = self.cloud.image_row(image_id)
        if location in (*row.locations, row.pending):
            return
        if row.record.status != "queued":
            raise ConflictError(
                f"image {image_id} is {row.record.status}: only a queued "
                "image takes a location"
            )
        row.pending = location
        if self.cloud.registration is Registration.AT_ONCE:
            self.cloud.check_pending_location(image_id)
            if location not in row.locations:
                message = f"{location} is no available volume: publish it"
                raise ConflictError(message)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Remove a location, if the image shows it.

        Raises:
            ConflictError: it is the last location of an active image, and
                ``can_withdraw`` is not set.
        """
        if image_id not in self.cloud.images:
            return
        self.cloud.check_pending_location(image_id)
        row = self.cloud.image_row(image_id)
        rest = tuple(other for other in row.locations if other != location)
        if rest == row.locations:
            return
        if not rest:
            if not self.cloud.can_withdraw:
                raise ConflictError(
                    f"{location} is the only location of image {image_id}: "
                    "delete the image instead"
                )
            self.cloud.set_image(image_id, status="queued", size=None)
        row.locations = rest

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return if the image is active and shows the location."""
        row = self.cloud.image_row(image_id)
        self.cloud.check_pending_location(image_id)
        if row.record.status != "active" or location not in row.locations:
            raise ConflictError(
                f"image {image_id} is {row.record.status} and does not show "
                f"{location}: see Glance's log"
            )

    def download(self, image_id: str) -> Iterator[bytes]:
        """Return the image's data in pieces; the end checks its hash."""
        image = self.get_image(image_id)
        data = self.cloud.image_data(image_id)
        if image.status != "active" or data is None:
            message = f"image {image_id} is {image.status} and has no data"
            raise ConflictError(message)
        return self.checked(image, data)

    def checked(self, image: Image, data: bytes) -> Iterator[bytes]:
        """Yield data in pieces; raise at the end if its hash is wrong."""
        for at in range(0, len(data), _PIECE):
            yield data[at : at + _PIECE]
        digest = hashlib.sha256(data).hexdigest()
        if image.os_hash_value not in {None, digest}:
            raise IntegrityError(
                f"the data of image {image.id} does not match its hash: "
                "upload it again"
            )

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Fill a queued image; if ``data`` raises, the image stays saving."""
        row = self.cloud.image_row(image_id)
        if row.record.status != "queued":
            raise ConflictError(
                f"image {image_id} is {row.record.status}: only a queued "
                "image takes data"
            )
        self.cloud.set_image(image_id, status="saving")
        self.cloud.fill_image(image_id, b"".join(data))

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other as it is."""
        if image_id not in self.cloud.images:
            return
        self.cloud.check_pending_location(image_id)
        if self.cloud.images[image_id].record.status in {"queued", "saving"}:
            del self.cloud.images[image_id]
