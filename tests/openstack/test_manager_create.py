"""The drop-in volume manager clones, in a real Cinder 29."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import context, coordination, exception, objects
from cinder.image import glance
from cinder_cloud import HOST, INTERNAL, Start
from fake_image_service import TENANT

from clonepolicy.adapters.cinder._drop_in import reports

start, database = cinder_cloud.start, cinder_cloud.database

CLONE, COPY = "create_cloned_volume", "copy_image_to_volume"


# -- cloning ------------------------------------------------------------------


def test_an_image_volume_of_the_images_owner_is_cloned(start: Start) -> None:
    """No data is copied, and the log line describes the decision."""
    cloud = start()
    image = cloud.images.add()
    backing = cloud.add_image_volume(image)
    volume = cloud.create(image)
    assert volume.status == "available"
    assert cloud.driver.names() == [CLONE]
    assert cloud.driver.held[volume.id] == ("volume data", 1)
    assert volume.provider_location == f"clone-of-{backing.id}"
    (line,) = cloud.decisions()
    assert line == {
        "operation": "create",
        "verdict": "clone",
        "policy": "SAFE/2",
        "mode": "enforce",
        "image": image,
        "volume": volume.id,
        "route": "image-volume",
        "source": f"cinder://{backing.id}",
        "reasons": "-",
        "notes": line["notes"],
        "decision": line["decision"],
    }


def test_a_clone_has_the_requested_size(start: Start) -> None:
    """The driver creates it so; it is not extended afterwards."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    volume = cloud.create(image, size=3)
    assert cloud.driver.held[volume.id] == ("volume data", 3)
    assert cloud.driver.names() == [CLONE]


def test_a_clone_gets_the_image_metadata(start: Start) -> None:
    """The volume is bootable and has the image's properties."""
    cloud = start()
    image = cloud.images.add(properties={"os_distro": "debian"})
    cloud.add_image_volume(image)
    volume = cloud.create(image)
    assert volume.bootable
    assert volume.glance_metadata["os_distro"] == "debian"


@pytest.mark.parametrize(
    "error",
    [
        exception.VolumeBackendAPIException(data="no"),
        OSError(5, "not Cinder's"),
        ValueError("nor anybody's"),
        NotImplementedError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_after_any_driver_error_the_next_source_is_tried(
    start: Start, error: Exception
) -> None:
    """The failed clone is erased first."""
    cloud = start()
    image = cloud.images.add()
    sources = {cloud.add_image_volume(image).id for _ in range(2)}
    cloud.driver.failing[CLONE] = [error]
    volume = cloud.create(image)
    assert volume.status == "available"
    assert cloud.driver.names() == [CLONE, "delete_volume", CLONE]
    assert set(cloud.clones_of(volume)) == sources


def test_the_image_is_downloaded_when_every_source_fails(start: Start) -> None:
    """Nothing of the failed clone is left."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [RuntimeError()]
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert volume.status == "available"


def test_a_clone_that_cannot_be_erased_fails_the_create(
    start: Start,
) -> None:
    """A download would write over unknown data."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [RuntimeError()]
    cloud.driver.failing["delete_volume"] = [RuntimeError()]
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.create(image)
    assert COPY not in cloud.driver.names()


def test_a_source_that_changes_after_the_decision_is_not_cloned(
    start: Start,
) -> None:
    """It is read again under the lock that a deletion takes."""
    cloud = start()
    image = cloud.images.add()
    first, second = (cloud.add_image_volume(image) for _ in range(2))

    def change() -> None:
        for backing in (first, second):
            backing.status = "deleting"
            backing.save()

    cloud.driver.failing[CLONE] = [RuntimeError()]
    cloud.driver.before[CLONE] = change
    volume = cloud.create(image)
    assert cloud.driver.names()[:2] == [CLONE, "delete_volume"]
    assert cloud.driver.names().count(CLONE) == 1
    assert cloud.driver.held[volume.id] == ("image data", 1)


def test_a_source_cannot_be_deleted_while_it_is_cloned(start: Start) -> None:
    """The driver is called under the lock of VolumeManager.delete_volume."""
    cloud = start()
    image = cloud.images.add()
    backing = cloud.add_image_volume(image)
    free: list[bool] = []

    def ask() -> None:
        lock = coordination.COORDINATOR.get_lock(f"{backing.id}-delete_volume")
        free.append(lock.acquire(blocking=False))

    cloud.driver.before[CLONE] = ask
    cloud.create(image)
    assert free == [False]


# -- downloading --------------------------------------------------------------

FORBIDDEN = pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"project_id": "stranger"}, "owner-mismatch"),
        (
            {"project_id": "stranger", "metadata": {"image_owner": TENANT}},
            "owner-mismatch",
        ),
        ({"status": "error"}, "source-status"),
        ({"status": "deleting"}, "source-status"),
        ({"encryption_key_id": "a-key"}, "source-encrypted"),
        ({"metadata": {"glance_image_id": "other"}}, "backref-mismatch"),
    ],
    ids=[
        *("a stranger's", "vouched for by a stranger", "in error"),
        *("being deleted", "encrypted", "of another image"),
    ],
)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"size": 2}, "source-larger-than-request"),
        ({"host": "node@array#other"}, "different-pool"),
        ({"host": "elsewhere@array#pool"}, "different-host"),
    ],
    ids=["larger", "another pool", "another host"],
)
def test_a_source_that_cannot_be_cloned_leads_to_a_download(
    start: Start, fields: dict[str, Any], reason: str
) -> None:
    """The driver is not asked to clone, and the log has the reason."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image, **fields)
    volume = cloud.create(image)
    assert volume.status == "available"
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert CLONE not in cloud.driver.names()
    assert reason in cloud.reasons()


@FORBIDDEN
def test_forbidden_data_is_not_downloaded_either(
    start: Start, fields: dict[str, Any], reason: str
) -> None:
    """Cinder would download, or try to; the volume gets status error."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image, **fields)
    rows = cloud.volume_ids()
    new = cloud.add_volume(status="creating")
    with pytest.raises(exception.ImageUnacceptable, match="Not made"):
        cloud.run_create(new.id, image)
    assert cloud.driver.names() == []
    assert cloud.read(new.id).status == "error"
    assert cloud.volume_ids() == rows | {new.id}
    assert cloud.decisions()[0]["verdict"] == "refuse"
    assert reason in cloud.reasons()


