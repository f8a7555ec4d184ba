"""The checks that compare the cinder.conf files of several hosts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import attrs

from clonepolicy import Config, Reason
from clonepolicy.adapters.conf import CINDER, CinderConf, Value
from clonepolicy.adapters.lint._asked import declared, driver
from clonepolicy.adapters.lint._check import (
    Check,
    Estate,
    Level,
    Need,
    Spot,
    spot,
)

_BACKEND = "<backend>"
_ALSO = frozenset(
    {
        *("auth_type", "glance_catalog_info", "volume_manager"),
        *("extra_capabilities", "image_volume_cache_max_count"),
        *("rbd_max_clone_depth", "volume_driver"),
    }
)
_COMPARED = tuple(
    row for row in CINDER if row.name in {*attrs.fields_dict(Config)} | _ALSO
)
_OWN = ("mode", "notes", "policy", "trusted_image_pools", "trusted_projects")


def _array(conf: CinderConf, backend: str) -> frozenset[tuple[str, str]]:
    """Return what says which array a backend uses; empty: nothing does."""
    array_id = declared(conf, backend).get("array_id")
    if isinstance(array_id, str):
        return frozenset({("array_id", array_id)})
    values = (conf.value(row.name, backend) for row in CINDER if row.address)
    found = {
        (value.option.name, value.shown)
        for value in values
        if value.assignment is not None and value.value
    }
    if found:
        found.add(("volume_driver", driver(conf, backend)))
    return frozenset(found)


def _service(conf: CinderConf, backend: str) -> str | None:
    """Return the host of a backend's service; None: the host's own name."""
    for value in (conf.value("backend_host", backend), conf.value("host")):
        if value.value:
            return f"{value.value}@{backend}"
    return None


def _cluster(conf: CinderConf, backend: str) -> str | None:
    name = str(conf.value("cluster").value or "").strip()
    return f"{name}@{backend}" if name else None


def _apart(estate: Estate) -> Iterator[Spot]:
    for first, second in combinations(estate.volume_hosts, 2):
        for one in first.backends:
            for other in second.backends:
                array = _array(first, one)
                if not array or array != _array(second, other):
                    continue
                names = _service(first, one), _service(second, other)
                if names[0] is not None and names[0] == names[1]:
                    continue
                clusters = _cluster(first, one), _cluster(second, other)
                if clusters[0] is not None and clusters[0] == clusters[1]:
                    continue
                yield spot(
                    second,
                    second.value("backend_host", other),
                    second.value("cluster"),
                    backend=other,
                    first=f"{one} of {first.paths[0]}",
                    array=", ".join(
                        f"{name} {text}"
                        for name, text in sorted(array)
                        if name != "volume_driver"
                    ),
                )


def _pairs(
    first: CinderConf, second: CinderConf
) -> Iterator[tuple[Value, Value]]:
    shared = [name for name in second.backends if name in first.backends]
    for row in _COMPARED:
        groups = shared if row.group == _BACKEND else [row.group]
        for group in groups:
            yield first.value(row.name, group), second.value(row.name, group)
    for name in _OWN:
        yield (
            first.value(name, "clonepolicy"),
            second.value(name, "clonepolicy"),
        )


def _differ(estate: Estate) -> Iterator[Spot]:
    if not estate.volume_hosts:
        return
    first, *others = estate.volume_hosts
    for second in others:
        for one, other in _pairs(first, second):
            if one.value != other.value:
                yield spot(
                    second,
                    other,
                    one,
                    first=first.paths[0],
                    theirs=one.shown,
                )


CHECKS = (
    Check(
        id="X28",
        level=Level.OFF,
        needs=(Need.CINDER, Need.HOSTS),
        message="{backend} and {first} use the same array, as far as the "
        "files tell ({array}), and each service has a name of its own. "
        "Neither uses the image volumes of the other.",
        remedy="give both services one backend_host, of which only one runs "
        "at a time, or put them in one cluster",
        reasons=(Reason.DIFFERENT_HOST,),
        section="Only some volumes take minutes",
        find=_apart,
    ),
    Check(
        id="X33",
        level=Level.OFF,
        needs=(Need.CINDER, Need.HOSTS),
        message="{option} is {value} here, and {theirs} in {first}: it "
        "depends on the host whether an image is cloned.",
        remedy="set the same value on all hosts",
        section="Only some volumes take minutes",
        find=_differ,
    ),
)
