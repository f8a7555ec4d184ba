"""A real glance-api on loopback, and what stands around it in tests.

Glance runs under gunicorn with sqlite, its file store and its cinder store.
Keystone is played by a filter that reads project and roles out of the
token, Cinder by a server that knows volumes and their sizes.  A proxy in
between breaks what is to be broken.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

_HERE = Path(__file__).parent
_HOST = "127.0.0.1"
_BOOT = 60
_CONFIG = """\
[DEFAULT]
log_file = {folder}/api.log
show_multiple_locations = {opened}
show_image_direct_url = {opened}
do_secure_hash = False
enabled_import_methods = []
[database]
connection = sqlite:///{folder}/glance.sqlite?timeout=30
sqlite_synchronous = False
[oslo_policy]
policy_file = {folder}/policy.yaml
[paste_deploy]
config_file = {folder}/paste.ini
"""
_ONE_STORE = """\
[glance_store]
stores = file,cinder
default_store = file
filesystem_store_datadir = {folder}/images
cinder_endpoint_template = {cinder}/v3/%(project_id)s
cinder_http_retries = 0
"""
_STORES = """\
[DEFAULT]
enabled_backends = files:file,fast:cinder
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[fast]
cinder_endpoint_template = {cinder}/v3/%(project_id)s
cinder_http_retries = 0
"""
_POLICY = """\
"download_image": "rule:context_is_admin or not role:looker"
"""
_PASTE = """\
[composite:glance-api]
paste.composite_factory = glance.api:root_app_factory
/: api
[pipeline:api]
pipeline = versionnegotiation identity context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:\
VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = \
glance.api.middleware.context:ContextMiddleware.factory
[filter:identity]
paste.filter_factory = glance_server:identity
"""

App: TypeAlias = Callable[..., Any]


def identity(_config: object, **_local: object) -> Callable[[App], App]:
    """Make the filter that stands in for keystone's ``authtoken``.

    It is loaded into Glance's process, and mends sqlite there: of two
    transactions that read and then write one would fail at once.
    """
    import sqlalchemy  # noqa: PLC0415 - the tests need not

    @sqlalchemy.event.listens_for(
        sqlalchemy.Engine, "before_cursor_execute", retval=True
    )
    def begin_at_once(
        _connection: object,
        _cursor: object,
        statement: str,
        parameters: object,
        _context: object,
        _many: object,
    ) -> tuple[str, object]:
        begins = statement == "BEGIN"
        return "BEGIN IMMEDIATE" if begins else statement, parameters

    def make(app: App) -> App:
        def filtered(environ: dict[str, Any], start: object) -> Any:
            token = environ.get("HTTP_X_AUTH_TOKEN", "")
            project, known, roles = token.partition("=")
            if known:
                environ |= {
                    "HTTP_X_IDENTITY_STATUS": "Confirmed",
                    "HTTP_X_USER_ID": f"user-of-{project}",
                    "HTTP_X_PROJECT_ID": project,
                    "HTTP_X_ROLES": roles.replace("+", ","),
                    "HTTP_X_SERVICE_CATALOG": "[]",
                }
            return app(environ, start)

        return filtered

    return make


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer((_HOST, 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}
    )
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    """HTTP/1.1, and nothing on the test's output."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass

    def answer(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        length: int | None = None,
    ) -> None:
        """Send a whole answer, or one that claims another length."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        said = len(body) if length is None else length
        self.send_header("Content-Length", str(said))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Close the connection as a crash does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@attrs.define
class Cinder:
    """Block storage as far as Glance asks for it."""

    url: str = ""
    sizes: dict[str, int] = attrs.field(factory=dict)
    deleted: list[str] = attrs.field(factory=list)
    asked: threading.Event = attrs.field(factory=threading.Event)
    open: threading.Event = attrs.field(factory=threading.Event)
    """While it is clear, nothing is answered."""

    def add_volume(self) -> str:
        """Make a volume of 1 GiB."""
        volume_id = str(uuid.uuid4())
        self.sizes[volume_id] = 1
        return volume_id

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Leave every question unanswered for a while."""
        self.asked.clear()
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()


