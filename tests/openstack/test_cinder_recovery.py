"""What the drop-in notes about its work, and how it ends dead work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
import killing
from cinder import context, exception, objects, service
from cinder.db import api as db
from cinder.volume import manager
from cinder_cloud import INTERNAL, CinderCloud, Start
from fake_driver import MixedDriver
from installed import RELEASE, models
from installed import db as tables
from keystoneauth1 import loading
from killing import initialize, notes
from oslo_config import cfg
from oslo_db import exception as db_exception

from clonepolicy import GlanceConfig, UnavailableError
from clonepolicy.adapters.cinder import CinderVolumes, Settings, _images
from clonepolicy.adapters.cinder._drop_in import note
from clonepolicy.adapters.cinder._drop_in.journal import WorkJournal
from clonepolicy.adapters.cinder._drop_in.note import (
    CLONING,
    COPYING,
    REGISTERING,
    Note,
    digest,
)
from clonepolicy.adapters.glance import GlanceImages
from clonepolicy.ports import Phase

start, database = cinder_cloud.start, cinder_cloud.database

COPY = {"backend_defaults.image_upload_use_cinder_backend": False}
ELSEWHERE = "other@array"
DEAD = "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
"""The token of a process that does not run."""


@pytest.fixture(autouse=True)
def service_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the service an id, as Cinder does before it starts."""
    monkeypatch.setattr(service.Service, "service_id", killing.SERVICE)


@attrs.frozen
class Upload:
    """A dead upload."""

    volume: Any
    image: str
    image_volume: str | None


def put_note(cloud: CinderCloud, volume: Any, image: str, value: str) -> None:
    """Write a note as a process does that is killed next."""
    db.volume_admin_metadata_update(
        cloud.context.elevated(),
        volume.id,
        {f"clonepolicy:{image}": value},
        delete=False,
    )


def dead(host: str = "node@array", **fields: Any) -> str:
    """Return a note of a dead process."""
    return str(Note(host=digest(host), token=DEAD, **fields))


def dead_upload(
    cloud: CinderCloud,
    step: str = COPYING,
    *,
    cloned: bool = True,
    host: str = "node@array",
    **fields: Any,
) -> Upload:
    """Leave an upload as a kill does, after a step of a registration.

    Without a step it copied data.
    """
    source = cloud.add_volume()
    image = cloud.ask_upload(source, **fields)
    made = None
    if step != COPYING:
        volumes = CinderVolumes(context=cloud.context, image_id=image)
        made = volumes.new_id()
        volumes.create_image_volume(made, source.id, INTERNAL)
        if cloned:
            cloud.driver.held[made] = ("volume data", 1)
        if step == REGISTERING:
            volumes.publish(made)
    value = dead(host, step=step, image_volume=made)
    put_note(cloud, source, image, value)
    return Upload(source, image, made)


def check_gone(cloud: CinderCloud, left: Upload) -> None:
    """The upload is as if it had never been asked for."""
    assert cloud.volume_ids() == {left.volume.id}
    assert set(cloud.driver.held) == {left.volume.id}
    assert cloud.read(left.volume.id).status == "available"
    assert left.image not in cloud.images.metas
    assert cloud.used(INTERNAL) == (0, 0)
    assert notes() == []


# -- notes ------------------------------------------------------------------


def test_a_note_fits_into_the_column() -> None:
    """The longest words of each kind, and a host of 255 characters."""
    longest = Note(
        host=digest("h" * 255),
        token=DEAD,
        phase=max(Phase, key=len),
        step=REGISTERING,
        image_volume=DEAD,
    )
    assert len(str(longest)) <= 255
    assert Note.read(str(longest)) == longest
    create = Note(host=digest("h"), token=DEAD, step=CLONING, source=DEAD)
    assert Note.read(str(create)) == create


