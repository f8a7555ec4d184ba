"""The drop-in volume manager uploads, in a real Cinder 29."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_here
from cinder import context, coordination, exception, quota
from cinder.db import api as db
from cinder_here import INTERNAL, TENANT, Here

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    UnavailableError,
)

start, database = cinder_here.start, cinder_here.database

Start = Callable[..., Here]
CLONE, COPY = "create_cloned_volume", "copy_volume_to_image"


def image_volume(here: Here, source: Any) -> Any:
    """Read the one volume that was made of the source."""
    (made,) = here.all() - {source.id}
    return here.read(made)


def test_a_clone_is_registered(start: Start) -> None:
    """No byte is moved, and the image's location is the clone."""
    here = start()
    source = here.row()
    image = here.upload(source)
    made = image_volume(here, source)
    assert here.images.locations[image] == [f"cinder://{made.id}"]
    assert here.driver.names() == [CLONE]
    assert here.read(source.id).status == "available"
    (line,) = here.lines()
    assert (line["operation"], line["verdict"]) == ("upload", "register")


def test_the_clone_is_the_internal_tenants_and_says_whose_image_it_is(
    start: Start,
) -> None:
    """The row is whole, read-only, and counted in the right quota."""
    here = start()
    source = here.row(size=2)
    before = here.used(TENANT)
    image = here.upload(source)
    made = image_volume(here, source)
    assert made.project_id == INTERNAL
    assert made.user_id == "internal-user"
    assert made.status == "available"
    assert made.size == 2
    assert made.metadata == {"image_owner": TENANT, "glance_image_id": image}
    assert made.admin_metadata["readonly"] == "True"
    assert made.volume_type_id == source.volume_type_id
    assert here.used(INTERNAL) == (1, 2)
    assert here.used(TENANT) == before


def test_what_a_tenant_wrote_is_not_copied_to_the_clone(start: Start) -> None:
    """Glance believes image_size, which anybody can write."""
    here = start()
    source = here.row(metadata={"image_size": "1", "image_owner": "other"})
    image = here.upload(source)
    assert image_volume(here, source).metadata == {
        "image_owner": TENANT,
        "glance_image_id": image,
    }


def test_what_is_registered_can_be_cloned(start: Start) -> None:
    """The circle closes: upload, then create."""
    here = start()
    source = here.row()
    image = here.upload(source)
    made = image_volume(here, source)
    here.images.metas[image]["size"] = 1 << 30
    volume = here.create(image)
    assert ("create_cloned_volume", volume.id, made.id) in here.driver.calls
    assert "copy_image_to_volume" not in here.driver.names()


@pytest.mark.parametrize("step", ["add_location", "verify_location"])
@pytest.mark.parametrize(
    "error",
    [ForbiddenError(), ConflictError(), UnavailableError(), AdapterError()],
    ids=lambda error: type(error).__name__,
)
def test_a_registration_that_fails_leaves_nothing_and_bytes_follow(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: Exception,
) -> None:
    """No volume, no quota, and the image has its data."""
    here = start()
    source = here.row()
    here.images.failing[step] = [error]
    withdrawn: list[str] = []

    def withdraw(image_id: str, location: object) -> None:
        del location
        withdrawn.append(image_id)

    monkeypatch.setattr(here.images, "withdraw_location", withdraw)
    image = here.upload(source)
    assert withdrawn == [image]
    assert here.all() == {source.id}
    assert here.used(INTERNAL) == (0, 0)
    assert here.images.data[image] == b"volume data"
    assert here.read(source.id).status == "available"
    assert set(here.driver.held) == {source.id}


def test_a_clone_that_fails_leaves_nothing_and_bytes_follow(
    start: Start,
) -> None:
    """Whatever the driver raises."""
    here = start()
    source = here.row()
    here.driver.failing[CLONE] = [OSError(28, "full")]
    image = here.upload(source)
    assert here.all() == {source.id}
    assert here.used(INTERNAL) == (0, 0)
    assert here.images.data[image] == b"volume data"


def test_too_little_quota_for_the_clone_leads_to_bytes(start: Start) -> None:
    """Bytes need none; Cinder fails the upload."""
    here = start()
    admin = context.get_admin_context()
    db.quota_create(admin, INTERNAL, "volumes", 0)
    source = here.row()
    image = here.upload(source)
    assert here.images.data[image] == b"volume data"
    assert here.lines()[0]["reasons"] == "clone-quota"
    assert CLONE not in here.driver.names()


