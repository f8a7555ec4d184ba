"""Make records of what Cinder and its services return.

The functions convert their input for `clonepolicy.adapters.records`.  A
field that is missing or has the wrong type raises `FactError`.  If the
database fails while an object loads a field, its error is raised unchanged.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from typing import Any

from cinder import exception
from sqlalchemy.orm import exc

from clonepolicy import FactError, Image, Location, LocationsFrom, Volume
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.adapters.records import (
    image_from_v2,
    locations_from_v2,
    volume_from_row,
)
from clonepolicy.adapters.records._cinder import COLUMNS
from clonepolicy.adapters.records._fields import stored_moment
from clonepolicy.adapters.records._glance import HAS_DATA

_KEY = "cinder_encryption_key_id"
_SIGNATURE = "img_signature"
# other errors are those of the database
_MISSING = (
    AttributeError,
    NotImplementedError,
    exception.NotFound,
    exception.ObjectActionError,
    exception.OrphanedObjectError,
    exc.DetachedInstanceError,
    exc.ObjectDeletedError,
)


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
        has_data = body.get("status") in HAS_DATA
        locations_from = (
            LocationsFrom.UNREADABLE
            if image_location is None
            else _interface(direct_url, locations, has_data=has_data)
        )
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


def image_lists_locations(image_location: tuple[str | None, Any]) -> bool:
    """Return whether the image itself shows the list of its locations.

    Glance shows it with ``show_multiple_locations`` only.
    """
    direct_url, locations = _location_pair(image_location)
    source = _interface(direct_url, locations, has_data=True)
    return bool(locations) and source is LocationsFrom.IMAGE


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
    direct_url: object, locations: object, *, has_data: bool
) -> LocationsFrom:
    # where Cinder asks the locations API, it returns the image's own
    # locations only together with direct_url
    if (
        installed_release().asks_locations_api
        and direct_url is None
        and locations
    ):
        return LocationsFrom.LOCATIONS_API
    if direct_url is None and not locations and has_data:
        return LocationsFrom.HIDDEN
    return LocationsFrom.IMAGE


def _in_utc(value: Any) -> object:
    """Format a moment as Glance does; return anything else unchanged."""
    with contextlib.suppress(TypeError, ValueError):
        value = datetime.datetime.fromisoformat(value)
    if not isinstance(value, datetime.datetime):
        return value
    moment = stored_moment("Image.updated_at", value)
    return moment and moment.isoformat()


def volume_from_object(volume: Any) -> Volume:
    """Make a volume from a ``cinder.objects.Volume``; lazy fields are loaded.

    Raises:
        FactError: a field is not set and cannot be loaded, or has an invalid
            value.
    """
    return _volume(volume, _read("Volume", volume, "metadata"))


def volume_from_model(row: Any) -> Volume:
    """Make a volume from a row of ``volumes`` with its related rows.

    Raises:
        FactError: a column or a related row is missing and cannot be loaded,
            or has an invalid value.
    """
    return _volume(row, _read("Volume", row, "volume_metadata"))


def _volume(source: Any, metadata: object) -> Volume:
    row = {name: _read("Volume", source, name) for name in COLUMNS}
    if row["multiattach"] is None:
        # in rows older than the column, which Cinder reads as no
        row["multiattach"] = False
    row["metadata"] = _items("Volume.metadata", metadata)
    row["volume_type"] = _type_of(source)
    return volume_from_row(row)


def _type_of(source: Any) -> dict[str, Any] | None:
    kind = _read("Volume", source, "volume_type")
    if kind is None:
        kind_id = _read("Volume", source, "volume_type_id")
        if kind_id is not None:
            expected = f"the type {kind_id}, which volume_type_id names"
            raise FactError("Volume.volume_type", None, expected)
        return None
    specs = _read("VolumeType", kind, "extra_specs")
    return {
        "id": _read("VolumeType", kind, "id"),
        "name": _read("VolumeType", kind, "name"),
        "extra_specs": _items("VolumeType.extra_specs", specs),
        "qos_specs_id": _read("VolumeType", kind, "qos_specs_id"),
    }


def _items(field: str, value: object) -> object:
    """Convert the rows of a table of keys and values to mappings."""
    if not isinstance(value, list):
        return value
    return [
        {
            name: _read(f"{field}[{at}]", item, name)
            for name in ("key", "value")
        }
        for at, item in enumerate(value)
    ]


def _read(record: str, source: Any, name: str) -> Any:
    try:
        return getattr(source, name)
    except _MISSING as error:
        expected = "a value; it is missing and cannot be loaded"
        raise FactError(f"{record}.{name}", None, expected) from error