def test_work_leaves_no_row_behind(start: Start) -> None:
    """Cinder's own deletion would only mark the rows."""
    cloud = start()
    image = cloud.upload(cloud.add_volume())
    cloud.images.metas[image]["size"] = 1 << 30
    cloud.create(image)
    admin = context.get_admin_context()
    with tables.main_context_manager.reader.using(admin):
        rows = admin.session.query(models.VolumeAdminMetadata).all()
        assert {row.key for row in rows} == {"readonly"}


@pytest.mark.parametrize("failing", ["database", "disk"])
def test_what_cannot_be_noted_is_not_cloned(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    failing: str,
) -> None:
    """The data is copied, and the log says why."""
    cloud = start()
    if failing == "database":
        monkeypatch.setattr(note, "_attempt", _lose_database)
    else:
        full = tmp_path / "full"
        full.touch()
        lost = WorkJournal.of("node@array")
        lost.lock.directory = full / "folder"
        cloud.manager.journal = lost
    source = cloud.add_volume()
    image = cloud.upload(source)
    assert cloud.images.data[image] == b"volume data"
    backing = cloud.add_image_volume(image)
    cloud.images.metas[image]["size"] = 1 << 30
    volume = cloud.create(image)
    assert volume.status == "available"
    assert cloud.clones_of(volume) == []
    assert cloud.volume_ids() == {source.id, backing.id, volume.id}
    assert "could not note its work" in cloud.log.text


def _lose_database(_statement: object) -> None:
    raise db_exception.DBConnectionError


def test_a_note_that_cannot_be_deleted_harms_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deleted at the next start; the image is whole."""
    cloud = start()
    source, attempt = cloud.add_volume(), note._attempt
    monkeypatch.setattr(
        cloud.images,
        "verify_location",
        lambda *_: monkeypatch.setattr(note, "_attempt", _lose_database),
    )
    image = cloud.upload(source)
    assert "could not delete its note" in cloud.log.text
    monkeypatch.setattr(note, "_attempt", attempt)
    assert len(notes()) == 1
    assert cloud.images.metas[image]["status"] == "active"


@pytest.mark.parametrize(
    "own", [{"mode": "shadow"}, {"policy": RELEASE.stock_policy}], ids=str
)
def test_nothing_is_noted_where_cinder_itself_works(
    start: Start, monkeypatch: pytest.MonkeyPatch, own: dict[str, str]
) -> None:
    """In shadow mode and under CINDER_29."""
    cloud = start(options=COPY, **own)
    asked: list[object] = []
    monkeypatch.setattr(note, "_attempt", asked.append)
    image = cloud.upload(cloud.add_volume())
    assert cloud.images.metas[image]["status"] == "active"
    assert asked == []


def test_the_mixin_notes_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver is not asked to clean up when the service starts."""
    asked: list[object] = []
    monkeypatch.setattr(note, "_attempt", asked.append)
    cloud = start(
        kind=manager.VolumeManager,
        driver=MixedDriver,
        options={"allowed_direct_url_schemes": []},
    )
    cloud.driver.do_setup(context.get_admin_context())
    image = cloud.images.add()
    backing = cloud.add_image_volume(image)
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [backing.id]
    assert asked == []


# -- what a start ends --------------------------------------------------------


@pytest.mark.parametrize("step", [COPYING, CLONING, REGISTERING])
@pytest.mark.parametrize("cloned", [False, True], ids=["before", "after"])
def test_a_dead_upload_is_undone(
    start: Start, step: str, *, cloned: bool
) -> None:
    """The volume has its status back; nothing else is left."""
    cloud = start()
    # Glance does not take the location
    cloud.images.failing["add_location"] = [UnavailableError()]
    left = dead_upload(cloud, step, cloned=cloned)
    initialize(cloud)
    check_gone(cloud, left)


def test_a_registration_that_glance_may_have_got_is_finished(
    start: Start,
) -> None:
    """The tenant gets the image that was asked for."""
    cloud = start()
    left = dead_upload(cloud, REGISTERING)
    initialize(cloud)
    assert cloud.images.metas[left.image]["status"] == "active"
    found = cloud.read(left.image_volume or "")
    assert (found.status, found.metadata["glance_image_id"]) == (
        "available",
        left.image,
    )
    assert cloud.used(INTERNAL) == (1, 1)
    assert notes() == []


