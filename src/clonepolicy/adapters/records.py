"""Records from what Glance's API and Cinder's database give.

Plain functions: they read mappings, open nothing and keep nothing.  What
is missing or of the wrong type raises one `FactError`; nothing is guessed.
``image_size`` and its like, which tenants can write into a volume's
metadata, are never read.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from clonepolicy._errors import FactError
from clonepolicy._locations import Location, parse_location
from clonepolicy._records import (
    Host,
    Image,
    LocationsFrom,
    Volume,
    VolumeType,
)

T = TypeVar("T")

_SIGNATURE = "img_signature"
_NO_ITEMS: Mapping[str, Any] = {}


def image_from_v2(
    body: Mapping[str, Any],
    *,
    visible: bool = True,
    downloadable: bool = True,
    locations_from: LocationsFrom = LocationsFrom.IMAGE,
) -> Image:
    """Read an image as ``GET /v2/images/{id}`` gives it.

    Args:
        body: the image's JSON as Python's own types.
        visible: whether Glance shows it to the requester; whose token
            fetched it knows that.
        downloadable: whether ``download_image`` lets the requester have it.
        locations_from: where its locations were read.

    Raises:
        FactError: a field that Glance always gives is missing, or a field
            is not what it should be.
    """
    _is_mapping(body, "Image")
    try:
        return Image(
            id=body["id"],
            status=body["status"],
            owner=body["owner"],
            disk_format=body["disk_format"],
            container_format=body["container_format"],
            size=body["size"],
            virtual_size=body["virtual_size"],
            min_disk=body["min_disk"],
            visibility=body["visibility"],
            visible=visible,
            downloadable=downloadable,
            encryption_key_id=body.get("cinder_encryption_key_id"),
            signed=_is_signed(body),
            os_hash_algo=body["os_hash_algo"],
            os_hash_value=body["os_hash_value"],
            updated_at=_written_moment(body["updated_at"]),
            locations_from=locations_from,
            direct_url=body.get("direct_url"),
        )
    except KeyError as error:
        raise _missing("Image", error) from None


def locations_from_v2(
    body: Mapping[str, Any] | Iterable[Mapping[str, Any]],
) -> tuple[Location, ...]:
    """Read locations, each once, in the order in which they came.

    Args:
        body: what ``GET /v2/images/{id}/locations`` gives, or an image with
            its ``locations`` and ``direct_url``, as far as it shows them.

    Raises:
        FactError: it is not a list of objects, each with a text ``url``.
    """
    if not isinstance(body, Mapping):
        return tuple(map(parse_location, dict.fromkeys(_urls(body))))
    urls = dict.fromkeys(_urls(body["locations"] if "locations" in body else ()))
    direct = body.get("direct_url")
    if direct is not None:
        if type(direct) is not str:
            raise FactError("Image.direct_url", direct, "text or None")
        urls[direct] = None
    return tuple(map(parse_location, urls))


def volume_from_row(row: Mapping[str, Any]) -> Volume:
    """Read a volume's row with its type and its metadata.

    ``volume_type`` is a mapping with ``id``, ``name`` and ``extra_specs``,
    or None.  It, its extra specs and ``metadata`` come as mappings, or as
    lists of ``{"key": …, "value": …}`` like the tables that hold them.  A
    ``created_at`` without time zone is UTC, as Cinder stores it.

    Raises:
        FactError: a column is missing, or is not what it should be.
    """
    _is_mapping(row, "Volume")
    try:
        metadata = _items("Volume.metadata", row["metadata"])
        return Volume(
            id=row["id"],
            project_id=row["project_id"],
            size=row["size"],
            status=row["status"],
            previous_status=row["previous_status"],
            host=_host("Volume.host", row["host"]),
            cluster_name=_host("Volume.cluster_name", row["cluster_name"]),
            encryption_key_id=row["encryption_key_id"],
            volume_type=_volume_type(row["volume_type"]),
            multiattach=row["multiattach"],
            migration_status=row["migration_status"],
            created_at=_stored_moment(row["created_at"]),
            image_owner=metadata.get("image_owner"),
            glance_image_id=metadata.get("glance_image_id"),
        )
    except KeyError as error:
        raise _missing("Volume", error) from None


def _is_mapping(value: object, field: str) -> None:
    if not isinstance(value, Mapping):
        raise FactError(field, value, "a mapping of fields")


def _missing(record: str, error: KeyError) -> FactError:
    return FactError(
        f"{record}.{error.args[0]}", None, "a value; it is missing"
    )


def _is_signed(body: Mapping[str, Any]) -> bool:
    try:
        names = "\n".join(body)
    except TypeError:
        raise FactError("Image", body, "fields named by texts") from None
    # most images are not, and one search is faster than one for each name
    return _SIGNATURE in names and any(
        name.startswith(_SIGNATURE) for name in body
    )


def _written_moment(value: object) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise FactError(
            "Image.updated_at", value, "text like 2026-01-01T00:00:00Z"
        ) from None


def _stored_moment(value: object) -> object:
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC)
    return value


def _urls(locations: object) -> Iterator[str]:
    if not isinstance(locations, (list, tuple)):
        raise FactError("Image.locations", locations, "a list of locations")
    for at, location in enumerate(locations):
        url = location.get("url") if isinstance(location, Mapping) else None
        if type(url) is not str:
            raise FactError(
                f"Image.locations[{at}]", location, "a mapping with a text url"
            )
        yield url