@contextlib.contextmanager
def _running_cinder() -> Iterator[Cinder]:
    cinder = Cinder()
    cinder.open.set()

    class Handler(_Quiet):
        def do_GET(self) -> None:
            cinder.asked.set()
            cinder.open.wait(_BOOT)
            name = self.path.rsplit("/", maxsplit=1)[-1]
            if name == "default":
                kind = {"id": "1", "name": "fast"}
                self.answer(200, json.dumps({"volume_type": kind}).encode())
            elif name in cinder.sizes:
                volume = {
                    "id": name,
                    "size": cinder.sizes[name],
                    "metadata": {},
                    "volume_type": "fast",
                }
                self.answer(200, json.dumps({"volume": volume}).encode())
            else:
                self.answer(404, b"{}")

        def do_DELETE(self) -> None:
            cinder.deleted.append(self.path.rsplit("/", maxsplit=1)[-1])
            self.answer(202, b"")

    with _serving(Handler) as cinder.url:
        yield cinder


@attrs.frozen
class Glance:
    """A running glance-api."""

    url: str
    cinder: Cinder

    def client(self, project: str, *roles: str, url: str = "") -> Any:
        """Make a client with a token of that project and those roles."""
        import glanceclient  # noqa: PLC0415 - Glance's own process need not

        roles = roles or ("member", "reader")
        token = f"{project}={'+'.join(roles)}"
        return glanceclient.Client(
            "2", url or self.url, token=token, timeout=20
        )


def _database(folder: Path, environment: dict[str, str]) -> None:
    command = (sys.executable, "-m", "glance.cmd.manage", "db_sync")
    options = ("--config-file", str(folder / "glance-api.conf"))
    subprocess.run(
        [*command[:3], *options, *command[3:]],
        check=True,
        env=environment,
        capture_output=True,
    )


@contextlib.contextmanager
def _running_glance(
    folder: Path, cinder: Cinder, *, opened: bool
) -> Iterator[Glance]:
    settings = {"folder": folder, "opened": opened, "cinder": cinder.url}
    config = _CONFIG + (_STORES if opened else _ONE_STORE)
    (folder / "glance-api.conf").write_text(config.format(**settings))
    (folder / "paste.ini").write_text(_PASTE)
    (folder / "policy.yaml").write_text(_POLICY)
    (folder / "images").mkdir()
    path = os.pathsep.join([str(_HERE), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {
        "OS_GLANCE_CONFIG_DIR": str(folder),
        "PYTHONPATH": path.rstrip(os.pathsep),
        "PYTHONWARNINGS": "ignore",
        "HOME": str(folder),
    }
    made = folder.parent / "glance.sqlite"
    if not made.exists():
        _database(folder, environment)
        shutil.copy(folder / "glance.sqlite", made)
    shutil.copy(made, folder / "glance.sqlite")
    with (
        socket.create_server((_HOST, 0)) as listening,
        (folder / "gunicorn.log").open("wb") as log,
    ):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--threads", "8"),
                *("--bind", f"fd://{listening.fileno()}", "--log-level"),
                *("error", "--graceful-timeout", "1"),
                "glance.wsgi.api:application",
            ],
            env=environment,
            cwd=folder,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        port = listening.getsockname()[1]
    try:
        _wait_for(process, port, folder)
        yield Glance(f"http://{_HOST}:{port}", cinder)
    finally:
        process.terminate()
        process.wait(_BOOT)


def _wait_for(
    process: subprocess.Popen[bytes], port: int, folder: Path
) -> None:
    end = time.monotonic() + _BOOT
    headers = {"X-Auth-Token": "boot=reader"}
    while process.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection(_HOST, port, timeout=_BOOT)
        with (
            contextlib.closing(connection),
            contextlib.suppress(OSError, http.client.HTTPException),
        ):
            connection.request("GET", "/versions", headers=headers)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.1)
    pytest.fail((folder / "gunicorn.log").read_text()[-4000:])


@pytest.fixture(scope="session")
def cinder() -> Iterator[Cinder]:
    """Give the block storage that Glance asks."""
    with _running_cinder() as running:
        yield running


@pytest.fixture(scope="session")
def glance(
    tmp_path_factory: pytest.TempPathFactory, cinder: Cinder
) -> Iterator[Glance]:
    """Give a Glance as it ships: locations by the new API only."""
    folder = tmp_path_factory.mktemp("glance")
    with _running_glance(folder, cinder, opened=False) as running:
        yield running


