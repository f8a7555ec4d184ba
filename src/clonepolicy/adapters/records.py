"""Make records from Glance's API answers and Cinder's database rows.

The functions read mappings and keep nothing.  A field that is missing or
has the wrong type raises `FactError`; no value is guessed.  ``image_size``
and other metadata of a volume that its tenant can write are never read.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from clonepolicy import (
    FactError,
    Host,
    Image,
    Location,
    LocationsFrom,
    Volume,
    VolumeType,
    parse_location,
)

__all__ = ["image_from_v2", "locations_from_v2", "volume_from_row"]

# ``type(x) is dict or isinstance(x, Mapping)`` below: isinstance with an
# abstract class takes longer than reading a field
_WHOLE = re.compile(r"[0-9]{1,18}")
HAS_DATA = ("active", "deactivated")
"""Each status of an image that has data, and so has a location."""
_SIGNATURE = "img_signature"
_MIN_SIZE = "provisioning:min_vol_size"
_MAX_SIZE = "provisioning:max_vol_size"
_EXTRA_SPECS = (
    "volume_backend_name",
    _MIN_SIZE,
    _MAX_SIZE,
    "image_service:store_id",
)
_NO_PROMISE = frozenset({*_EXTRA_SPECS, "RESKEY:availability_zones"})
"""They say where a volume may be, or are facts of their own."""


def image_from_v2(
    body: Mapping[str, Any],
    *,
    visible: bool = False,
    downloadable: bool = False,
    locations_from: LocationsFrom = LocationsFrom.IMAGE,
) -> Image:
    """Make an image from the body of ``GET /v2/images/{id}``.

    Args:
        body: the decoded JSON object.
        visible: whether Glance shows the image to the requester.  True if
            the body was read with the requester's token.
        downloadable: whether the policy ``download_image`` allows the
            requester to download it.
        locations_from: the interface that its locations were read from.

    Raises:
        FactError: a field that Glance always returns is missing, or a field
            has an invalid value.
    """
    if type(body) is not dict and not isinstance(body, Mapping):
        raise FactError("Image", body, "a mapping of fields")
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
            updated_at=parse_moment(
                "Image.updated_at", body["updated_at"], "2026-01-01T00:00:00Z"
            ),
            locations_from=locations_from,
            direct_url=body.get("direct_url"),
        )
    except KeyError as error:
        raise _missing("Image", error) from None


def locations_from_v2(
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> tuple[Location, ...]:
    """Parse locations, without duplicates, in the order of the body.

    Args:
        body: the list of ``GET /v2/images/{id}/locations``, or an image,
            whose ``locations`` and ``direct_url`` are read if present.

    Raises:
        FactError: it is not a list of objects, each with a text ``url``.
    """
    if isinstance(body, Mapping):
        urls = _urls(body.get("locations", ()))
        direct = body.get("direct_url")
        if direct is not None:
            if type(direct) is not str:
                raise FactError("Image.direct_url", direct, "text or None")
            urls.append(direct)
    else:
        urls = _urls(body)
    # urls that differ in what is masked are one location
    return tuple(dict.fromkeys(map(parse_location, urls)))


def volume_from_row(row: Mapping[str, Any]) -> Volume:
    """Make a volume from its row, with its type and its metadata.

    Args:
        row: the columns of the table ``volumes``, and in addition
            ``metadata`` and ``volume_type``.  ``volume_type`` is None or a
            mapping with ``id``, ``name``, ``extra_specs`` and
            ``qos_specs_id``.  Metadata and extra specs are mappings, or
            lists of ``{"key": …, "value": …}`` as in Cinder's tables. A
            ``created_at`` without a time zone is UTC, as Cinder stores it.

    Raises:
        FactError: a column is missing, or has an invalid value.
    """
    if type(row) is not dict and not isinstance(row, Mapping):
        raise FactError("Volume", row, "a mapping of columns")
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
            created_at=stored_moment("Volume.created_at", row["created_at"]),
            # any user may write an empty value, which names nobody
            image_owner=metadata.get("image_owner") or None,
            glance_image_id=metadata.get("glance_image_id") or None,
        )
    except KeyError as error:
        raise _missing("Volume", error) from None


def _missing(record: str, error: KeyError) -> FactError:
    return FactError(
        f"{record}.{error.args[0]}", None, "a value; it is missing"
    )


def _is_signed(body: Mapping[str, Any]) -> bool:
    try:
        names = "\n".join(body)
    except TypeError:
        raise FactError("Image", body, "fields named by texts") from None
    # most images are not signed: one search is faster than one per name
    return _SIGNATURE in names and any(
        name.startswith(_SIGNATURE) for name in body
    )


def parse_moment(
    field: str,
    value: Any,  # noqa: ANN401 - fromisoformat checks it
    example: str = "2026-01-01T00:00:00Z",
) -> datetime.datetime:
    """Read a text in ISO format."""
    try:
        return datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise FactError(field, value, f"text like {example}") from None


def stored_moment(field: str, value: object) -> datetime.datetime | None:
    """Read a column; without a time zone it is UTC."""
    if value is None:
        return None
    if not isinstance(value, datetime.datetime):
        raise FactError(field, value, "a datetime or None")
    if value.tzinfo is not None:
        return value
    # replace() does the same and takes several times as long
    return datetime.datetime.combine(value, value.time(), datetime.UTC)


def _urls(locations: object) -> list[str]:
    if not isinstance(locations, (list, tuple)):
        raise FactError("Image.locations", locations, "a list of locations")
    urls = []
    for at, location in enumerate(locations):
        url = location.get("url") if isinstance(location, Mapping) else None
        if type(url) is not str:
            raise FactError(
                f"Image.locations[{at}]", location, "a mapping with a text url"
            )
        urls.append(url)
    return urls


def _host(field: str, value: object) -> Host | None:
    if value is None:
        return None
    if type(value) is str:
        try:
            return _parse_host(value)
        except FactError:
            pass
    raise FactError(field, value, "host[@backend][#pool], or None")


# many volumes share one host
_parse_host = functools.lru_cache(maxsize=1024)(Host.parse)


def _items(field: str, value: object) -> Mapping[str, Any]:
    """Read a mapping, or the rows of a table of keys and values."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    if not isinstance(value, (list, tuple)):
        raise FactError(field, value, "a mapping, or a list of rows")
    items: dict[str, Any] = {}
    for at, row in enumerate(value):
        key = row.get("key") if isinstance(row, Mapping) else None
        if type(key) is not str or "value" not in row or key in items:
            raise FactError(
                f"{field}[{at}]", row, "a key, not twice, and its value"
            )
        items[key] = row["value"]
    return items


