"""Answers of Cinder's and Glance's APIs become records, or FactErrors.

The bodies are shaped as the views of cinder 29.0.0 and glance 33.0.0 write
them; tests/openstack reads those of the views themselves.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clonepolicy import (
    CloneKind,
    FactError,
    GlanceStore,
    Host,
    Quota,
    VolumeType,
)
from clonepolicy.adapters.records import (
    has_location_api,
    hidden_columns,
    pool_from_api,
    quota_from_api,
    shows_extra_specs,
    stores_from_v2,
    volume_from_api,
    volume_type_from_api,
)

TYPE: dict[str, Any] = {
    "id": "5fc5d0c1-0000-4000-8000-000000000001",
    "name": "gold",
    "is_public": True,
    "description": None,
    "extra_specs": {
        "volume_backend_name": "nvme",
        "multiattach": "<is> True",
        "provisioning:max_vol_size": "100",
    },
    "qos_specs_id": None,
    "os-volume-type-access:is_public": True,
}
USERS_TYPE = {
    **{key: TYPE[key] for key in ("id", "name", "is_public", "description")},
    "extra_specs": {"multiattach": "<is> True"},
}
VOLUME: dict[str, Any] = {
    "id": "6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293",
    "status": "available",
    "size": 3,
    "availability_zone": "nova",
    "created_at": "2026-01-01T00:00:00.000000",
    "updated_at": None,
    "name": "image-0e5b8f3a",
    "volume_type": "gold",
    "volume_type_id": TYPE["id"],
    "metadata": {"image_owner": "bob", "glance_image_id": "i"},
    "bootable": "false",
    "encrypted": False,
    "multiattach": False,
    "attachments": [],
    "consumes_quota": True,
    "os-vol-tenant-attr:tenant_id": "alice",
    "migration_status": None,
    "cluster_name": None,
    "os-vol-host-attr:host": "h@b#p",
    "os-vol-mig-status-attr:migstat": None,
    "os-vol-mig-status-attr:name_id": None,
}
HIDDEN = {
    "os-vol-host-attr:host",
    "os-vol-mig-status-attr:migstat",
    "cluster_name",
}
QUOTA = {
    "id": "alice",
    "volumes": {"limit": 10, "in_use": 3, "reserved": 1, "allocated": 0},
    "gigabytes": {"limit": 5, "in_use": 9, "reserved": 0},
    "per_volume_gigabytes": {"limit": -1, "in_use": 0, "reserved": 0},
    "volumes_gold": {"limit": 2, "in_use": 1, "reserved": 0},
    "gigabytes_gold": {"limit": -1, "in_use": 1, "reserved": 0},
}
POOL: dict[str, Any] = {
    "name": "node1@nvme#gold",
    "capabilities": {
        "storage_protocol": "iSCSI",
        "vendor_name": "Open Source",
        "volume_backend_name": "nvme",
        "free_capacity_gb": 12.5,
        "clone_across_pools": True,
        "clone_kind": "thin-copy",
        "array_id": "array-7",
        "pool_name": "gold",
    },
}
CEPH = {
    "name": "node1@ceph#ceph",
    "capabilities": {
        "storage_protocol": "ceph",
        "location_info": "ceph:/etc/ceph/ceph.conf:"
        "1a2b3c4d-0000-4000-8000-00000000000f:cinder:volumes",
    },
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda more: (
        st.lists(more, max_size=2)
        | st.dictionaries(st.sampled_from(["limit", "id", "url"]), more)
    ),
    max_leaves=4,
)


def test_a_type_is_read_as_admins_see_it() -> None:
    """Limits and names are fields; what it promises is kept as text."""
    kind = volume_type_from_api(TYPE)

    assert ("gold", "nvme", 100) == (
        kind.name,
        kind.volume_backend_name,
        kind.max_vol_size,
    )
    assert frozenset({"multiattach=<is> True"}) == kind.extra_specs
    assert shows_extra_specs(TYPE)


def test_the_extra_specs_that_users_see_promise_nothing_known() -> None:
    """Users see a few of them only, without a sign that there are more."""
    kind = volume_type_from_api(USERS_TYPE)

    assert VolumeType(id=TYPE["id"], name="gold") == kind
    assert kind.extra_specs is None
    assert not shows_extra_specs(USERS_TYPE)


def test_a_volume_takes_its_type_as_a_record() -> None:
    """The type was read before."""
    kind = volume_type_from_api(TYPE)
    volume = volume_from_api(VOLUME, volume_type=kind)

    assert volume == volume_from_api(VOLUME, volume_type=TYPE)
    assert kind is volume.volume_type
    with pytest.raises(FactError, match="the volume's own type"):
        volume_from_api(VOLUME, volume_type=VolumeType(id="other", name="x"))


def test_what_users_do_not_see_is_told_by_the_caller() -> None:
    """Nothing is guessed: without it the answer is an error."""
    body = {key: VOLUME[key] for key in VOLUME.keys() - HIDDEN}
    assert ("host", "cluster_name", "migration_status") == hidden_columns(body)
    with pytest.raises(FactError, match=r"os-vol-host-attr:host: .* admins"):
        volume_from_api(body, volume_type=TYPE)

    unknown = dict.fromkeys(hidden_columns(body))
    volume = volume_from_api(body, volume_type=TYPE, hidden=unknown)

    assert (None, "alice") == (volume.host, volume.project_id)


def test_what_the_answer_shows_is_never_replaced() -> None:
    """The caller's value is for what is hidden only."""
    volume = volume_from_api(VOLUME, volume_type=TYPE, hidden={"host": "x@y"})

    assert Host("h", "b", "p") == volume.host
    assert () == hidden_columns(VOLUME)