@pytest.fixture(scope="session")
def open_glance(
    tmp_path_factory: pytest.TempPathFactory, cinder: Cinder
) -> Iterator[Glance]:
    """Give a Glance that shows locations in the image, and names a store."""
    folder = tmp_path_factory.mktemp("open-glance")
    with _running_glance(folder, cinder, opened=True) as running:
        yield running


@attrs.frozen
class Reply:
    """What Glance answered."""

    status: int
    body: bytes
    content_type: str


Ask: TypeAlias = Callable[[], Reply]
Fault: TypeAlias = Callable[[Any, Ask], None]


def lost_request(handler: _Quiet, _ask: Ask) -> None:
    """Hang up before Glance hears of it."""
    handler.hang_up()


def lost_answer(handler: _Quiet, ask: Ask) -> None:
    """Hang up after Glance did it."""
    ask()
    handler.hang_up()


def answering(status: int, body: bytes = b"") -> Fault:
    """Answer in Glance's place."""

    def fault(handler: _Quiet, _ask: Ask) -> None:
        handler.answer(status, body, "text/plain")

    return fault


def changing(
    change: Callable[[bytes], bytes], *, keep_length: bool = False
) -> Fault:
    """Pass on another body, with its own length or that of the first."""

    def fault(handler: _Quiet, ask: Ask) -> None:
        reply = ask()
        length = len(reply.body) if keep_length else None
        body = change(reply.body)
        handler.answer(reply.status, body, reply.content_type, length)
        handler.hang_up()

    return fault


def doing(act: Callable[[], object]) -> Fault:
    """Let something happen just before Glance is asked."""

    def fault(handler: _Quiet, ask: Ask) -> None:
        act()
        reply = ask()
        handler.answer(reply.status, reply.body, reply.content_type)

    return fault


@attrs.define
class Proxy:
    """Stands before Glance, and breaks what it is told to break."""

    glance: Glance
    url: str = ""
    seen: list[str] = attrs.field(factory=list)
    _faults: list[tuple[str, list[Fault]]] = attrs.field(factory=list)

    def break_(self, request: str, *faults: Fault) -> None:
        """Meet one request after the other, by ``METHOD path``, so."""
        self._faults.append((request, list(faults)))

    def always(self, request: str, fault: Fault) -> None:
        """Meet every such request so."""
        self._faults.append((request, [fault] * 1000))

    def fault(self, request: str) -> Fault:
        """Find what is to happen to a request: nothing, if nothing."""
        self.seen.append(request)
        for pattern, faults in self._faults:
            if faults and re.fullmatch(pattern, request):
                return faults.pop(0)
        return doing(lambda: None)

    def client(self, project: str, *roles: str) -> Any:
        """Make a client that goes through here."""
        return self.glance.client(project, *roles, url=self.url)


@contextlib.contextmanager
def proxied(glance: Glance) -> Iterator[Proxy]:
    """Run a proxy before a Glance."""
    proxy = Proxy(glance)
    host, port = glance.url.removeprefix("http://").split(":")

    class Handler(_Quiet):
        def serve(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                data = self.unchunked()

            def ask() -> Reply:
                connection = http.client.HTTPConnection(host, int(port))
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name not in {"Transfer-Encoding", "Content-Length"}
                }
                connection.request(self.command, self.path, data, headers)
                answer = connection.getresponse()
                kind = answer.headers.get("Content-Type", "")
                reply = Reply(answer.status, answer.read(), kind)
                connection.close()
                return reply

            proxy.fault(f"{self.command} {self.path}")(self, ask)

        def unchunked(self) -> bytes:
            data = b""
            while length := int(self.rfile.readline(), 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return data

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - their names there

    with _serving(Handler) as proxy.url:
        yield proxy


@pytest.fixture
def proxy(glance: Glance) -> Iterator[Proxy]:
    """Give a proxy before the Glance that ships."""
    with proxied(glance) as running:
        yield running


@pytest.fixture
def open_proxy(open_glance: Glance) -> Iterator[Proxy]:
    """Give a proxy before the Glance that shows locations."""
    with proxied(open_glance) as running:
        yield running
