"""``--assume FACT=VALUE``: facts that the operator tells."""

from __future__ import annotations

from collections.abc import Iterable

from clonepolicy import FactError, Request, parse_location, wire
from clonepolicy.adapters.openstack import Assumed
from clonepolicy.cli._fact_values import listed, path_of, value_of


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
        path = path_of(name.strip())
        if not equals or path is None:
            expected = "FACT=VALUE with the name of a fact, as config.NAME"
            raise FactError("--assume", text, expected)
        if path in values:
            raise FactError("--assume", text, f"{path} once")
        values[path] = value.strip()
    urls = values.pop("image.locations", None)
    locations = None if urls is None else map(parse_location, listed(urls))
    roles = values.get("glance.service_roles")

    def change(request: Request) -> Request:
        if not values:
            return request
        fields = wire.to_dict(request)
        for path, value in values.items():
            record, _, name = path.rpartition(".")
            holder = fields[record] if record else fields
            if name in holder:
                holder[name] = value_of(value, holder[name])
        return wire.from_dict(type(request), fields)

    return Assumed(
        change=change,
        facts=frozenset(values) | ({"image.locations"} if urls else set()),
        locations=None if locations is None else tuple(locations),
        service_roles=None if roles is None else frozenset(listed(roles)),
    )
