"""Hypothesis strategies for every record, drawn from small pools.

Ids, projects, hosts and sizes come from few values, so that locations meet
volumes and owners meet projects often.  Any part may be given::

    create_requests(image=images(owner=just("alice")))

`hypothesis.strategies.from_type` knows the records too, by the entry point
``hypothesis``.
"""

from __future__ import annotations

import datetime
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

import attrs
from hypothesis import strategies as st

from clonepolicy import (
    POLICIES,
    ArrayImage,
    Backend,
    CacheEntry,
    Config,
    CreateRequest,
    GiB,
    GlanceConfig,
    GlanceStore,
    Host,
    Image,
    ImageVolume,
    Location,
    Quota,
    Request,
    UploadRequest,
    Volume,
    VolumeType,
    parse_location,
)
from clonepolicy.policy import Rule, Values
from clonepolicy.ports import Missing, StoredImage
from clonepolicy.scenarios import (
    ALICE,
    AXES,
    BOB,
    CLONEABLE,
    IMAGE_ID,
    INTERNAL,
    NEW_ID,
    OTHER_ID,
    REGISTERABLE,
    SOURCE_ID,
    STORE,
    UPLOAD_AXES,
    holds,
    variants,
    with_facts,
)

__all__ = [
    "array_images",
    "backends",
    "cache_entries",
    "configs",
    "create_requests",
    "glance_configs",
    "hosts",
    "image_ids",
    "image_volumes",
    "images",
    "locations",
    "moments",
    "near_misses",
    "project_ids",
    "quotas",
    "stored_images",
    "upload_near_misses",
    "upload_requests",
    "volume_ids",
    "volume_types",
    "volumes",
]

T = TypeVar("T")
R = TypeVar("R", CreateRequest, UploadRequest)
Record = TypeVar("Record", bound=attrs.AttrsInstance)

_MOMENTS = tuple(
    datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    for year in (2024, 2025, 2026)
)


