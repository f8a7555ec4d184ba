"""A cloud on this machine: real keystone, glance and cinder.

Cinder has two backends on one XFS: ``plain`` with Cinder's own NFS driver,
and ``reflink``, which clones files.  Glance has two stores: ``files``, its
default, and ``volumes``, whose images are volumes of ``reflink``.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3
from stack_processes import Process, StackError, missing_requirements, wait_for
from stack_services import BACKENDS, LEGACY_GLANCE, Services, services

STOCK = "cinder.volume.manager.VolumeManager"
TENANTS = ("alice", "bob")
INTERNAL = "image-volumes"
_DOMAIN = {"domain_id": "default"}
_MICROVERSION = {"OpenStack-API-Version": "volume 3.70"}
_EXTENT = re.compile(r"^\s*\d+:\s+\d+\.\.\s*\d+:\s+(\d+)\.\.", re.MULTILINE)


@attrs.frozen
class Project:
    """A project, with the services as its user of the same name sees them."""

    id: str
    user_id: str
    image: Any
    volume: Any


@attrs.define
class Stack:
    """A running cloud; methods for a project take its name."""

    services: Services
    projects: dict[str, Project]
    manager: str
    _volume_process: Process

    def use_manager(self, manager: str) -> None:
        """Restart cinder-volume with another volume manager."""
        if manager == self.manager and self._volume_process.alive:
            return
        self._volume_process.end()
        configure_cinder(self.services, self.projects, manager)
        self._volume_process = self.services.cinder_volume()
        self.manager = manager

    def kill_volume_service(self) -> None:
        """Kill cinder-volume, and start it again."""
        self._volume_process.kill()
        self._volume_process = self.services.cinder_volume()

    def add_volume_type(self, backend: str) -> None:
        """Create a volume type for a backend, of the same name."""
        specs = {"volume_backend_name": backend}
        if LEGACY_GLANCE and backend == "reflink":
            # it does not find the store by the type of a hidden volume
            specs["image_service:store_id"] = "volumes"
        self.projects["service"].volume.post(
            "/types",
            json={"volume_type": {"name": backend, "extra_specs": specs}},
        )

    def wait_for_pools(self, *services: str) -> None:
        """Wait until the scheduler knows the pools of ``host@backend``."""
        volume = self.projects["service"].volume

        def known() -> set[str]:
            found = volume.get("/scheduler-stats/get_pools").json()["pools"]
            return {pool["name"].partition("#")[0] for pool in found}

        wait_for("the scheduler's pools", lambda: known() >= {*services})

    def upload_image(
        self, data: bytes, project: str = "alice", **fields: str
    ) -> str:
        """Create a raw image of these bytes; return its id."""
        image = self.projects[project].image
        body = {
            "name": "image",
            "disk_format": "raw",
            "container_format": "bare",
            # Cinder before 2026.2 uploads no volume of an image without
            # properties (bug 2144550)
            "os_distro": "debian",
            **fields,
        }
        image_id = str(image.post("/v2/images", json=body).json()["id"])
        kind = {"Content-Type": "application/octet-stream"}
        image.put(f"/v2/images/{image_id}/file", data=data, headers=kind)
        assert "active" == self.image(image_id)["status"]
        return image_id

    def create_volume(
        self, image_id: str, project: str = "alice", **fields: Any
    ) -> str:
        """Create a volume of one GiB from an image; return its id.

        Raises:
            StackError: it did not become available.
        """
        body = {"size": 1, "imageRef": image_id, **fields}
        answer = self.projects[project].volume.post(
            "/volumes", json={"volume": body}
        )
        volume_id = str(answer.json()["volume"]["id"])
        self.wait_for_volume(volume_id)
        return volume_id

    def wait_for_volume(
        self, volume_id: str, status: str = "available"
    ) -> None:
        """Wait until a volume has a status.

        Raises:
            StackError: it does not have it in time, or it is in error.
        """

        def reached() -> bool:
            found = self.volume(volume_id)["status"]
            if found.startswith("error"):
                message = f"volume {volume_id}: {found}"
                raise StackError(self._volume_process.failure(message))
            return bool(found == status)

        wait_for(f"volume {volume_id}", reached)

    def upload_volume(
        self, volume_id: str, project: str = "alice", **fields: str
    ) -> str:
        """Upload a volume to a raw image; return the image's id.

        Raises:
            StackError: the image did not become active.
        """
        image_id = self.ask_upload(volume_id, project, **fields)
        wait_for(
            f"image {image_id}",
            lambda: self.image(image_id)["status"] == "active",
        )
        self.wait_for_volume(volume_id)
        return image_id

    def ask_upload(
        self, volume_id: str, project: str = "alice", **fields: str
    ) -> str:
        """Ask for an upload to a raw image; return the image's id."""
        action = {
            "image_name": "uploaded",
            "disk_format": "raw",
            "container_format": "bare",
            **fields,
        }
        answer = self.projects[project].volume.post(
            f"/volumes/{volume_id}/action",
            json={"os-volume_upload_image": action},
            headers=_MICROVERSION,
        )
        return str(answer.json()["os-volume_upload_image"]["image_id"])

    def image(self, image_id: str) -> dict[str, Any]:
        """Read an image, as an administrator."""
        found: dict[str, Any] = (
            self.projects["service"].image.get(f"/v2/images/{image_id}").json()
        )
        return found

    def locations(self, image_id: str) -> list[str]:
        """Return the URLs of an image's locations, as a service sees them."""
        if LEGACY_GLANCE:
            found = self.image(image_id)["locations"]
        else:
            path = f"/v2/images/{image_id}/locations"
            found = self.projects["service"].image.get(path).json()
        return [location["url"] for location in found]

    def volume(self, volume_id: str) -> dict[str, Any]:
        """Read a volume, as an administrator."""
        found: dict[str, Any] = (
            self.projects["service"]
            .volume.get(f"/volumes/{volume_id}")
            .json()["volume"]
        )
        return found

    def volumes(self) -> list[dict[str, Any]]:
        """Read all volumes of all projects."""
        path = "/volumes/detail?all_tenants=1"
        found: list[dict[str, Any]] = (
            self.projects["service"].volume.get(path).json()["volumes"]
        )
        return found

    def messages(self, project: str = "alice") -> list[dict[str, Any]]:
        """Read the messages of a project's users."""
        volume = self.projects[project].volume
        found: list[dict[str, Any]] = volume.get(
            "/messages", headers=_MICROVERSION
        ).json()["messages"]
        return found

    def file(self, volume_id: str) -> Path:
        """Return the path of a volume's file."""
        backend = self.volume(volume_id)["os-vol-host-attr:host"]
        name = re.split("[@#]", backend)[1]
        namespace = self.services.namespace
        path = namespace.folder / "xfs" / name / f"volume-{volume_id}"
        return namespace.visible_path(path)

    def md5(self, volume_id: str, size: int) -> str:
        """Return the MD5 of the first bytes of a volume."""
        with self.file(volume_id).open("rb") as file:
            data = file.read(size)
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    def extents(self, volume_id: str) -> set[int]:
        """Return the physical blocks at which a volume's extents begin."""
        shown = subprocess.run(
            ("filefrag", "-v", str(self.file(volume_id))),  # noqa: S607 - Debian's
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return {int(found) for found in _EXTENT.findall(shown)}

    def log(self) -> str:
        """Read the log of cinder-volume since its last start."""
        return self._volume_process.log.read_text(errors="replace")


@contextlib.contextmanager
def running_stack(folder: Path, manager: str = STOCK) -> Iterator[Stack]:
    """Start the cloud in a folder, which also gets its logs, ``*.out``.

    Raises:
        StackError: a part did not start; contains the end of its log.
    """
    with services(folder) as known:
        yield _start(known, manager)


def _start(known: Services, manager: str) -> Stack:
    rabbitmq = known.rabbitmq()
    known.share()
    known.postgresql()
    known.schemas()
    known.keystone()
    projects = _projects(known)
    known.wait_for_port(rabbitmq, "rabbitmq")
    configure_cinder(known, projects, manager)
    volume_process = known.cinder_volume()
    known.cinder_scheduler()
    known.api("cinder", "/")
    volume = projects["service"].volume
    unlimited = {"quota_set": {"volumes": -1, "gigabytes": -1}}
    for project in projects.values():
        volume.put(f"/os-quota-sets/{project.id}", json=unlimited)
    cloud = Stack(known, projects, manager, volume_process)
    for backend in BACKENDS:
        cloud.add_volume_type(backend)
    known.api("glance", "/healthcheck")
    cloud.wait_for_pools(*(f"stack@{name}" for name in BACKENDS))
    return cloud


def configure_cinder(
    known: Services, projects: dict[str, Project], manager: str
) -> None:
    """Write cinder.conf with a volume manager."""
    known.cinder_conf(
        manager=manager,
        internal_project=projects[INTERNAL].id,
        internal_user=projects[INTERNAL].user_id,
    )


def _projects(known: Services) -> dict[str, Project]:
    """Create services, projects and users as docs/how-to/enable.md says."""
    identity = Identity.of(known)
    identity.add_service(known, "glance", "image", "")
    identity.add_service(known, "cinder", "volumev3", "/v3/%(project_id)s")
    service = identity.add_project("service")
    identity.add_user("glance", service, "service")
    internal = identity.add_project(INTERNAL)
    identity.add_user("glance-store", internal, "member", "service")
    users = [
        (service, identity.add_user("cinder", service, "service", "admin")),
        (internal, identity.add_user("cinder-images", internal, "member")),
    ]
    for name in TENANTS:
        tenant = identity.add_project(name)
        users.append((tenant, identity.add_user(name, tenant, "member")))
    return {
        project.name: Project(
            project.id,
            user.id,
            *(
                adapter.Adapter(
                    _session(known, user.name, project.name),
                    service_type=kind,
                )
                for kind in ("image", "volumev3")
            ),
        )
        for project, user in users
    }


@attrs.frozen
class Created:
    """The name and the id of what was created in keystone."""

    name: str
    id: str


@attrs.frozen
class Identity:
    """Keystone, as its administrator uses it."""

    api: Any
    password: str

    @classmethod
    def of(cls, known: Services) -> Identity:
        """Log in."""
        url = known.url("keystone") + "/v3"
        asking = _session(known, "admin", "admin")
        api = adapter.Adapter(asking, endpoint_override=url)
        return cls(api, known.password)

    def _add(self, kind: str, **fields: Any) -> str:
        made = self.api.post(f"/{kind}s", json={kind: fields}).json()
        return str(made[kind]["id"])

    def add_service(
        self, known: Services, name: str, kind: str, path: str
    ) -> None:
        """Add a service to the catalog."""
        self._add(
            "endpoint",
            service_id=self._add("service", name=name, type=kind),
            interface="public",
            region_id="here",
            url=known.url(name) + path,
        )

    def add_project(self, name: str) -> Created:
        """Create a project."""
        return Created(name, self._add("project", name=name, **_DOMAIN))

    def add_user(self, name: str, project: Created, *roles: str) -> Created:
        """Create a user with roles in a project."""
        secret = {"password": self.password}
        user = Created(name, self._add("user", name=name, **secret, **_DOMAIN))
        for role in roles:
            found = self.api.get(f"/roles?name={role}").json()["roles"]
            path = f"/projects/{project.id}/users/{user.id}/roles"
            self.api.put(f"{path}/{found[0]['id']}")
        return user


def _session(known: Services, user: str, project: str) -> Any:
    auth = v3.Password(
        known.url("keystone") + "/v3",
        username=user,
        password=known.password,
        project_name=project,
        user_domain_id="default",
        project_domain_id="default",
    )
    return session.Session(auth, timeout=60)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the cloud that all tests of a session share."""
    if lacks := missing_requirements():
        pytest.skip("the stack needs " + ", ".join(lacks))
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running
