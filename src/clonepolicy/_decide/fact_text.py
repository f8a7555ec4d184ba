"""Format facts for operators: in the notation of OpenStack, with units."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import attrs

from clonepolicy._facts.config import GlanceStore, Quota
from clonepolicy._facts.records import Host, VolumeType
from clonepolicy._text import shown

UNITS = {
    "config.image_volume_cache_max_size_gb": "GiB",
    "conversion_free": "bytes",
    "image.min_disk": "GiB",
    "image.size": "bytes",
    "image.virtual_size": "bytes",
    "source.size": "GiB",
    "volume.size": "GiB",
}
"""The unit of each fact that is a size."""


def format_value(path: str, value: object) -> str:
    """Format the fact at a path, with its unit if it is a size."""
    if isinstance(value, int) and path in UNITS:
        return f"{value} {UNITS[path]}"
    return format_fact(value)


def format_fact(value: object) -> str:
    """Format a fact in the notation of Cinder and Glance, escaped."""
    if isinstance(value, (tuple, list)):
        return _several(value)
    if isinstance(value, frozenset):
        return shown(", ".join(sorted(map(str, value))) or "none")
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, Quota):
        value = _quota(value)
    elif isinstance(value, VolumeType):
        value = _volume_type(value)
    elif attrs.has(type(value)) and not isinstance(value, Host):
        named = getattr(value, "id", None)
        value = value if named is None else named
    return "not set" if value is None else shown(str(value))


def _quota(quota: Quota) -> str:
    """Return what a quota has left, or why that is not known."""
    if quota.missing is not None:
        return f"not known ({quota.missing})"
    left = (
        ("volumes", quota.volumes, ""),
        ("in all", quota.gigabytes, " GiB"),
        ("for one volume", quota.per_volume_gigabytes, " GiB"),
        ("volumes of the type", quota.type_volumes, ""),
        ("of the type", quota.type_gigabytes, " GiB"),
    )
    told = [
        f"{count}{unit} {what}"
        for what, count, unit in left
        if count is not None
    ]
    return " and ".join(told) or "no limit"


def _several(values: Sequence[object]) -> str:
    """Count records; of stores, name each and its volume type."""
    stores = [each for each in values if isinstance(each, GlanceStore)]
    if stores:
        return shown(", ".join(map(_store, stores)))
    return f"{len(values)} of them" if values else "none"


def _store(store: GlanceStore) -> str:
    read_only = ", read-only" if store.read_only else ""
    kind = store.cinder_volume_type or "no type"
    return f"{store.id} ({kind}{read_only})"


def _volume_type(kind: VolumeType) -> str:
    """Return a type's name, and what it promises or demands, if anything."""
    promises = [
        *sorted(kind.extra_specs or ()),
        *(
            text.format(value)
            for text, value in (
                ("QoS specs {}", kind.qos_specs_id),
                ("at least {} GiB", kind.min_vol_size),
                ("at most {} GiB", kind.max_vol_size),
            )
            if value is not None
        ),
    ]
    name = kind.name or kind.id
    return f"{name} ({', '.join(promises)})" if promises else name
