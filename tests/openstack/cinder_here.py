"""A real Cinder 29 in this process: its database, manager and flows.

The database is sqlite, made by Cinder's own migrations; quotas, objects,
taskflow and locks are Cinder's own.  What stands in is at the edges: a
driver that keeps volumes in a dictionary, and an image service.
"""

from __future__ import annotations

import datetime
import io
import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import oslo_messaging
import pytest
from cinder import (
    context,
    coordination,
    exception,
    objects,
    privsep,
    quota,
    rpc,
    utils,
)
from cinder.common import config  # noqa: F401 - registers options
from cinder.db import api as db
from cinder.db import migration
from cinder.volume import driver as base
from oslo_config import cfg
from oslo_messaging import conffixture

objects.register_all()

from cinder.volume.flows.manager import (  # noqa: E402 - objects first
    create_volume,
)

from clonepolicy import (  # noqa: E402 - the same
    AdapterError,
    CinderLocation,
    GlanceConfig,
)
from clonepolicy.adapters.cinder import (  # noqa: E402 - the same
    PolicyDriverMixin,
    PolicyVolumeManager,
    _images,
    register_opts,
)

CONF = cfg.CONF
TENANT, INTERNAL, USER = "tenant", "internal", "user"
HOST = "node@array#pool"
GIB = 1 << 30


class DictDriver(base.VolumeDriver):
    """Keeps what volumes hold in a dictionary, and remembers calls.

    ``failing`` maps a method's name to what it raises; a list is used up.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_initialized()
        self.held: dict[str, tuple[str, int]] = {}
        self.calls: list[tuple[str, ...]] = []
        self.failing: dict[str, list[Exception]] = {}
        self.before: dict[str, Callable[[], None]] = {}

    def _called(self, name: str, *ids: str) -> None:
        self.calls.append((name, *ids))
        if name in self.before:
            self.before.pop(name)()
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    def check_for_setup_error(self) -> None:
        pass

    def _update_volume_stats(self) -> None:
        self._stats = {"volume_backend_name": "array"}

    def create_volume(self, volume: Any) -> None:
        self._called("create_volume", volume.id)
        self.held[volume.id] = ("", volume.size)

    def delete_volume(self, volume: Any) -> None:
        self._called("delete_volume", volume.id)
        self.held.pop(volume.id, None)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> Any:
        self._called("create_cloned_volume", volume.id, src_vref.id)
        self.held[volume.id] = (self.held[src_vref.id][0], volume.size)
        return {"provider_location": f"clone-of-{src_vref.id}"}

    def extend_volume(self, volume: Any, new_size: int) -> None:
        self._called("extend_volume", volume.id)
        self.held[volume.id] = (self.held[volume.id][0], new_size)

    def clone_image(
        self,
        context: Any,
        volume: Any,
        image_location: Any,
        image_meta: Any,
        image_service: Any,
    ) -> tuple[dict[str, Any], bool]:
        self._called("clone_image", volume.id)
        return {}, False

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,  # noqa: FBT001, FBT002 - Cinder's
    ) -> None:
        self._called("copy_image_to_volume", volume.id)
        data = io.BytesIO()
        image_service.download(context, image_id, data)
        self.held[volume.id] = (data.getvalue().decode(), volume.size)

    def copy_volume_to_image(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_meta: Any,
    ) -> None:
        self._called("copy_volume_to_image", volume.id)
        data = io.BytesIO(self.held[volume.id][0].encode())
        image_service.update(context, image_meta["id"], {}, data)

    def remove_export(self, context: Any, volume: Any) -> None:
        pass

    def names(self) -> list[str]:
        """Name the calls that were made, in order."""
        return [name for name, *_ in self.calls]


class MixedDriver(PolicyDriverMixin, DictDriver):
    """The same, with its creates decided."""


@attrs.define(slots=False)
class Images:
    """Cinder's image service, and the part of Glance behind locations.

    ``failing`` maps a method's name to what it raises, as in `DictDriver`.
    """

    metas: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    data: dict[str, bytes] = attrs.field(factory=dict)
    locations: dict[str, list[str]] = attrs.field(factory=dict)
    failing: dict[str, list[Exception]] = attrs.field(factory=dict)
    temp_images: Any = None

    def _called(self, name: str) -> None:
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    def add(self, **fields: Any) -> str:
        """Make an image of one GiB, raw, bare, active, the tenant's own."""
        image_id = str(uuid.uuid4())
        self.metas[image_id] = {
            "id": image_id,
            "name": "image",
            "owner": TENANT,
            "status": "active",
            "disk_format": "raw",
            "container_format": "bare",
            "size": GIB,
            "virtual_size": None,
            "min_disk": 0,
            "min_ram": 0,
            "visibility": "private",
            "protected": False,
            "checksum": None,
            "os_hash_algo": None,
            "os_hash_value": None,
            "created_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            "updated_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            "properties": {},
            **fields,
        }
        self.data[image_id] = b"image data"
        self.locations[image_id] = []
        return image_id

    # -- what Cinder asks its image service --------------------------------

    def show(self, _context: object, image_id: str) -> dict[str, Any]:
        self._called("show")
        if image_id not in self.metas:
            raise exception.ImageNotFound(image_id=image_id)
        return dict(self.metas[image_id])

    def get_location(self, _context: object, image_id: str) -> Any:
        self._called("get_location")
        urls = self.locations[image_id]
        return None, [{"url": url, "metadata": {}} for url in urls]

    def download(self, _context: object, image_id: str, data: Any) -> None:
        self._called("download")
        data.write(self.data[image_id])

    def update(
        self,
        _context: object,
        image_id: str,
        _meta: object,
        data: Any,
        **_headers: object,
    ) -> None:
        self._called("update")
        self.data[image_id] = data.read()
        self.metas[image_id]["status"] = "active"

    def delete(self, _context: object, image_id: str) -> None:
        del self.metas[image_id]

    # -- what is asked of Glance itself ------------------------------------

    def get_config(self) -> GlanceConfig:
        self._called("get_config")
        return GlanceConfig(
            has_location_api=True,
            service_roles=frozenset({"service", "admin"}),
        )

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        self._called("add_location")
        self.locations[image_id].append(str(location))
        self.metas[image_id]["status"] = "active"

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        self._called("verify_location")
        if str(location) not in self.locations[image_id]:
            raise AdapterError

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        self._called("withdraw_location")
        if str(location) in self.locations[image_id]:
            raise AdapterError


