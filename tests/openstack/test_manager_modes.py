"""The drop-in volume manager's modes, start and reports."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import exception, version
from cinder.db import api as db
from cinder.message import message_field
from cinder.volume import manager
from cinder_cloud import CinderCloud, Start
from fake_driver import DictDriver
from installed import RELEASE

from clonepolicy import FactError
from logfmt import parsed

start, database = cinder_cloud.start, cinder_cloud.database

CLONE = "create_cloned_volume"
FINDS_NONE = {"backend_defaults.extra_capabilities": '{"finds_images": false}'}


# -- modes --------------------------------------------------------------------


def test_in_shadow_mode_cinder_acts_and_the_log_shows_the_difference(
    start: Start,
) -> None:
    """Cinder clones the volume of a foreign project; SAFE would not."""
    cloud = start(mode="shadow", options=FINDS_NONE)
    image = cloud.images.add()
    backing = cloud.add_image_volume(image, project_id="stranger")
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [backing.id]
    (line,) = cloud.decisions()
    assert line["verdict"] == "refuse"
    assert line["stock"] == "clone"
    assert line["differs"] == "yes"
    (deed,) = cloud.deeds()
    assert deed == {
        "predicted": "clone",
        "did": "clone",
        "matches": "yes",
        "verdict": "refuse",
        "differs": "yes",
        "operation": "create",
        "image": image,
        "volume": volume.id,
        "source": backing.id,
    }


def test_a_driver_that_finds_images_is_not_predicted(start: Start) -> None:
    """What it did is told afterwards."""
    cloud = start(mode="shadow")
    image = cloud.images.add()
    cloud.create(image)
    (line,) = cloud.decisions()
    assert line["stock"] == line["differs"] == "unknown"
    assert line["unsure"] == "driver-finds-images"
    (deed,) = cloud.deeds()
    assert (deed["predicted"], deed["matches"]) == ("unknown", "unknown")
    assert (deed["did"], deed["differs"]) == ("download", "no")


def test_a_clone_that_fails_against_the_prediction_is_a_warning(
    start: Start,
) -> None:
    """The line has the error, and says what to report."""
    cloud = start(mode="shadow", options=FINDS_NONE)
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [exception.InvalidVolume(reason="busy")]
    cloud.create(image)
    (deed,) = cloud.deeds()
    assert (deed["predicted"], deed["did"]) == ("clone", "download")
    assert (deed["matches"], deed["error"]) == ("no", "InvalidVolume")
    (warning,) = (r for r in cloud.log.records if "matches=no" in r.message)
    assert warning.levelname == "WARNING"
    assert "report this line" in deed["report"]


def test_a_create_that_cinder_fails_is_told_with_its_error(
    start: Start,
) -> None:
    """It is raised as before."""
    cloud = start(mode="shadow", options=FINDS_NONE)
    image = cloud.images.add()
    cloud.driver.failing["copy_image_to_volume"] = [
        exception.ImageUnacceptable(image_id=image, reason="no")
    ]
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(image)
    (deed,) = cloud.deeds()
    assert (deed["did"], deed["error"]) == ("failed", "ImageUnacceptable")
    assert (deed["predicted"], deed["matches"]) == ("download", "no")


def test_filling_and_cloning_the_cache_are_told_apart(start: Start) -> None:
    """The first create downloads, and the next one clones the new entry."""
    cached = {"backend_defaults.image_volume_cache_enabled": True}
    cloud = start(
        mode="shadow",
        options={
            **FINDS_NONE,
            **cached,
            "allowed_direct_url_schemes": [],
        },
    )
    image = cloud.images.add()
    for _ in range(2):
        cloud.create(image)
    fill, hit = cloud.deeds()
    assert (fill["predicted"], fill["did"]) == ("download", "download")
    assert (hit["predicted"], hit["did"]) == ("clone", "clone")
    (entry,) = db.image_volume_cache_get_all(cloud.context.elevated())
    assert hit["source"] == entry["volume_id"]


class EncryptingDriver(DictDriver):
    """A driver that writes images into encrypted volumes."""

    def copy_image_to_encrypted_volume(self, *args: Any, **more: Any) -> None:
        self.copy_image_to_volume(*args, **more)


def test_an_encrypted_volume_is_predicted_and_told_as_a_download(
    start: Start,
) -> None:
    """Cinder clones nothing into it."""
    cloud = start(mode="shadow", driver=EncryptingDriver)
    image = cloud.images.add()
    cloud.add_image_volume(image)
    key = "11111111-2222-4333-8444-555555555555"
    cloud.create(image, encryption_key_id=key)
    (deed,) = cloud.deeds()
    assert (deed["predicted"], deed["did"]) == ("download", "download")


def test_in_shadow_mode_unreadable_facts_change_nothing(start: Start) -> None:
    """Cinder acts as it would without the drop-in."""
    cloud = start(mode="shadow")
    image = cloud.images.add(min_ram="much", size=1)
    cloud.images.metas[image]["visibility"] = 7
    volume = cloud.create(image)
    assert volume.status == "available"


def test_cinder_itself_carries_out_its_own_policy(start: Start) -> None:
    """Its own code runs, and the decision is logged."""
    cloud = start(policy=RELEASE.stock_policy)
    image = cloud.images.add()
    backing = cloud.add_image_volume(image, status="error")
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [backing.id]
    assert cloud.driver.names() == ["clone_image", CLONE]
    assert cloud.decisions()[0]["policy"] == str(RELEASE.stock)


def test_what_cinder_does_under_its_own_policy_is_told(start: Start) -> None:
    """Its policy registers, and the driver refuses: Cinder sends the data."""
    cloud = start(
        policy=RELEASE.stock_policy,
        options={
            "backend_defaults.extra_capabilities": (
                '{"clone_while_uploading": false}'
            )
        },
    )
    cloud.driver.failing[CLONE] = [exception.InvalidVolume(reason="uploading")]
    cloud.upload(cloud.add_volume())
    (line,), (deed,) = cloud.decisions(), cloud.deeds()
    assert (line["mode"], line["verdict"]) == ("enforce", "register")
    assert (line["stock"], line["differs"]) == ("upload", "yes")
    assert (deed["did"], deed["matches"]) == ("upload", "yes")


def test_an_image_of_unknown_size_is_not_predicted(start: Start) -> None:
    """cinder-api refuses it; if it comes all the same, Cinder clones."""
    cloud = start(mode="shadow", options=FINDS_NONE)
    image = cloud.images.add(size=None)
    cloud.add_image_volume(image)
    cloud.create(image)
    (line,), (deed,) = cloud.decisions(), cloud.deeds()
    assert (line["stock"], line["unsure"]) == ("unknown", "size-unknown")
    assert (deed["did"], deed["matches"]) == ("clone", "unknown")


def test_cinders_own_manager_is_not_affected(start: Start) -> None:
    """The changed flow decides for the drop-in's creates only."""
    start()
    cloud = start(kind=manager.VolumeManager)
    image = cloud.images.add()
    cloud.add_image_volume(image, project_id="stranger")
    cloud.create(image)
    assert CLONE in cloud.driver.names()
    assert cloud.decisions() == []


