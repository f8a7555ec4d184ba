"""The drop-in volume manager uploads, in a real Cinder 29."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import context, coordination, exception, quota
from cinder.db import api as db
from cinder_cloud import INTERNAL, CinderCloud, Start
from fake_image_service import TENANT

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    UnavailableError,
)

start, database = cinder_cloud.start, cinder_cloud.database

CLONE, COPY = "create_cloned_volume", "copy_volume_to_image"


def image_volume(cloud: CinderCloud, source: Any) -> Any:
    """Read the only volume that was made from the source."""
    (made,) = cloud.volume_ids() - {source.id}
    return cloud.read(made)


def test_a_clone_is_registered(start: Start) -> None:
    """No data is copied; the image's location is the clone."""
    cloud = start()
    source = cloud.add_volume()
    image = cloud.upload(source)
    made = image_volume(cloud, source)
    assert cloud.images.locations[image] == [f"cinder://{made.id}"]
    assert cloud.driver.names() == [CLONE]
    assert cloud.read(source.id).status == "available"
    (line,) = cloud.decisions()
    assert (line["operation"], line["verdict"]) == ("upload", "register")


def test_the_image_volume_is_the_internal_tenants_and_names_the_owner(
    start: Start,
) -> None:
    """It is read-only, and counts in the internal tenant's quota."""
    cloud = start()
    source = cloud.add_volume(size=2)
    before = cloud.used(TENANT)
    image = cloud.upload(source)
    made = image_volume(cloud, source)
    assert made.project_id == INTERNAL
    assert made.user_id == "internal-user"
    assert made.status == "available"
    assert made.size == 2
    assert made.metadata == {"image_owner": TENANT, "glance_image_id": image}
    assert made.admin_metadata["readonly"] == "True"
    assert made.volume_type_id == source.volume_type_id
    assert cloud.used(INTERNAL) == (1, 2)
    assert cloud.used(TENANT) == before


def test_a_tenants_metadata_is_not_copied_to_the_image_volume(
    start: Start,
) -> None:
    """Glance trusts image_size, which every tenant can write."""
    cloud = start()
    source = cloud.add_volume(
        metadata={"image_size": "1", "image_owner": "other"}
    )
    image = cloud.upload(source)
    assert image_volume(cloud, source).metadata == {
        "image_owner": TENANT,
        "glance_image_id": image,
    }


def test_a_registered_image_can_be_cloned(start: Start) -> None:
    """A create follows the upload."""
    cloud = start()
    source = cloud.add_volume()
    image = cloud.upload(source)
    made = image_volume(cloud, source)
    cloud.images.metas[image]["size"] = 1 << 30
    volume = cloud.create(image)
    assert ("create_cloned_volume", volume.id, made.id) in cloud.driver.calls
    assert "copy_image_to_volume" not in cloud.driver.names()


@pytest.mark.parametrize("step", ["add_location", "verify_location"])
@pytest.mark.parametrize(
    "error",
    [ForbiddenError(), ConflictError(), UnavailableError(), AdapterError()],
    ids=lambda error: type(error).__name__,
)
def test_after_a_failed_registration_the_data_is_uploaded(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: Exception,
) -> None:
    """The image volume and its quota are gone."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing[step] = [error]
    withdrawn: list[str] = []

    def withdraw(image_id: str, location: object) -> None:
        del location
        withdrawn.append(image_id)

    monkeypatch.setattr(cloud.images, "withdraw_location", withdraw)
    image = cloud.upload(source)
    assert withdrawn == [image]
    assert cloud.volume_ids() == {source.id}
    assert cloud.used(INTERNAL) == (0, 0)
    assert cloud.images.data[image] == b"volume data"
    assert cloud.read(source.id).status == "available"
    assert set(cloud.driver.held) == {source.id}


def test_after_a_failed_clone_the_data_is_uploaded(
    start: Start,
) -> None:
    """The driver may raise any error; nothing is left."""
    cloud = start()
    source = cloud.add_volume()
    cloud.driver.failing[CLONE] = [OSError(28, "full")]
    image = cloud.upload(source)
    assert cloud.volume_ids() == {source.id}
    assert cloud.used(INTERNAL) == (0, 0)
    assert cloud.images.data[image] == b"volume data"


def test_without_quota_for_the_clone_the_data_is_uploaded(
    start: Start,
) -> None:
    """Data needs no quota; Cinder would fail the upload."""
    cloud = start()
    admin = context.get_admin_context()
    db.quota_create(admin, INTERNAL, "volumes", 0)
    source = cloud.add_volume()
    image = cloud.upload(source)
    assert cloud.images.data[image] == b"volume data"
    assert cloud.decisions()[0]["reasons"] == "clone-quota"
    assert CLONE not in cloud.driver.names()


def test_when_quota_runs_out_after_the_decision_the_data_is_uploaded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reservation counts, not the decision."""
    cloud = start()
    source = cloud.add_volume()

    def over(*_: object, **__: object) -> None:
        raise exception.OverQuota(overs=["volumes"])

    monkeypatch.setattr(quota.QUOTAS, "reserve", over)
    image = cloud.upload(source)
    assert cloud.decisions()[0]["verdict"] == "register"
    assert cloud.images.data[image] == b"volume data"
    assert cloud.volume_ids() == {source.id}


