"""The drop-in volume manager's modes, start and reports."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import exception
from cinder.db import api as db
from cinder.message import message_field
from cinder.volume import manager
from cinder_cloud import CinderCloud, Start

from clonepolicy import FactError
from clonepolicy.adapters.cinder import IncompatibleCinderError
from clonepolicy.adapters.cinder._drop_in import supported_cinder

start, database = cinder_cloud.start, cinder_cloud.database

CLONE = "create_cloned_volume"


# -- modes --------------------------------------------------------------------


def test_in_shadow_mode_cinder_acts_and_the_log_shows_the_difference(
    start: Start,
) -> None:
    """Cinder clones the volume of a foreign project; SAFE would not."""
    cloud = start(mode="shadow")
    image = cloud.images.add()
    backing = cloud.add_image_volume(image, project_id="stranger")
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [backing.id]
    (line,) = cloud.decisions()
    assert line["verdict"] == "refuse"
    assert line["stock"] == "clone"
    assert line["differs"] == "yes"


def test_in_shadow_mode_unreadable_facts_change_nothing(start: Start) -> None:
    """Cinder acts as it would without the drop-in."""
    cloud = start(mode="shadow")
    image = cloud.images.add(min_ram="much", size=1)
    cloud.images.metas[image]["visibility"] = 7
    volume = cloud.create(image)
    assert volume.status == "available"


def test_cinder_itself_carries_out_cinder_29(start: Start) -> None:
    """Its own code runs, and the decision is logged."""
    cloud = start(policy="CINDER_29")
    image = cloud.images.add()
    backing = cloud.add_image_volume(image, status="error")
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [backing.id]
    assert cloud.driver.names() == ["clone_image", CLONE]
    assert cloud.decisions()[0]["policy"] == "CINDER_29/2"


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


def test_an_unsupported_cinder_is_refused_at_start(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names the method that differs, and what to do."""

    def changed(self: object, volume: object) -> None:
        del self, volume

    (first, *others) = supported_cinder.USED_METHODS
    monkeypatch.setattr(
        supported_cinder, "USED_METHODS", ((changed, first[1]), *others)
    )
    with pytest.raises(IncompatibleCinderError) as caught:
        start()
    assert "parameters (volume), not (context" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_policy_is_refused_at_start(start: Start) -> None:
    """The error names the option, its value and the valid values."""
    with pytest.raises(FactError, match=r"\[clonepolicy\] policy.*LAX"):
        start(policy="LAX")


# -- reporting ----------------------------------------------------------------


def messages(cloud: CinderCloud) -> list[Any]:
    """Read the tenant's messages."""
    return list(db.message_get_all(cloud.context))


def test_a_user_message_has_the_reason(start: Start) -> None:
    """Both processes know the text under the same id."""
    cloud = start()
    image = cloud.images.add(container_format="ovf")
    volume = cloud.create(image)
    (message,) = messages(cloud)
    assert message["event_id"] == "VOLUME_VOLUME_005_container-not-bare"
    assert message["message_level"] == "INFO"
    assert message["resource_uuid"] == volume.id
    text = dict(message_field.Detail.ALL)[message["detail_id"]]
    assert "[container-not-bare]" in text


def test_a_user_message_says_nothing_of_other_projects(start: Start) -> None:
    """It does not say who owns the volume behind the image."""
    cloud = start()
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
    """It is about the image as its user sees it."""
    cloud = start()
    key = {"cinder_encryption_key_id": "a-key"}
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(cloud.images.add(properties=key))
    (message,) = messages(cloud)
    assert message["event_id"] == "VOLUME_VOLUME_005_image-data-encrypted"
    assert message["message_level"] == "ERROR"


def test_a_user_message_about_a_clone_has_no_reason_of_the_download(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full conversion directory does not matter to a clone."""
    monkeypatch.setattr(
        "clonepolicy.adapters.cinder._drop_in.create._conversion_free",
        lambda: 0,
    )
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.create(image)
    (message,) = messages(cloud)
    assert message["event_id"] == "VOLUME_VOLUME_005_clonepolicy"


def test_a_user_message_says_that_no_clone_was_made_and_there_is_no_copy(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It follows the one about the decision to clone, which has a note."""
    monkeypatch.setattr(
        "clonepolicy.adapters.cinder._drop_in.create._conversion_free",
        lambda: 0,
    )
    cloud = start(notes="decline")
    image = cloud.images.add()
    cloud.add_image_volume(image)
    with pytest.raises(exception.ImageUnacceptable, match="Not made"):
        cloud.create(image)
    assert {m["message_level"] for m in messages(cloud)} == {"INFO", "ERROR"}
    told = dict(message_field.Detail.ALL)
    texts = {told[message["detail_id"]] for message in messages(cloud)}
    assert texts == {
        "To be made by clone or by copy, as the cloud decided.",
        "Not made. Ask the operator for the reason.",
    }


def test_without_user_messages_none_is_written(start: Start) -> None:
    """The option user_messages disables them."""
    cloud = start(user_messages=False)
    cloud.create(cloud.images.add(disk_format="qcow2"))
    assert messages(cloud) == []


def test_an_error_in_reporting_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The volume becomes available."""

    def fail(*_: object) -> None:
        raise RuntimeError

    cloud = start()
    monkeypatch.setattr("cinder.db.api.message_create", fail)
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