def test_a_refused_create_is_not_sent_to_another_host(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be refused there too, three times in all."""
    sent: list[Any] = []
    monkeypatch.setattr(
        "cinder.scheduler.rpcapi.SchedulerAPI.create_volume",
        lambda *_args, **sending: sent.append(sending),
    )
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image, project_id="stranger")
    new = cloud.add_volume(status="creating")
    with pytest.raises(exception.ImageUnacceptable):
        cloud.manager.create_volume(
            cloud.context,
            new,
            request_spec=objects.RequestSpec(image_id=image),
            filter_properties={"retry": {"num_attempts": 1, "hosts": []}},
            allow_reschedule=True,
        )
    assert sent == []
    assert cloud.read(new.id).status == "error"


@FORBIDDEN
def test_another_location_keeps_the_download_open(
    start: Start, fields: dict[str, Any], reason: str
) -> None:
    """Glance may read the data from there."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image, **fields)
    cloud.images.locations[image].append(f"file:///images/{image}")
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert CLONE not in cloud.driver.names()
    assert reason in cloud.reasons()


def test_an_image_that_was_given_away_is_downloaded(start: Start) -> None:
    """Its volume is in the internal tenant and names the former owner."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(
        image, project_id=INTERNAL, metadata={"image_owner": "former"}
    )
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert CLONE not in cloud.driver.names()
    assert "owner-mismatch" in cloud.decisions()[0]["notes"]


def test_a_clone_across_pools_stays_within_one_service(start: Start) -> None:
    """All pools of a service are one array; another service is not."""
    cloud = start()
    cloud.driver.capabilities = {"clone_across_pools": True}
    image = cloud.images.add()
    far = cloud.add_image_volume(image, host="elsewhere@array#pool")
    near = cloud.add_image_volume(image, host="node@array#other")
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [near.id]
    cloud.driver.held.pop(near.id)
    cloud.read(near.id).destroy()
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == []
    assert far.id not in cloud.clones_of(volume)
    assert "different-array" in cloud.decisions()[-1]["reasons"]


def test_image_owner_counts_in_the_internal_tenant(
    start: Start,
) -> None:
    """No tenant can write metadata there."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(
        image, project_id=INTERNAL, metadata={"image_owner": TENANT}
    )
    cloud.create(image)
    assert cloud.driver.names() == [CLONE]


def test_without_the_cinder_scheme_no_location_is_cloned(start: Start) -> None:
    """Cinder's own option stays in force."""
    cloud = start(options={"allowed_direct_url_schemes": []})
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.create(image)
    assert CLONE not in cloud.driver.names()
    assert "scheme-not-allowed" in cloud.reasons()


def test_without_the_cinder_scheme_no_policy_clones_a_location(
    start: Start,
) -> None:
    """The option counts even if the policy has no rule for it."""
    cloud = start(
        policy="operator_policies.PERMISSIVE",
        options={"allowed_direct_url_schemes": []},
    )
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.create(image)
    assert cloud.decisions()[0]["decided"] == "clone"
    assert cloud.decisions()[0]["verdict"] == "download"
    assert CLONE not in cloud.driver.names()


def test_the_drivers_own_clone_is_not_called_without_a_location(
    start: Start,
) -> None:
    """A driver that finds images by name checks no owner."""
    cloud = start()
    cloud.create(cloud.images.add())
    assert "clone_image" not in cloud.driver.names()


