"""A cloud over HTTP, with one image, two pools and users of three roles.

The bodies are shaped as the views of keystone 30, glance 33 and cinder 29
write them, and what a role does not see is left out or forbidden as their
default policies do.
"""

from __future__ import annotations

import ast
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

IMAGE = "0e5b8f3a-0000-4000-8000-000000000001"
BACKING = "0e5b8f3a-0000-4000-8000-000000000002"
CREATED = "0e5b8f3a-0000-4000-8000-000000000003"
GOLD = "5fc5d0c1-0000-4000-8000-000000000001"
INTERNAL = "1111111111114000800000000000000f"
NEAR, FAR = "node1@nvme#gold", "node2@disk#slow"
ADMINS = frozenset({"admin", "service"})
_UNDER = "/volume/v3/"
_HIDDEN = ("os-vol-host-attr:host", "os-vol-mig-status-attr:migstat")
_ADMIN_ONLY = (
    *("scheduler-stats", "os-services", "encryption", "users"),
    *("role_assignments", "stores"),
)


def image_body() -> dict[str, Any]:
    """Return a raw image of alice in a cinder store."""
    return {
        "id": IMAGE,
        "name": "debian-13",
        "status": "active",
        "owner": "alice",
        "disk_format": "raw",
        "container_format": "bare",
        "size": 1 << 30,
        "virtual_size": 1 << 30,
        "min_disk": 0,
        "min_ram": 0,
        "visibility": "shared",
        "protected": False,
        "os_hidden": False,
        "checksum": "c",
        "os_hash_algo": "sha512",
        "os_hash_value": "h",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "tags": [],
        "stores": "volumes",
        "self": f"/v2/images/{IMAGE}",
        "file": f"/v2/images/{IMAGE}/file",
        "schema": "/v2/schemas/image",
    }


def volume_body(volume_id: str, project: str) -> dict[str, Any]:
    """Return a volume as an admin sees it."""
    return {
        "id": volume_id,
        "status": "available",
        "size": 1,
        "availability_zone": "nova",
        "created_at": "2026-01-01T00:00:00.000000",
        "updated_at": None,
        "name": "a volume",
        "description": None,
        "volume_type": "gold",
        "volume_type_id": GOLD,
        "metadata": {},
        "bootable": "true",
        "encrypted": False,
        "multiattach": False,
        "attachments": [],
        "consumes_quota": True,
        "os-vol-tenant-attr:tenant_id": project,
        "migration_status": None,
        "cluster_name": None,
        "os-vol-host-attr:host": NEAR,
        "os-vol-mig-status-attr:migstat": None,
    }


