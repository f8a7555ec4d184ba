"""Law: agreed.  Policies decide as an independent reference does.

``reference`` is a second implementation of the three policies, written from
their documentation alone.  What is compared is derived: every rule of every
table is compared over all values of the facts that it reads, every fact is
drawn at random, and nothing here names a rule.
"""

from __future__ import annotations

import ast
import datetime
import itertools
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import reference
from agreement import (
    agree,
    expected,
    label,
    with_every_source,
)
from clonepolicy import (
    POLICIES,
    CreateRequest,
    GiB,
    GlanceStore,
    Host,
    Quota,
    Request,
    UploadRequest,
    VolumeType,
    parse_location,
    scenarios,
)
from clonepolicy.policy import CANDIDATE_FIELDS, Rule
from clonepolicy.scenarios import (
    AXES,
    CLONEABLE,
    IMAGE_ID,
    OTHER_ID,
    REGISTERABLE,
    SOURCE_ID,
    UPLOAD_AXES,
    with_facts,
)
from clonepolicy.testing import strategies as some
from laws import some_variants

pytestmark = pytest.mark.one_python

Values: TypeAlias = Mapping[str, tuple[Any, ...]]

BASES: dict[Rule[Any], list[Request]] = {}
for _policy in POLICIES.values():
    for _table in scenarios.scenarios_of(_policy):
        for _rule in _table.rules:
            BASES.setdefault(_rule, []).append(_table.base)


# -- every rule -------------------------------------------------------------


@pytest.mark.parametrize("rule", BASES, ids=lambda rule: rule.name)
def test_every_rule_is_in_the_reference(rule: Rule[Any]) -> None:
    """Whatever the facts that the rule reads, the two answer alike.

    Of very many combinations of their values some are taken.
    """
    bases = {id(base): base for base in BASES[rule]}
    for base in bases.values():
        variants = list(some_variants(rule, base))
        some_of = random.Random(0)  # noqa: S311 - a sample, no secret
        chosen = some_of.sample(variants, min(200, len(variants)))
        for values, scenario in chosen:
            every = [scenario]
            if isinstance(scenario, CreateRequest):
                every.append(with_every_source(values))
            for request, policy in itertools.product(every, POLICIES.values()):
                agree(request, policy)


@pytest.mark.parametrize("path", sorted({*AXES, *UPLOAD_AXES}))
def test_every_value_counts_as_in_the_reference(path: str) -> None:
    """Each by itself, for each route alone, for all, and for an upload."""
    requests: list[Request] = [
        with_facts(REGISTERABLE, {path: value})
        for value in UPLOAD_AXES.get(path, ())
    ]
    for value in AXES.get(path, ()):
        requests += [
            with_facts(base, {path: value}) for base in CLONEABLE.values()
        ]
        requests.append(with_every_source({path: value}))
    for request, policy in itertools.product(requests, POLICIES.values()):
        agree(request, policy)


# -- random requests --------------------------------------------------------

_MOMENTS = (
    *(datetime.datetime(y, 1, 1, tzinfo=datetime.UTC) for y in (1960, 2024)),
    None,
)
_PLACES = tuple(
    map(
        Host.parse,
        (
            *("h1@b1#p1", "h1@b1#p2", "h1@b2#p1", "h2@b1#p1", "h1", "h1@b1"),
            *("h_@b1", "h%", "%", "_1@b1#p1", "h1#p1", "H1@b1"),
            *("h1#p1@b1", "h1@b1#p1#p2"),
        ),
    )
)
_TYPES = (
    VolumeType(id="plain", name="other"),
    VolumeType(id="big", name="plain", store_id="s1", min_vol_size=1),
    VolumeType(id="big", name="plain", max_vol_size=1),
)
_COUNTS = (None, 0, 1, 2, 3)
_BYTES = (None, 0, 1, GiB, GiB + 1, 2 * GiB)
_VOLUME: Values = {
    "size": (0, 1, 2, 3),
    "host": _PLACES,
    "cluster_name": _PLACES,
    "volume_type": _TYPES,
    "status": ("creating", "deleting", "uploading", "downloading"),
    "migration_status": ("none", "error", "starting"),
    "created_at": _MOMENTS,
    "clones": _COUNTS,
}
_QUOTAS = (
    *(Quota(volumes=left) for left in _COUNTS),
    *(Quota(gigabytes=left) for left in _COUNTS),
    *(Quota(per_volume_gigabytes=left) for left in _COUNTS),
)
_STORES = tuple(
    GlanceStore(id=name, cinder_volume_type=kind, read_only=read_only)
    for name in ("s1", "s2")
    for kind in (None, "plain", "other")
    for read_only in (False, True)
)
ODDER: Values = {
    **{f"volume.{field}": values for field, values in _VOLUME.items()},
    **{f"source.{field}": values for field, values in _VOLUME.items()},
    "source.id": ("v1", "v10", "v2"),
    "image.size": _BYTES,
    "image.virtual_size": _BYTES,
    "image.disk_format": ("RAW", "iso"),
    "image.visibility": ("community",),
    "image.updated_at": _MOMENTS,
    "backend.clone_limit": _COUNTS,
    "backend.image_schemes": tuple(
        map(frozenset, (("cinder", "file"), ("rbd", "http")))
    ),
    "config.trusted_image_pools": tuple(
        map(frozenset, (("im/ages",), ("/images", "/")))
    ),
    "quota": _QUOTAS,
    "clone_quota": _QUOTAS,
    "cache_quota": _QUOTAS,
    "config.image_volume_cache_max_size_gb": (2,),
    "conversion_free": _BYTES,
    "candidate.image_updated_at": _MOMENTS,
    "candidate.last_used": _MOMENTS,
    "candidate.location": tuple(
        parse_location(url)
        for url in (
            *(f"cinder://{name}" for name in (IMAGE_ID, OTHER_ID)),
            f"cinder:///{SOURCE_ID}",
            f"rbd://array-1/im%2Fages/{IMAGE_ID}/snap",
            f"file:///{IMAGE_ID}",
            f"file:///images/./{IMAGE_ID}",
        )
    ),
    "glance.stores": tuple(
        stores
        for stores in itertools.product(_STORES, repeat=2)
        if stores[0].id < stores[1].id
    ),
}
"""More values for some facts than the axes have."""


