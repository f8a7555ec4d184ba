"""Policies decide small requests as the reference does, in every combination.

Each table crosses a few facts that meet in several rules, with more values
than the axes have.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agreement import agree, with_every_source
from clonepolicy import (
    POLICIES,
    GiB,
    GlanceStore,
    Host,
    LocationsFrom,
    Quota,
    VolumeType,
    parse_location,
)
from clonepolicy.ports import Missing
from clonepolicy.scenarios import (
    ALICE,
    ARRAY,
    AXES,
    BOB,
    IMAGE_ID,
    INTERNAL,
    NOW,
    OTHER_ARRAY,
    OTHER_ID,
    REGISTERABLE,
    SOURCE_ID,
    THEN,
    with_facts,
)

pytestmark = pytest.mark.one_python

Facts: TypeAlias = Mapping[str, tuple[Any, ...]]

GOLD = VolumeType(id="gold", name="gold", volume_backend_name="fast")
FAST = VolumeType(id="fast", name="fast", volume_backend_name="fast")
BARE = VolumeType(id="bare", name="bare")
BARE_RENAMED = VolumeType(id="bare", name="other")
PLAIN = VolumeType(id="plain")


def _hosts(*texts: str | None) -> tuple[Host | None, ...]:
    return tuple(None if text is None else Host.parse(text) for text in texts)


def quotas(
    *limits: tuple[int | None, ...],
) -> tuple[Quota, ...]:
    """Cross the limits of volumes, of gigabytes, and of one volume."""
    return tuple(
        Quota(volumes=count, gigabytes=total, per_volume_gigabytes=most)
        for count, total, most in itertools.product(*limits)
    )


BOTH = (False, True)
ABSENT = (..., ())
PRESENT = (...,)
GONE = (None, *Missing)
THREE = (None, False, True)
KEYS = (None, "key")
STATUSES = ("available", "in-use", "creating", "deleting", "error")
SCHEMES = tuple(
    frozenset(schemes)
    for schemes in ((), ("cinder",), ("file",), ("cinder", "file"))
)
ARRAYS: Facts = {
    "backend.clone_across_pools": THREE,
    "backend.array_id": (None, ARRAY),
    "candidate.backend.array_id": (None, ARRAY, OTHER_ARRAY),
}
OWNERS: Facts = {
    "image.owner": (ALICE, BOB, None),
    "volume.project_id": (ALICE, BOB),
    "source.project_id": (ALICE, BOB, INTERNAL),
    "source.image_owner": (ALICE, BOB, None),
}
CREATE_TABLES: Mapping[str, Facts] = {
    "owners": {
        **OWNERS,
        "source.status": STATUSES,
        "source.glance_image_id": (None, IMAGE_ID, OTHER_ID),
        "config.cinder_internal_tenant_project_id": (None, INTERNAL),
        "config.trusted_projects": (frozenset(), frozenset({BOB})),
    },
    "statuses": {
        "source.status": STATUSES,
        "source.migration_status": (
            *(None, "none", "success", "error"),
            *("migrating", "starting", "completing"),
        ),
        "array_images": ABSENT,
        "candidate.missing": GONE,
    },
    "hosts": {
        "volume.host": _hosts(
            *(None, "h1", "h1@b1", "h1@b1#p1", "h1#p1"),
            *("h_@b1", "h%@b1", "H1@b1#p1", "h1@b_#p1"),
        ),
        "source.host": _hosts(
            *(None, "h1", "h1@b1", "h1@b1#p1", "h1@b1#p2"),
            *("h1@b2#p1", "h2@b1#p1", "h1#p1", "H1@b1#p1"),
        ),
        "source.cluster_name": _hosts(None, "h1@b1#p1"),
        **ARRAYS,
    },
    "clusters": {
        "volume.cluster_name": _hosts("c1", "c1@b1", "c1@b1#p1", "c_@b1"),
        "source.cluster_name": _hosts(
            *(None, "c1", "c1@b1", "c1@b1#p1", "c1@b1#p2"),
            *("c1@b2#p1", "c2@b1#p1"),
        ),
        "source.host": _hosts(None, "h1@b1#p1", "h2@b1#p1"),
        **ARRAYS,
    },
    "sizes": {
        "volume.size": (0, 1, 2, 3),
        "source.size": (None, 0, 1, 2, 3),
        "image.size": (None, 0, 1, GiB, GiB + 1, 3 * GiB),
        "image.min_disk": (0, 1, 3),
        "image.virtual_size": (None, 0, 2 * GiB),
        "backend.can_extend": THREE,
    },
    "disks": {
        "image.disk_format": ("raw", "qcow2", "iso", "vhd", None),
        "image.container_format": ("bare", "compressed", None),
        "image.size": (None, 0, GiB, GiB + 1),
        "image.virtual_size": (None, 0, GiB, GiB + 1),
        "source.size": (0, 1, 2),
        "volume.size": (1, 2),
    },
    "limits": {
        "volume.size": (0, 1, 2),
        "volume.volume_type": (
            None,
            *(
                VolumeType(id="t", min_vol_size=low, max_vol_size=high)
                for low in (None, 0, 2)
                for high in (None, 0, 1)
            ),
        ),
        "quota": (
            *quotas((None, 0, 1), (None, 0, 1), (None, 1, 2)),
            Quota(volumes=0, missing=Missing.UNAVAILABLE),
        ),
        "candidate.missing": GONE,
    },
    "types": {
        "volume.volume_type": (None, GOLD, FAST, BARE, BARE_RENAMED, PLAIN),
        "source.volume_type": (None, GOLD, FAST, BARE, BARE_RENAMED, PLAIN),
    },
    "encryption": {
        "image.encryption_key_id": KEYS,
        "volume.encryption_key_id": KEYS,
        "source.encryption_key_id": KEYS,
        "volume.multiattach": BOTH,
        "image.signed": BOTH,
        "config.verify_glance_signatures": ("enabled", "disabled"),
        "backend.can_clone": THREE,
        "backend.frozen": BOTH,
        "array_images": ABSENT,
    },
    "clones": {
        "backend.clone_limit": (None, 0, 1, 2),
        "source.clones": (None, 0, 1, 2),
        "array_images": ABSENT,
        "candidate.missing": GONE,
    },
    "images": {
        "image.status": ("active", "queued", "deactivated"),
        "image.visible": BOTH,
        "image.downloadable": BOTH,
        "image.owner": (ALICE, None),
        "image.locations_from": tuple(LocationsFrom),
        "image.direct_url": (None, "cinder://x"),
        "config.allowed_direct_url_schemes": SCHEMES,
        "image_volumes": ABSENT,
        "array_images": ABSENT,
    },
    "formats": {
        "image.disk_format": ("raw", "qcow2", "iso", None),
        "image.container_format": ("bare", "ovf", "compressed", None),
        "config.image_conversion_disable": BOTH,
        "config.allow_compression_on_image_upload": BOTH,
        "conversion_free": (None, 0, GiB, GiB + 1),
        "image.size": (None, 0, GiB),
        "cache_entries": ABSENT,
        "array_images": ABSENT,
    },
    "cache": {
        "cache_entries": ABSENT,
        "cache_missing": (None, Missing.FAILED),
        "candidate.missing": GONE,
        "image_volumes": ABSENT,
        "image.updated_at": (None, THEN, NOW),
        "candidate.image_updated_at": (None, THEN, NOW),
        "candidate.image_id": (IMAGE_ID, OTHER_ID),
        "source.project_id": (ALICE, INTERNAL),
        "config.image_volume_cache_enabled": BOTH,
        "config.cinder_internal_tenant_project_id": (None, INTERNAL),
        "config.cinder_internal_tenant_user_id": (None, "user"),
    },
    "filling the cache": {
        "cache_entries": ABSENT,
        "array_images": ABSENT,
        "image.disk_format": ("raw", "qcow2"),
        "image.container_format": ("bare", "compressed"),
        "image.size": (None, GiB, GiB + 1),
        "image.virtual_size": (None, 0, GiB + 1),
        "config.image_volume_cache_max_size_gb": (0, 1, 2),
        "cache_quota": (
            *(None, Quota(volumes=0), Quota(volumes=1)),
            *(Quota(gigabytes=left) for left in (0, 1, 2)),
            Quota(per_volume_gigabytes=0),
        ),
    },
    "array images": {
        "array_images": PRESENT,
        "candidate.location": tuple(
            parse_location(url)
            for url in (
                f"rbd://array-1/images/{IMAGE_ID}/snap",
                f"rbd://array-2/images/{IMAGE_ID}/snap",
                f"rbd://array-1/volumes/{IMAGE_ID}/snap",
                f"rbd://array-1/images/{OTHER_ID}/snap",
                f"file:///images/{IMAGE_ID}",
                f"file:///images/{OTHER_ID}",
                f"file:///images/deeper/{IMAGE_ID}",
                f"cinder://{SOURCE_ID}",
                "http://example.org/image",
                "rbd://array-1/images/short",
                "file:///images/../images",
            )
        ),
        "backend.image_schemes": (
            *map(frozenset, ((), ("rbd",), ("file",), ("rbd", "http"))),
        ),
        "backend.array_id": (None, ARRAY, OTHER_ARRAY),
        "candidate.backend.array_id": (None, ARRAY, OTHER_ARRAY),
        "config.trusted_image_pools": (
            *map(frozenset, ((), ("images",), ("/images",))),
        ),
        "candidate.missing": GONE,
    },
}
CREATE_TABLES = {
    **CREATE_TABLES,
    "two locations": {
        "image_volumes": tuple(
            (*one, *two)
            for one, two in itertools.combinations(AXES["image_volumes"], 2)
        ),
        "image.owner": (ALICE, None),
    },
    "data": {
        "image_volumes": AXES["image_volumes"],
        "array_images": ABSENT,
        "image.locations_from": tuple(LocationsFrom),
        "glance.show_multiple_locations": BOTH,
        "image.encryption_key_id": KEYS,
        "volume.encryption_key_id": KEYS,
    },
}
UPLOAD_TABLES: Mapping[str, Facts] = {
    "statuses": {
        "volume.status": (*STATUSES, "uploading"),
        "volume.previous_status": (None, *STATUSES),
        "force": BOTH,
        "config.enable_force_upload": BOTH,
        "config.image_upload_use_cinder_backend": BOTH,
        "image.status": ("queued", "active"),
    },
    "formats": {
        "image.disk_format": ("raw", "qcow2", "iso", None),
        "image.container_format": ("bare", "ovf", "compressed", None),
        "volume.encryption_key_id": KEYS,
        "config.image_conversion_disable": BOTH,
        "config.allow_compression_on_image_upload": BOTH,
        "config.image_upload_use_cinder_backend": BOTH,
        "clone_quota": (
            *quotas((None, 0), (None,), (None,)),
            Quota(volumes=0, missing=Missing.FORBIDDEN),
        ),
    },
    "owners": {
        "image.owner": (ALICE, BOB, INTERNAL, None),
        "project_id": (ALICE, BOB, INTERNAL),
        "volume.project_id": (ALICE, BOB, INTERNAL),
        "config.image_upload_use_internal_tenant": BOTH,
        "config.cinder_internal_tenant_project_id": (None, INTERNAL),
        "config.cinder_internal_tenant_user_id": (None, "user"),
    },
    "sizes": {
        "volume.size": (0, 1, 2),
        "image.size": (None, 0, GiB, GiB + 1),
        "image.virtual_size": (None, 0, GiB, GiB + 1),
        "image.min_disk": (0, 1, 3),
        "backend.can_extend": THREE,
        "volume.host": _hosts(None, "h1"),
        "volume.cluster_name": _hosts(None, "c1"),
    },
    "backends": {
        "backend.can_clone": THREE,
        "backend.frozen": BOTH,
        "backend.clone_while_uploading": THREE,
        "backend.clone_limit": (None, 0, 1),
        "volume.clones": (None, 0, 1),
        "volume.size": (0, 1, 2),
        "clone_quota": quotas((None,), (None, 1), (None, 1)),
    },
    "glance": {
        "glance.has_location_api": THREE,
        "glance.show_multiple_locations": BOTH,
        "glance.missing": (None, Missing.UNAVAILABLE),
        "glance.set_image_location": THREE,
        "glance.service_roles": (
            *map(frozenset, ((), ("admin",), ("service",))),
            frozenset({"admin", "service"}),
        ),
        "image.visibility": ("private", "shared", "community", "public"),
    },
    "stores": {
        "glance.has_location_api": THREE,
        "volume.volume_type": (
            *(None, GOLD, PLAIN),
            VolumeType(id="t", name="gold", store_id="s1"),
            VolumeType(id="t", name="gold", store_id="s9"),
        ),
        "glance.stores": tuple(
            tuple(
                GlanceStore(
                    id=f"s{at}", cinder_volume_type=name, read_only=read_only
                )
                for at, (name, read_only) in enumerate(stores)
            )
            for size in range(3)
            for stores in itertools.product(
                itertools.product((None, "gold"), BOTH), repeat=size
            )
        ),
    },
}


def requests(facts: Facts) -> Iterator[dict[str, Any]]:
    """Cross the values of some facts."""
    for values in itertools.product(*facts.values()):
        yield dict(zip(facts, values, strict=True))


@pytest.mark.parametrize("table", CREATE_TABLES)
def test_every_small_create_is_decided_as_in_the_reference(table: str) -> None:
    """An image on the array stands in the way only where a table asks."""
    for values in requests(CREATE_TABLES[table]):
        request = with_every_source({"array_images": (), **values})
        for policy in POLICIES.values():
            agree(request, policy)


@pytest.mark.parametrize("table", UPLOAD_TABLES)
def test_every_small_upload_is_decided_as_in_the_reference(table: str) -> None:
    """No combination of a table's facts divides the two."""
    for values in requests(UPLOAD_TABLES[table]):
        for policy in POLICIES.values():
            agree(with_facts(REGISTERABLE, values), policy)
