"""A real glance-api on loopback.

Glance runs under gunicorn with sqlite, its file store and its cinder store.
A filter that reads project and roles from the token replaces keystone, and
`volume_api_server` replaces Cinder.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from http_server import LOOPBACK
from volume_api_server import VolumeApi, running_volume_api

_HERE = Path(__file__).parent
_BOOT = 60
"""Seconds to wait for Glance to start, and to stop."""
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
config_file = {folder}/glance-api-paste.ini
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

_WITH_SERVICE_TOKEN = (30, 31)
"""Releases whose locations API does not look at the user's own roles."""
App: TypeAlias = Callable[..., Any]


def identity(_config: object, **_local: object) -> Callable[[App], App]:
    """Make the filter that replaces keystone's ``authtoken``.

    It is loaded into Glance's process, where it also changes how sqlite begins
    transactions: if two transactions read and then write, one would fail.
    """
    import sqlalchemy  # noqa: PLC0415 - the tests do not need it

    @sqlalchemy.event.listens_for(
        sqlalchemy.engine.Engine, "before_cursor_execute", retval=True
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
            service = environ.get("HTTP_X_SERVICE_TOKEN", "").partition("=")[2]
            if service:
                environ["HTTP_X_SERVICE_ROLES"] = service.replace("+", ",")
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


@attrs.frozen
class Glance:
    """A running glance-api."""

    url: str
    cinder: VolumeApi

    def client(self, project: str, *roles: str, url: str = "") -> Any:
        """Make a client with a token of that project and those roles.

        A service sends it as service token too, where Glance looks there.
        """
        import glanceclient  # noqa: PLC0415 - Glance's process does not need it

        roles = roles or ("member", "reader")
        token = f"{project}={'+'.join(roles)}"
        client = glanceclient.Client(
            "2", url or self.url, token=token, timeout=20
        )
        glance = int(importlib.metadata.version("glance").partition(".")[0])
        if "service" in roles and glance in _WITH_SERVICE_TOKEN:
            client.http_client.session.headers["X-Service-Token"] = token
        return client


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
    folder: Path, cinder: VolumeApi, *, opened: bool
) -> Iterator[Glance]:
    settings = {"folder": folder, "opened": opened, "cinder": cinder.url}
    config = _CONFIG + (_STORES if opened else _ONE_STORE)
    (folder / "glance-api.conf").write_text(config.format(**settings))
    (folder / "glance-api-paste.ini").write_text(_PASTE)
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
        socket.create_server((LOOPBACK, 0)) as listening,
        (folder / "gunicorn.log").open("wb") as log,
    ):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--threads", "8"),
                *("--bind", f"fd://{listening.fileno()}", "--log-level"),
                *("error", "--graceful-timeout", "1"),
                "glance.common.wsgi_app:init_app()",
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
        yield Glance(f"http://{LOOPBACK}:{port}", cinder)
    finally:
        process.terminate()
        process.wait(_BOOT)


def _wait_for(
    process: subprocess.Popen[bytes], port: int, folder: Path
) -> None:
    end = time.monotonic() + _BOOT
    headers = {"X-Auth-Token": "boot=reader"}
    while process.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_BOOT)
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
def cinder() -> Iterator[VolumeApi]:
    """Return the Block Storage API that Glance uses."""
    with running_volume_api() as running:
        yield running


@pytest.fixture(scope="session")
def glance(
    tmp_path_factory: pytest.TempPathFactory, cinder: VolumeApi
) -> Iterator[Glance]:
    """Return a Glance with default options: locations by the new API only."""
    folder = tmp_path_factory.mktemp("glance")
    with _running_glance(folder, cinder, opened=False) as running:
        yield running


@pytest.fixture(scope="session")
def open_glance(
    tmp_path_factory: pytest.TempPathFactory, cinder: VolumeApi
) -> Iterator[Glance]:
    """Return a Glance that shows locations in images, and has named stores."""
    folder = tmp_path_factory.mktemp("open-glance")
    with _running_glance(folder, cinder, opened=True) as running:
        yield running
