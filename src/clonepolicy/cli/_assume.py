"""``--assume FACT=VALUE``: facts that the operator tells."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from clonepolicy import (
    Backend,
    Config,
    FactError,
    GlanceConfig,
    Image,
    Quota,
    Request,
    Volume,
    parse_location,
    wire,
)
from clonepolicy.adapters.openstack import Assumed

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


def read_assumptions(texts: Iterable[str]) -> Assumed:
    """Read ``FACT=VALUE`` texts.

    A fact is a path like ``config.allowed_direct_url_schemes``, or its last
    part; ``locations`` takes URLs.

    Raises:
        FactError: there is no such fact, or it is told twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        path = _path(name.strip())
        if not equals or path is None:
            expected = "FACT=VALUE with the name of a fact, as config.NAME"
            raise FactError("--assume", text, expected)
        if path in values:
            raise FactError("--assume", text, f"{path} once")
        values[path] = value.strip()
    urls = values.pop("image.locations", None)
    locations = None if urls is None else map(parse_location, _listed(urls))
    roles = values.get("glance.service_roles")

    def change(request: Request) -> Request:
        if not values:
            return request
        fields = wire.to_dict(request)
        for path, value in values.items():
            record, _, name = path.rpartition(".")
            holder = fields[record] if record else fields
            if name in holder:
                holder[name] = _value(value, holder[name])
        return wire.from_dict(type(request), fields)

    return Assumed(
        change=change,
        facts=frozenset(values) | ({"image.locations"} if urls else set()),
        locations=None if locations is None else tuple(locations),
        service_roles=None if roles is None else frozenset(_listed(roles)),
    )


def _path(name: str) -> str | None:
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


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _value(text: str, now: object) -> Any:  # noqa: ANN401 - of any fact
    """Read a value: a list where the fact is one, a word, a number, a text."""
    if isinstance(now, list):
        return _listed(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        number = json.loads(text)
    except ValueError:
        return text
    return number if type(number) is int else text
