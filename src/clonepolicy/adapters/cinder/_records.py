"""Records from what Cinder holds in its hands: dicts, objects and rows.

Each function only brings its input into the form that
`clonepolicy.adapters.records` reads, and keeps nothing.  What is missing or
of the wrong type raises one `FactError`; a database that does not answer
while an object loads a field raises what it always raises.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from clonepolicy import FactError, Image, Location, LocationsFrom, Volume
from clonepolicy.adapters.records import (
    image_from_v2,
    locations_from_v2,
    volume_from_row,
)

_KEY = "cinder_encryption_key_id"
_SIGNATURE = "img_signature"
_COLUMNS = (
    "id",
    "project_id",
    "size",
    "status",
    "previous_status",
    "host",
    "cluster_name",
    "encryption_key_id",
    "migration_status",
    "created_at",
)
_EMPTY = ""
_TOLD = "a value, as admins are told it from microversion 3.64 on"


def image_from_meta(
    image_meta: Mapping[str, Any],
    image_location: tuple[str | None, Any] | None = None,
    *,
    visible: bool = True,
    downloadable: bool = False,
    locations_from: LocationsFrom | None = None,
) -> Image:
    """Read an image as ``GlanceImageService.show`` gives it.

    Custom properties lie in ``properties`` there, and times are datetimes;
    a dict that came by RPC has texts without time zone, which mean UTC.

    Args:
        image_meta: Cinder's ``image_meta``.
        image_location: what ``GlanceImageService.get_location`` gave; None
            where it was not asked, or failed.
        visible: whether Glance shows the image to the requester; the dict
            is there because it did, if it was asked with their token.
        downloadable: whether ``download_image`` lets the requester have it.
        locations_from: where the locations were read, where that is known
            better than ``image_location`` tells it.

    Raises:
        FactError: a field that Cinder always gives is missing, or a field
            is not what it should be.
    """
    if not isinstance(image_meta, Mapping):
        raise FactError("Image", image_meta, "a mapping of fields")
    properties = image_meta.get("properties")
    if not isinstance(properties, Mapping):
        raise FactError("Image.properties", properties, "a mapping")
    direct_url, locations = _location_pair(image_location)
    body = dict(image_meta)
    # no other property may stand for a field of the image: tenants write
    # properties
    for name, value in properties.items():
        bears = name == _KEY or str(name).startswith(_SIGNATURE)
        if bears and body.get(name) is None:
            body[name] = value
    if "updated_at" in body:
        body["updated_at"] = _in_utc(body["updated_at"])
    if image_location is not None:
        body["direct_url"] = direct_url
    if locations_from is None:
        locations_from = _told_by(image_location, direct_url, locations)
    return image_from_v2(
        body,
        visible=visible,
        downloadable=downloadable,
        locations_from=locations_from,
    )


def locations_from_tuple(
    image_location: tuple[str | None, Any] | None,
) -> tuple[Location, ...]:
    """Read what ``GlanceImageService.get_location`` gives, each URL once.

    Raises:
        FactError: it is not a pair of a URL or None, and a list of
            locations or None.
    """
    direct_url, locations = _location_pair(image_location)
    return locations_from_v2(
        {"direct_url": direct_url, "locations": locations}
    )


def volume_from_object(volume: Any) -> Volume:
    """Read a ``cinder.objects.Volume``; fields not yet there are loaded.

    Raises:
        FactError: a field is not set and cannot be loaded, or is not what
            it should be.
    """
    return _volume(volume, _read("Volume", volume, "metadata"))


def volume_from_model(row: Any) -> Volume:
    """Read a row of the table ``volumes``, with the tables that hang on it.

    Raises:
        FactError: a column or a related row is missing and cannot be
            loaded, or is not what it should be.
    """
    return _volume(row, _read("Volume", row, "volume_metadata"))


def volume_from_api(
    body: Mapping[str, Any],
    *,
    volume_type: Mapping[str, Any] | None = None,
) -> Volume:
    """Read a volume as ``GET /v3/{project}/volumes/{id}`` tells an admin.

    Microversion 3.64 is the first that tells all.  ``previous_status`` is
    in no answer, and stays unknown.

    Args:
        body: what is under ``volume`` in the answer.
        volume_type: what is under ``volume_type`` in the answer to
            ``GET /v3/{project}/types/{id}``, for a volume that has a type:
            its own body names no more than that.

    Raises:
        FactError: the answer lacks a field, as one to a non-admin does, or
            a field is not what it should be.
    """
    if not isinstance(body, Mapping):
        raise FactError("Volume", body, "a mapping of fields")
    try:
        row = {
            "id": body["id"],
            "project_id": body["os-vol-tenant-attr:tenant_id"],
            "size": body["size"],
            "status": body["status"],
            "previous_status": None,
            "host": body["os-vol-host-attr:host"],
            "cluster_name": body["cluster_name"],
            "encryption_key_id": _shown_key(body),
            "volume_type": _shown_type(body, volume_type),
            "multiattach": body["multiattach"],
            "migration_status": body["os-vol-mig-status-attr:migstat"],
            "created_at": _shown_moment(body["created_at"]),
            "metadata": _telling(body["metadata"]),
        }
    except KeyError as error:
        raise FactError(f"Volume.{error.args[0]}", None, _TOLD) from None
    return volume_from_row(row)


def _location_pair(image_location: object) -> tuple[Any, Any]:
    """Give the URL and the list; ``None`` of Cinder's means no list."""
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


