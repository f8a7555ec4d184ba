"""Notes: remarks about a clone or a registration that block nothing."""

from __future__ import annotations

from typing import Any

import pytest

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    SAFE,
    CloneKind,
    Reason,
    Route,
    decide,
)
from clonepolicy.policy import Policy
from clonepolicy.ports import Inspection
from clonepolicy.scenarios import (
    ALICE,
    CLONEABLE,
    INTERNAL,
    REGISTERABLE,
    STORE,
    with_facts,
)

ALWAYS = {Reason.PARENT_PINNED, Reason.TENANT_MUTABLE}
UPLOADS = {Reason.PARENT_PINNED, Reason.ASYNC_REGISTRATION}
SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]


@pytest.mark.parametrize(
    ("values", "more", "fewer"),
    [
        ({}, set(), set()),
        (
            {"image.os_hash_value": "0f"},
            {Reason.INTEGRITY_UNVERIFIED},
            set(),
        ),
        (
            {"glance.show_multiple_locations": True},
            {Reason.LOCATIONS_USER_WRITABLE},
            set(),
        ),
        (
            {"backend.clone_kind": CloneKind.FULL_COPY},
            set(),
            {Reason.PARENT_PINNED},
        ),
        (
            {"backend.clone_kind": CloneKind.OFFLOADED_COPY},
            set(),
            {Reason.PARENT_PINNED},
        ),
        ({"backend.clone_kind": None}, set(), {Reason.PARENT_PINNED}),
        ({"volume.size": 2}, {Reason.EXTEND_REQUIRED}, set()),
        ({"source.project_id": INTERNAL}, set(), {Reason.TENANT_MUTABLE}),
        ({"source.project_id": STORE}, set(), {Reason.TENANT_MUTABLE}),
        (
            {"source.inspection": Inspection.NOT_INSPECTED},
            {Reason.CONTENT_NOT_INSPECTED},
            set(),
        ),
        (
            {"source.inspection": Inspection.UNREADABLE},
            {Reason.CONTENT_UNREADABLE},
            set(),
        ),
    ],
)
def test_a_clone_carries_the_notes_that_apply(
    values: dict[str, Any], more: set[Reason], fewer: set[Reason]
) -> None:
    """Each of them, and no other."""
    decision = decide(with_facts(SCENARIO, values))
    assert (ALWAYS | more) - fewer == {note.reason for note in decision.notes}
    assert all(note.blocks == () for note in decision.notes)


@pytest.mark.parametrize("route", CLONEABLE)
def test_a_decision_that_does_not_clone_carries_no_notes(
    route: Route,
) -> None:
    """Notes are about the clone only."""
    scenario = with_facts(CLONEABLE[route], {"image.container_format": "ovf"})
    assert () == decide(scenario).notes
    upload = with_facts(REGISTERABLE, {"image.status": "active"})
    assert () == decide(upload).notes


@pytest.mark.parametrize(
    ("policy", "values", "reasons"),
    [
        (SAFE, {}, UPLOADS),
        (
            SAFE,
            {"config.allowed_direct_url_schemes": frozenset()},
            {*UPLOADS, Reason.SCHEME_NOT_ALLOWED},
        ),
        (
            SAFE,
            {"config.image_upload_use_internal_tenant": False},
            {*UPLOADS, Reason.TENANT_MUTABLE},
        ),
        (
            SAFE,
            {
                "glance.has_location_api": False,
                "glance.show_multiple_locations": True,
            },
            {Reason.PARENT_PINNED},
        ),
        (
            SAFE,
            {
                "glance.has_location_api": None,
                "glance.show_multiple_locations": True,
                "backend.clone_kind": CloneKind.FULL_COPY,
            },
            set(),
        ),
        (
            SAFE,
            {"volume.inspection": Inspection.UNREADABLE},
            {*UPLOADS, Reason.CONTENT_UNREADABLE},
        ),
        (
            SAFE,
            {"backend.clone_kind": None},
            UPLOADS - {Reason.PARENT_PINNED},
        ),
        (
            SAFE,
            {"volume.inspection": Inspection.NOT_INSPECTED},
            {*UPLOADS, Reason.CONTENT_NOT_INSPECTED},
        ),
        (CINDER_29, {}, set()),
        (
            CINDER_29,
            {"config.cinder_internal_tenant_user_id": None},
            {Reason.FALLBACK_INTERNAL_TENANT},
        ),
        (
            CINDER_29,
            {"backend.clone_while_uploading": None},
            {Reason.CLONE_WHILE_UPLOADING_UNSUPPORTED},
        ),
        (
            CINDER_29,
            {"volume.encryption_key_id": "key-1"},
            {Reason.ENCRYPTED_SOURCE},
        ),
    ],
)
def test_a_registration_carries_the_notes_that_apply(
    policy: Policy, values: dict[str, Any], reasons: set[Reason]
) -> None:
    """Each of them, and no other."""
    decision = decide(with_facts(REGISTERABLE, values), policy)
    assert reasons == {note.reason for note in decision.notes}


@pytest.mark.parametrize(
    ("has_api", "store_id", "noted"),
    [
        (True, "s1", True),
        (False, "s1", False),
        (None, "s1", False),
        (True, None, False),
    ],
)
def test_cinder_cannot_name_a_store_to_the_locations_api(
    *, has_api: bool | None, store_id: str | None, noted: bool
) -> None:
    """The note appears only where Glance has the API and a store is named."""
    kind = REGISTERABLE.volume.volume_type
    assert kind is not None
    named = with_facts(
        REGISTERABLE,
        {
            "glance.has_location_api": has_api,
            "volume.volume_type": type(kind)(id="x", store_id=store_id),
        },
    )
    reasons = {n.reason for n in decide(named, CINDER_29).notes}
    assert noted == (Reason.STORE_ID_UNSUPPORTED_BY_API in reasons)
    without = with_facts(named, {"volume.volume_type": None})
    assert () == decide(without, CINDER_29).notes


def test_a_volume_in_a_trusted_project_is_not_noted_as_mutable() -> None:
    """The requester's own project may be a trusted one."""
    own = {"config.image_upload_use_internal_tenant": False}
    for project, noted in ((ALICE, True), (STORE, False)):
        scenario = with_facts(
            REGISTERABLE,
            {**own, "project_id": project, "image.owner": project},
        )
        reasons = {note.reason for note in decide(scenario).notes}
        assert noted == (Reason.TENANT_MUTABLE in reasons)


def test_a_clone_of_something_larger_is_not_extended() -> None:
    """LIBERTY clones it; the clone is larger than the request already."""
    larger = with_facts(SCENARIO, {"source.size": SCENARIO.volume.size + 1})
    noted = {note.reason for note in decide(larger, LIBERTY).notes}
    assert Reason.EXTEND_REQUIRED not in noted