def test_a_clone_with_a_note_is_declined_on_request(start: Start) -> None:
    """With notes=decline the image is downloaded."""
    cloud = start(notes="decline")
    image = cloud.images.add(properties={})
    cloud.add_image_volume(image)
    volume = cloud.create(image)
    assert cloud.decisions()[0]["notes"] != "-"
    assert cloud.decisions()[0]["verdict"] == "download"
    assert cloud.decisions()[0]["decided"] == "clone"
    assert cloud.driver.held[volume.id] == ("image data", 1)


@pytest.mark.parametrize(
    ("new", "source"),
    [
        ({"encryption_key_id": "a-key"}, {}),
        ({}, {"encryption_key_id": "a-key"}),
        ({}, {"size": 5}),
    ],
    ids=["encrypted volume", "encrypted source", "larger source"],
)
def test_no_policy_can_clone_encrypted_or_larger_volumes(
    start: Start, new: dict[str, Any], source: dict[str, Any]
) -> None:
    """LIBERTY has no rules for encryption and for shrinking."""
    cloud = start(policy="LIBERTY")
    image = cloud.images.add()
    cloud.add_image_volume(image, **source)
    volume = cloud.add_volume(status="creating", **new)
    with contextlib.suppress(exception.CinderException, AttributeError):
        cloud.manager.create_volume(
            cloud.context,
            volume,
            request_spec=objects.RequestSpec(image_id=image),
            filter_properties={},
            allow_reschedule=False,
        )
    assert cloud.decisions()[0]["decided"] == "clone"
    assert cloud.decisions()[0]["verdict"] == "download"
    assert CLONE not in cloud.driver.names()


# -- refusing, and deciding nothing -------------------------------------------


def test_a_deactivated_image_is_refused(
    start: Start,
) -> None:
    """The volume gets status error, and the create is not rescheduled."""
    cloud = start()
    image = cloud.images.add(status="deactivated")
    cloud.add_image_volume(image)
    with pytest.raises(exception.ImageUnacceptable, match="image-not-active"):
        cloud.create(image)
    assert cloud.driver.names() == []
    (volume,) = (
        v
        for v in objects.VolumeList.get_all(context.get_admin_context())
        if v.display_name != "backing"
    )
    assert volume.status == "error"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            exception.GlanceConnectionFailed(reason="down"),
            "locations-unavailable",
        ),
        (exception.ImageNotAuthorized(image_id="i"), "locations-hidden"),
    ],
)
def test_unreadable_locations_lead_to_a_download(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    """The log has the reason, by the kind of the error."""
    cloud = start()
    image = cloud.images.add()

    def fail(*_: object, **_more: object) -> None:
        raise error

    service = glance.GlanceImageService()
    monkeypatch.setattr(service, "_client", None)
    monkeypatch.setattr(glance.GlanceClientWrapper, "call", fail)
    found = service.get_location(cloud.context, image)
    monkeypatch.setattr(cloud.images, "get_location", lambda *_: found)
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert reason in cloud.reasons()
    assert "no-locations" not in cloud.reasons()


def test_unreadable_facts_lead_to_a_download(start: Start) -> None:
    """There is no decision and no clone; the log names field and request."""
    cloud = start()
    image = cloud.images.add(visibility=7)
    cloud.add_image_volume(image)
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    (line,) = (m for m in cloud.log.messages if "Image.visibility" in m)
    assert f" operation=create image={image} volume={volume.id} " in line


def test_a_defect_in_deciding_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any error Cinder downloads without a decision."""

    def fail(*_: object) -> None:
        raise RuntimeError

    cloud = start()
    monkeypatch.setattr(objects.Service, "get_by_args", fail)
    volume = cloud.create(cloud.images.add())
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert cloud.decisions() == []


def test_an_error_that_cannot_be_logged_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cinder downloads as if nothing had been written."""

    def fail(*_: object) -> None:
        raise RuntimeError

    cloud = start()
    monkeypatch.setattr(reports, "log_undecided", fail)
    volume = cloud.create(cloud.images.add(visibility=7))
    assert cloud.driver.held[volume.id] == ("image data", 1)


@pytest.mark.parametrize("mode", ["shadow", "enforce"])
def test_a_policy_with_a_defect_does_not_stop_a_create(
    start: Start, mode: str
) -> None:
    """If an operator's own rule raises an error, Cinder downloads."""
    cloud = start(policy="operator_policies.BROKEN", mode=mode)
    volume = cloud.create(cloud.images.add())
    assert cloud.driver.held[volume.id] == ("image data", 1)


def test_a_create_does_not_ask_glance_what_it_offers(
    start: Start,
) -> None:
    """Only uploads need that."""
    cloud = start()
    cloud.images.failing["get_config"] = [AssertionError()]
    cloud.create(cloud.images.add())
    assert cloud.images.failing["get_config"]


def test_the_volumes_of_these_tests_are_in_the_managers_pool() -> None:
    """Otherwise no source would be local."""
    assert HOST.startswith("node@array#")