def test_a_registration_that_cannot_be_undone_fails_the_upload(
    start: Start,
) -> None:
    """The image may have the location; the error names the image volume."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing["verify_location"] = [UnavailableError()] * 9
    with pytest.raises(
        exception.VolumeBackendAPIException, match="image volume"
    ):
        cloud.upload(source)
    assert COPY not in cloud.driver.names()
    assert cloud.read(source.id).status == "available"
    assert image_volume(cloud, source).metadata["image_owner"] == TENANT


def test_an_encrypted_volume_is_never_registered(start: Start) -> None:
    """It keeps its key."""
    cloud = start()
    source = cloud.add_volume(encryption_key_id="a-key")
    image = cloud.upload(source)
    assert CLONE not in cloud.driver.names()
    assert cloud.images.data[image] == b"volume data"
    assert cloud.read(source.id).encryption_key_id == "a-key"
    assert "encrypted-source" in cloud.decisions()[0]["reasons"]


def test_no_policy_can_register_an_encrypted_volume(
    start: Start,
) -> None:
    """The limit holds even if the policy has no rule for it."""
    cloud = start(policy="operator_policies.PERMISSIVE")
    source = cloud.add_volume(encryption_key_id="a-key")
    image = cloud.upload(source)
    assert cloud.decisions()[0]["decided"] == "register"
    assert cloud.decisions()[0]["verdict"] == "upload"
    assert cloud.volume_ids() == {source.id}
    assert cloud.images.data[image] == b"volume data"


def test_a_registration_with_a_note_is_declined_on_request(
    start: Start,
) -> None:
    """With notes=decline the data is uploaded, and the log says so."""
    cloud = start(notes="decline")
    image = cloud.upload(cloud.add_volume())
    assert cloud.decisions()[0]["verdict"] == "upload"
    assert cloud.decisions()[0]["decided"] == "register"
    assert cloud.images.data[image] == b"volume data"


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
def test_a_forbidden_registration_leads_to_an_upload(
    start: Start, options: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    """The driver is not asked to clone, and the log has the reason."""
    cloud = start(options=options)
    source = cloud.add_volume()
    image = cloud.upload(source, **fields)
    assert cloud.images.data[image] == b"volume data"
    assert CLONE not in cloud.driver.names()
    assert reason in cloud.decisions()[0]["reasons"].split(",")


def test_an_image_that_is_not_queued_is_refused(start: Start) -> None:
    """The volume gets its status back, and the image keeps its data."""
    cloud = start()
    source = cloud.add_volume()
    with pytest.raises(exception.ImageUnacceptable, match="image-not-queued"):
        cloud.upload(source, status="active")
    assert cloud.read(source.id).status == "available"
    assert cloud.driver.names() == []
    assert len(cloud.images.metas) == 1


def test_in_shadow_mode_cinder_uploads(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cinder registers a clone, and the log says what SAFE would do."""
    cloud = start(mode="shadow")
    added: list[str] = []

    def add(_context: object, image_id: str, url: str, _: object) -> str:
        added.append(url)
        return image_id

    monkeypatch.setattr(cloud.images, "add_location", add)
    source = cloud.add_volume()
    cloud.upload(source)
    assert added == [f"cinder://{image_volume(cloud, source).id}"]
    (line,) = (x for x in cloud.decisions() if x["operation"] == "upload")
    assert line["stock"] == "register"
    assert line["differs"] == "no"
    (deed,) = (x for x in cloud.deeds() if x["operation"] == "upload")
    assert (deed["predicted"], deed["did"]) == ("register", "register")
    assert (deed["matches"], deed["differs"]) == ("yes", "no")


def test_in_shadow_mode_a_driver_that_checks_the_status_is_told_to_upload(
    start: Start,
) -> None:
    """As NFS: Cinder tries to clone, fails, and sends the data."""
    refuses = '{"clone_while_uploading": false}'
    cloud = start(
        mode="shadow",
        options={"backend_defaults.extra_capabilities": refuses},
    )
    source = cloud.add_volume()
    cloud.driver.failing[CLONE] = [exception.InvalidVolume(reason="status")]
    image = cloud.upload(source)
    assert CLONE in cloud.driver.names()
    assert cloud.images.data[image] == b"volume data"
    (line,) = (x for x in cloud.decisions() if x["operation"] == "upload")
    assert (line["stock"], line["differs"]) == ("upload", "no")
    (deed,) = (x for x in cloud.deeds() if x["operation"] == "upload")
    assert (deed["predicted"], deed["did"]) == ("upload", "upload")