def _told_by(
    image_location: object, direct_url: object, locations: object
) -> LocationsFrom:
    if image_location is None:
        return LocationsFrom.UNREADABLE
    # Cinder keeps the image's own locations only along with its direct_url
    if direct_url is None and locations:
        return LocationsFrom.LOCATIONS_API
    return LocationsFrom.IMAGE


def _in_utc(value: object) -> object:
    """Write a moment as Glance does; what is none is for others to refuse."""
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


def _volume(
    source: Any,
    metadata: object,
) -> Volume:
    row = {name: _read("Volume", source, name) for name in _COLUMNS}
    multiattach = _read("Volume", source, "multiattach")
    return volume_from_row(
        {
            **row,
            # rows from before the column have NULL, which Cinder takes so
            "multiattach": False if multiattach is None else multiattach,
            "metadata": _telling(_items("Volume.metadata", metadata)),
            "volume_type": _type_of(source),
        }
    )


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
    }


def _items(field: str, value: object) -> object:
    """Give rows of a table of keys and values the form of mappings."""
    if not isinstance(value, list):
        return value
    return [
        {
            name: _read(f"{field}[{at}]", item, name)
            for name in ("key", "value")
        }
        for at, item in enumerate(value)
    ]


def _telling(metadata: object) -> object:
    """Leave out empty values: anybody may write one, and it says nothing."""
    if isinstance(metadata, Mapping):
        return {
            name: value for name, value in metadata.items() if value != _EMPTY
        }
    if isinstance(metadata, list):
        return [
            row
            for row in metadata
            if not isinstance(row, Mapping) or row.get("value") != _EMPTY
        ]
    return metadata


def _read(
    record: str,
    source: Any,
    name: str,
) -> Any:
    try:
        return getattr(source, name)
    except Exception as error:
        if not _is_unloadable(error):
            raise
        expected = "a value; it is missing and cannot be loaded"
        raise FactError(f"{record}.{name}", None, expected) from error


def _is_unloadable(error: Exception) -> bool:
    """Tell a field that is not there from a database that is not there."""
    from cinder import exception  # noqa: PLC0415 - dicts are read without it
    from sqlalchemy.orm import exc  # noqa: PLC0415 - the same

    kinds = (
        AttributeError,
        NotImplementedError,
        exception.NotFound,
        exception.ObjectActionError,
        exception.OrphanedObjectError,
        exc.DetachedInstanceError,
        exc.ObjectDeletedError,
    )
    return isinstance(error, kinds)


def _shown_key(body: Mapping[str, Any]) -> object:
    encrypted, key = body["encrypted"], body.get("encryption_key_id")
    if encrypted is True and key is None:
        raise FactError("Volume.encryption_key_id", None, _TOLD)
    if encrypted is not (key is not None):
        expected = "True or False, and True if there is a key"
        raise FactError("Volume.encrypted", encrypted, expected)
    return key


def _shown_type(
    body: Mapping[str, Any], kind: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    name = body["volume_type"]
    if name is None and kind is None:
        return None
    if not isinstance(kind, Mapping):
        expected = f"the type {name!r}, as the API shows types"
        raise FactError("volume_type", kind, expected)
    kind_id = kind.get("id")
    names = (kind.get("name"), kind_id)
    if name not in names or body.get("volume_type_id") not in (None, kind_id):
        expected = f"the volume's own type, which is {name!r}"
        raise FactError("volume_type", names, expected)
    return kind


def _shown_moment(value: object) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        expected = "text like 2026-01-01T00:00:00.000000"
        raise FactError("Volume.created_at", value, expected) from None
