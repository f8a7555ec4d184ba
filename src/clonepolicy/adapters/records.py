"""Records from what Glance's API and Cinder's database give.

Plain functions: they read mappings, open nothing and keep nothing.  What
is missing or of the wrong type raises one `FactError`; nothing is guessed.
``image_size`` and its like, which tenants can write into a volume's
metadata, are never read.
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

# ``type(x) is dict or isinstance(x, Mapping)`` below: asking the abstract
# class takes longer than reading a field
_UTC = datetime.UTC
_WHOLE = re.compile(r"[0-9]{1,18}")
_SIGNATURE = "img_signature"
_BACKEND_NAME = "volume_backend_name"
_MIN_SIZE = "provisioning:min_vol_size"
_MAX_SIZE = "provisioning:max_vol_size"
_STORE = "image_service:store_id"


def image_from_v2(
    body: Mapping[str, Any],
    *,
    visible: bool = False,
    downloadable: bool = False,
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
            updated_at=_written_moment(body["updated_at"]),
            locations_from=locations_from,
            direct_url=body.get("direct_url"),
        )
    except KeyError as error:
        raise _missing("Image", error) from None


def locations_from_v2(
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> tuple[Location, ...]:
    """Read locations, each once, in the order in which they came.

    Args:
        body: what ``GET /v2/images/{id}/locations`` gives, or an image with
            its ``locations`` and ``direct_url``, as far as it shows them.

    Raises:
        FactError: it is not a list of objects, each with a text ``url``.
    """
    urls: dict[str, None] = {}
    if isinstance(body, Mapping):
        _add_urls(urls, body.get("locations", ()))
        direct = body.get("direct_url")
        if direct is not None:
            if type(direct) is not str:
                raise FactError("Image.direct_url", direct, "text or None")
            urls[direct] = None
    else:
        _add_urls(urls, body)
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
            created_at=_stored_moment(row["created_at"]),
            image_owner=metadata.get("image_owner"),
            glance_image_id=metadata.get("glance_image_id"),
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


def _stored_moment(value: object) -> datetime.datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime.datetime):
        raise FactError("Volume.created_at", value, "a datetime or None")
    if value.tzinfo is not None:
        return value
    # replace() says the same and takes several times as long
    return datetime.datetime.combine(value, value.time(), _UTC)


def _add_urls(urls: dict[str, None], locations: object) -> None:
    if not isinstance(locations, (list, tuple)):
        raise FactError("Image.locations", locations, "a list of locations")
    for at, location in enumerate(locations):
        url = location.get("url") if isinstance(location, Mapping) else None
        if type(url) is not str:
            raise FactError(
                f"Image.locations[{at}]", location, "a mapping with a text url"
            )
        urls[url] = None


def _host(field: str, value: object) -> Host | None:
    if value is None:
        return None
    if type(value) is str:
        try:
            return _parsed_host(value)
        except FactError:
            pass
    raise FactError(field, value, "host[@backend][#pool], or None")


# a fleet has few hosts, and many volumes on each
_parsed_host = functools.lru_cache(maxsize=1024)(Host.parse)


def _items(field: str, value: object) -> Mapping[str, Any]:
    """Read a mapping, or the rows of a table that holds one."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    if not isinstance(value, (list, tuple)):
        raise FactError(field, value, "a mapping, or a list of rows")
    found: dict[str, Any] = {}
    for at, row in enumerate(value):
        key = row.get("key") if isinstance(row, Mapping) else None
        if type(key) is not str or "value" not in row or key in found:
            raise FactError(
                f"{field}[{at}]", row, "a key, not twice, and its value"
            )
        found[key] = row["value"]
    return found


def _volume_type(row: object) -> VolumeType | None:
    if row is None:
        return None
    if type(row) is not dict and not isinstance(row, Mapping):
        raise FactError("Volume.volume_type", row, "a mapping or None")
    try:
        specs = _items("VolumeType.extra_specs", row["extra_specs"])
        fields = (
            row["id"],
            row["name"],
            specs.get(_BACKEND_NAME),
            specs.get(_MIN_SIZE),
            specs.get(_MAX_SIZE),
            specs.get(_STORE),
        )
    except KeyError as error:
        raise _missing("VolumeType", error) from None
    try:
        return _known_type(*fields)
    except TypeError:
        return _made_type(*fields)


def _made_type(  # noqa: PLR0913, PLR0917 - what a type has
    id_: Any,  # noqa: ANN401 - the record looks at it
    name: Any,  # noqa: ANN401 - the same
    backend_name: Any,  # noqa: ANN401 - the same
    min_size: object,
    max_size: object,
    store_id: Any,  # noqa: ANN401 - the same
) -> VolumeType:
    return VolumeType(
        id=id_,
        name=name,
        volume_backend_name=backend_name,
        min_vol_size=_size(_MIN_SIZE, min_size),
        max_vol_size=_size(_MAX_SIZE, max_size),
        store_id=store_id,
    )


# a cloud has few types, and many volumes of each
_known_type = functools.lru_cache(maxsize=1024, typed=True)(_made_type)


def _size(key: str, text: object) -> int | None:
    """Read a size in GiB; extra specs are texts."""
    if text is None:
        return None
    if type(text) is str and _WHOLE.fullmatch(text):
        return int(text)
    raise FactError(f"VolumeType.{key}", text, "a whole number as text")
