"""Records of Cinder's database rows, and of what its API answers."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import attrs

from clonepolicy import FactError, Host, Quota, Volume, VolumeType
from clonepolicy.adapters.records._fields import (
    fields_of,
    missing_field,
    parse_moment,
    stored_moment,
)

FIXED_KEY_ID = "00000000-0000-0000-0000-000000000000"
"""The key of ``[key_manager] fixed_key``, which no answer of the API shows
(cinder 29.0.0 ``common/constants.py``)."""
_ELSEWHERE = frozenset(
    {"volume_type", "clones", "inspection", "image_owner", "glance_image_id"}
)
"""The fields of a volume that are not in the table of volumes."""
COLUMNS = tuple(
    name for name in attrs.fields_dict(Volume) if name not in _ELSEWHERE
)
_API_NAMES = {
    "project_id": "os-vol-tenant-attr:tenant_id",
    "host": "os-vol-host-attr:host",
    "migration_status": "os-vol-mig-status-attr:migstat",
}
"""The names of columns in the API, where they differ."""
FOR_ADMINS = ("project_id", "host", "cluster_name", "migration_status")
"""The columns that the API shows to admins, the first also to the project."""
_SHOWN = "a value; the API shows it to admins, from microversion 3.64 on"
_QUOTAS = ("volumes", "gigabytes", "per_volume_gigabytes")
# ``type(x) is dict or isinstance(x, Mapping)`` below: isinstance with an
# abstract class takes longer than reading a field
_WHOLE = re.compile(r"[0-9]{1,18}")
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
        raise missing_field("Volume", error) from None


def volume_from_api(
    body: Mapping[str, Any],
    *,
    volume_type: Mapping[str, Any] | VolumeType | None = None,
    hidden: Mapping[str, Any] | None = None,
) -> Volume:
    """Make a volume from ``GET /v3/{project}/volumes/{id}``.

    The answer needs microversion 3.64 or later.  No answer contains
    ``previous_status``, which stays unknown.  From 3.65 on, an encrypted
    volume without a key has the `FIXED_KEY_ID`.

    Args:
        body: the object ``volume`` of the answer.
        volume_type: the object ``volume_type`` of the answer to ``GET
            /v3/{project}/types/{id}``, or its record; needed if the volume
            has a type, because ``body`` contains its name and id only.
        hidden: values for those of `FOR_ADMINS` that ``body`` does not show.

    Raises:
        FactError: a field is missing, as in the answer to a user who is no
            admin, or has an invalid value.
    """
    body = fields_of("Volume", body)
    known = {_API_NAMES.get(k, k): v for k, v in (hidden or {}).items()}
    shown = {**known, **body}
    try:
        row = {
            name: shown[_API_NAMES.get(name, name)]
            for name in (*COLUMNS, "metadata")
            if name not in {"previous_status", "encryption_key_id"}
        }
        row["previous_status"] = None
        row["encryption_key_id"] = _api_key(body)
        row["volume_type"] = _api_type(body, volume_type)
    except KeyError as error:
        field = f"Volume.{error.args[0]}"
        raise FactError(field, None, _SHOWN) from None
    row["created_at"] = parse_moment(
        "Volume.created_at", row["created_at"], "2026-01-01T00:00:00.000000"
    )
    return volume_from_row(row)


def hidden_columns(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return those of `FOR_ADMINS` that an answer does not show."""
    return tuple(c for c in FOR_ADMINS if _API_NAMES.get(c, c) not in body)


def _api_key(body: Mapping[str, Any]) -> object:
    encrypted, key = body["encrypted"], body.get("encryption_key_id")
    if encrypted is True and key is None:
        if "consumes_quota" not in body:  # since 3.65
            raise FactError("Volume.encryption_key_id", None, _SHOWN)
        return FIXED_KEY_ID
    if encrypted is not (key is not None):
        expected = "True or False, and True if there is a key"
        raise FactError("Volume.encrypted", encrypted, expected)
    return key


def _api_type(
    body: Mapping[str, Any], kind: Mapping[str, Any] | VolumeType | None
) -> Mapping[str, Any] | VolumeType | None:
    name = body["volume_type"]
    if name is None and kind is None:
        return None
    kind_id: object
    if isinstance(kind, VolumeType):
        kind_id, kind_name = kind.id, kind.name
    elif isinstance(kind, Mapping):
        kind_id, kind_name = kind.get("id"), kind.get("name")
    else:
        expected = f"the type {name!r}, as the API shows types"
        raise FactError("volume_type", kind, expected)
    names = (kind_name, kind_id)
    if name not in names or body.get("volume_type_id") not in (None, kind_id):
        expected = f"the volume's own type, which is {name!r}"
        raise FactError("volume_type", names, expected)
    return kind


def volume_type_from_api(body: Mapping[str, Any]) -> VolumeType:
    """Make a volume type from ``GET /v3/{project}/types/{id}``.

    An answer without ``qos_specs_id`` is not for admins: its extra specs are
    those that users may see.  Then the fields of extra specs stay None, and
    the type promises nothing that is known.

    Args:
        body: the object ``volume_type`` of the answer, or one of the list.

    Raises:
        FactError: a field is missing, or has an invalid value.
    """
    body = fields_of("VolumeType", body)
    if "qos_specs_id" not in body:
        try:
            return VolumeType(id=body["id"], name=body["name"])
        except KeyError as error:
            raise missing_field("VolumeType", error) from None
    found = _volume_type(body)
    if found is None:
        raise FactError("VolumeType", body, "a mapping of fields")
    return found


def shows_extra_specs(body: Mapping[str, Any]) -> bool:
    """Return whether the answer about a type shows all of its extra specs."""
    return "qos_specs_id" in body and "extra_specs" in body


def quota_from_api(
    body: Mapping[str, Any], volume_type: VolumeType | None = None
) -> Quota:
    """Make a quota from ``GET /v3/{p}/os-quota-sets/{project}?usage=true``.

    Args:
        body: the object ``quota_set`` of the answer.
        volume_type: the type whose own limits count, too.

    Raises:
        FactError: a limit is missing, or has an invalid value.
    """
    body = fields_of("Quota", body)
    try:
        volumes, gigabytes, each = (_left(n, body[n]) for n in _QUOTAS)
    except KeyError as error:
        raise missing_field("Quota", error) from None
    kind = "" if volume_type is None else volume_type.name
    # as VolumeTypeQuotaEngine names its resources
    of_type, gigabytes_of_type = (
        _left(name, body.get(name))
        for name in (f"volumes_{kind}", f"gigabytes_{kind}")
    )
    return Quota(
        volumes=volumes,
        gigabytes=gigabytes,
        per_volume_gigabytes=each,
        type_volumes=of_type,
        type_gigabytes=gigabytes_of_type,
    )


def _left(name: str, found: object) -> int | None:
    """Return what is left of a quota; a negative limit means unlimited."""
    if found is None:
        return None
    try:
        limit = found["limit"]  # type: ignore[index]  # what is none raises
        used = [found.get(key, 0) for key in ("in_use", "reserved")]  # type: ignore[attr-defined]
        return None if limit < 0 else max(0, limit - sum(used))
    except (AttributeError, KeyError, TypeError):
        expected = "limit, in_use and reserved: ask with usage=true"
        raise FactError(f"Quota.{name}", found, expected) from None


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
    if row is None or type(row) is VolumeType:
        return row
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
        raise missing_field("VolumeType", error) from None
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