def test_in_shadow_mode_an_unknown_driver_is_not_predicted(
    start: Start,
) -> None:
    """Whether it clones a volume that is uploading shows only then."""
    cloud = start(
        mode="shadow", options={"backend_defaults.extra_capabilities": "{}"}
    )
    cloud.driver.failing[CLONE] = [exception.InvalidVolume(reason="status")]
    cloud.upload(cloud.add_volume())
    (line,) = (x for x in cloud.decisions() if x["operation"] == "upload")
    assert line["stock"] == "unknown"
    assert "clone-while-uploading-unsupported" in line["unsure"]
    (deed,) = (x for x in cloud.deeds() if x["operation"] == "upload")
    assert (deed["did"], deed["differs"]) == ("upload", "no")


def test_in_shadow_mode_a_failed_upload_is_told_with_its_error(
    start: Start,
) -> None:
    """It is raised as before."""
    cloud = start(mode="shadow")
    source = cloud.add_volume()
    cloud.driver.failing[COPY] = [exception.GlanceConnectionFailed(reason="")]
    with pytest.raises(exception.GlanceConnectionFailed):
        cloud.upload(source, container_format="ovf")
    (deed,) = cloud.deeds()
    assert (deed["predicted"], deed["did"]) == ("upload", "failed")
    assert deed["error"] == "GlanceConnectionFailed"


def test_unreadable_facts_lead_to_an_upload(start: Start) -> None:
    """Nothing is decided, and nothing is registered."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing["get_config"] = []
    image = cloud.upload(source, visibility=None)
    assert cloud.images.data[image] == b"volume data"
    assert cloud.decisions() == []


def test_an_upload_that_cinder_api_accepted_is_not_refused(
    start: Start,
) -> None:
    """enable_force_upload is for cinder-api, which may have another file."""
    cloud = start()
    source = cloud.add_volume(status="in-use")
    image = cloud.upload(source)
    assert cloud.images.metas[image]["status"] == "active"


def test_a_busy_image_volume_keeps_its_row_and_its_quota(start: Start) -> None:
    """Its data is still there."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing["add_location"] = [ForbiddenError()]
    cloud.driver.failing["delete_volume"] = [
        exception.VolumeIsBusy(volume_name="it")
    ]
    image = cloud.upload(source)
    assert image_volume(cloud, source).status == "available"
    assert cloud.used(INTERNAL) == (1, 1)
    assert cloud.images.data[image] == b"volume data"


def test_after_a_clone_that_cannot_be_deleted_the_data_is_uploaded(
    start: Start,
) -> None:
    """No location was registered, so that the image can take the data."""
    cloud = start()
    source = cloud.add_volume()
    cloud.driver.failing[CLONE] = [RuntimeError()]
    cloud.driver.failing["delete_volume"] = [RuntimeError()]
    image = cloud.upload(source)
    assert cloud.images.data[image] == b"volume data"
    assert image_volume(cloud, source).status == "error_deleting"


def test_a_clone_that_never_began_frees_no_capacity(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the scheduler would see free space that does not exist."""
    cloud = start()
    source = cloud.add_volume(size=7)
    cloud.manager.stats["pools"]["pool"] = {"allocated_capacity_gb": 100}

    def fail(_: str) -> None:
        raise OSError

    monkeypatch.setattr(coordination.COORDINATOR, "get_lock", fail)
    monkeypatch.setattr(cloud.manager, "delete_volume", pytest.fail)
    image = cloud.upload(source)
    assert cloud.images.data[image] == b"volume data"
    pools = cloud.manager.stats["pools"]
    assert pools["pool"]["allocated_capacity_gb"] == 100
    assert cloud.volume_ids() == {source.id}
    assert cloud.used(INTERNAL) == (0, 0)


@pytest.mark.parametrize("mode", ["shadow", "enforce"])
def test_a_policy_with_a_defect_does_not_stop_an_upload(
    start: Start, mode: str
) -> None:
    """The volume gets its status back, and the image has its data."""
    cloud = start(
        policy="operator_policies.BROKEN_UPLOAD",
        mode=mode,
        options={"backend_defaults.image_upload_use_cinder_backend": False},
    )
    source = cloud.add_volume()
    image = cloud.upload(source)
    assert cloud.images.data[image] == b"volume data"
    assert cloud.read(source.id).status == "available"


def test_an_interrupt_while_deciding_restores_the_volumes_status(
    start: Start,
) -> None:
    """The volume does not stay in status uploading."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing["get_config"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        cloud.upload(source)
    assert cloud.read(source.id).status == "available"
