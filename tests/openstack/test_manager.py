"""The drop-in volume manager creates, in a real Cinder 29."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_here
from cinder import context, coordination, exception, objects
from cinder.db import api as db
from cinder.image import glance
from cinder.message import message_field
from cinder.volume import manager as stock_manager
from cinder_here import HOST, INTERNAL, TENANT, Here

from clonepolicy import FactError
from clonepolicy.adapters.cinder import (
    IncompatibleCinderError,
    _installed,
)

start, database = cinder_here.start, cinder_here.database

Start = Callable[..., Here]
CLONE, COPY = "create_cloned_volume", "copy_image_to_volume"


def reasons(here: Here) -> list[str]:
    """Give the reasons of the one decision that was logged."""
    (line,) = here.lines()
    return line["reasons"].split(",")


def clones_of(here: Here, volume: Any) -> list[str]:
    """Name the sources that the driver was asked to clone for a volume."""
    return [
        call[2] for call in here.driver.calls if call[:2] == (CLONE, volume.id)
    ]


# -- cloning ------------------------------------------------------------------


def test_an_image_volume_of_the_images_owner_is_cloned(start: Start) -> None:
    """No byte is moved, and the log says what was decided."""
    here = start()
    image = here.images.add()
    backing = here.backing(image)
    volume = here.create(image)
    assert volume.status == "available"
    assert here.driver.names() == [CLONE]
    assert here.driver.held[volume.id] == ("volume data", 1)
    assert volume.provider_location == f"clone-of-{backing.id}"
    (line,) = here.lines()
    assert line == {
        "operation": "create",
        "verdict": "clone",
        "policy": "SAFE/1",
        "mode": "enforce",
        "image": image,
        "volume": volume.id,
        "mechanism": "image-volume",
        "source": f"cinder://{backing.id}",
        "reasons": "-",
        "notes": line["notes"],
    }


def test_a_clone_is_as_large_as_asked(start: Start) -> None:
    """The driver makes it so, and is not asked to extend it once more."""
    here = start()
    image = here.images.add()
    here.backing(image)
    volume = here.create(image, size=3)
    assert here.driver.held[volume.id] == ("volume data", 3)
    assert here.driver.names() == [CLONE]


def test_a_clone_keeps_what_the_image_says_of_itself(start: Start) -> None:
    """The volume is bootable and carries the image's metadata."""
    here = start()
    image = here.images.add(properties={"os_distro": "debian"})
    here.backing(image)
    volume = here.create(image)
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
def test_the_next_source_is_tried_whatever_a_driver_raises(
    start: Start, error: Exception
) -> None:
    """What was begun is erased before the next clone."""
    here = start()
    image = here.images.add()
    sources = {here.backing(image).id for _ in range(2)}
    here.driver.failing[CLONE] = [error]
    volume = here.create(image)
    assert volume.status == "available"
    assert here.driver.names() == [CLONE, "delete_volume", CLONE]
    assert set(clones_of(here, volume)) == sources


def test_bytes_follow_when_every_source_fails(start: Start) -> None:
    """The volume is downloaded, and nothing of a clone is left."""
    here = start()
    image = here.images.add()
    here.backing(image)
    here.driver.failing[CLONE] = [RuntimeError()]
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)
    assert volume.status == "available"


def test_bytes_do_not_follow_a_clone_that_cannot_be_erased(
    start: Start,
) -> None:
    """They would be written over what nobody knows."""
    here = start()
    image = here.images.add()
    here.backing(image)
    here.driver.failing[CLONE] = [RuntimeError()]
    here.driver.failing["delete_volume"] = [RuntimeError()]
    with pytest.raises(exception.VolumeBackendAPIException):
        here.create(image)
    assert COPY not in here.driver.names()


