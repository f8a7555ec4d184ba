# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""Answers of Cinder's API become volume records, or errors."""

from __future__ import annotations

import contextlib
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects").register_all()

from any_value import anything
from cinder import context, objects
from cinder.api.contrib import (
    volume_host_attribute,
    volume_mig_status_attribute,
    volume_tenant_attribute,
)
from cinder.api.openstack import api_version_request, wsgi
from cinder.api.v3.views import volumes as views
from cinder.volume import volume_types
from cinder_database import (
    ADMIN,
    TYPE_ID,
    VOLUME_ID,
    MigratedDatabase,
    database,
    expected_of,
    in_memory,
    migrated,
)
from oslo_serialization import jsonutils

from clonepolicy import FactError
from clonepolicy.adapters.cinder import volume_from_object
from clonepolicy.adapters.records import volume_from_api

__all__ = ["database", "migrated"]

BODY = {
    "id": VOLUME_ID,
    "os-vol-tenant-attr:tenant_id": "alice",
    "os-vol-host-attr:host": "h@b#p",
    "os-vol-mig-status-attr:migstat": None,
    "size": 3,
    "status": "available",
    "cluster_name": None,
    "encrypted": False,
    "volume_type": "gold",
    "volume_type_id": TYPE_ID,
    "multiattach": False,
    "created_at": "2026-01-01T00:00:00.000000",
    "metadata": {"image_owner": "bob"},
}
GOLD: dict[str, Any] = {
    "id": TYPE_ID,
    "name": "gold",
    "extra_specs": {},
    "qos_specs_id": None,
}


def answer(
    database: MigratedDatabase, version: str, *, admin: bool
) -> dict[str, Any]:
    """Return the answer of Cinder's API; an admin's has three extensions."""
    request = wsgi.Request.blank(
        f"/volumes/{database.volume_id}", base_url="http://cinder/v3"
    )
    request.environ["cinder.context"] = context.RequestContext(
        "u", "alice", is_admin=admin
    )
    request.api_version_request = api_version_request.APIVersionRequest(
        version
    )
    volume = objects.Volume.get_by_id(ADMIN, database.volume_id)
    request.cache_db_volume(volume)
    body = views.ViewBuilder().detail(request, volume)["volume"]
    if admin:
        host = volume_host_attribute.VolumeHostAttributeController()
        host._add_volume_host_attribute(request, body)
        tenant = volume_tenant_attribute.VolumeTenantAttributeController()
        tenant._add_volume_tenant_attribute(request, body)
        status = (
            volume_mig_status_attribute.VolumeMigStatusAttributeController()
        )
        status._add_volume_mig_status_attribute(request, body)
    found: dict[str, Any] = jsonutils.loads(jsonutils.dumps(body))
    return found


def type_of(database: MigratedDatabase) -> dict[str, Any]:
    """Return the volume's type as the API shows it to admins."""
    kind = volume_types.get_volume_type(ADMIN, database.type_id)
    return {name: kind[name] for name in GOLD}


def test_an_answer_to_an_admin_is_read(database: MigratedDatabase) -> None:
    """No answer contains the previous status."""
    volume = volume_from_api(
        answer(database, "3.70", admin=True), volume_type=type_of(database)
    )
    read = objects.Volume.get_by_id(ADMIN, database.volume_id)
    expected = expected_of(database, read.created_at)
    assert expected.previous_status is not None
    assert attrs.evolve(expected, previous_status=None) == volume


def test_the_answer_to_a_user_lacks_a_named_field(
    database: MigratedDatabase,
) -> None:
    """Nothing is guessed."""
    with pytest.raises(
        FactError, match=r"Volume\.os-vol-tenant-attr:tenant_id: .* admins"
    ):
        volume_from_api(
            answer(database, "3.70", admin=False),
            volume_type=type_of(database),
        )


def test_an_old_answer_lacks_a_named_field(database: MigratedDatabase) -> None:
    """The API shows the cluster from microversion 3.61 on."""
    with pytest.raises(FactError, match=r"Volume\.cluster_name: .* 3\.64"):
        volume_from_api(
            answer(database, "3.60", admin=True), volume_type=type_of(database)
        )


def test_an_encrypted_volume_needs_its_key() -> None:
    """Before microversion 3.64 the API shows only that there is a key."""
    body = {**BODY, "encrypted": True}
    with pytest.raises(FactError, match=r"Volume\.encryption_key_id"):
        volume_from_api(body, volume_type=GOLD)
    body["encryption_key_id"] = "key"
    volume = volume_from_api(body, volume_type=GOLD)
    assert "key" == volume.encryption_key_id
    with pytest.raises(FactError, match=r"Volume\.encrypted"):
        volume_from_api({**body, "encrypted": False}, volume_type=GOLD)


def test_a_typed_volume_needs_its_type() -> None:
    """Extra specs set limits and name stores."""
    with pytest.raises(FactError, match="volume_type: expected the type 'go"):
        volume_from_api(BODY)
    for other in ({"name": "silver"}, {"id": VOLUME_ID}):
        with pytest.raises(FactError, match="the volume's own type"):
            volume_from_api(BODY, volume_type={**GOLD, **other})
    with pytest.raises(FactError, match=r"VolumeType\.extra_specs"):
        volume_from_api(BODY, volume_type={"id": TYPE_ID, "name": "gold"})
    untyped = {**BODY, "volume_type": None, "volume_type_id": None}
    assert volume_from_api(untyped).volume_type is None


@given(st.sampled_from(sorted(BODY)), anything)
def test_a_changed_answer_is_a_record_or_an_error(
    name: str, value: object
) -> None:
    """Any value in a field raises nothing but FactError."""
    with contextlib.suppress(FactError):
        volume_from_api({**BODY, name: value}, volume_type=GOLD)
    with contextlib.suppress(FactError):
        volume_from_api(BODY, volume_type={**GOLD, "extra_specs": value})
    less = {key: kept for key, kept in BODY.items() if key != name}
    if name != "volume_type_id":
        with pytest.raises(FactError, match=name):
            volume_from_api(less, volume_type=GOLD)


@given(anything, anything)
def test_any_answer_is_a_record_or_an_error(body: Any, kind: Any) -> None:
    """What is no dict raises nothing but FactError."""
    with pytest.raises(FactError):
        volume_from_api(body)
    with pytest.raises(FactError):
        volume_from_api(BODY, volume_type=kind)


def test_a_size_in_metadata_is_not_read() -> None:
    """A tenant can write it."""
    body = {**BODY, "metadata": {"image_size": "1"}}
    assert 3 == volume_from_api(body, volume_type=GOLD).size
    volume = in_memory(metadata={"image_size": "1"})
    assert 3 == volume_from_object(volume).size
