"""A Cinder 29 volume manager in this process, with database and flows.

The database is sqlite, made by Cinder's own migrations.  Quotas, objects,
taskflow and locks are Cinder's own.  Only the driver and the image service
are fakes.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import checked  # noqa: F401 - before all tests
import conf_files
import oslo_messaging
import pytest
from cinder import (
    context,
    coordination,
    objects,
    privsep,
    quota,
    rpc,
    utils,
)
from cinder.common import config  # noqa: F401 - registers options
from cinder.db import api as db
from cinder.db import migration
from oslo_config import cfg
from oslo_messaging import conffixture

objects.register_all()
sys.path.insert(0, str(Path(__file__).parents[1]))

from cinder.image import glance  # noqa: E402 - objects first
from cinder.volume.flows.manager import (  # noqa: E402 - the same
    create_volume,
)
from fake_driver import DictDriver  # noqa: E402 - the same
from fake_image_service import TENANT, FakeImages  # noqa: E402 - the same
from installed import RELEASE  # noqa: E402 - the same
from installed import db as tables  # noqa: E402 - the same

from clonepolicy.adapters.cinder import (  # noqa: E402 - the same
    PolicyVolumeManager,
    _images,
    register_opts,
)
from clonepolicy.adapters.cinder._drop_in import (  # noqa: E402 - the same
    supported_cinder,
)
from logfmt import parsed  # noqa: E402 - the same

# this module wraps a function of Cinder that the drop-in checks
supported_cinder._WRAP.add(__name__)

CONF = cfg.CONF
INTERNAL, USER = "internal", "user"
HOST = "node@array#pool"


@attrs.define(kw_only=True)
class CinderCloud:
    """A running volume manager with its driver and its images."""

    manager: Any
    driver: DictDriver
    images: FakeImages
    context: Any
    log: pytest.LogCaptureFixture

    def add_volume(self, **fields: Any) -> Any:
        """Add a volume's row, and its data on the array; return its object."""
        values = {
            "project_id": TENANT,
            "user_id": USER,
            "size": 1,
            "status": "available",
            "host": HOST,
            "volume_type_id": db.volume_type_get_by_name(
                self.context.elevated(), "__DEFAULT__"
            )["id"],
            **fields,
        }
        values.setdefault("metadata", {})
        volume = objects.Volume(context=self.context.elevated(), **values)
        volume.create()
        if values["status"] != "creating":
            self.driver.held[volume.id] = ("volume data", volume.size)
        return self.read(volume.id)

    def read(self, volume_id: str) -> Any:
        """Read a volume from the database."""
        return objects.Volume.get_by_id(self.context.elevated(), volume_id)

    def volume_ids(self) -> set[str]:
        """Return the ids of all volumes that have a row."""
        admin = self.context.elevated()
        return {volume.id for volume in objects.VolumeList.get_all(admin)}

    def add_image_volume(self, image_id: str, **fields: Any) -> Any:
        """Add a volume, and register it as a location of the image."""
        volume = self.add_volume(**{"display_name": "backing", **fields})
        self.images.locations[image_id].append(f"cinder://{volume.id}")
        return volume

    def create(self, image_id: str, **fields: Any) -> Any:
        """Create a volume from an image, as by RPC; return its object."""
        volume = self.add_volume(**{"status": "creating", "size": 1, **fields})
        self.run_create(volume.id, image_id)
        return self.read(volume.id)

    def run_create(self, volume_id: str, image_id: str) -> None:
        """Create a volume whose row cinder-api has made."""
        spec = objects.RequestSpec(image_id=image_id)
        self.manager.create_volume(
            self.context,
            self.read(volume_id),
            request_spec=spec,
            filter_properties={},
            allow_reschedule=False,
        )

    def upload(self, volume: Any, **fields: Any) -> str:
        """Upload a volume, as by RPC; return the image's id."""
        image_id = self.ask_upload(volume, **fields)
        self.run_upload(volume.id, image_id)
        return image_id

    def ask_upload(self, volume: Any, **fields: Any) -> str:
        """Do what cinder-api does for an upload; return the image's id."""
        wanted = {"status": "queued", "size": None, **fields}
        image_id = self.images.add(**wanted)
        volume.previous_status = volume.status
        volume.status = "uploading"
        volume.save()
        return image_id

    def run_upload(self, volume_id: str, image_id: str) -> None:
        """Upload a volume to an image that cinder-api has made."""
        meta = dict(self.images.metas[image_id])
        self.manager.copy_volume_to_image(self.context, volume_id, meta)

    def decisions(self) -> list[dict[str, str]]:
        """Return the fields of each log line about a decision."""
        return [
            dict(part.split("=", 1) for part in message.split()[1:])
            for message in self.log.messages
            if message.startswith("clonepolicy operation=")
            and "unreadable" not in message
        ]

    def deeds(self) -> list[dict[str, str]]:
        """Return the fields of each log line about what Cinder did."""
        return [
            parsed(message.removeprefix("clonepolicy "))
            for message in self.log.messages
            if message.startswith("clonepolicy predicted=")
        ]

    def reasons(self) -> list[str]:
        """Return the reasons of the only decision in the log."""
        (line,) = self.decisions()
        return line["reasons"].split(",")

    def clones_of(self, volume: Any) -> list[str]:
        """Return the sources that the driver was asked to clone for it."""
        return [
            call[2]
            for call in self.driver.calls
            if call[:2] == ("create_cloned_volume", volume.id)
        ]

    def used(self, project: str) -> tuple[int, int]:
        """Return how many volumes and GiB a project's quota counts."""
        found = quota.QUOTAS.get_project_quotas(
            self.context.elevated(), project
        )
        for name in ("volumes", "gigabytes"):
            assert found[name].get("reserved", 0) == 0
        return found["volumes"]["in_use"], found["gigabytes"]["in_use"]