def test_an_encrypted_volume_without_a_key_has_the_fixed_key() -> None:
    """No microversion shows that key; older ones show none at all."""
    body = {**VOLUME, "encrypted": True}
    volume = volume_from_api(body, volume_type=TYPE)
    assert volume.encryption_key_id is not None

    del body["consumes_quota"]
    with pytest.raises(FactError, match=r"Volume\.encryption_key_id"):
        volume_from_api(body, volume_type=TYPE)


def test_a_quota_is_what_is_left() -> None:
    """A negative limit is none, and what is overdrawn is zero."""
    kind = volume_type_from_api(TYPE)

    assert Quota(volumes=6, gigabytes=0) == quota_from_api(QUOTA)
    assert Quota(volumes=6, gigabytes=0, type_volumes=1) == (
        quota_from_api(QUOTA, kind)
    )


def test_a_quota_without_usage_is_refused() -> None:
    """Limits alone do not say what is left."""
    limits = {"volumes": 10, "gigabytes": 5, "per_volume_gigabytes": -1}
    with pytest.raises(FactError, match="usage=true"):
        quota_from_api(limits)
    with pytest.raises(FactError, match=r"Quota\.gigabytes: .* missing"):
        quota_from_api({"volumes": QUOTA["volumes"]})


def test_a_pool_has_what_its_service_declares() -> None:
    """What it does not declare stays unknown."""
    pool = pool_from_api(POOL, cluster_name="c@nvme")

    assert (Host("node1", "nvme", "gold"), "node1@nvme") == (
        pool.host,
        pool.service,
    )
    assert ("nvme", Host("c", "nvme")) == (
        pool.backend_name,
        pool.cluster_name,
    )
    backend = pool.backend
    assert (True, "array-7", CloneKind.THIN_COPY, None) == (
        backend.clone_across_pools,
        backend.array_id,
        backend.clone_kind,
        backend.can_clone,
    )
    assert pool.caches is None
    assert not pool.is_ceph


def test_a_pool_of_ceph_names_its_cluster() -> None:
    """RBD locations contain the same id."""
    pool = pool_from_api(CEPH)

    assert pool.is_ceph
    assert "1a2b3c4d-0000-4000-8000-00000000000f" == pool.backend.array_id


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"capabilities": {}}, r"Pool\.name"),
        ({"name": "h@b#p"}, r"Pool\.capabilities: .* detail=true"),
        ({"name": "@b", "capabilities": {}}, "Host"),
        ({**POOL, "capabilities": {"clone_kind": "x"}}, "clone_kind"),
    ],
)
def test_what_is_no_pool_is_refused(body: Any, field: str) -> None:  # noqa: ANN401 - any JSON
    """The error names the field."""
    with pytest.raises(FactError, match=field):
        pool_from_api(body)


def test_cinder_stores_are_read_with_their_volume_type() -> None:
    """Other stores have no volumes."""
    stores = [
        {"id": "files", "type": "file", "properties": {"data_dir": "/x"}},
        {"id": "fast", "type": "cinder", "properties": {"volume_type": "g"}},
        {"id": "any", "type": "cinder", "properties": {"volume_type": None}},
    ]

    assert (
        GlanceStore(id="fast", cinder_volume_type="g"),
        GlanceStore(id="any"),
    ) == stores_from_v2({"stores": stores})


def test_stores_as_users_see_them_are_refused() -> None:
    """They have no type."""
    with pytest.raises(FactError, match=r"stores\[0\]"):
        stores_from_v2({"stores": [{"id": "fast", "default": "true"}]})


def test_glance_says_whether_it_has_the_locations_api() -> None:
    """It lists 2.17 among its versions."""
    listed = [{"id": "v2.17", "status": "CURRENT"}]

    assert has_location_api({"versions": listed})
    assert not has_location_api({"versions": [{**listed[0], "id": "v2.16"}]})
    with pytest.raises(FactError, match="versions"):
        has_location_api({})


@given(anything)
def test_any_answer_is_a_record_or_an_error(body: Any) -> None:  # noqa: ANN401 - any JSON
    """What is no such answer raises nothing but FactError."""
    for read in (
        *(volume_from_api, volume_type_from_api, quota_from_api),
        *(pool_from_api, stores_from_v2, has_location_api),
    ):
        with contextlib.suppress(FactError):
            read(body)
    for name in ("volumes", "gigabytes"):
        with contextlib.suppress(FactError):
            quota_from_api({**QUOTA, name: body})
    with contextlib.suppress(FactError):
        pool_from_api({**POOL, "capabilities": {"array_id": body}})
