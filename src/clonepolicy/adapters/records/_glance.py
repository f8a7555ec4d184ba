"""Records of what Glance's API answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clonepolicy import (
    FactError,
    GlanceStore,
    Image,
    Location,
    LocationsFrom,
    parse_location,
)
from clonepolicy.adapters.records._fields import (
    fields_of,
    missing_field,
    parse_moment,
)

HAS_DATA = ("active", "deactivated")
"""Each status of an image that has data, and so has a location."""
_SIGNATURE = "img_signature"
_LOCATION_API = "v2.17"
_AVAILABLE = {"CURRENT", "SUPPORTED", "EXPERIMENTAL"}


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
        raise missing_field("Image", error) from None


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


def _is_signed(body: Mapping[str, Any]) -> bool:
    try:
        names = "\n".join(body)
    except TypeError:
        raise FactError("Image", body, "fields named by texts") from None
    # most images are not signed: one search is faster than one per name
    return _SIGNATURE in names and any(
        name.startswith(_SIGNATURE) for name in body
    )


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


def stores_from_v2(body: Mapping[str, Any]) -> tuple[GlanceStore, ...]:
    """Make the cinder stores from ``GET /v2/info/stores/detail``.

    The API does not say whether a store is read-only: none is.

    Raises:
        FactError: it is no list of stores, as Glance shows them to admins.
    """
    stores = fields_of("GlanceConfig", body).get("stores")
    if not isinstance(stores, (list, tuple)):
        raise FactError("GlanceConfig.stores", stores, "a list of stores")
    found = []
    for at, store in enumerate(stores):
        try:
            if store["type"] != "cinder":
                continue
            kind = store["properties"]["volume_type"]
            found.append(GlanceStore(id=store["id"], cinder_volume_type=kind))
        except (KeyError, TypeError):
            expected = "id, type and, of a cinder store, its volume_type"
            field = f"GlanceConfig.stores[{at}]"
            raise FactError(field, store, expected) from None
    return tuple(found)


def has_location_api(body: Mapping[str, Any]) -> bool:
    """Return whether ``GET /versions`` lists the locations API.

    Raises:
        FactError: it is no list of versions.
    """
    versions: Any = fields_of("versions", body).get("versions")
    try:
        return any(
            version["id"] == _LOCATION_API and version["status"] in _AVAILABLE
            for version in versions
        )
    except (KeyError, TypeError):
        expected = "a list of versions, each with id and status"
        raise FactError("versions", versions, expected) from None