Start: TypeAlias = Callable[..., CinderCloud]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepare this process for Cinder, in a folder of the session."""
    folder = tmp_path_factory.mktemp("cinder")
    prepare_cinder(folder)
    return folder


def prepare_cinder(folder: Path) -> None:
    """Set up what Cinder needs: options, database, locks, messaging."""
    oslo_messaging.set_transport_defaults("cinder")
    CONF([], project="cinder", default_config_files=[])
    CONF.set_override(
        "connection", f"sqlite:///{folder}/cinder.sqlite", "database"
    )
    CONF.set_override("state_path", str(folder))
    CONF.set_override("lock_path", str(folder), "oslo_concurrency")
    CONF.set_override("backend_url", f"file://{folder}", "coordination")
    messaging = conffixture.ConfFixture(CONF)
    messaging.setUp()
    messaging.transport_url = "fake:/"
    rpc.init(CONF)
    # this process does what a root helper would do for Cinder
    privsep.sys_admin_pctxt.set_client_mode(False)
    migration.db_sync()
    coordination.COORDINATOR.start()


@pytest.fixture
def start(
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Start]:
    """Return a function that starts a volume manager with options."""
    images = FakeImages()

    @functools.wraps(glance.get_remote_image_service)
    def remote(_context: Any, image_id: str) -> tuple[FakeImages, str]:
        return images, image_id

    for place in (glance, create_volume):
        monkeypatch.setattr(
            place, "get_remote_image_service", remote, raising=False
        )
    monkeypatch.setattr(
        _images, "glance_images", lambda _context, _settings: images
    )
    monkeypatch.setattr(utils, "get_root_helper", lambda: "env")
    changed: list[tuple[str, str | None]] = []

    def started(
        *,
        kind: type = PolicyVolumeManager,
        driver: type[DictDriver] = DictDriver,
        options: dict[str, Any] | None = None,
        **own: Any,
    ) -> CinderCloud:
        wanted: dict[tuple[str, str | None], Any] = {
            ("allowed_direct_url_schemes", None): ["cinder"],
            ("cinder_internal_tenant_project_id", None): INTERNAL,
            ("cinder_internal_tenant_user_id", None): "internal-user",
            ("host", None): "node@array",
            ("image_conversion_dir", None): str(database / "conversion"),
            ("image_upload_use_cinder_backend", "backend_defaults"): True,
            ("image_upload_use_internal_tenant", "backend_defaults"): True,
            (
                "extra_capabilities",
                "backend_defaults",
            ): '{"clone_while_uploading": true}',
        }
        for name, value in (options or {}).items():
            group, _, option = name.rpartition(".")
            wanted[option, group or None] = value
        register_opts(CONF)
        wanted |= {(name, "clonepolicy"): own[name] for name in own}
        for at, value in wanted.items():
            CONF.set_override(at[0], value, at[1])
        changed.extend(wanted)
        caplog.set_level(logging.INFO)
        path = f"{driver.__module__}.{driver.__qualname__}"
        manager = kind(volume_driver=path, host="node@array")
        manager.stats = {"pools": {}}  # as init_host leaves it
        return CinderCloud(
            manager=manager,
            driver=manager.driver,
            images=images,
            context=context.RequestContext(
                user_id=USER, project_id=TENANT, is_admin=False
            ),
            log=caplog,
        )

    yield started
    for option, group in changed:
        conf_files.clear(option, group)
    empty_database()


def empty_database() -> None:
    """Delete volumes, cache entries, quotas and messages."""
    admin = context.get_admin_context()
    for entry in db.image_volume_cache_get_all(admin):
        db.image_volume_cache_delete(admin, entry["volume_id"])
    for volume in objects.VolumeList.get_all(admin):
        volume.destroy()
    for project in (TENANT, INTERNAL):
        db.quota_destroy_by_project(admin, project)
    with tables.main_context_manager.writer.using(admin):
        for name in (
            *("QuotaUsage", "Reservation", "Quota"),
            *("Message", "VolumeAdminMetadata"),
        ):
            admin.session.execute(RELEASE.table(name).delete())
