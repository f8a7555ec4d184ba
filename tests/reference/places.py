"""Compare hosts and clusters."""

from __future__ import annotations

import re
from typing import Any


def text_of(place: Any) -> str | None:
    """Write a host or cluster, or None where it is not known."""
    if place is None:
        return None
    return str(place) or None


def pool_of(place: Any) -> str | None:
    """Give what follows the hash sign, or None."""
    text = text_of(place)
    if text is None or "#" not in text:
        return None
    return text.split("#", 1)[1]


def service_of(place: Any) -> tuple[str, str] | None:
    """Give the host and backend parts, or None where one is not known."""
    text = text_of(place)
    if text is None:
        return None
    service = text.split("#", 1)[0]
    host, _, backend = service.partition("@")
    return (host, backend)


def is_clustered(volume: Any) -> bool:
    """Say whether a cluster, not a host, runs the volume."""
    return text_of(volume.cluster_name) is not None


def place_of(volume: Any, new: Any) -> Any:
    """Give the place by which a volume is compared with the new one."""
    if is_clustered(new):
        return volume.cluster_name
    return volume.host


def sql_like(pattern: str, value: str) -> bool:
    """Match as SQL's LIKE does, case counting."""
    parts = []
    for letter in pattern:
        if letter == "%":
            parts.append(".*")
        elif letter == "_":
            parts.append(".")
        else:
            parts.append(re.escape(letter))
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def database_finds(wanted: Any, stored: Any) -> bool:
    """Filter by host or cluster as Cinder's database layer does (C5)."""
    filter_text = text_of(wanted)
    if filter_text is None:
        return True
    if stored is None:
        return False
    value = str(stored)
    if value == filter_text:
        return True
    if "#" in filter_text:
        return False
    if sql_like(filter_text + "#%", value):
        return True
    if "@" in filter_text:
        return False
    return sql_like(filter_text + "@%", value)


def database_finds_by_host(wanted: Any, stored: Any) -> bool:
    """Find volumes as `volume_get_all_by_host` of Cinder 24 to 27 does."""
    host = text_of(wanted)
    if host is None:
        return True
    if stored is None:
        return False
    return str(stored) == host or sql_like(host + "#%", str(stored))