def _volume_type(row: object) -> VolumeType | None:
    if row is None:
        return None
    if type(row) is not dict and not isinstance(row, Mapping):
        raise FactError("Volume.volume_type", row, "a mapping or None")
    try:
        specs = _items("VolumeType.extra_specs", row["extra_specs"])
        promised = frozenset(
            f"{key}={value}"
            for key, value in specs.items()
            if key not in _NO_PROMISE
        )
        fields = (
            *(row["id"], row["name"], row["qos_specs_id"], promised),
            *map(specs.get, _EXTRA_SPECS),
        )
    except KeyError as error:
        raise _missing("VolumeType", error) from None
    try:
        return _cached_type(*fields)
    except TypeError:  # an unhashable value, which the record refuses
        return _make_type(*fields)


def _make_type(*fields: Any) -> VolumeType:  # noqa: ANN401 - the record checks them
    id_, name, qos_specs_id, promised, *specs = fields
    backend_name, min_size, max_size, store_id = specs
    return VolumeType(
        id=id_,
        name=name,
        volume_backend_name=backend_name,
        min_vol_size=_size(_MIN_SIZE, min_size),
        max_vol_size=_size(_MAX_SIZE, max_size),
        store_id=store_id,
        extra_specs=promised,
        qos_specs_id=qos_specs_id,
    )


# many volumes share one type
_cached_type = functools.lru_cache(maxsize=1024, typed=True)(_make_type)


def _size(key: str, text: object) -> int | None:
    """Read a size in GiB; extra specs are texts."""
    if text is None:
        return None
    if type(text) is str and _WHOLE.fullmatch(text):
        return int(text)
    raise FactError(f"VolumeType.{key}", text, "a whole number as text")