# -- not cloning --------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"project_id": "stranger"}, "owner-mismatch"),
        (
            {"project_id": "stranger", "metadata": {"image_owner": TENANT}},
            "owner-mismatch",
        ),
        ({"status": "error"}, "source-status"),
        ({"status": "deleting"}, "source-status"),
        ({"size": 2}, "source-larger-than-request"),
        ({"encryption_key_id": "a-key"}, "source-encrypted"),
        ({"host": "node@array#other"}, "different-pool"),
        ({"host": "elsewhere@array#pool"}, "different-host"),
        ({"metadata": {"glance_image_id": "other"}}, "backref-mismatch"),
    ],
    ids=[
        *("a stranger's", "vouched for by a stranger", "in error"),
        *("being deleted", "larger", "encrypted", "another pool"),
        *("another host", "of another image"),
    ],
)
def test_what_must_not_be_cloned_is_downloaded(
    start: Start, fields: dict[str, Any], reason: str
) -> None:
    """The driver is not asked to clone, and the log says why."""
    here = start()
    image = here.images.add()
    here.backing(image, **fields)
    volume = here.create(image)
    assert volume.status == "available"
    assert here.driver.held[volume.id] == ("image data", 1)
    assert CLONE not in here.driver.names()
    assert reason in reasons(here)


def test_a_driver_that_clones_across_pools_does(start: Start) -> None:
    """All pools of one service are one array; other services' are not."""
    here = start()
    here.driver.capabilities = {"clone_across_pools": True}
    image = here.images.add()
    far = here.backing(image, host="elsewhere@array#pool")
    near = here.backing(image, host="node@array#other")
    volume = here.create(image)
    assert clones_of(here, volume) == [near.id]
    here.driver.held.pop(near.id)
    here.read(near.id).destroy()
    volume = here.create(image)
    assert clones_of(here, volume) == []
    assert far.id not in clones_of(here, volume)
    assert "different-array" in here.lines()[-1]["reasons"]


def test_an_owner_is_vouched_for_in_the_internal_tenant_only(
    start: Start,
) -> None:
    """There no tenant writes image_owner."""
    here = start()
    image = here.images.add()
    here.backing(image, project_id=INTERNAL, metadata={"image_owner": TENANT})
    here.create(image)
    assert here.driver.names() == [CLONE]


def test_cinders_own_option_stays_in_force(start: Start) -> None:
    """Without cinder among the schemes nothing is cloned by location."""
    here = start(options={"allowed_direct_url_schemes": []})
    image = here.images.add()
    here.backing(image)
    here.create(image)
    assert CLONE not in here.driver.names()
    assert "scheme-not-allowed" in reasons(here)


def test_cinders_own_option_stays_in_force_under_any_policy(
    start: Start,
) -> None:
    """Also where the policy has no such rule."""
    here = start(
        policy="policies_here.CAREFREE",
        options={"allowed_direct_url_schemes": []},
    )
    image = here.images.add()
    here.backing(image)
    here.create(image)
    assert here.lines()[0]["verdict"] == "clone"
    assert CLONE not in here.driver.names()


def test_a_drivers_own_clone_is_not_asked_for_what_nobody_can_judge(
    start: Start,
) -> None:
    """A driver that finds images by name asks nobody for their owner."""
    here = start()
    here.create(here.images.add())
    assert "clone_image" not in here.driver.names()


def test_notes_can_be_declined(start: Start) -> None:
    """A clone with a note is downloaded where the operator wants that."""
    here = start(notes="decline")
    image = here.images.add(properties={})
    here.backing(image)
    volume = here.create(image)
    assert here.lines()[0]["notes"] != "-"
    assert here.driver.held[volume.id] == ("image data", 1)


def test_a_source_that_changes_after_the_decision_is_not_cloned(
    start: Start,
) -> None:
    """It is read again under the lock that its deletion takes."""
    here = start()
    image = here.images.add()
    first, second = (here.backing(image) for _ in range(2))

    def change() -> None:
        for backing in (first, second):
            backing.status = "deleting"
            backing.save()

    here.driver.failing[CLONE] = [RuntimeError()]
    here.driver.before[CLONE] = change
    volume = here.create(image)
    assert here.driver.names()[:2] == [CLONE, "delete_volume"]
    assert here.driver.names().count(CLONE) == 1
    assert here.driver.held[volume.id] == ("image data", 1)


def test_a_source_cannot_be_deleted_while_it_is_cloned(start: Start) -> None:
    """The driver is called under the lock of VolumeManager.delete_volume."""
    here = start()
    image = here.images.add()
    backing = here.backing(image)
    free: list[bool] = []

    def ask() -> None:
        lock = coordination.COORDINATOR.get_lock(f"{backing.id}-delete_volume")
        free.append(lock.acquire(blocking=False))

    here.driver.before[CLONE] = ask
    here.create(image)
    assert free == [False]


