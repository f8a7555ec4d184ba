"""Tests of a Cinder that has the patches of docs/how-to/cinder-developers.md.

`test_cinder_patch` runs this module with that Cinder.
"""

from __future__ import annotations

import functools
from typing import Any

import cinder_cloud
import pytest
from cinder import context, exception
from cinder.db import api as db
from cinder.volume import manager
from cinder_cloud import INTERNAL, Start
from fake_image_service import TENANT

from clonepolicy import AdapterError, ForbiddenError

plain_start, database = cinder_cloud.start, cinder_cloud.database

CLONE, DOWNLOAD = "create_cloned_volume", "copy_image_to_volume"
CACHED = {
    "backend_defaults.image_volume_cache_enabled": True,
    "allowed_direct_url_schemes": [],
}


@pytest.fixture
def start(plain_start: Start) -> Start:
    """Return a function that starts the patched Cinder's own manager."""
    assert hasattr(manager, "clonepolicy")
    return functools.partial(plain_start, kind=manager.VolumeManager)


def entries() -> list[str]:
    """Return the volumes of all entries of the image-volume cache."""
    admin = context.get_admin_context()
    return [row["volume_id"] for row in db.image_volume_cache_get_all(admin)]


# -- creating -----------------------------------------------------------------


def test_an_image_volume_of_the_images_owner_is_cloned(start: Start) -> None:
    """The volume has the requested size and the image's properties."""
    cloud = start()
    image = cloud.images.add(properties={"os_distro": "debian"})
    backing = cloud.add_image_volume(image)
    volume = cloud.create(image, size=2)
    assert cloud.driver.calls == [(CLONE, volume.id, backing.id)]
    assert cloud.driver.held[volume.id] == ("volume data", 2)
    assert (volume.status, volume.bootable) == ("available", True)
    assert volume.provider_location == f"clone-of-{backing.id}"
    assert volume.glance_metadata["os_distro"] == "debian"


def test_the_volume_of_a_foreign_project_is_not_cloned(start: Start) -> None:
    """Nor is its data downloaded, and the log has the reason."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(
        image, project_id="stranger", metadata={"image_owner": TENANT}
    )
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(image)
    assert cloud.driver.names() == []
    assert "owner-mismatch" in cloud.log.text


def test_if_no_clone_is_made_forbidden_data_is_not_downloaded(
    start: Start,
) -> None:
    """The plan has no download."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cloud.create(image)
    cloud.add_image_volume(image, project_id="stranger")
    cloud.driver.calls.clear()
    cloud.driver.failing[CLONE] = [OSError(5, "no")]
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(image)
    assert DOWNLOAD not in cloud.driver.names()


def test_after_a_driver_error_the_next_source_is_tried(start: Start) -> None:
    """The failed clone is erased first."""
    cloud = start()
    image = cloud.images.add()
    sources = {cloud.add_image_volume(image).id for _ in range(2)}
    cloud.driver.failing[CLONE] = [OSError(5, "not Cinder's")]
    volume = cloud.create(image)
    assert cloud.driver.names() == [CLONE, "delete_volume", CLONE]
    asked = {call[2] for call in cloud.driver.calls if call[0] == CLONE}
    assert asked == sources
    assert volume.status == "available"


