"""Configuration and start of each service of the stack."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import attrs
from stack_processes import (
    HOST,
    POSTGRESQL,
    POSTGRESQL_DATA,
    RABBITMQ,
    Namespace,
    Process,
    free_ports,
    open_namespace,
    wait_for,
)

_HERE = Path(__file__).parent
_ETC = Path(sys.prefix, "etc")
_NAMES = ("keystone", "glance", "cinder")
_PORTS = (*_NAMES, "postgresql", "rabbitmq", "erlang", "epmd")
_READY = "Driver post RPC initialization completed successfully."
BACKENDS = ("plain", "reflink")


def _before(package: str, release: int) -> bool:
    return int(metadata.version(package).partition(".")[0]) < release


LEGACY_GLANCE = _before("glance", 29)
"""Whether Glance has no locations API."""
_LEGACY_CINDER = _before("cinder", 27)
"""Whether Cinder reads locations from the image."""

_RABBITMQ = """\
listeners.tcp.1 = {host}:{rabbitmq}
"""
_KEYSTONE = """\
[database]
connection = {database}/keystone
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[cache]
enabled = True
backend = dogpile.cache.memory
[identity]
password_hash_rounds = 4
"""
_AUTH = """\
auth_type = password
auth_url = {keystone_url}
username = {user}
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
"""
_AUTHTOKEN = """\
www_authenticate_uri = {keystone_url}
service_token_roles = service
service_token_roles_required = True
"""
_GLANCE = """\
[DEFAULT]
enabled_backends = files:file,volumes:cinder
show_image_direct_url = {direct_url}
show_multiple_locations = {legacy}
[database]
connection = {database}/glance
[keystone_authtoken]
{auth_glance}{authtoken}
[paste_deploy]
flavor = keystone
config_file = {etc}/glance/glance-api-paste.ini
[oslo_concurrency]
lock_path = {folder}/locks
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/xfs/images
[os_glance_staging_store]
filesystem_store_datadir = {folder}/xfs/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/xfs/tasks
[volumes]
cinder_store_auth_address = {keystone_url}
cinder_store_user_name = glance-store
cinder_store_password = {password}
cinder_store_project_name = image-volumes
cinder_volume_type = reflink
cinder_mount_point_base = {folder}/glance-mounts
rootwrap_config = {etc}/glance/rootwrap.conf
"""
_CINDER = """\
[DEFAULT]
host = stack
service_down_time = 600
transport_url = rabbit://guest:guest@{host}:{rabbitmq}/
volume_manager = {manager}
enabled_backends = plain,reflink
default_volume_type = reflink
glance_api_servers = {glance_url}
allowed_direct_url_schemes = cinder
cinder_internal_tenant_project_id = {internal_project}
cinder_internal_tenant_user_id = {internal_user}
osapi_volume_extension = cinder.api.contrib.standard_extensions
osapi_volume_extension = clonepolicy.adapters.cinder.register_messages
state_path = {folder}/cinder
api_paste_config = {etc}/cinder/api-paste.ini
resource_query_filters_file = {etc}/cinder/resource_filters.json
rootwrap_config = {etc}/cinder/rootwrap.conf
[database]
connection = {database}/cinder
[keystone_authtoken]
{auth_cinder}{authtoken}
[service_user]
send_service_user_token = True
{auth_cinder}
[glance]
{auth_cinder}
[oslo_concurrency]
lock_path = {folder}/locks
[coordination]
backend_url = file://{folder}/coordination
[backend_defaults]
image_upload_use_cinder_backend = True
image_upload_use_internal_tenant = True
nas_secure_file_operations = False
nas_secure_file_permissions = False
nfs_mount_point_base = {folder}/mounts
[plain]
volume_backend_name = plain
volume_driver = cinder.volume.drivers.nfs.NfsDriver
nfs_shares_config = {folder}/plain.shares
nfs_snapshot_support = True
[reflink]
volume_backend_name = reflink
volume_driver = stack_driver.ReflinkDriver
nfs_shares_config = {folder}/reflink.shares
[clonepolicy]
trusted_projects = {internal_project}
glance_stores = volumes=reflink
show_multiple_locations = {legacy}
user_messages = True
"""
_GUNICORN = """\
wsgi_app = "{application}"
bind = "{host}:{port}"
threads = 8
graceful_timeout = 1
"""
# older releases have no module ``<name>.wsgi.api``
_APPLICATIONS = {
    "keystone": "keystone.server.wsgi:initialize_public_application()",
    "glance": "glance.common.wsgi_app:init_app()",
    "cinder": "cinder.wsgi.wsgi:initialize_application()",
}
# everything is run by root
_SUDO = """\
#!/bin/sh
shift 2
exec "$@"
"""
# a share is a folder of the mounted file system
_MOUNT = """\
#!/bin/sh
[ "$1 $2" = "-t nfs" ] || exec /bin/mount "$@"
while [ $# -gt 2 ]; do shift; done
exec /bin/mount --bind {folder}/xfs/"${{1#*:/}}" "$2"
"""
_PROGRAMS = {
    "sudo": _SUDO,
    "mount": _MOUNT,
    "mount.nfs": "#!/bin/sh\n",
}


@attrs.frozen
class Services:
    """The services, each on its own port."""

    namespace: Namespace
    ports: dict[str, int]
    password: str

    def url(self, name: str) -> str:
        """Return the URL of a service."""
        return f"http://{HOST}:{self.ports[name]}"

    def write(self, file: str, text: str, **more: str) -> Path:
        """Write a file, with ports, password, folder and more filled in."""
        known = {
            **{port: str(number) for port, number in self.ports.items()},
            "host": HOST,
            "folder": str(self.namespace.folder),
            "etc": str(_ETC),
            "password": self.password,
            "direct_url": str(_LEGACY_CINDER),
            "legacy": str(LEGACY_GLANCE),
            "database": "postgresql+psycopg2://stack@"
            f"{HOST}:{self.ports['postgresql']}",
            "keystone_url": self.url("keystone") + "/v3",
            "glance_url": self.url("glance"),
            "authtoken": _AUTHTOKEN.format(keystone_url=self.url("keystone")),
        }
        for user in ("glance", "cinder"):
            known[f"auth_{user}"] = _AUTH.format(user=user, **known)
        path = self.namespace.folder / file
        path.write_text(text.format(**known, **more))
        return path

    def share(self) -> None:
        """Mount a file system that clones files, with a share per backend."""
        folder = self.namespace.folder
        for name, text in _PROGRAMS.items():
            (folder / "bin").mkdir(exist_ok=True)
            self.write(f"bin/{name}", text).chmod(0o755)
        disk, mounted = folder / "disk", folder / "xfs"
        mounted.mkdir()
        with disk.open("wb") as file:
            file.truncate(16 << 30)
        made = ("mkfs.xfs", "-q", "-m", "reflink=1", str(disk))
        self.namespace.run("mkfs", *made)
        self.namespace.run("mount", "mount", "-oloop", str(disk), str(mounted))
        disk.unlink()  # the mount keeps it
        for backend in BACKENDS:
            self.write(f"{backend}.shares", f"share:/{backend}\n")
            self.namespace.visible_path(mounted / backend).mkdir()

    def postgresql(self) -> None:
        """Create databases and start PostgreSQL; its data is in memory."""
        data = str(POSTGRESQL_DATA)
        self.namespace.run(
            *("tmpfs", "mount", "-t", "tmpfs"),
            *("-o", "uid=postgres,gid=postgres,mode=700", "none", data),
        )
        self.namespace.run(
            *("initdb", *_postgresql("initdb")),
            *("-D", f"{data}/data", "--no-sync", "--auth=trust"),
            *("--username=stack", "--encoding=UTF8", "--locale=C"),
        )
        self.start_postgresql()
        where = f"-h {HOST} -p {self.ports['postgresql']} -U stack".split()
        for name in _NAMES:
            self.namespace.run("createdb", "createdb", *where, name)

    def start_postgresql(self) -> None:
        """Start PostgreSQL under its own user."""
        process = self.namespace.start(
            *("postgres", *_postgresql("postgres")),
            *("-D", f"{POSTGRESQL_DATA}/data", "-F", "-k", "", "-h", HOST),
            *("-p", str(self.ports["postgresql"]), "-N", "300"),
        )
        self.wait_for_port(process, "postgresql")

    def rabbitmq(self) -> Process:
        """Start RabbitMQ with its own name, ports and data."""
        folder = self.namespace.folder / "rabbitmq"
        folder.mkdir(exist_ok=True)
        listens = self.write("rabbitmq.conf", _RABBITMQ)
        return self.namespace.start(
            "rabbitmq",
            str(RABBITMQ / "rabbitmq-server"),
            ERL_EPMD_ADDRESS=HOST,
            ERL_EPMD_PORT=str(self.ports["epmd"]),
            RABBITMQ_CONFIG_FILE=str(listens),
            RABBITMQ_CONF_ENV_FILE=os.devnull,
            RABBITMQ_DIST_PORT=str(self.ports["erlang"]),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / "plugins"),
            RABBITMQ_LOG_BASE=str(folder),
            RABBITMQ_MNESIA_BASE=str(folder),
            RABBITMQ_NODENAME="stack@localhost",
        )

    def wait_for_port(self, process: Process, name: str) -> None:
        """Wait until a service accepts connections."""

        def connects() -> bool:
            with socket.create_connection((HOST, self.ports[name])):
                return True

        wait_for(name, connects, process)

    def schemas(self) -> None:
        """Have each service create its tables."""
        self.write("keystone.conf", _KEYSTONE)
        # Glance 2024.1 starts only if it is beside glance-api.conf
        shutil.copy(
            _ETC / "glance/glance-api-paste.ini", self.namespace.folder
        )
        self.write("glance-api.conf", _GLANCE)
        self.cinder_conf()
        commands = {
            "keystone": ("keystone-manage", "db_sync"),
            "glance": ("glance-manage", "db_sync"),
            "cinder": ("cinder-manage", "db", "sync"),
        }
        made = [
            self.namespace.start(f"{name}-db", *command)
            for name, command in commands.items()
        ]
        for process in made:
            process.finish()

    def cinder_conf(self, **more: str) -> None:
        """Write cinder.conf; ``more`` are manager and internal tenant."""
        names = ("internal_project", "internal_user", "manager")
        self.write("cinder.conf", _CINDER, **dict.fromkeys(names, "") | more)

    def keystone(self) -> None:
        """Start keystone with an administrator and the usual roles."""
        user = ("--keystone-user=root", "--keystone-group=root")
        manage, url = "keystone-manage", self.url("keystone") + "/v3"
        self.namespace.run("fernet", manage, "fernet_setup", *user)
        self.namespace.run(
            *("bootstrap", manage, "bootstrap"),
            *("--bootstrap-region-id", "here"),
            *("--bootstrap-public-url", url, "--bootstrap-internal-url", url),
            OS_BOOTSTRAP_PASSWORD=self.password,
        )
        self.api("keystone", "/v3")

    def process(self, name: str) -> Process:
        """Return the process that was started last under a name."""
        (*_, last) = (p for p in self.namespace.processes if p.name == name)
        return last

    def api(self, name: str, path: str) -> None:
        """Start a service's WSGI application, and wait for an answer."""
        # without arguments: the application would read them too
        config = self.write(
            f"{name}.gunicorn.py",
            _GUNICORN,
            application=_APPLICATIONS[name],
            port=str(self.ports[name]),
        )
        process = self.namespace.start(
            f"{name}-api",
            *(sys.executable, "-m", "gunicorn"),
            GUNICORN_CMD_ARGS=f"--config {config}",
        )

        def answers() -> bool:
            to = http.client.HTTPConnection(HOST, self.ports[name], timeout=30)
            with contextlib.closing(to):
                to.request("GET", path)
                return to.getresponse().status < http.HTTPStatus.BAD_REQUEST

        wait_for(name, answers, process)

    def cinder_volume(self) -> Process:
        """Start cinder-volume, and wait for its backends."""
        process = self.namespace.start("cinder-volume", "cinder-volume")

        def ready() -> bool:
            return len(BACKENDS) == process.log.read_text().count(_READY)

        wait_for("cinder-volume", ready, process)
        return process

    def cinder_scheduler(self) -> None:
        """Start cinder-scheduler."""
        self.namespace.start("cinder-scheduler", "cinder-scheduler")


def _postgresql(program: str) -> list[str]:
    """Return the command that runs a program of PostgreSQL's newest version.

    None of them runs under root.
    """
    user = "setpriv --reuid=postgres --regid=postgres --init-groups"
    return [*user.split(), str(max(POSTGRESQL.glob("*/bin")) / program)]


@contextlib.contextmanager
def services(folder: Path) -> Iterator[Services]:
    """Open a namespace for the services; none is started."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
    }
    more = filter(None, (inherited.get("PYTHONPATH"),))
    search = (f"{folder}/bin", f"{sys.prefix}/bin", inherited["PATH"])
    environment = inherited | {
        "HOME": str(folder),
        "OS_GLANCE_CONFIG_DIR": str(folder),
        "OS_KEYSTONE_CONFIG_DIR": str(folder),
        "PATH": os.pathsep.join(search),
        # links to modules of Debian's may be put into the second
        "PYTHONPATH": os.pathsep.join((str(_HERE), f"{folder}/python", *more)),
        "PYTHONWARNINGS": "ignore",
    }
    with open_namespace(folder, environment) as under:
        ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        yield Services(under, ports, secrets.token_hex(16))