def test_quota_that_goes_between_decision_and_clone_leads_to_bytes(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reservation is what counts."""
    here = start()
    source = here.row()

    def over(*_: object, **__: object) -> None:
        raise exception.OverQuota(overs=["volumes"])

    monkeypatch.setattr(quota.QUOTAS, "reserve", over)
    image = here.upload(source)
    assert here.lines()[0]["verdict"] == "register"
    assert here.images.data[image] == b"volume data"
    assert here.all() == {source.id}


def test_what_cannot_be_undone_is_not_followed_by_bytes(start: Start) -> None:
    """The image may have a location: the upload fails and says so."""
    here = start()
    source = here.row()
    here.images.failing["verify_location"] = [UnavailableError()] * 9
    with pytest.raises(exception.VolumeBackendAPIException, match="image vol"):
        here.upload(source)
    assert COPY not in here.driver.names()
    assert here.read(source.id).status == "available"
    assert image_volume(here, source).metadata["image_owner"] == TENANT


def test_an_encrypted_volume_is_never_registered(start: Start) -> None:
    """Its key stays with it, and is not touched."""
    here = start()
    source = here.row(encryption_key_id="a-key")
    image = here.upload(source)
    assert CLONE not in here.driver.names()
    assert here.images.data[image] == b"volume data"
    assert here.read(source.id).encryption_key_id == "a-key"
    assert "encrypted-source" in here.lines()[0]["reasons"]


def test_an_encrypted_volume_is_not_registered_by_any_policy(
    start: Start,
) -> None:
    """Also where the policy has no such rule."""
    here = start(policy="policies_here.CAREFREE")
    source = here.row(encryption_key_id="a-key")
    image = here.upload(source)
    assert here.lines()[0]["verdict"] == "register"
    assert here.all() == {source.id}
    assert here.images.data[image] == b"volume data"


@pytest.mark.parametrize(
    ("options", "fields", "reason"),
    [
        (
            {"backend_defaults.image_upload_use_cinder_backend": False},
            {},
            "upload-backend-disabled",
        ),
        ({"cinder_internal_tenant_user_id": None}, {}, "no-internal-tenant"),
        (
            {"backend_defaults.extra_capabilities": "{}"},
            {},
            "clone-while-uploading-unsupported",
        ),
        ({}, {"container_format": "ovf"}, "container-not-bare"),
    ],
    ids=["option", "tenant", "array", "format"],
)
def test_what_must_not_be_registered_is_uploaded(
    start: Start, options: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    """The driver is not asked to clone, and the log says why."""
    here = start(options=options)
    source = here.row()
    image = here.upload(source, **fields)
    assert here.images.data[image] == b"volume data"
    assert CLONE not in here.driver.names()
    assert reason in here.lines()[0]["reasons"].split(",")


def test_an_image_that_is_not_queued_is_refused(start: Start) -> None:
    """The volume is as before, and an active image keeps its data."""
    here = start()
    source = here.row()
    with pytest.raises(exception.ImageUnacceptable, match="image-not-queued"):
        here.upload(source, status="active")
    assert here.read(source.id).status == "available"
    assert here.driver.names() == []
    assert len(here.images.metas) == 1


def test_in_shadow_cinder_uploads(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cinder clones and registers by itself; the log tells what SAFE would."""
    here = start(mode="shadow")
    added: list[str] = []

    def add(_context: object, image_id: str, url: str, _: object) -> str:
        added.append(url)
        return image_id

    monkeypatch.setattr(here.images, "add_location", add)
    source = here.row()
    here.upload(source)
    assert added == [f"cinder://{image_volume(here, source).id}"]
    (line,) = (x for x in here.lines() if x["operation"] == "upload")
    assert line["stock"] == "register"
    assert line["differs"] == "no"


def test_facts_that_cannot_be_read_lead_to_the_bytes(start: Start) -> None:
    """Glance's own answer is not enough: nothing is registered."""
    here = start()
    source = here.row()
    here.images.failing["get_config"] = []
    image = here.upload(source, visibility=None)
    assert here.images.data[image] == b"volume data"
    assert here.lines() == []


def test_an_upload_that_the_api_let_in_is_not_refused(start: Start) -> None:
    """enable_force_upload is for cinder-api, whose file may be another."""
    here = start()
    source = here.row(status="in-use")
    image = here.upload(source)
    assert here.images.metas[image]["status"] == "active"


def test_a_busy_image_volume_is_not_forgotten(start: Start) -> None:
    """Its row and its quota stay as long as its data."""
    here = start()
    source = here.row()
    here.images.failing["add_location"] = [ForbiddenError()]
    here.driver.failing["delete_volume"] = [
        exception.VolumeIsBusy(volume_name="it")
    ]
    image = here.upload(source)
    assert image_volume(here, source).status == "available"
    assert here.used(INTERNAL) == (1, 1)
    assert here.images.data[image] == b"volume data"


def test_bytes_follow_a_clone_that_cannot_be_deleted(start: Start) -> None:
    """No location was offered, so that the image is free to have them."""
    here = start()
    source = here.row()
    here.driver.failing[CLONE] = [RuntimeError()]
    here.driver.failing["delete_volume"] = [RuntimeError()]
    image = here.upload(source)
    assert here.images.data[image] == b"volume data"
    assert image_volume(here, source).status == "error_deleting"


def test_a_clone_that_never_began_frees_no_capacity(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler would see room that is not there."""
    here = start()
    source = here.row(size=7)
    here.manager.stats["pools"]["pool"] = {"allocated_capacity_gb": 100}

    def fail(_: str) -> None:
        raise OSError

    monkeypatch.setattr(coordination.COORDINATOR, "get_lock", fail)
    monkeypatch.setattr(here.manager, "delete_volume", pytest.fail)
    image = here.upload(source)
    assert here.images.data[image] == b"volume data"
    pools = here.manager.stats["pools"]
    assert pools["pool"]["allocated_capacity_gb"] == 100
    assert here.all() == {source.id}
    assert here.used(INTERNAL) == (0, 0)


@pytest.mark.parametrize("mode", ["shadow", "enforce"])
def test_a_policy_with_a_defect_leaves_no_upload_behind(
    start: Start, mode: str
) -> None:
    """The volume is as before, and the image has its data."""
    here = start(
        policy="policies_here.BROKEN_UPLOAD",
        mode=mode,
        options={"backend_defaults.image_upload_use_cinder_backend": False},
    )
    source = here.row()
    image = here.upload(source)
    assert here.images.data[image] == b"volume data"
    assert here.read(source.id).status == "available"


def test_an_interrupt_while_deciding_leaves_the_volume_as_it_was(
    start: Start,
) -> None:
    """It does not stay in status uploading."""
    here = start()
    source = here.row()
    here.images.failing["get_config"] = [KeyboardInterrupt()]  # type: ignore[list-item] # none of Exception
    with pytest.raises(KeyboardInterrupt):
        here.upload(source)
    assert here.read(source.id).status == "available"