def test_a_clone_that_cannot_be_erased_fails_the_create(
    start: Start,
) -> None:
    """The image is not downloaded."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [RuntimeError()]
    cloud.driver.failing["delete_volume"] = [RuntimeError()]
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.create(image)
    assert DOWNLOAD not in cloud.driver.names()


def test_without_a_decision_the_image_is_downloaded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image could not be read to decide; Cinder had read it before."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    show = cloud.images.show
    answers = [show, lambda *_: cloud.images.metas["gone"]]

    def shown(*args: Any) -> dict[str, Any]:
        return (answers.pop(0) if answers else show)(*args)

    monkeypatch.setattr(cloud.images, "show", shown)
    cloud.create(image)
    assert cloud.driver.names() == ["create_volume", DOWNLOAD]
    assert f"No clone of image {image}: reading image {image}: KeyError" in (
        cloud.log.messages
    )


def test_an_invalid_option_leads_to_a_download(start: Start) -> None:
    """The log names the option."""
    cloud = start(glance_stores=["no type"])
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.create(image)
    assert cloud.driver.names() == ["create_volume", DOWNLOAD]
    assert "[clonepolicy] glance_stores" in cloud.log.text


def test_a_refused_create_fails(start: Start) -> None:
    """The image is not downloaded either."""
    cloud = start()
    image = cloud.images.add(status="deactivated")
    cloud.add_image_volume(image)
    with pytest.raises(exception.ImageUnacceptable, match="image-not-active"):
        cloud.create(image)
    assert cloud.driver.names() == []


def test_the_cache_is_filled_and_cloned(start: Start) -> None:
    """Cinder adds the entry, and the plan clones it."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cloud.create(image)
    (entry,) = entries()
    cloud.driver.calls.clear()
    volume = cloud.create(image)
    assert cloud.driver.calls == [(CLONE, volume.id, entry)]


def test_a_cache_entry_is_checked_like_any_source(start: Start) -> None:
    """Cinder does not check its status."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cloud.create(image)
    (entry,) = entries()
    found = cloud.read(entry)
    found.status = "error"
    found.save()
    cloud.driver.calls.clear()
    cloud.create(image)
    assert cloud.driver.names() == ["create_volume", DOWNLOAD]


def test_an_entry_at_its_clone_limit_is_evicted_and_replaced(
    start: Start,
) -> None:
    """The create succeeds."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cloud.create(image)
    (full,) = entries()
    cloud.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    (entry,) = entries()
    assert entry != full


# -- uploading ----------------------------------------------------------------


def test_an_upload_registers_a_clone(start: Start) -> None:
    """It is the internal tenant's, read-only, and counted in its pool."""
    cloud = start()
    source = cloud.add_volume()
    image = cloud.upload(source)
    (made,) = map(cloud.read, cloud.volume_ids() - {source.id})
    assert cloud.images.locations[image] == [f"cinder://{made.id}"]
    assert cloud.driver.names() == [CLONE]
    assert (made.project_id, made.status) == (INTERNAL, "available")
    assert made.metadata == {"image_owner": TENANT, "glance_image_id": image}
    assert made.admin_metadata["readonly"] == "True"
    assert cloud.used(INTERNAL) == (1, 1)
    assert cloud.manager.stats["pools"]["pool"] == {"allocated_capacity_gb": 1}
    assert cloud.read(source.id).status == "available"


@pytest.mark.parametrize("step", ["add_location", "verify_location"])
def test_after_a_failed_registration_the_data_is_uploaded(
    start: Start, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The image volume, its quota and its capacity are gone."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing[step] = [ForbiddenError()]
    monkeypatch.setattr(cloud.images, "withdraw_location", lambda *_: None)
    image = cloud.upload(source)
    assert cloud.volume_ids() == set(cloud.driver.held) == {source.id}
    assert cloud.used(INTERNAL) == (0, 0)
    assert cloud.manager.stats["pools"] == {}
    assert cloud.images.data[image] == b"volume data"
    assert cloud.read(source.id).status == "available"


def test_a_registration_that_cannot_be_undone_fails_the_upload(
    start: Start,
) -> None:
    """The image may have the location."""
    cloud = start()
    source = cloud.add_volume()
    # neither finished nor undone, however often it is tried
    cloud.images.failing["verify_location"] = [
        AdapterError() for _ in range(9)
    ]
    cloud.images.failing["withdraw_location"] = [
        AdapterError() for _ in range(9)
    ]
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.upload(source)
    assert "copy_volume_to_image" not in cloud.driver.names()
    assert cloud.read(source.id).status == "available"


def test_without_cinders_option_the_data_is_uploaded(start: Start) -> None:
    """The policy has a rule for the option."""
    option = "backend_defaults.image_upload_use_cinder_backend"
    cloud = start(options={option: False})
    source = cloud.add_volume()
    image = cloud.upload(source)
    assert cloud.volume_ids() == {source.id}
    assert cloud.images.data[image] == b"volume data"