# -- starting -----------------------------------------------------------------


def started(cloud: CinderCloud) -> dict[str, str]:
    """Return the fields of the line about the start."""
    (line,) = (
        parsed(message.removeprefix("clonepolicy "))
        for message in cloud.log.messages
        if message.startswith("clonepolicy started=")
    )
    return line


def test_a_line_says_what_is_on_and_where_it_comes_from(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the backend is initialized."""
    extra = '{"array_id": "array 7", "clone_in_use": true, "other": 1}'
    cloud = start(
        mode="shadow",
        trusted_projects=["stores"],
        trusted_image_pools=["images", "more"],
        glance_stores=["volumes=ceph"],
        options={"backend_defaults.extra_capabilities": extra},
    )
    monkeypatch.setattr(cloud.driver, "init_capabilities", lambda: None)
    cloud.driver.capabilities = {"clone_limit": 9}
    cloud.manager.init_host(service_id=1)
    page = pathlib.Path(__file__).parents[2] / "docs/how-to/enable.md"
    text = page.read_text("utf-8")
    example = text.partition("clonepolicy started=")[2].partition("\n")[0]
    shown = re.findall(r"([a-z_]+)=(?=\S)", f"started={example}")
    assert shown == list(started(cloud))
    assert started(cloud) == {
        "started": "node@array",
        "driver": "DictDriver",
        "clonepolicy": importlib.metadata.version("clonepolicy"),
        "cinder": version.version_string(),
        "policy": "SAFE/2",
        "mode": "shadow",
        "notes": "log",
        "trusted_projects": "stores",
        "internal_tenant": "internal",
        "trusted_image_pools": "images,more",
        "glance_stores": "volumes",
        "set": "mode,trusted_projects,trusted_image_pools,glance_stores",
        "default": "policy,notes,download_image_restricted,user_messages,"
        "show_multiple_locations,set_image_location_restricted,"
        "allow_unverified_cinder,clone_weight_multiplier",
        "code": "can_clone:True,can_extend:True,finds_images:True",
        "capabilities": "clone_limit:9",
        "extra_capabilities": "array_id:array 7,clone_in_use:True",
    }


def test_a_backend_that_is_not_initialized_is_not_told_as_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cinder logs why."""
    cloud = start()
    monkeypatch.setattr(cloud.driver, "_initialized", False)

    def fail() -> None:
        raise exception.VolumeBackendAPIException(data="no array")

    monkeypatch.setattr(cloud.driver, "check_for_setup_error", fail)
    cloud.manager.init_host(service_id=1)
    assert "clonepolicy started=" not in cloud.log.text


def test_a_start_without_capabilities_says_so(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver may raise anything; the service starts."""

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(
        "clonepolicy.adapters.cinder._drop_in.start.told_by", fail
    )
    cloud = start()
    cloud.manager.init_host(service_id=1)
    assert started(cloud)["unreadable"] == "OSError"


def test_an_invalid_capability_is_told_at_the_start(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is decided until it is corrected."""
    extra = {"backend_defaults.extra_capabilities": '{"can_clone": "true"}'}
    cloud = start(options=extra)
    monkeypatch.setattr(cloud.driver, "init_capabilities", lambda: None)
    cloud.manager.init_host(service_id=1)
    why = "Backend.can_clone: expected True or False or None, got 'true'"
    assert started(cloud)["unreadable"] == why


@pytest.mark.parametrize("extra", ["[]", "null", '"x"', "7"])
def test_capabilities_that_are_no_object_count_as_none(
    start: Start, extra: str
) -> None:
    """Cinder starts with them."""
    cloud = start(options={"backend_defaults.extra_capabilities": extra})
    image = cloud.images.add()
    backing = cloud.add_image_volume(image)
    assert cloud.clones_of(cloud.create(image)) == [backing.id]
    assert "ignores extra_capabilities: it is no JSON" in cloud.log.text


def test_an_unknown_policy_is_refused_at_start(start: Start) -> None:
    """The error names the option, its value and the valid values."""
    with pytest.raises(FactError, match=r"\[clonepolicy\] policy.*LAX"):
        start(policy="LAX")


# -- reporting ----------------------------------------------------------------


def messages(cloud: CinderCloud) -> list[Any]:
    """Read the tenant's messages."""
    return list(db.message_get_all(cloud.context))


def test_no_user_message_is_written_of_what_is_made(start: Start) -> None:
    """Nothing is to be done, by a clone nor by a copy."""
    cloud = start(user_messages=True)
    cloned = cloud.images.add()
    cloud.add_image_volume(cloned)
    cloud.create(cloned)
    cloud.create(cloud.images.add(container_format="ovf"))
    cloud.upload(cloud.add_volume())
    assert {line["verdict"] for line in cloud.decisions()} == {
        *("clone", "download", "register"),
    }
    assert messages(cloud) == []


def test_a_user_message_says_nothing_of_other_projects(start: Start) -> None:
    """It does not say who owns the volume behind the image."""
    cloud = start(user_messages=True)
    image = cloud.images.add()
    cloud.add_image_volume(image, project_id="stranger")
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(image)
    (message,) = messages(cloud)
    assert message["event_id"] == "VOLUME_VOLUME_005_clonepolicy"
    assert message["message_level"] == "ERROR"
    text = dict(message_field.Detail.ALL)[message["detail_id"]]
    assert text == "Not made. Ask the operator for the reason."


def test_a_user_message_about_a_refusal_has_the_reason_if_it_may_be_known(
    start: Start,
) -> None:
    """It is about the image as its user sees it; both processes know it."""
    cloud = start(user_messages=True)
    key = {"cinder_encryption_key_id": "a-key"}
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(cloud.images.add(properties=key))
    (message,) = messages(cloud)
    assert message["event_id"] == "VOLUME_VOLUME_005_image-data-encrypted"
    assert message["message_level"] == "ERROR"
    text = dict(message_field.Detail.ALL)[message["detail_id"]]
    assert "[image-data-encrypted]" in text


@pytest.mark.parametrize("user_messages", [True, False])
def test_a_user_message_says_that_no_clone_was_made_and_there_is_no_copy(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    user_messages: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Without the texts in cinder-api there is none, as in Cinder."""
    monkeypatch.setattr(
        "clonepolicy.adapters.cinder._drop_in.create._conversion_free",
        lambda: 0,
    )
    cloud = start(notes="decline", user_messages=user_messages)
    image = cloud.images.add()
    cloud.add_image_volume(image)
    with pytest.raises(exception.ImageUnacceptable, match="Not made"):
        cloud.create(image)
    (line,) = cloud.decisions()
    assert (line["verdict"], line["decided"]) == ("refuse", "clone")
    told = dict(message_field.Detail.ALL)
    texts = [told[message["detail_id"]] for message in messages(cloud)]
    wanted = "Not made. Ask the operator for the reason."
    assert texts == [wanted] * user_messages


def test_without_its_own_texts_a_refused_upload_has_cinders_message(
    start: Start,
) -> None:
    """Every cinder-api has it; Cinder writes it of each failed upload."""
    cloud = start()
    with pytest.raises(exception.ImageUnacceptable):
        cloud.upload(cloud.add_volume(), status="active")
    (message,) = messages(cloud)
    assert message["event_id"] == "VOLUME_VOLUME_003_004"
    text = dict(message_field.Detail.ALL)[message["detail_id"]]
    assert text == "Failed to upload volume to image at backend."


def test_without_its_own_texts_a_refused_create_has_no_message(
    start: Start,
) -> None:
    """Users would read that an unknown error occurred."""
    cloud = start()
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(cloud.images.add(status="deactivated"))
    assert messages(cloud) == []


def test_an_error_in_reporting_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The volume becomes available."""

    def fail(*_: object) -> None:
        raise RuntimeError

    cloud = start()
    name = "clonepolicy.adapters.cinder._drop_in.reports.log_decision"
    monkeypatch.setattr(name, fail)
    assert cloud.create(cloud.images.add()).status == "available"


def test_a_drivers_error_text_is_not_logged(
    start: Start,
) -> None:
    """It may contain credentials; the log has the error's class."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [RuntimeError("https://admin:secret@array")]
    cloud.create(image)
    assert "secret" not in cloud.log.text
    assert "RuntimeError" in cloud.log.text