# -- refusing -----------------------------------------------------------------


def test_an_image_deactivated_since_is_refused_on_both_paths(
    start: Start,
) -> None:
    """Cinder's flow puts the volume into error, and does not reschedule."""
    here = start()
    image = here.images.add(status="deactivated")
    here.backing(image)
    with pytest.raises(exception.ImageUnacceptable, match="image-not-active"):
        here.create(image)
    assert here.driver.names() == []
    (volume,) = (
        v
        for v in objects.VolumeList.get_all(context.get_admin_context())
        if v.display_name != "backing"
    )
    assert volume.status == "error"


def test_locations_that_cannot_be_read_do_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes can be had; the log says what was not to be had."""
    here = start()
    image = here.images.add()

    def fail(*_: object) -> None:
        raise exception.GlanceConnectionFailed(reason="down")

    service = glance.GlanceImageService()
    monkeypatch.setattr(service, "_client", None)
    monkeypatch.setattr(glance.GlanceClientWrapper, "call", fail)
    found = service.get_location(here.context, image)
    monkeypatch.setattr(here.images, "get_location", lambda *_: found)
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)
    assert "locations-unavailable" in reasons(here)


def test_facts_that_cannot_be_read_lead_to_bytes(start: Start) -> None:
    """Nothing is guessed: there is no decision, and no clone."""
    here = start()
    image = here.images.add(visibility=7)
    here.backing(image)
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)
    assert any("Image.visibility" in text for text in here.log.messages)


# -- the image-volume cache ---------------------------------------------------

CACHED = {
    "backend_defaults.image_volume_cache_enabled": True,
    "allowed_direct_url_schemes": [],
}


def cached(here: Here, image: str, **fields: Any) -> Any:
    """Make an entry of the image-volume cache."""
    values = {
        "project_id": INTERNAL,
        "display_name": "backing",
        "metadata": {},
        **fields,
    }
    volume = here.row(**values)
    here.driver.held[volume.id] = ("cached data", volume.size)
    db.image_volume_cache_create(
        context.get_admin_context(),
        volume.host,
        None,
        image,
        datetime.datetime(2026, 1, 1),  # noqa: DTZ001 - as Cinder stores it
        volume.id,
        volume.size,
    )
    return volume


def test_a_cache_entry_is_cloned(start: Start) -> None:
    """No byte is moved."""
    here = start(options=CACHED)
    image = here.images.add()
    cached(here, image)
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("cached data", 1)
    assert COPY not in here.driver.names()


def test_a_missing_cache_entry_is_made_by_cinder(start: Start) -> None:
    """And the next create clones it."""
    here = start(options=CACHED)
    image = here.images.add()
    here.create(image)
    (entry,) = db.image_volume_cache_get_all(context.get_admin_context())
    assert entry["image_id"] == image
    here.driver.calls.clear()
    volume = here.create(image)
    assert clones_of(here, volume) == [entry["volume_id"]]
    assert here.driver.names() == [CLONE]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"size": 2}, "source-larger-than-request"),
        ({"status": "error"}, "source-status"),
        ({"encryption_key_id": "a-key"}, "source-encrypted"),
    ],
    ids=["larger", "in error", "encrypted"],
)
def test_a_cache_entry_is_judged_like_any_source(
    start: Start, fields: dict[str, Any], reason: str
) -> None:
    """Cinder asks for none of this."""
    here = start(options=CACHED)
    image = here.images.add()
    cached(here, image, **fields)
    volume = here.create(image)
    assert clones_of(here, volume) == []
    assert here.driver.held[volume.id] == ("image data", 1)
    assert reason in reasons(here)


def test_an_entry_at_its_clone_limit_is_evicted_and_made_anew(
    start: Start,
) -> None:
    """Cinder fails the create."""
    here = start(options=CACHED)
    image = here.images.add()
    full = cached(here, image)
    here.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)
    (entry,) = db.image_volume_cache_get_all(context.get_admin_context())
    assert entry["volume_id"] != full.id


# -- modes --------------------------------------------------------------------


def test_in_shadow_cinder_acts_and_the_log_tells_the_difference(
    start: Start,
) -> None:
    """A stranger's volume is cloned by Cinder; SAFE would not."""
    here = start(mode="shadow")
    image = here.images.add()
    backing = here.backing(image, project_id="stranger")
    volume = here.create(image)
    assert clones_of(here, volume) == [backing.id]
    (line,) = here.lines()
    assert line["verdict"] == "download"
    assert line["stock"] == "clone"
    assert line["differs"] == "yes"