def _maybe(values: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | values


def project_ids() -> st.SearchStrategy[str]:
    """Two tenants, the internal one, and a store's project."""
    return st.sampled_from((ALICE, BOB, INTERNAL, STORE))


def volume_ids() -> st.SearchStrategy[str]:
    """Three volume ids."""
    return st.sampled_from((NEW_ID, SOURCE_ID, OTHER_ID))


def image_ids() -> st.SearchStrategy[str]:
    """Two image ids."""
    return st.sampled_from((IMAGE_ID, OTHER_ID))


def moments() -> st.SearchStrategy[datetime.datetime | None]:
    """A few points in time, or none."""
    return st.sampled_from((*_MOMENTS, None))


def hosts() -> st.SearchStrategy[Host]:
    """Hosts and clusters that differ in one part, some with wild cards."""
    return st.builds(
        lambda host, backend, pool: Host.parse(f"{host}{backend}{pool}"),
        st.sampled_from(("h1", "h2", "h_", "%")),
        st.sampled_from(("@b1", "@b2", "")),
        st.sampled_from(("#p1", "#p2", "")),
    )


def locations() -> st.SearchStrategy[Location]:
    """Locations of every kind, canonical, lenient and malformed."""
    volumes = volume_ids()
    return st.one_of(
        volumes.map(lambda v: parse_location(f"cinder://{v}")),
        volumes.map(lambda v: parse_location(f"cinder://store/{v}")),
        st.sampled_from(AXES["candidate.location"]),
        st.text(max_size=20).map(parse_location),
    )


def volume_types() -> st.SearchStrategy[VolumeType]:
    """Types with and without limits, store and backend name."""
    limit = st.integers(0, 3)
    return st.builds(
        VolumeType,
        id=st.sampled_from(("plain", "other")),
        name=_maybe(st.sampled_from(("plain", "other"))),
        volume_backend_name=_maybe(st.sampled_from(("b1", "b2"))),
        min_vol_size=_maybe(limit),
        max_vol_size=_maybe(limit),
        store_id=_maybe(st.sampled_from(("s1", "s2"))),
        extra_specs=_maybe(st.frozensets(st.just("tier=fast"))),
        qos_specs_id=st.sampled_from((None, None, "q1")),
    )


def _records_in(value: object) -> Iterator[object]:
    """Iterate over a record and those in its fields."""
    if isinstance(value, tuple):
        for each in value:
            yield from _records_in(each)
    elif attrs.has(kind := type(value)):
        yield value
        for field in attrs.fields(kind):
            yield from _records_in(getattr(value, field.name))


_KNOWN = (*_records_in((*CLONEABLE.values(), REGISTERABLE)),)
"""Every record of the scenarios, those of several once for each."""


@st.composite
def _values(
    draw: st.DrawFn,
    names: st.SearchStrategy[Iterable[str]],
    of: Mapping[str, st.SearchStrategy[Any]],
) -> dict[str, Any]:
    return {name: draw(of[name]) for name in dict.fromkeys(draw(names))}


def _evolved(record: Any, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any record
    return attrs.evolve(record, **values)


def _one_or_all(
    bases: st.SearchStrategy[Record],
    fields: dict[str, st.SearchStrategy[Any]],
    given: dict[str, st.SearchStrategy[Any]],
) -> st.SearchStrategy[Record]:
    """Draw a record, then one of its fields again, or all, and those given.

    All of them in one draw of eight: so drawn, hardly a request can clone.
    """
    names = sorted(fields)
    one = st.lists(st.sampled_from(names), max_size=1)
    which = st.sampled_from((False,) * 7 + (True,)).flatmap(
        lambda every: st.just(names) if every else one
    )
    values = _values(which.map(lambda n: (*n, *given)), {**fields, **given})
    return st.builds(_evolved, bases, values)


def _record(
    kind: type[Record],
    roots: tuple[str, ...],
    special: dict[str, st.SearchStrategy[Any]],
    given: dict[str, st.SearchStrategy[Any]],
) -> st.SearchStrategy[Record]:
    """Draw a record of a scenario with one other field, or with all.

    A field is special, or drawn from the axes.  ``roots`` begin the paths of
    the record's fields in `AXES` and `UPLOAD_AXES`, so that a new fact is
    drawn as soon as it has values there.
    """
    drawn = {}
    for field in attrs.fields_dict(kind):
        values = [
            value
            for root in roots
            for axes in (AXES, UPLOAD_AXES)
            for value in axes.get(f"{root}{field}", ())
        ]
        if values:
            drawn[field] = st.sampled_from(values)
    bases = [record for record in _KNOWN if isinstance(record, kind)]
    return _one_or_all(st.sampled_from(bases), {**drawn, **special}, given)


def volumes(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[Volume]:
    """Volumes in any state; each field may be given."""
    special = {
        "id": volume_ids(),
        "project_id": project_ids(),
        "size": st.integers(0, 3),
        "status": st.sampled_from(
            ("available", "in-use", "uploading", "error", "creating")
        ),
        "host": _maybe(hosts()),
        "cluster_name": _maybe(hosts()),
        "volume_type": _maybe(volume_types()),
        "created_at": moments(),
        "clones": _maybe(st.integers(0, 2)),
    }
    return _record(Volume, ("volume.", "source."), special, given)


def images(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[Image]:
    """Images in any state; each field may be given."""
    special = {
        "owner": _maybe(project_ids()),
        "size": _maybe(
            st.sampled_from((0, 1, GiB, GiB + 1, 2 * GiB, 3 * GiB))
        ),
        "updated_at": moments(),
    }
    return _record(Image, ("image.",), special, given)


def stored_images() -> st.SearchStrategy[StoredImage]:
    """What an array may find under a location."""
    special = {
        "size": _maybe(st.integers(0, 3)),
        "status": st.sampled_from(("available", "deleting")),
        "clones": _maybe(st.integers(0, 2)),
    }
    return _record(StoredImage, ("source.",), special, {})


def backends() -> st.SearchStrategy[Backend]:
    """Arrays with any capabilities, known or not."""
    special = {"clone_limit": st.sampled_from((None, 0, 1))}
    return _record(Backend, ("backend.",), special, {})


def missing() -> st.SearchStrategy[Missing]:
    """Why there is no source."""
    return st.sampled_from(Missing)


def _candidates(
    kind: type[Record],
    sources: st.SearchStrategy[Any],
    **fields: st.SearchStrategy[Any],
) -> st.SearchStrategy[Record]:
    """Draw candidates that have a source, or say why they have none."""
    own = {"backend": backends(), "source": sources, "missing": st.none()}
    found = _record(kind, ("candidate.",), {**fields, **own}, {})
    gone = st.fixed_dictionaries({"source": st.none(), "missing": missing()})
    return st.one_of(found, found, found, st.builds(_evolved, found, gone))


def array_images() -> st.SearchStrategy[ArrayImage]:
    """Candidates on an array, found or not."""
    return _candidates(ArrayImage, stored_images(), location=locations())


def image_volumes() -> st.SearchStrategy[ImageVolume]:
    """Candidates behind a location, found or not."""
    return _candidates(ImageVolume, volumes(), location=locations())


def cache_entries() -> st.SearchStrategy[CacheEntry]:
    """Candidates in the image-volume cache, found or not."""
    return _candidates(
        CacheEntry,
        volumes(),
        image_id=image_ids(),
        image_updated_at=moments(),
        last_used=moments(),
    )


def configs() -> st.SearchStrategy[Config]:
    """Any configuration."""
    return _record(Config, ("config.",), {}, {})


def glance_configs() -> st.SearchStrategy[GlanceConfig]:
    """Any Glance."""
    stores = st.builds(
        GlanceStore,
        id=st.sampled_from(("s1", "s2")),
        cinder_volume_type=_maybe(st.sampled_from(("plain", "other"))),
        read_only=st.booleans(),
    )
    special = {"stores": st.lists(stores, max_size=2).map(tuple)}
    return _record(GlanceConfig, ("glance.",), special, {})


def quotas() -> st.SearchStrategy[Quota]:
    """Quotas with and without limits."""
    left = _maybe(st.integers(0, 3))
    return st.builds(
        Quota,
        volumes=left,
        gigabytes=left,
        per_volume_gigabytes=left,
        missing=st.sampled_from((None, None, None, *Missing)),
    )


def _near(
    base: R, axes: Mapping[str, tuple[Any, ...]], tables: tuple[str, ...]
) -> st.SearchStrategy[R]:
    """Draw a scenario with other values of the facts of some rules.

    The rules are those of the shipped policies in the tables whose names
    begin so: up to two that make notes, or up to four that close routes.  Of
    rules that read the same facts one is enough.
    Most often the values are some with which the rule fails.
    """
    others = {
        path: [v for v in values if with_facts(base, {path: v}) != base]
        for path, values in axes.items()
    }
    of = {path: st.sampled_from(each) for path, each in others.items() if each}
    rules_of: dict[bool, dict[frozenset[str], Rule[Any]]] = {}
    for policy in POLICIES.values():
        for name, rules in policy.tables():
            if name.startswith(tables):
                alike = rules_of.setdefault(name.endswith("notes"), {})
                for rule in rules:
                    if not of.keys().isdisjoint(rule.reads):
                        alike.setdefault(frozenset(rule.reads), rule)

    def values_for(rule: Rule[Any]) -> st.SearchStrategy[Values]:
        facts = st.sampled_from([path for path in rule.reads if path in of])
        other = _values(st.lists(facts, min_size=1, unique=True), of)
        failing = _failing(base, rule)
        if not failing:
            return other
        one_in_four = st.sampled_from((True, False, False, False))
        return one_in_four.flatmap(
            lambda free: other if free else st.sampled_from(failing)
        )

    notes, faults = (tuple(rules_of[kind].values()) for kind in (True, False))
    note, fault = (
        st.sampled_from(rules).flatmap(values_for) for rules in (notes, faults)
    )
    several = st.lists(note, max_size=2) | st.lists(fault, max_size=4)
    return several.map(
        lambda each: with_facts(base, dict(ChainMap(*map(dict, each))))
    )


@cache
def _failing(base: Request, rule: Rule[Any]) -> tuple[Values, ...]:
    """Return values of the facts that a rule reads with which it fails."""
    some = variants(base, frozenset(rule.reads), 200)
    return tuple(values for values, found in some if not holds(rule, found))


@cache
def near_misses() -> st.SearchStrategy[CreateRequest]:
    """Requests that clone but for the facts of a few rules."""
    request = ("create.refuse", "create.download")
    return st.one_of(
        [
            _near(base, AXES, (*request, f"create.{route}."))
            for route, base in CLONEABLE.items()
        ]
    )


@cache
def upload_near_misses() -> st.SearchStrategy[UploadRequest]:
    """Requests that register but for a few facts, as in `near_misses`."""
    return _near(REGISTERABLE, UPLOAD_AXES, ("upload.",))


def create_requests(
    **given: st.SearchStrategy[Any],
) -> st.SearchStrategy[CreateRequest]:
    """Any request to make a volume of an image; each part may be given."""
    parts = {
        "image": images(),
        "volume": volumes(),
        "backend": backends(),
        "config": configs(),
        "glance": glance_configs(),
        "quota": quotas(),
        "cache_quota": _maybe(quotas()),
        "conversion_free": _maybe(st.integers(0, 3 * GiB)),
        "array_images": st.lists(array_images(), max_size=2).map(tuple),
        "image_volumes": st.lists(image_volumes(), max_size=3).map(tuple),
        "cache_entries": st.lists(cache_entries(), max_size=2).map(tuple),
    }
    return _one_or_all(near_misses(), parts, given)


def upload_requests(
    **given: st.SearchStrategy[Any],
) -> st.SearchStrategy[UploadRequest]:
    """Any request to make an image of a volume; each part may be given."""
    parts = {
        "image": images(),
        "volume": volumes(),
        "project_id": project_ids(),
        "force": st.booleans(),
        "backend": backends(),
        "config": configs(),
        "glance": glance_configs(),
        "clone_quota": quotas(),
    }
    return _one_or_all(upload_near_misses(), parts, given)