def test_work_is_ended_although_the_drop_in_no_longer_acts(
    start: Start,
) -> None:
    """The operator has changed the mode after the kill."""
    cloud = start(mode="shadow")
    left = dead_upload(cloud, CLONING)
    initialize(cloud)
    check_gone(cloud, left)


def test_an_old_note_does_not_delete_a_registered_image_volume(
    start: Start,
) -> None:
    """Cinder rewrites all admin metadata when a volume is attached."""
    cloud = start()
    source = cloud.add_volume()
    image = cloud.upload(source)
    (made,) = cloud.volume_ids() - {source.id}
    put_note(cloud, source, image, dead(step=CLONING, image_volume=made))
    initialize(cloud)
    assert cloud.images.locations[image] == [f"cinder://{made}"]
    assert made in cloud.driver.held
    assert cloud.read(made).status == "available"
    assert notes() == []


def test_an_image_with_data_is_not_deleted(start: Start) -> None:
    """The upload was complete; only the status was not set back."""
    cloud = start()
    left = dead_upload(cloud)
    cloud.images.metas[left.image]["status"] = "active"
    initialize(cloud)
    assert left.image in cloud.images.metas
    assert cloud.read(left.volume.id).status == "available"


def test_the_work_of_a_deleted_volume_is_ended(start: Start) -> None:
    """Cinder marks its note as deleted, and its image volume is left."""
    cloud = start()
    left = dead_upload(cloud, CLONING)
    cloud.read(left.volume.id).destroy()
    cloud.driver.held.pop(left.volume.id)
    initialize(cloud)
    assert cloud.volume_ids() == set()
    assert cloud.driver.held == {}


def test_an_image_volume_that_was_deleted_is_not_registered(
    start: Start,
) -> None:
    """An operator has found it, and has not waited for the start."""
    cloud = start()
    left = dead_upload(cloud, REGISTERING)
    cloud.read(left.image_volume or "").destroy()
    initialize(cloud)
    assert left.image not in cloud.images.metas
    assert cloud.images.locations[left.image] == []
    assert cloud.read(left.volume.id).status == "available"
    assert notes() == []


@pytest.mark.parametrize(
    "used",
    [
        {"status": "in-use", "attach_status": "attached"},
        {"status": "reserved"},
    ],
    ids=["attached", "reserved"],
)
def test_an_image_volume_in_use_is_not_deleted(
    start: Start, used: dict[str, str]
) -> None:
    """The note stays, as Cinder refuses to delete such a volume."""
    cloud = start()
    left = dead_upload(cloud, CLONING)
    made = cloud.read(left.image_volume or "")
    made.update(used)
    made.save()
    initialize(cloud)
    assert "delete_volume" not in cloud.driver.names()
    assert made.id in cloud.driver.held
    assert made.id in cloud.volume_ids()
    assert len(notes()) == 1


def test_a_registration_that_could_not_be_undone_is_ended_later(
    start: Start,
) -> None:
    """The note stays as long as the image may use the image volume."""
    cloud = start()
    source = cloud.add_volume()
    cloud.images.failing["verify_location"] = [UnavailableError()] * 9
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.upload(source)
    (made,) = cloud.volume_ids() - {source.id}
    cloud.images.failing.clear()
    again = start()
    again.driver.held = cloud.driver.held
    again.images.metas.clear()
    again.images.locations.clear()
    initialize(again)
    assert made in cloud.volume_ids(), "this process is alive"
    cloud.manager.journal.lock.release()
    initialize(again)
    assert again.volume_ids() == {source.id}
    assert notes() == []


