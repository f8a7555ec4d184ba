"""Facts that a user tells: their paths, and their values as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from clonepolicy import Backend, Config, GlanceConfig, Image, Quota, Volume

_RECORDS: Mapping[str, type[attrs.AttrsInstance]] = {
    "config": Config,
    "glance": GlanceConfig,
    "backend": Backend,
    "image": Image,
    "volume": Volume,
    "quota": Quota,
}
"""The records of a request, in the order in which a name is looked for."""
_OF_REQUESTS = frozenset({"conversion_free"})
_WORDS = {"true": True, "false": False, "none": None}


def path_of(name: str) -> str | None:
    """Return the path of a fact by that, or by its last part."""
    if name in {"locations", "image.locations"}:
        return "image.locations"
    if name in _OF_REQUESTS:
        return name
    record, dot, field = name.partition(".")
    if dot:
        known = _RECORDS.get(record)
        found = known is not None and field in attrs.fields_dict(known)
        return name if found else None
    for record, kind in _RECORDS.items():
        if name in attrs.fields_dict(kind):
            return f"{record}.{name}"
    return None


def listed(text: str) -> list[str]:
    """Read several texts with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def value_of(text: str, now: object) -> Any:  # noqa: ANN401 - of any fact
    """Read a value: a list where the fact is one, a word, a number, a text."""
    if isinstance(now, list):
        return listed(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        number = json.loads(text)
    except ValueError:
        return text
    return number if type(number) is int else text