@attrs.define(kw_only=True)
class Here:
    """A volume manager at work, and its surroundings."""

    manager: Any
    driver: DictDriver
    images: Images
    context: Any
    log: pytest.LogCaptureFixture

    def row(self, **fields: Any) -> Any:
        """Make a volume's row, and data for it on the array."""
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
        """Read a volume anew."""
        return objects.Volume.get_by_id(self.context.elevated(), volume_id)

    def all(self) -> set[str]:
        """Name every volume that has a row."""
        admin = self.context.elevated()
        return {volume.id for volume in objects.VolumeList.get_all(admin)}

    def backing(self, image_id: str, **fields: Any) -> Any:
        """Make a volume behind a location of the image."""
        volume = self.row(**{"display_name": "backing", **fields})
        self.images.locations[image_id].append(f"cinder://{volume.id}")
        return volume

    def create(self, image_id: str, **fields: Any) -> Any:
        """Create a volume from an image, as by RPC; give it as it is then."""
        volume = self.row(**{"status": "creating", "size": 1, **fields})
        spec = objects.RequestSpec(image_id=image_id)
        self.manager.create_volume(
            self.context,
            volume,
            request_spec=spec,
            filter_properties={},
            allow_reschedule=False,
        )
        return self.read(volume.id)

    def upload(self, volume: Any, **fields: Any) -> str:
        """Upload a volume, as by RPC; give the image's id."""
        wanted = {"status": "queued", "size": None, **fields}
        image_id = self.images.add(**wanted)
        volume.previous_status = volume.status
        volume.status = "uploading"
        volume.save()
        meta = self.images.show(None, image_id)
        self.manager.copy_volume_to_image(self.context, volume.id, meta)
        return image_id

    def lines(self) -> list[dict[str, str]]:
        """Give the fields of each logged decision."""
        return [
            dict(part.split("=", 1) for part in message.split()[1:])
            for message in self.log.messages
            if message.startswith("clonepolicy operation=")
            and "unreadable" not in message
        ]

    def used(self, project: str) -> tuple[int, int]:
        """Tell how many volumes and GiB a project's quota counts."""
        found = quota.QUOTAS.get_project_quotas(
            self.context.elevated(), project
        )
        for name in ("volumes", "gigabytes"):
            assert found[name].get("reserved", 0) == 0
        return found["volumes"]["in_use"], found["gigabytes"]["in_use"]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start Cinder's ground in a folder of this session's."""
    folder = tmp_path_factory.mktemp("cinder")
    start_ground(folder)
    return folder


def start_ground(folder: Path) -> None:
    """Start Cinder's ground: options, schema, locks, messaging."""
    oslo_messaging.set_transport_defaults("cinder")
    CONF([], project="cinder", default_config_files=[])
    CONF.set_override(
        "connection", f"sqlite:///{folder}/cinder.sqlite", "database"
    )
    CONF.set_override("state_path", str(folder))
    CONF.set_override("backend_url", f"file://{folder}", "coordination")
    messaging = conffixture.ConfFixture(CONF)
    messaging.setUp()
    messaging.transport_url = "fake:/"
    rpc.init(CONF)
    # what Cinder does as root it does in this process, and by no helper
    privsep.sys_admin_pctxt.set_client_mode(False)
    migration.db_sync()
    coordination.COORDINATOR.start()


@pytest.fixture
def start(
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Callable[..., Here]]:
    """Start volume managers with options of ``[clonepolicy]`` and others."""
    images = Images()
    monkeypatch.setattr(
        "cinder.image.glance.get_remote_image_service",
        lambda _, ref: (images, ref),
    )
    monkeypatch.setattr(
        create_volume,
        "get_remote_image_service",
        lambda _, ref: (images, ref),
        raising=False,
    )
    monkeypatch.setattr(
        _images, "glance_images", lambda _context, _settings: images
    )
    monkeypatch.setattr(utils, "get_root_helper", lambda: "env")
    changed: list[tuple[str, str | None]] = []

    def started(
        *,
        kind: type = PolicyVolumeManager,
        driver: str = "DictDriver",
        options: dict[str, Any] | None = None,
        **own: Any,
    ) -> Here:
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
        manager = kind(volume_driver=f"{__name__}.{driver}", host="node@array")
        manager.stats = {"pools": {}}  # as init_host leaves it
        return Here(
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
        CONF.clear_override(option, group)
    _empty()


def _empty() -> None:
    admin = context.get_admin_context()
    for entry in db.image_volume_cache_get_all(admin):
        db.image_volume_cache_delete(admin, entry["volume_id"])
    for volume in objects.VolumeList.get_all(admin):
        volume.destroy()
    for project in (TENANT, INTERNAL):
        db.quota_destroy_by_project(admin, project)
        with db.main_context_manager.writer.using(admin):
            for name in ("QuotaUsage", "Reservation", "Quota"):
                admin.session.query(getattr(db.models, name)).delete()
            admin.session.query(db.models.Message).delete()