@pytest.mark.parametrize("status", ["available", "error"])
def test_a_volume_that_is_no_longer_in_creation_keeps_its_data(
    start: Start, status: str
) -> None:
    """It may be the only copy."""
    cloud = start()
    volume = cloud.add_volume(status=status)
    put_note(cloud, volume, DEAD, dead(step=CLONING))
    initialize(cloud)
    assert volume.id in cloud.driver.held
    assert cloud.read(volume.id).status == status
    assert notes() == []


def test_a_volume_that_was_created_elsewhere_keeps_its_data(
    start: Start,
) -> None:
    """Cinder may send a failed create to another host, with the same id."""
    cloud = start()
    volume = cloud.add_volume(status="creating", host="other@array#pool")
    cloud.driver.held[volume.id] = ("volume data", 1)
    put_note(cloud, volume, DEAD, dead(step=CLONING))
    initialize(cloud)
    assert volume.id in cloud.driver.held


def test_a_later_upload_keeps_its_status(start: Start) -> None:
    """The volume is uploaded again, by a live process."""
    cloud = start()
    left = dead_upload(cloud)
    live = WorkJournal.of(ELSEWHERE)
    with live.noted(left.volume.id, DEAD, COPYING):
        initialize(cloud)
        assert cloud.read(left.volume.id).status == "uploading"
    assert left.image not in cloud.images.metas


# -- whose work ---------------------------------------------------------------


def test_the_work_of_a_live_process_is_left_alone(start: Start) -> None:
    """A process of the same host may still end while this one starts."""
    cloud = start()
    source = cloud.add_volume()
    image = cloud.ask_upload(source)
    before = WorkJournal.of("node@array")
    with before.noted(source.id, image, COPYING):
        initialize(cloud)
        assert cloud.read(source.id).status == "uploading"
        assert image in cloud.images.metas


def test_lock_files_of_dead_processes_are_removed(
    start: Start, database: Path
) -> None:
    """Each process makes one."""
    cloud = start()
    left = dead_upload(cloud)
    stale = database / "clonepolicy" / DEAD
    stale.parent.mkdir(exist_ok=True)
    stale.touch()
    initialize(cloud)
    check_gone(cloud, left)
    assert not stale.exists()


def test_the_work_of_another_host_is_left_alone(start: Start) -> None:
    """That host ends it when it starts."""
    cloud = start()
    left = dead_upload(cloud, CLONING, host=ELSEWHERE)
    initialize(cloud)
    assert left.image_volume in cloud.volume_ids()
    assert len(notes()) == 1


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_cleanup_ends_the_work_of_a_host_that_is_down(
    start: Start, state: str
) -> None:
    """An administrator asks one service of a cluster to clean up another."""
    late = {"service_down_time": -1} if state == "down" else {}
    cloud = start(options=late)
    initialize(cloud)
    other = objects.Service(
        context=context.get_admin_context(),
        host=ELSEWHERE,
        binary="cinder-volume",
        topic="cinder-volume",
    )
    other.create()
    left = dead_upload(cloud, CLONING, host=ELSEWHERE)
    request = objects.CleanupRequest(service_id=other.id)
    cloud.manager.do_cleanup(cloud.context.elevated(), request)
    other.destroy()
    request = objects.CleanupRequest(service_id=other.id)
    cloud.manager.do_cleanup(cloud.context.elevated(), request)
    if state == "up":
        assert left.image_volume in cloud.volume_ids()
    else:
        check_gone(cloud, left)