def _pool(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {
        "name": name,
        "capabilities": {
            "storage_protocol": "iSCSI",
            "vendor_name": "Open Source",
            "volume_backend_name": "any",
            **more,
        },
    }


def _limit() -> dict[str, int]:
    return {"limit": -1, "in_use": 0, "reserved": 0, "allocated": 0}


@attrs.define
class FakeCloud:
    """What the services answer, and what they were asked."""

    roles: frozenset[str] = ADMINS
    project: str = "alice"
    asked: list[tuple[str, str]] = attrs.field(factory=list)
    """Verb and path of each request."""
    fails: dict[str, int] = attrs.field(factory=dict)
    """A status for each path that contains a text."""
    replaced: dict[str, Any] = attrs.field(factory=dict)
    """Another body, in the same way."""
    slow: dict[str, float] = attrs.field(factory=dict)
    """Seconds to wait before the answer, in the same way."""
    image: dict[str, Any] = attrs.field(factory=image_body)
    locations: list[dict[str, Any]] = attrs.field(
        factory=lambda: [{"url": f"cinder://volumes/{BACKING}"}]
    )
    volumes: dict[str, dict[str, Any]] = attrs.field(
        factory=lambda: {
            BACKING: {
                **volume_body(BACKING, INTERNAL),
                "metadata": {"image_owner": "alice", "glance_image_id": IMAGE},
            },
            CREATED: {
                **volume_body(CREATED, "alice"),
                "volume_image_metadata": {"image_id": IMAGE},
            },
        }
    )
    pools: list[dict[str, Any]] = attrs.field(
        factory=lambda: [_pool(NEAR), _pool(FAR)]
    )
    encryption: dict[str, Any] = attrs.field(factory=dict)
    store: dict[str, Any] = attrs.field(
        factory=lambda: {
            "id": "volumes",
            "type": "cinder",
            "properties": {"volume_type": "gold"},
        }
    )
    frozen: bool = False
    url: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether the user of this cloud is an admin."""
        return "admin" in self.roles

    def verbs(self) -> set[str]:
        """Return the verbs of all requests but keystone's for a token."""
        return {
            verb for verb, path in self.asked if not path.endswith("/tokens")
        }

    def token(self) -> dict[str, Any]:
        """Return the token of the user, with the catalog."""

        def entry(kind: str, below: str) -> dict[str, Any]:
            endpoint = {
                "id": kind,
                "interface": "public",
                "region": "here",
                "region_id": "here",
                "url": f"{self.url}/{below}",
            }
            return {"type": kind, "id": kind, "endpoints": [endpoint]}

        return {
            "methods": ["password"],
            "user": {"id": "u", "name": "u", "domain": {"id": "default"}},
            "project": {"id": self.project, "name": self.project},
            "roles": [{"id": r, "name": r} for r in sorted(self.roles)],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "catalog": [
                entry("identity", "identity/v3"),
                entry("image", "image"),
                entry("volumev3", f"volume/v3/{self.project}"),
            ],
        }

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:  # noqa: ANN401, PLR0911 - any JSON, and a return for each path
        """Return the body of an answer, or its status as a number."""
        parts = path.strip("/").split("/")
        if not self.is_admin and {*parts} & {*_ADMIN_ONLY}:
            return 403
        match parts:
            case ["image", "versions"]:
                return {"versions": [{"id": "v2.17", "status": "CURRENT"}]}
            case ["image", "v2", "images", *below]:
                return self._of_images(below, query)
            case ["image", "v2", "info", "stores", "detail"]:
                return {"stores": [self.store]}
            case ["identity", "v3"]:
                link = {"rel": "self", "href": f"{self.url}/identity/v3/"}
                version = {"id": "v3.14", "status": "stable", "links": [link]}
                return {"version": version}
            case ["identity", "v3", "users"]:
                return {"users": [{"id": "c", "name": "cinder"}]}
            case ["identity", "v3", "role_assignments"]:
                roles = [{"role": {"name": name}} for name in sorted(ADMINS)]
                return {"role_assignments": roles}
            case ["volume", "v3", _, *below]:
                return self._of_volumes(below, query)
            case _:
                return 404

    def _of_images(self, below: list[str], query: dict[str, list[str]]) -> Any:  # noqa: ANN401 - any JSON
        names = {self.image["id"], self.image["name"]}
        match below:
            case []:
                found = {*query.get("name", [])} & names
                return {"images": [self.image] if found else []}
            case [wanted] if wanted == self.image["id"]:
                return self.image
            case [_, "locations"]:
                return self.locations if "service" in self.roles else 403
            case [_, "members"]:
                return {"members": [{"member_id": "bob"}]}
            case _:
                return 404

    def _named(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Return the volumes that have some metadata."""
        (text,) = query["metadata"]
        wanted = ast.literal_eval(text).items()
        return [
            volume
            for volume in self.volumes.values()
            if wanted <= volume["metadata"].items()
        ]

    def _of_volumes(  # noqa: PLR0911 - a return for each path
        self, below: list[str], query: dict[str, list[str]]
    ) -> Any:  # noqa: ANN401 - any JSON
        match below:
            case ["types"]:
                return {"volume_types": [self._type()]}
            case ["types", "default"]:
                return {"volume_type": self._type()}
            case ["types", _, "encryption"]:
                return self.encryption
            case ["scheduler-stats", "get_pools"]:
                return {"pools": self.pools}
            case ["os-services"]:
                return {
                    "services": [
                        {
                            "binary": "cinder-volume",
                            "host": pool["name"].partition("#")[0],
                            "frozen": self.frozen,
                            "cluster": None,
                        }
                        for pool in self.pools
                    ]
                }
            case ["os-quota-sets", _]:
                names = ("volumes", "gigabytes", "per_volume_gigabytes")
                return {"quota_set": {name: _limit() for name in names}}
            case ["volumes", "detail"]:
                return {"volumes": self._named(query)}
            case ["volumes", wanted] if wanted in self.volumes:
                return self._volume(self.volumes[wanted])
            case _:
                return 404

    def _type(self) -> dict[str, Any]:
        kind = {
            "id": GOLD,
            "name": "gold",
            "is_public": True,
            "description": None,
            "extra_specs": {},
        }
        return {**kind, "qos_specs_id": None} if self.is_admin else kind

    def _volume(self, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        if self.is_admin:
            return {"volume": body}
        if body["os-vol-tenant-attr:tenant_id"] != self.project:
            return 404
        hidden = {*_HIDDEN, "cluster_name", "migration_status"}
        return {"volume": {k: v for k, v in body.items() if k not in hidden}}

    def clouds_yaml(self, folder: Path, name: str = "here") -> None:
        """Add this cloud to the clouds.yaml of a folder."""
        path = folder / "clouds.yaml"
        known = json.loads(path.read_text()) if path.exists() else {}
        auth = {
            "auth_url": f"{self.url}/identity/v3",
            "username": "u",
            "password": "secret-of-u",
            "project_name": self.project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        entry = {"auth": auth, "region_name": "here", "api_timeout": 2}
        clouds = {**known.get("clouds", {}), name: entry}
        path.write_text(json.dumps({"clouds": clouds}))


@contextlib.contextmanager
def running_cloud(**given: Any) -> Iterator[FakeCloud]:  # noqa: ANN401, C901 - of FakeCloud; one handler
    """Run a cloud on a free port."""
    cloud = FakeCloud(**given)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # one packet for head and body, or TCP waits

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._serve()

        do_PUT = do_PATCH = do_DELETE = do_HEAD = do_POST  # noqa: N815 - the same

        def _serve(self) -> None:
            url = urlsplit(self.path)
            cloud.asked.append((self.command, self.path))
            for text, seconds in cloud.slow.items():
                if text in self.path:
                    time.sleep(seconds)
            status = next(
                (s for text, s in cloud.fails.items() if text in self.path), 0
            )
            headers = {}
            if status:
                body: Any = {"error": {"message": "no"}}
            elif url.path.endswith("/auth/tokens"):
                status, body = 201, {"token": cloud.token()}
                headers["X-Subject-Token"] = "token-of-u"
            elif replaced := [
                body
                for text, body in cloud.replaced.items()
                if text in self.path
            ]:
                (body,), status = replaced, 200
            else:
                body = cloud.answer(url.path, parse_qs(url.query))
                status = body if isinstance(body, int) else 200
            self._send(status, body, headers)

        def _send(
            self, status: int, body: object, headers: dict[str, str]
        ) -> None:
            data = json.dumps(body).encode()
            with contextlib.suppress(OSError):  # who asked is gone
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}
    )
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
