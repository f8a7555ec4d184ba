"""The real scheduler of Cinder 29 in this process, and a small Glance.

Real are the scheduler's manager, its flow, `HostManager` with the filters and
weighers that stevedore loads, the database, and Cinder's client of Glance.
Glance answers by HTTP with bodies that a test sets.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import conf_files
import pytest
from cinder import context, objects
from cinder.db import api as db
from cinder_cloud import CONF, empty_database
from http_server import QuietHandler, serving
from oslo_utils import timeutils

from clonepolicy.adapters.cinder import register_opts

objects.register_all()  # the modules below name its classes

from cinder.scheduler import host_manager, manager  # noqa: E402 - the same

assert host_manager  # registers the options
TENANT, INTERNAL = "tenant", "internal"
IMAGE = "0e5b8f3a-0000-4000-8000-00000000000a"
GIB = 1 << 30
WEIGHERS = ["CapacityWeigher", "CloneWeigher"]


class Glance:
    """What the Glance of a test answers, by path, and what was asked."""

    def __init__(self) -> None:
        """Have one image, without locations."""
        self.asked: list[str] = []
        self.image: dict[str, Any] = {
            "id": IMAGE,
            "owner": TENANT,
            "status": "active",
            "visibility": "public",
            "disk_format": "raw",
            "container_format": "bare",
            "size": GIB,
            "virtual_size": None,
            "min_disk": 0,
            "min_ram": 0,
            "protected": False,
            "os_hash_algo": None,
            "os_hash_value": None,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "tags": [],
        }
        self.raw: bytes | None = None
        """The whole body of the image, if it is odd."""
        self.status = 200
        self.locations: list[dict[str, Any]] = []

    def answer(self, path: str) -> tuple[int, bytes]:
        """Answer one request."""
        self.asked.append(path)
        if path.endswith("/versions"):
            version = {"id": "v2.17", "status": "CURRENT"}
            return 200, json.dumps({"versions": [version]}).encode()
        if path.endswith("/locations"):
            return 200, json.dumps(self.locations).encode()
        body = json.dumps(self.image).encode()
        return self.status, body if self.raw is None else self.raw


@attrs.define(kw_only=True)
class Scheduling:
    """A running scheduler with the pools that were reported to it."""

    manager: Any
    glance: Glance
    log: pytest.LogCaptureFixture

    @property
    def admin(self) -> Any:
        """Return the context of an administrator."""
        return context.get_admin_context()

    def report(
        self,
        service: str,
        *names: str,
        free: float = 100,
        cluster: str | None = None,
        **capabilities: Any,
    ) -> None:
        """Report the pools of a service, which is up."""
        objects.Service(
            context=self.admin,
            host=service,
            topic="cinder-volume",
            binary="cinder-volume",
            cluster_name=cluster,
            availability_zone="nova",
            disabled=False,
            report_count=1,
            rpc_current_version="3.19",
            object_current_version="1.39",
        ).create()
        pools = [
            {
                "pool_name": name,
                "total_capacity_gb": 1000,
                "free_capacity_gb": free,
                "allocated_capacity_gb": 0,
                "provisioned_capacity_gb": 0,
                "reserved_percentage": 0,
                "max_over_subscription_ratio": 1.0,
                "thin_provisioning_support": False,
                "thick_provisioning_support": True,
                **capabilities,
            }
            for name in names
        ]
        self.manager.update_service_capabilities(
            self.admin,
            service_name="volume",
            host=service,
            capabilities={
                "volume_backend_name": service.partition("@")[2],
                "storage_protocol": "iSCSI",
                "vendor_name": "a vendor",
                "driver_version": "1",
                "pools": pools,
            },
            cluster_name=cluster,
            timestamp=timeutils.utcnow().isoformat(),
        )

    @property
    def updated_at(self) -> datetime.datetime:
        """Return when the image was changed, as Cinder's cache stores it."""
        found = datetime.datetime.fromisoformat(
            self.glance.image["updated_at"]
        )
        return found.replace(tzinfo=None)

    def add_source(self, host: str, **fields: Any) -> None:
        """Add a volume of the image's owner, and a location that names it."""
        volume = self._volume(status="available", host=host, **fields)
        url = f"cinder://{volume.id}"
        self.glance.locations.append({"url": url, "metadata": {}})

    def add_cached(self, host: str) -> None:
        """Add an entry of Cinder's image-volume cache."""
        cached = self._volume(
            status="available", host=host, project_id=INTERNAL
        )
        db.image_volume_cache_create(
            self.admin, host, None, IMAGE, self.updated_at, cached.id, 1
        )

    def _volume(self, **fields: Any) -> Any:
        kind = db.volume_type_get_by_name(self.admin, "__DEFAULT__")
        volume = objects.Volume(
            context=self.admin,
            **{
                "project_id": TENANT,
                "user_id": "user",
                "size": 1,
                "volume_type_id": kind["id"],
                "metadata": {},
                "availability_zone": "nova",
                **fields,
            },
        )
        volume.create()
        return volume

    def create(
        self, image_id: str | None = IMAGE, **fields: Any
    ) -> tuple[str, str | None]:
        """Schedule a create as cinder-api asks for it: (status, host)."""
        new = self._volume(status="creating", host=None, **fields)
        spec = objects.RequestSpec(
            image_id=image_id,
            volume_id=new.id,
            volume=new,
            volume_type=new.volume_type,
            volume_properties=objects.VolumeProperties(
                size=new.size,
                availability_zone="nova",
                volume_type_id=new.volume_type_id,
            ),
        )
        user = context.RequestContext(
            "user",
            TENANT,
            auth_token="token",  # noqa: S106 - a word
            roles=["member"],
        )
        self.manager.create_volume(
            user,
            objects.Volume.get_by_id(user, new.id),
            image_id=image_id,
            request_spec=spec,
            filter_properties={},
        )
        found = objects.Volume.get_by_id(self.admin, new.id)
        return str(found.status), found.host

    def lines(self) -> list[str]:
        """Return the lines of the log about placing."""
        return [
            message.removeprefix("clonepolicy ")
            for message in self.log.messages
            if message.startswith("clonepolicy operation=place")
        ]


@contextlib.contextmanager
def _answering(glance: Glance) -> Iterator[str]:
    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - its name there
            self.answer(*glance.answer(self.path))

    with serving(Handler) as url:
        yield url


@pytest.fixture
def options() -> Mapping[str, Any]:
    """Return options of a test, by group and name; tests override it."""
    return {}


@pytest.fixture
def scheduling(
    database: Path,
    options: Mapping[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Scheduling]:
    """Start a scheduler that asks `CloneWeigher`."""
    assert database.is_dir()
    register_opts(CONF)
    glance = Glance()
    with _answering(glance) as url:
        wanted = {
            "scheduler_default_weighers": WEIGHERS,
            "allowed_direct_url_schemes": ["cinder"],
            "cinder_internal_tenant_project_id": INTERNAL,
            "cinder_internal_tenant_user_id": "internal-user",
            "glance_api_servers": [url],
            "auth_strategy": "noauth",
            **options,
        }
        for name, value in wanted.items():
            group, _, option = name.rpartition(".")
            CONF.set_override(option, value, group or None)
        caplog.set_level("INFO")
        started = manager.SchedulerManager()
        started._startup_delay = False
        try:
            yield Scheduling(manager=started, glance=glance, log=caplog)
        finally:
            for name in wanted:
                group, _, option = name.rpartition(".")
                conf_files.clear(option, group or None)
            empty_database()
            for service in objects.ServiceList.get_all(
                context.get_admin_context()
            ):
                service.destroy()