def test_only_one_of_two_takes_dead_work(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the same note."""
    cloud = start()
    dead_upload(cloud)
    here, there = (WorkJournal.of("node@array") for _ in range(2))
    read = note.read_all()
    monkeypatch.setattr(note, "read_all", lambda: read)
    (taken,) = here.interrupted("node@array")
    assert list(there.interrupted("node@array")) == []
    taken.end("")
    assert taken.close()


# -- damage and failures ------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "",
        "no note",
        "0 0 0 0 0 0",
        dead(step="UploadImage").replace(DEAD, DEAD[:-1] + "4"),
        dead(step="DropDatabase"),
        dead(step="UploadImage", source=DEAD),
        dead(step="CloneVolume", source="../../etc"),
        dead(step="CloneVolume", image_volume=DEAD, source=DEAD),
        dead(step="UploadImage", image_volume=DEAD),
        dead(step="AddLocation"),
        dead(step="AddLocation", image_volume="../../etc"),
        dead(step="UploadImage")[:-1],
    ],
)
def test_a_damaged_note_is_left_as_it_is(start: Start, value: str) -> None:
    """The service starts, logs it, and ends the other work."""
    cloud = start()
    other = cloud.add_volume(status="uploading")
    put_note(cloud, other, DEAD, value)
    left = dead_upload(cloud)
    initialize(cloud)
    assert cloud.driver.initialized
    assert cloud.read(other.id).status == "uploading"
    assert notes() == [value]
    assert "damaged note" in cloud.log.text
    assert cloud.read(left.volume.id).status == "available"


def test_a_note_that_names_a_tenants_volume_deletes_nothing(
    start: Start,
) -> None:
    """It is no image volume of the volume that was uploaded."""
    cloud = start()
    left = dead_upload(cloud)
    tenants = cloud.add_volume(source_volid=left.volume.id)
    value = dead(step="CloneVolume", image_volume=tenants.id)
    put_note(cloud, left.volume, left.image, value)
    initialize(cloud)
    assert cloud.read(tenants.id).status == "available"
    assert tenants.id in cloud.driver.held
    assert "is no image volume" in cloud.log.text
    assert "done=no" in cloud.log.text


@pytest.mark.parametrize("step", [COPYING, REGISTERING])
@pytest.mark.parametrize("failing", ["glance", "role"])
def test_without_glance_the_image_volume_stays_until_the_next_start(
    start: Start, step: str, failing: str
) -> None:
    """The image may use it; the uploaded volume is free at once.

    A user without the role admin would not see a private image.
    """
    cloud = start()
    left = dead_upload(cloud, step)
    before = cloud.volume_ids()
    if failing == "glance":
        cloud.images.failing["get_config"] = [UnavailableError()] * 9
    else:
        few = GlanceConfig(service_roles=frozenset({"service"}))
        vars(cloud.images)["get_config"] = lambda: few
    initialize(cloud)
    assert cloud.driver.initialized
    assert cloud.volume_ids() == before
    assert cloud.read(left.volume.id).status == "available"
    assert len(notes()) == 1
    assert "done=no" in cloud.log.text
    cloud.images.failing.clear()
    vars(cloud.images).pop("get_config", None)
    cloud.manager.journal.lock.release()
    del cloud.images.metas[left.image]
    initialize(cloud)
    check_gone(cloud, left)


def test_work_before_the_location_needs_no_glance(start: Start) -> None:
    """Only the image is left for the next start."""
    cloud = start()
    cloud.images.failing["get_config"] = [UnavailableError()] * 9
    left = dead_upload(cloud, CLONING)
    initialize(cloud)
    assert cloud.volume_ids() == {left.volume.id}
    assert cloud.used(INTERNAL) == (0, 0)
    assert cloud.images.metas[left.image]["status"] == "queued"
    assert len(notes()) == 1


def test_what_could_not_be_ended_is_tried_again(start: Start) -> None:
    """Glance comes back, and nobody starts the service once more."""
    cloud = start()
    cloud.images.failing["get_config"] = [UnavailableError()] * 9
    left = dead_upload(cloud, CLONING)
    initialize(cloud)
    assert len(notes()) == 1
    cloud.images.failing.clear()
    tasks = dict(cloud.manager._periodic_tasks)
    tasks["_recover_again"](cloud.manager, context.get_admin_context())
    check_gone(cloud, left)


def test_what_is_tried_again_is_only_what_could_not_be_ended(
    start: Start,
) -> None:
    """A later upload of the volume keeps its status, other work its note."""
    cloud = start()
    cloud.images.failing["get_config"] = [UnavailableError()] * 9
    left = dead_upload(cloud)
    initialize(cloud)
    cloud.images.failing.clear()
    image = cloud.ask_upload(cloud.read(left.volume.id))
    live = WorkJournal.of("node@array")
    other = dead_upload(cloud, CLONING)
    with live.noted(left.volume.id, image, COPYING):
        cloud.manager._recover_again(context.get_admin_context())
        assert left.image not in cloud.images.metas
        assert cloud.read(left.volume.id).status == "uploading"
        assert image in cloud.images.metas
    assert other.image_volume in cloud.volume_ids()
    assert len(notes()) == 1


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_a_lost_database_does_not_stop_the_service(
    start: Start, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """The next start ends the work."""
    cloud = start()
    left = dead_upload(cloud, CLONING)
    attempt, made = note._attempt, []

    def flaky(statement: Any) -> Any:
        made.append(statement)
        if len(made) > calls:
            _lose_database(statement)
        return attempt(statement)

    monkeypatch.setattr(note, "_attempt", flaky)
    initialize(cloud)
    assert cloud.driver.initialized
    monkeypatch.setattr(note, "_attempt", attempt)
    cloud.manager.journal.lock.release()
    initialize(cloud)
    check_gone(cloud, left)


@pytest.mark.parametrize(
    "error", [exception.VolumeIsBusy(volume_name="it"), OSError()], ids=repr
)
def test_an_image_volume_that_cannot_be_deleted_is_tried_again(
    start: Start, error: Exception
) -> None:
    """Its row and its quota stay."""
    cloud = start()
    left = dead_upload(cloud, REGISTERING)
    cloud.images.failing["add_location"] = [UnavailableError()]
    cloud.driver.failing["delete_volume"] = [error]
    initialize(cloud)
    assert left.image_volume in cloud.volume_ids()
    assert cloud.used(INTERNAL) == (1, 1)
    cloud.manager.journal.lock.release()
    initialize(cloud)
    check_gone(cloud, left)


# -- Glance without a user ----------------------------------------------------


class Plugin:
    """The credentials of ``[glance]``."""

    def get_endpoint(self, _session: object, **asked: str) -> str:
        assert asked == {
            "service_type": "image",
            "interface": "public",
            "region_name": None,
        }
        return "http://glance.example"

    def get_access(self, _session: object) -> Any:
        return attrs.make_class("Access", {"role_names": attrs.field()})(
            ["admin", "service"]
        )


@pytest.mark.parametrize("servers", [None, ["http://glance.example"]])
def test_recovery_asks_glance_with_the_credentials_of_the_service(
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    servers: list[str] | None,
) -> None:
    """No user has made the request; Glance is in cinder.conf or a catalog.

    The credentials are loaded once, so that they keep their token.
    """
    del database
    loaded: list[Plugin] = []

    def load(*_: object) -> Plugin:
        loaded.append(Plugin())
        return loaded[-1]

    fakes = {
        "load_auth_from_conf_options": load,
        "load_session_from_conf_options": lambda *_, **__: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(loading, name, fake)
    auth = loading.get_auth_common_conf_options()[0]
    cfg.CONF.set_override(auth.dest, "password", "glance")
    cfg.CONF.set_override("glance_api_servers", servers)
    monkeypatch.setattr(GlanceImages, "get_config", _roles)
    _images._service_auth.cache_clear()
    try:
        found, again = (
            _images.ServiceImages(
                context=None, image_service=None, settings=Settings()
            ).glance
            for _ in range(2)
        )
    finally:
        _images._service_auth.cache_clear()
        cfg.CONF.clear_override(auth.dest, "glance")
        cfg.CONF.clear_override("glance_api_servers")
    kept = loaded[0]
    for each in (found, again):
        assert each.service_client.http_client.auth is kept
    for client in (found.client, found.service_client):
        assert client.http_client.auth is kept
        assert client.http_client.endpoint_override == "http://glance.example"


def _roles(images: GlanceImages) -> GlanceConfig:
    return GlanceConfig(service_roles=images.service_roles)