def test_in_shadow_unreadable_facts_do_not_matter(start: Start) -> None:
    """Cinder acts as if nobody had looked."""
    here = start(mode="shadow")
    image = here.images.add(min_ram="much", size=1)
    here.images.metas[image]["visibility"] = 7
    volume = here.create(image)
    assert volume.status == "available"


def test_cinder_29_is_carried_out_by_cinder(start: Start) -> None:
    """By definition they are the same."""
    here = start(policy="CINDER_29")
    image = here.images.add()
    backing = here.backing(image, status="error")
    volume = here.create(image)
    assert clones_of(here, volume) == [backing.id]
    assert here.driver.names() == ["clone_image", CLONE]
    assert here.lines()[0]["policy"] == "CINDER_29/1"


def test_a_stock_manager_is_left_alone(start: Start) -> None:
    """The flow is changed for the drop-in's own creates only."""
    start()
    here = start(kind=stock_manager.VolumeManager)
    image = here.images.add()
    here.backing(image, project_id="stranger")
    here.create(image)
    assert CLONE in here.driver.names()
    assert here.lines() == []


# -- starting -----------------------------------------------------------------


def test_another_cinder_is_refused_at_start(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names what differs, and the way out."""

    def changed(self: object, volume: object) -> None:
        del self, volume

    (first, *others) = _installed.TOUCHED
    monkeypatch.setattr(_installed, "TOUCHED", ((changed, first[1]), *others))
    with pytest.raises(IncompatibleCinderError) as caught:
        start()
    assert "parameters (self volume), not (self context" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_policy_that_is_none_is_refused_at_start(start: Start) -> None:
    """The option, its value and what is expected are named."""
    with pytest.raises(FactError, match=r"\[clonepolicy\] policy.*LAX"):
        start(policy="LAX")


# -- telling ------------------------------------------------------------------


def messages(here: Here) -> list[Any]:
    """Read the tenant's messages."""
    return list(db.message_get_all(here.context))


def test_the_user_is_told_why(start: Start) -> None:
    """In the words of the reason, for which both processes know the id."""
    here = start()
    image = here.images.add(container_format="ovf")
    volume = here.create(image)
    (message,) = messages(here)
    assert message["event_id"] == "VOLUME_VOLUME_005_container-not-bare"
    assert message["message_level"] == "INFO"
    assert message["resource_uuid"] == volume.id
    text = dict(message_field.Detail.ALL)[message["detail_id"]]
    assert "[container-not-bare]" in text


def test_the_user_is_not_told_of_other_projects(start: Start) -> None:
    """Whose the volume behind the image is stays between operators."""
    here = start()
    image = here.images.add()
    here.backing(image, project_id="stranger")
    here.create(image)
    (message,) = messages(here)
    assert message["event_id"] == "VOLUME_VOLUME_005_clonepolicy"


def test_messages_can_be_turned_off(start: Start) -> None:
    """Some clouds want none."""
    here = start(user_messages=False)
    here.create(here.images.add(disk_format="qcow2"))
    assert messages(here) == []


def test_a_failure_to_tell_stops_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The volume is what matters."""

    def fail(*_: object) -> None:
        raise RuntimeError

    here = start()
    monkeypatch.setattr("cinder.db.api.message_create", fail)
    assert here.create(here.images.add()).status == "available"


def test_decisions_are_counted_where_somebody_counts(start: Start) -> None:
    """By operation, verdict and first reason, through OpenTelemetry."""
    sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    export = pytest.importorskip("opentelemetry.sdk.metrics.export")
    api = pytest.importorskip("opentelemetry.metrics")
    reader = export.InMemoryMetricReader()
    api.set_meter_provider(sdk.MeterProvider(metric_readers=[reader]))
    here = start()
    here.create(here.images.add(disk_format="qcow2"))
    (resource,) = reader.get_metrics_data().resource_metrics
    (metric,) = resource.scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert metric.name == "clonepolicy.decisions"
    assert point.attributes["operation"] == "create"
    assert point.attributes["verdict"] == "download"


def test_the_pool_of_the_tests_is_that_of_the_manager() -> None:
    """Else nothing here would ever be local."""
    assert HOST.startswith("node@array#")


def test_a_defect_in_deciding_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised, Cinder can go on without a decision."""

    def fail(*_: object) -> None:
        raise RuntimeError

    here = start()
    monkeypatch.setattr(objects.Service, "get_by_args", fail)
    volume = here.create(here.images.add())
    assert here.driver.held[volume.id] == ("image data", 1)
    assert here.lines() == []


def test_a_create_asks_glance_for_nothing_that_it_need_not_know(
    start: Start,
) -> None:
    """What Glance offers matters to uploads."""
    here = start()
    here.images.failing["get_config"] = [AssertionError()]
    here.create(here.images.add())
    assert here.images.failing["get_config"]


@pytest.mark.parametrize("mode", ["shadow", "enforce"])
def test_a_policy_with_a_defect_does_not_stop_a_create(
    start: Start, mode: str
) -> None:
    """An operator's own rule may raise; bytes can be had."""
    here = start(policy="policies_here.BROKEN", mode=mode)
    volume = here.create(here.images.add())
    assert here.driver.held[volume.id] == ("image data", 1)


@pytest.mark.parametrize(
    ("new", "source"),
    [
        ({"encryption_key_id": "a-key"}, {}),
        ({}, {"encryption_key_id": "a-key"}),
        ({}, {"size": 5}),
    ],
    ids=["encrypted volume", "encrypted source", "larger source"],
)
def test_no_policy_has_data_spoilt(
    start: Start, new: dict[str, Any], source: dict[str, Any]
) -> None:
    """The spec says nothing of keys and of shrinking."""
    here = start(policy="LIBERTY")
    image = here.images.add()
    here.backing(image, **source)
    volume = here.row(status="creating", **new)
    with contextlib.suppress(exception.CinderException, AttributeError):
        here.manager.create_volume(
            here.context,
            volume,
            request_spec=objects.RequestSpec(image_id=image),
            filter_properties={},
            allow_reschedule=False,
        )
    assert here.lines()[0]["verdict"] == "clone"
    assert CLONE not in here.driver.names()


def test_filling_the_cache_clones_no_entry_that_was_refused(
    start: Start,
) -> None:
    """Cinder drops a stale entry, and looks for another one."""
    here = start(options=CACHED)
    image = here.images.add()
    cached(here, image, project_id="stranger")
    stale = cached(here, image)
    admin = context.get_admin_context()
    db.image_volume_cache_delete(admin, stale.id)
    db.image_volume_cache_create(
        admin,
        stale.host,
        None,
        image,
        datetime.datetime(2020, 1, 1),  # noqa: DTZ001 - as Cinder stores it
        stale.id,
        stale.size,
    )
    volume = here.create(image)
    assert clones_of(here, volume) == []
    assert here.driver.held[volume.id] == ("image data", 1)


def test_an_entry_that_cannot_be_evicted_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be in use; bytes can be had."""
    here = start(options=CACHED)
    image = here.images.add()
    cached(here, image)
    here.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]

    def fail(*_: object) -> None:
        raise exception.InvalidVolume(reason="it is in use")

    cache = here.manager.image_volume_cache
    monkeypatch.setattr(cache, "delete_cached_volume", fail)
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)


def test_the_user_is_not_told_what_closes_the_other_path(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full conversion directory is nothing to whose volume is cloned."""
    monkeypatch.setattr(
        "clonepolicy.adapters.cinder._create._conversion_free", lambda: 0
    )
    here = start()
    image = here.images.add()
    here.backing(image)
    here.create(image)
    (message,) = messages(here)
    assert message["event_id"] == "VOLUME_VOLUME_005_clonepolicy"


def test_what_a_driver_says_of_its_failure_is_for_debugging(
    start: Start,
) -> None:
    """It may hold credentials."""
    here = start()
    image = here.images.add()
    here.backing(image)
    here.driver.failing[CLONE] = [RuntimeError("https://admin:secret@array")]
    here.create(image)
    assert "secret" not in here.log.text
    assert "RuntimeError" in here.log.text
