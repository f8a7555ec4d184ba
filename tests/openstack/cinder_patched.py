"""What a Cinder patched as docs/cinder-developers.md says does.

`test_cinder_patch` runs this module where that Cinder is imported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cinder_here
import pytest
from cinder import context, exception
from cinder.db import api as db
from cinder.volume import manager
from cinder_here import INTERNAL, TENANT, Here

from clonepolicy import AdapterError, ForbiddenError

plain_start, database = cinder_here.start, cinder_here.database

Start = Callable[..., Here]
CLONE, DOWNLOAD = "create_cloned_volume", "copy_image_to_volume"
CACHED = {
    "backend_defaults.image_volume_cache_enabled": True,
    "allowed_direct_url_schemes": [],
}


@pytest.fixture
def start(plain_start: Start) -> Start:
    """Start Cinder's own volume manager, patched, and none of ours."""
    assert hasattr(manager, "clonepolicy")
    return functools.partial(plain_start, kind=manager.VolumeManager)


def entries() -> list[str]:
    """Name the volumes that the image-volume cache has."""
    admin = context.get_admin_context()
    return [row["volume_id"] for row in db.image_volume_cache_get_all(admin)]


# -- creating -----------------------------------------------------------------


def test_an_owners_image_volume_is_cloned(start: Start) -> None:
    """As large as asked, available, and with what the image says of itself."""
    here = start()
    image = here.images.add(properties={"os_distro": "debian"})
    backing = here.backing(image)
    volume = here.create(image, size=2)
    assert here.driver.calls == [(CLONE, volume.id, backing.id)]
    assert here.driver.held[volume.id] == ("volume data", 2)
    assert (volume.status, volume.bootable) == ("available", True)
    assert volume.provider_location == f"clone-of-{backing.id}"
    assert volume.glance_metadata["os_distro"] == "debian"


def test_a_strangers_volume_is_not_cloned(start: Start) -> None:
    """The image is downloaded, and the log says why."""
    here = start()
    image = here.images.add()
    here.backing(
        image, project_id="stranger", metadata={"image_owner": TENANT}
    )
    volume = here.create(image)
    assert CLONE not in here.driver.names()
    assert here.driver.held[volume.id] == ("image data", 1)
    assert volume.status == "available"
    assert "owner-mismatch" in here.log.text


def test_a_failing_source_leads_to_the_next(start: Start) -> None:
    """What the first left is erased before."""
    here = start()
    image = here.images.add()
    sources = {here.backing(image).id for _ in range(2)}
    here.driver.failing[CLONE] = [OSError(5, "not Cinder's")]
    volume = here.create(image)
    assert here.driver.names() == [CLONE, "delete_volume", CLONE]
    asked = {call[2] for call in here.driver.calls if call[0] == CLONE}
    assert asked == sources
    assert volume.status == "available"


def test_bytes_do_not_follow_a_clone_that_cannot_be_erased(
    start: Start,
) -> None:
    """The create fails."""
    here = start()
    image = here.images.add()
    here.backing(image)
    here.driver.failing[CLONE] = [RuntimeError()]
    here.driver.failing["delete_volume"] = [RuntimeError()]
    with pytest.raises(exception.VolumeBackendAPIException):
        here.create(image)
    assert DOWNLOAD not in here.driver.names()