def changes(paths: Values, most: int) -> st.SearchStrategy[dict[str, Any]]:
    """Give up to so many facts other values."""
    one = st.sampled_from(
        [
            (path, value)
            for path, values in paths.items()
            for value in (*values, *ODDER.get(path, ()))
        ]
    )
    return st.lists(one, max_size=most).map(dict)


def _about_source(path: str) -> bool:
    return path.partition(".")[0] in {"source", "candidate"}


ABOUT_SOURCE: Values = {
    **{path: values for path, values in AXES.items() if _about_source(path)},
    **{path: values for path, values in ODDER.items() if _about_source(path)},
}
ABOUT_REQUEST: Values = {
    path: values for path, values in AXES.items() if not _about_source(path)
}


@st.composite
def create_requests(draw: st.DrawFn) -> CreateRequest:
    """Draw requests that are a few changes away from a clone.

    There are several candidates for each route, some of them twice, but
    never two of one name with different facts.
    """
    request = with_every_source(draw(changes(ABOUT_REQUEST, 6)))
    found: dict[str, Any] = {}
    for route, field in CANDIDATE_FIELDS.items():
        different = {
            label(candidate): candidate
            for values in draw(st.lists(changes(ABOUT_SOURCE, 3), max_size=3))
            for candidate in getattr(
                with_facts(CLONEABLE[route], values), field
            )
        }
        found[field] = (*different.values(), *different.values())[
            : draw(st.integers(0, 4))
        ]
    return attrs.evolve(request, **found)


def upload_requests() -> st.SearchStrategy[UploadRequest]:
    """Draw requests that are a few changes away from a registration."""
    return changes(UPLOAD_AXES, 6).map(lambda v: with_facts(REGISTERABLE, v))


_EXAMPLES = 3 * settings().max_examples


@settings(max_examples=_EXAMPLES)
@given(request=create_requests() | st.deferred(some.create_requests))
def test_any_create_is_decided_as_in_the_reference(
    request: CreateRequest,
) -> None:
    """However many facts and candidates are odd, the two answer alike."""
    for policy in POLICIES.values():
        event(f"{policy.name}: {expected(request, policy)['verdict']}")
        agree(request, policy)


@settings(max_examples=_EXAMPLES)
@given(request=upload_requests() | some.upload_requests())
def test_any_upload_is_decided_as_in_the_reference(
    request: UploadRequest,
) -> None:
    """However many facts are odd, the two answer alike."""
    for policy in POLICIES.values():
        event(f"{policy.name}: {expected(request, policy)['verdict']}")
        agree(request, policy)


# -- independence -----------------------------------------------------------


def test_the_reference_shares_nothing_with_the_package() -> None:
    """It imports the standard library and itself, but not this package."""
    roots = set()
    for file in Path(reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add((node.module or ".").partition(".")[0])
    assert {
        *("__future__", "collections", "datetime", "functools", "posixpath"),
        *("re", "reference", "string", "typing", "urllib"),
    } == roots
