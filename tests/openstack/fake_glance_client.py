"""A glanceclient that knows one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import glanceclient.exc

from clonepolicy import Image, LocationsFrom

GZIP = b"\x1f\x8b"
BASE_PROPERTIES = frozenset(
    {
        *("id", "name", "status", "owner", "disk_format", "container_format"),
        *("size", "virtual_size", "min_disk", "min_ram", "visibility"),
        *("protected", "os_hidden", "checksum", "os_hash_algo"),
        *("os_hash_value", "created_at", "updated_at", "tags", "schema"),
        *("direct_url", "locations"),
    }
)


UNREAD = frozenset(
    {
        LocationsFrom.FORBIDDEN,
        LocationsFrom.UNAVAILABLE,
        LocationsFrom.UNREADABLE,
    }
)
"""Why Cinder cannot read locations."""


class _GlanceImage(dict[str, Any]):
    """An image of glanceclient: its keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class OneImage:
    """The ``images`` of a glanceclient that knows one image."""

    def __init__(self, image: Image, locations: tuple[str, ...]) -> None:
        """Take the image and its locations."""
        self.image = image
        self.locations = locations
        self.uploaded: list[str] = []
        self.added: list[str] = []
        self.show_multiple_locations = True
        self.refused_location: Exception | None = None
        self.partly_signed = False
        self.unread = False

    def get(self, image_id: str) -> _GlanceImage:
        """Return the image."""
        image = self.image
        if self.unread:
            raise glanceclient.exc.HTTPInternalServerError
        if not image.visible or image_id != image.id:
            raise glanceclient.exc.HTTPNotFound
        shown = _GlanceImage(
            id=image.id,
            name="an image",
            status=image.status,
            owner=image.owner,
            disk_format=image.disk_format,
            container_format=image.container_format,
            size=image.size,
            virtual_size=image.virtual_size,
            min_disk=image.min_disk,
            min_ram=0,
            visibility=image.visibility,
            updated_at=image.updated_at and image.updated_at.isoformat(),
        )
        if image.encryption_key_id is not None:
            shown["cinder_encryption_key_id"] = image.encryption_key_id
        if image.signed:
            shown["img_signature"] = "signature"
            if not self.partly_signed:
                shown["img_signature_hash_method"] = "SHA-256"
                shown["img_signature_certificate_uuid"] = "certificate"
                shown["img_signature_key_type"] = "RSA-PSS"
        if image.locations_from is not LocationsFrom.LOCATIONS_API:
            if self.show_multiple_locations:
                shown["locations"] = self._locations()
            if image.direct_url is not None:
                shown["direct_url"] = image.direct_url
        return shown

    def _locations(self) -> list[dict[str, Any]]:
        return [{"url": url, "metadata": {}} for url in self.locations]

    def get_image_locations(self, image_id: str) -> list[dict[str, Any]]:
        """Return the locations, if the locations API is to be used."""
        match self.image.locations_from:
            case LocationsFrom.IMAGE | LocationsFrom.HIDDEN:
                raise glanceclient.exc.HTTPNotImplemented
            case LocationsFrom.LOCATIONS_API:
                pass
            case _:
                raise glanceclient.exc.HTTPInternalServerError
        if image_id != self.image.id:
            raise glanceclient.exc.HTTPNotFound
        return self._locations()

    def data(self, _image_id: str) -> Iterator[bytes]:
        """Return some data; only its first two bytes matter."""
        if not self.image.downloadable:
            raise glanceclient.exc.HTTPForbidden
        compressed = self.image.container_format == "compressed"
        return iter((GZIP if compressed else b"data",))

    def create(self, **_fields: object) -> _GlanceImage:
        """Return the image, which exists already."""
        return self.get(self.image.id)

    def upload(self, image_id: str, _data: object) -> None:
        """Record an upload."""
        self.uploaded.append(image_id)

    def add_image_location(
        self, image_id: str, url: str, _validation_data: Mapping[str, str]
    ) -> dict[str, str]:
        """Record a location, or refuse it."""
        if self.refused_location is not None:
            raise self.refused_location
        self.added.append(url)
        return {"id": image_id}

    add_location = add_image_location

    def delete(self, image_id: str) -> None:
        """Do nothing."""