def test_an_image_that_cannot_be_read_for_the_decision_is_downloaded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cinder has read it before; whether it may be had the download shows."""
    here = start()
    image = here.images.add()
    here.backing(image)
    show = here.images.show
    answers = [show, lambda *_: here.images.metas["gone"]]

    def shown(*args: Any) -> dict[str, Any]:
        return (answers.pop(0) if answers else show)(*args)

    monkeypatch.setattr(here.images, "show", shown)
    here.create(image)
    assert here.driver.names() == ["create_volume", DOWNLOAD]
    assert f"No clone of image {image}: image {image}: KeyError" in (
        here.log.messages
    )


def test_an_option_that_cannot_be_leads_to_a_download(start: Start) -> None:
    """The log names it."""
    here = start(glance_stores=["no type"])
    image = here.images.add()
    here.backing(image)
    here.create(image)
    assert here.driver.names() == ["create_volume", DOWNLOAD]
    assert "[clonepolicy] glance_stores" in here.log.text


def test_a_refused_create_fails(start: Start) -> None:
    """Bytes are not to be had either."""
    here = start()
    image = here.images.add(status="deactivated")
    here.backing(image)
    with pytest.raises(exception.ImageUnacceptable, match="image-not-active"):
        here.create(image)
    assert here.driver.names() == []


def test_the_cache_is_filled_and_cloned(start: Start) -> None:
    """Cinder makes the entry; the plan clones it."""
    here = start(options=CACHED)
    image = here.images.add()
    here.create(image)
    (entry,) = entries()
    here.driver.calls.clear()
    volume = here.create(image)
    assert here.driver.calls == [(CLONE, volume.id, entry)]


def test_a_cache_entry_is_judged_like_any_source(start: Start) -> None:
    """Cinder asks for no status."""
    here = start(options=CACHED)
    image = here.images.add()
    here.create(image)
    (entry,) = entries()
    found = here.read(entry)
    found.status = "error"
    found.save()
    here.driver.calls.clear()
    here.create(image)
    assert here.driver.names() == ["create_volume", DOWNLOAD]


def test_an_entry_without_clones_left_is_made_anew(start: Start) -> None:
    """As Cinder does, and without failing the create."""
    here = start(options=CACHED)
    image = here.images.add()
    here.create(image)
    (full,) = entries()
    here.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)
    (entry,) = entries()
    assert entry != full


# -- uploading ----------------------------------------------------------------


def test_an_upload_registers_a_clone(start: Start) -> None:
    """The internal tenant's, read-only, and counted where it lies."""
    here = start()
    source = here.row()
    image = here.upload(source)
    (made,) = map(here.read, here.all() - {source.id})
    assert here.images.locations[image] == [f"cinder://{made.id}"]
    assert here.driver.names() == [CLONE]
    assert (made.project_id, made.status) == (INTERNAL, "available")
    assert made.metadata == {"image_owner": TENANT, "glance_image_id": image}
    assert made.admin_metadata["readonly"] == "True"
    assert here.used(INTERNAL) == (1, 1)
    assert here.manager.stats["pools"]["pool"] == {"allocated_capacity_gb": 1}
    assert here.read(source.id).status == "available"


@pytest.mark.parametrize("step", ["add_location", "verify_location"])
def test_a_registration_that_fails_leaves_nothing_and_bytes_follow(
    start: Start, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """No volume, no quota, no capacity; and the image has its data."""
    here = start()
    source = here.row()
    here.images.failing[step] = [ForbiddenError()]
    monkeypatch.setattr(here.images, "withdraw_location", lambda *_: None)
    image = here.upload(source)
    assert here.all() == set(here.driver.held) == {source.id}
    assert here.used(INTERNAL) == (0, 0)
    assert here.manager.stats["pools"] == {}
    assert here.images.data[image] == b"volume data"
    assert here.read(source.id).status == "available"


def test_bytes_do_not_follow_a_registration_that_cannot_be_undone(
    start: Start,
) -> None:
    """The image may have a location by then: the upload fails."""
    here = start()
    source = here.row()
    # neither finished nor undone, however often it is tried
    here.images.failing["verify_location"] = [AdapterError() for _ in range(9)]
    here.images.failing["withdraw_location"] = [
        AdapterError() for _ in range(9)
    ]
    with pytest.raises(exception.VolumeBackendAPIException):
        here.upload(source)
    assert "copy_volume_to_image" not in here.driver.names()
    assert here.read(source.id).status == "available"


def test_without_cinders_option_an_upload_sends_bytes(start: Start) -> None:
    """It is a condition of the policy."""
    option = "backend_defaults.image_upload_use_cinder_backend"
    here = start(options={option: False})
    source = here.row()
    image = here.upload(source)
    assert here.all() == {source.id}
    assert here.images.data[image] == b"volume data"
