"""Hypothesis strategies for every record, drawn from small pools.

Ids, projects, hosts and sizes come from few values, so that locations meet
volumes and owners meet projects often.  Any part may be given::

    create_requests(image=images(owner=just("alice")))

`hypothesis.strategies.from_type` knows the records too, by the entry point
``hypothesis``.
"""

from __future__ import annotations

import datetime
from typing import Any, TypeVar, cast

import attrs
from hypothesis import strategies as st

from clonepolicy import (
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
    StoredImage,
    UploadRequest,
    Volume,
    VolumeType,
    parse_location,
)
from clonepolicy.ports import Missing
from clonepolicy.scenarios import (
    ALICE,
    AXES,
    BOB,
    CLONEABLE,
    IMAGE_ID,
    INTERNAL,
    NEW_ID,
    OTHER_ID,
    SOURCE_ID,
    STORE,
    UPLOAD_AXES,
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
    "upload_requests",
    "volume_ids",
    "volume_types",
    "volumes",
]

T = TypeVar("T")

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


def _record(
    kind: type[T],
    roots: tuple[str, ...],
    special: dict[str, st.SearchStrategy[Any]],
    given: dict[str, st.SearchStrategy[Any]],
) -> st.SearchStrategy[T]:
    """Draw a record: each field is given, special, or drawn from the axes.

    ``roots`` begin the paths of the record's fields in `AXES` and
    `UPLOAD_AXES`, so that a new fact is drawn as soon as it has values
    there.
    """
    fields = attrs.fields_dict(cast("type[attrs.AttrsInstance]", kind))
    drawn = {}
    for field in fields:
        values = [
            value
            for root in roots
            for axes in (AXES, UPLOAD_AXES)
            for value in axes.get(f"{root}{field}", ())
        ]
        if values:
            drawn[field] = st.sampled_from(values)
    return st.builds(kind, **{**drawn, **special, **given})


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
    return st.builds(
        StoredImage,
        size=_maybe(st.integers(0, 3)),
        status=st.sampled_from(("available", "deleting")),
        encryption_key_id=st.sampled_from((None, None, "key-1")),
        clones=_maybe(st.integers(0, 2)),
    )


def backends() -> st.SearchStrategy[Backend]:
    """Arrays with any capabilities, known or not."""
    able = st.sampled_from((True, True, False, None))
    special = {
        "can_clone": able,
        "clone_across_pools": able,
        "can_extend": able,
        "clone_while_uploading": able,
        "clone_limit": st.sampled_from((None, None, 0, 1)),
    }
    return _record(Backend, ("backend.",), special, {})


def missing() -> st.SearchStrategy[Missing]:
    """Why there is no source."""
    return st.sampled_from(Missing)


def _candidates(
    kind: type[T],
    sources: st.SearchStrategy[Any],
    **fields: st.SearchStrategy[Any],
) -> st.SearchStrategy[T]:
    """Draw candidates that have a source, or say why they have none."""
    fields["backend"] = backends()
    return st.builds(kind, source=sources, **fields) | st.builds(
        kind, missing=missing(), **fields
    )


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


def create_requests(
    **given: st.SearchStrategy[Any],
) -> st.SearchStrategy[CreateRequest]:
    """Any request to make a volume of an image; each part may be given."""
    return _record(
        CreateRequest,
        ("",),
        {
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
        },
        given,
    )


def upload_requests(
    **given: st.SearchStrategy[Any],
) -> st.SearchStrategy[UploadRequest]:
    """Any request to make an image of a volume; each part may be given."""
    return _record(
        UploadRequest,
        ("",),
        {
            "image": images(),
            "volume": volumes(),
            "project_id": project_ids(),
            "backend": backends(),
            "config": configs(),
            "glance": glance_configs(),
            "clone_quota": quotas(),
        },
        given,
    )


@st.composite
def near_misses(draw: st.DrawFn) -> CreateRequest:
    """Requests that clone but for a few facts, changed at random."""
    base = draw(st.sampled_from(list(CLONEABLE.values())))
    paths = draw(
        st.lists(st.sampled_from(sorted(AXES)), max_size=4, unique=True)
    )
    values = {path: draw(st.sampled_from(AXES[path])) for path in paths}
    return with_facts(base, values)
