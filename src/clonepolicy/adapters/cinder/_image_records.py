"""Make image records from what Cinder's image service returns.

The functions convert their input for `clonepolicy.adapters.records`.  A
field that is missing or has the wrong type raises `FactError`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from clonepolicy import FactError, Image, Location, LocationsFrom
from clonepolicy.adapters.records import image_from_v2, locations_from_v2

_KEY = "cinder_encryption_key_id"
_SIGNATURE = "img_signature"


def image_from_meta(
    image_meta: Mapping[str, Any],
    image_location: tuple[str | None, Any] | None = None,
    *,
    visible: bool = True,
    downloadable: bool = False,
    locations_from: LocationsFrom | None = None,
) -> Image:
    """Make an image from the dict of ``GlanceImageService.show``.

    The dict has custom properties in ``properties``, and times as datetimes.
    A dict that came by RPC has times as texts without a time zone, which are
    UTC.

    Args:
        image_meta: Cinder's ``image_meta``.
        image_location: the result of ``GlanceImageService.get_location``;
            None if the locations are not known.
        visible: whether Glance shows the image to the requester.  True if
            the dict was read with the requester's token.
        downloadable: whether the policy ``download_image`` allows the
            requester to download it.
        locations_from: the interface that the locations were read from; None
            derives it from ``image_location``.

    Raises:
        FactError: a field that Cinder always returns is missing, or a field
            has an invalid value.
    """
    if not isinstance(image_meta, Mapping):
        raise FactError("Image", image_meta, "a mapping of fields")
    properties = image_meta.get("properties")
    if not isinstance(properties, Mapping):
        raise FactError("Image.properties", properties, "a mapping")
    direct_url, locations = _location_pair(image_location)
    body = dict(image_meta)
    # tenants write properties: no other one may replace a field
    for name, value in properties.items():
        needed = name == _KEY or str(name).startswith(_SIGNATURE)
        if needed and body.get(name) is None:
            body[name] = value
    if "updated_at" in body:
        body["updated_at"] = _in_utc(body["updated_at"])
    if image_location is not None:
        body["direct_url"] = direct_url
    if locations_from is None:
        locations_from = _interface(image_location, direct_url, locations)
    return image_from_v2(
        body,
        visible=visible,
        downloadable=downloadable,
        locations_from=locations_from,
    )


def locations_from_tuple(
    image_location: tuple[str | None, Any] | None,
) -> tuple[Location, ...]:
    """Parse the result of ``GlanceImageService.get_location``.

    Duplicates are removed; None means no locations.

    Raises:
        FactError: it is not a pair of a URL or None, and a list of locations
            or None.
    """
    direct_url, locations = _location_pair(image_location)
    return locations_from_v2(
        {"direct_url": direct_url, "locations": locations}
    )


def _location_pair(image_location: object) -> tuple[Any, Any]:
    if image_location is None:
        return None, []
    if (
        not isinstance(image_location, (tuple, list))
        or len(image_location) != 2  # noqa: PLR2004 - a pair
    ):
        expected = "a pair of direct_url and locations, or None"
        raise FactError("Image.locations", image_location, expected)
    direct_url, locations = image_location
    return direct_url, [] if locations is None else locations


def _interface(
    image_location: object, direct_url: object, locations: object
) -> LocationsFrom:
    if image_location is None:
        return LocationsFrom.UNREADABLE
    # Cinder returns the image's own locations only together with direct_url
    if direct_url is None and locations:
        return LocationsFrom.LOCATIONS_API
    return LocationsFrom.IMAGE


def _in_utc(value: object) -> object:
    """Format a moment as Glance does; return anything else unchanged."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, datetime.datetime):
        return value
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return value.isoformat()
