"""SAFE registers only what Glance takes and a create can clone."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from clonepolicy import (
    GlanceStore,
    Reason,
    Register,
    Upload,
    VolumeType,
    decide,
)
from clonepolicy.scenarios import (
    ALICE,
    BOB,
    INTERNAL,
    REGISTERABLE,
    STORE,
    with_facts,
)

LEGACY = {
    "glance.has_location_api": False,
    "glance.show_multiple_locations": True,
}
GOLD = VolumeType(id="gold", name="gold")
S1 = GlanceStore(id="s1", cinder_volume_type="gold")
S2 = GlanceStore(id="s2", cinder_volume_type="gold")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"volume.project_id": BOB}, Reason.OWNER_MISMATCH),
        ({"image.owner": BOB}, Reason.OWNER_MISMATCH),
        ({"project_id": BOB}, Reason.OWNER_MISMATCH),
        ({"image.owner": INTERNAL}, Reason.OWNER_MISMATCH),
        ({"image.signed": True}, Reason.SIGNATURE_REQUIRED),
        ({"image.encryption_key_id": "key-1"}, Reason.IMAGE_DATA_ENCRYPTED),
        ({"image.min_disk": 2}, Reason.BELOW_MIN_DISK),
        ({"image.virtual_size": 2**31}, Reason.SOURCE_SMALLER_THAN_IMAGE),
        ({"volume.host": None}, Reason.DIFFERENT_HOST),
    ],
)
def test_what_no_create_could_clone_is_uploaded(
    values: dict[str, Any], reason: Reason
) -> None:
    """The finding says why."""
    decision = decide(with_facts(REGISTERABLE, values))
    assert isinstance(decision, Upload)
    assert {reason} == {finding.reason for finding in decision.findings}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"image.signed": True, "config.verify_glance_signatures": "disabled"},
        {"image.min_disk": 1, "backend.can_extend": None},
        {"project_id": STORE, "volume.project_id": STORE},
    ],
    ids=str,
)
def test_what_a_create_can_clone_is_registered(values: dict[str, Any]) -> None:
    """The volume, the image and the requester are of one project."""
    owner = values.get("project_id", ALICE)
    request = with_facts(REGISTERABLE, {**values, "image.owner": owner})
    assert isinstance(decide(request), Register)


@pytest.mark.parametrize(
    "roles", [(), ("member",), ("service",), ("service", "admin")]
)
def test_a_legacy_glance_needs_no_roles(roles: tuple[str, ...]) -> None:
    """Cinder uses the requester's token, and requesters see their images."""
    values = {**LEGACY, "glance.service_roles": frozenset(roles)}
    decision = decide(with_facts(REGISTERABLE, values))
    assert isinstance(decision, Register)


@pytest.mark.parametrize("has_api", [True, None])
def test_another_glance_needs_the_role_admin_for_private_images(
    *, has_api: bool | None
) -> None:
    """An unknown Glance may be one that has the locations API."""
    values = {
        **LEGACY,
        "glance.has_location_api": has_api,
        "glance.service_roles": frozenset({"service"}),
    }
    decision = decide(with_facts(REGISTERABLE, values))
    assert [Reason.ADMIN_ROLE_MISSING] == [
        finding.reason for finding in decision.findings
    ]


@pytest.mark.parametrize(
    ("has_api", "remedy"),
    [(False, "run Glance 2024.2 or later"), (None, "record whether Glance")],
)
def test_an_unknown_glance_is_not_called_old(
    *, has_api: bool | None, remedy: str
) -> None:
    """It may have the locations API, without anybody having said so."""
    values = {
        "glance.has_location_api": has_api,
        "glance.show_multiple_locations": False,
    }
    decision = decide(with_facts(REGISTERABLE, values))
    (finding,) = (
        found
        for found in decision.findings
        if found.reason is Reason.LEGACY_WRITE_DISABLED
    )
    (told,) = finding.remedies
    assert told.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("values", "allowed", "registers"),
    [
        (LEGACY, False, False),
        (LEGACY, None, True),
        (LEGACY, True, True),
        ({}, False, True),
    ],
)
def test_the_policy_of_the_image_api_counts_where_it_is_used(
    values: dict[str, Any], *, allowed: bool | None, registers: bool
) -> None:
    """The locations API has a policy of its own."""
    request = with_facts(
        REGISTERABLE, {**values, "glance.set_image_location": allowed}
    )
    assert registers == isinstance(decide(request), Register)


@pytest.mark.parametrize(
    ("has_api", "kind", "stores", "store"),
    [
        # every Glance matches by the type, and takes the first
        (True, GOLD, (S1,), "s1"),
        (True, GOLD, (S1, S2), "s1"),
        (True, attrs.evolve(GOLD, store_id="s2"), (S1,), "s1"),
        (
            True,
            attrs.evolve(GOLD, name="other", store_id="s1"),
            (S1,),
            None,
        ),
        (None, attrs.evolve(GOLD, name="other", store_id="s1"), (S1,), None),
        # one before 29 then takes the store that the location names
        (
            False,
            attrs.evolve(GOLD, name="other", store_id="s1"),
            (S1,),
            "s1",
        ),
        (False, attrs.evolve(GOLD, store_id="s9"), (S1,), "s1"),
        (False, GOLD, (S1,), "s1"),
        # what is not known is no match
        (True, GOLD, (attrs.evolve(S1, cinder_volume_type=None),), None),
        (
            True,
            attrs.evolve(GOLD, name=None),
            (attrs.evolve(S1, cinder_volume_type=None),),
            None,
        ),
        (True, None, (attrs.evolve(S1, cinder_volume_type=None),), None),
        (True, GOLD, (attrs.evolve(S1, read_only=True), S2), "s2"),
        (True, GOLD, (attrs.evolve(S1, read_only=True),), None),
        # a type that names a store is of a Glance with several
        (True, attrs.evolve(GOLD, store_id="s1"), (), None),
        (None, attrs.evolve(GOLD, store_id="s1"), (), None),
        (False, attrs.evolve(GOLD, store_id="s1"), (), None),
    ],
)
def test_glance_finds_the_store_by_the_volumes_type(
    has_api: bool | None,  # noqa: FBT001 - a fact
    kind: VolumeType | None,
    stores: tuple[GlanceStore, ...],
    store: str | None,
) -> None:
    """Where it finds none, nothing is registered and cloned in vain."""
    request = with_facts(
        REGISTERABLE,
        {
            **LEGACY,
            "glance.has_location_api": has_api,
            "volume.volume_type": kind,
            "glance.stores": stores,
        },
    )
    decision = decide(request)
    if store is None:
        assert isinstance(decision, Upload)
        assert [Reason.STORE_UNRESOLVED] == [
            finding.reason for finding in decision.findings
        ]
    else:
        assert isinstance(decision, Register)
        assert store == decision.store
