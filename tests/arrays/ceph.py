"""A Ceph cluster on loopback, for tests and measurements.

It has one monitor, one manager and one bluestore OSD on a sparse file; it
uses no cephx and keeps one copy.  All files are in one directory, and the
ports are free ones, so several clusters may run at once.  The daemons end
with the process that started them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

_BINDINGS = Path("/usr/lib/python3/dist-packages")
_SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
_PROGRAMS = {
    "ceph-mon": "ceph-mon",
    "monmaptool": "ceph-base",
    "ceph-mgr": "ceph-mgr",
    "ceph-osd": "ceph-osd",
    "rbd": "ceph-common",
    "rados": "ceph-common",
    "setpriv": "util-linux",
}
_PATIENCE = 60
"""Seconds to wait for each state of the cluster."""

_CONF = """\
[global]
fsid = {fsid}
mon_host = {address}
ms_bind_msgr1 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = {directory}
admin_socket =
log_file = {directory}/$name.log
keyring = {directory}/none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0

[mon]
mon_data = {directory}/mon
mon_allow_pool_delete = true
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 10000
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_warn_on_insecure_global_id_reclaim = false
mon_warn_on_insecure_global_id_reclaim_allowed = false
# there is no other monitor to wait for
paxos_propose_interval = 0.05
mon_lease = 30

[mgr]
public_addr = 127.0.0.1
mgr_data = {directory}/mgr
mgr_initial_modules =
mgr_disabled_modules = {unwanted}

[osd]
public_addr = 127.0.0.1
osd_data = {directory}/osd
osd_objectstore = bluestore
bluestore_block_size = 68719476736
bluestore_cache_autotune = false
bluestore_cache_size = 134217728
osd_memory_target = 939524096
osd_max_pg_per_osd_hard_ratio = 100
osd_fast_shutdown = true
# so that the watches of a killed client expire soon; without a cached object
# context the OSD notices that a watch has expired
osd_client_watch_timeout = 5
osd_pg_object_context_cache_count = 0

[client]
log_file =
log_to_stderr = false
err_to_stderr = false
objecter_tick_interval = 1
"""


class CephError(Exception):
    """The cluster does not reach a state, and the reason."""


def missing_ceph() -> str | None:
    """Return why no cluster can be started; None: it can."""
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return f"no {program}; install Debian's {package}"
    for name in ("rados", "rbd"):
        if not (_BINDINGS / f"{name}{_SUFFIX}").exists():
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            return f"no {name} for Python {version}; see Debian's python3-rbd"
    return None


def link_bindings(directory: Path) -> None:
    """Link only the bindings of librados and librbd into a directory."""
    for name in ("rados", "rbd"):
        link = directory / f"{name}{_SUFFIX}"
        with contextlib.suppress(FileExistsError):
            link.symlink_to(_BINDINGS / link.name)


def use_bindings(directory: Path) -> None:
    """Make rados and rbd importable in this process."""
    link_bindings(directory)
    sys.path.append(str(directory))
    importlib.invalidate_caches()


@attrs.frozen(kw_only=True)
class Cluster:
    """A running cluster."""

    directory: Path
    conf: Path
    bindings: Path
    """The directory that rados and rbd can be imported from."""
    fsid: str
    connection: Any
    """A `rados.Rados`; the bindings have no types."""

    def run(self, program: str, *arguments: str) -> str:
        """Run ``rbd``, ``rados`` or ``ceph``; return its output."""
        command = [program, "--conf", str(self.conf), *arguments]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=300
        )
        if done.returncode:
            message = f"{' '.join(command)}: {done.stderr.strip()}"
            raise CephError(message)
        return done.stdout

    def conf_with(self, **options: str) -> Path:
        """Write another ceph.conf, with more options for clients."""
        lines = [f"{name} = {value}\n" for name, value in options.items()]
        path = self.directory / f"{uuid.uuid4()}.conf"
        # the client section is the last
        path.write_text(self.conf.read_text() + "".join(lines))
        return path

    def tell(self, prefix: str, **arguments: object) -> str:
        """Send a command to the monitor, as the program ``ceph`` does."""
        command = {"prefix": prefix, "format": "json", **arguments}
        code, answer, why = self.connection.mon_command(
            json.dumps(command), b"", timeout=_PATIENCE
        )
        if code:
            message = f"ceph {prefix}: {why or os.strerror(-code)}"
            raise CephError(message)
        return str(answer.decode())

    def add_pool(self, name: str) -> None:
        """Create a pool for images."""
        self.tell("osd pool create", pool=name, pg_num=8, pgp_num=8)
        rbd: Any = importlib.import_module("rbd")
        with self.connection.open_ioctx(name) as pool:
            rbd.RBD().pool_init(pool, True)  # noqa: FBT003 - takes no keyword

    def remove_pool(self, name: str) -> None:
        """Remove a pool and its content."""
        self.connection.delete_pool(name)


@contextlib.contextmanager
def started(
    pools: tuple[str, ...] = ("volumes", "images"),
) -> Iterator[Cluster]:
    """Start a cluster with some pools; stop and remove it at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="ceph-") as place,
        contextlib.ExitStack() as cleanup,
    ):
        directory = Path(place)
        bindings = directory / "bindings"
        bindings.mkdir()
        use_bindings(bindings)
        cleanup.callback(sys.path.remove, str(bindings))
        fsid, conf = str(uuid.uuid4()), directory / "ceph.conf"
        address, monmap = f"[v2:127.0.0.1:{_free_port()}]", directory / "map"
        conf.write_text(
            _CONF.format(
                fsid=fsid,
                address=address,
                directory=directory,
                unwanted=",".join(_manager_modules()),
            )
        )
        _make(
            *("monmaptool", "--create", "--fsid", fsid),
            *("--addv", "a", address, str(monmap)),
        )
        _make(
            *("ceph-mon", "--conf", str(conf), "-i", "a", "--mkfs"),
            *("--monmap", str(monmap)),
        )
        cleanup.enter_context(_daemon(conf, "ceph-mon", "a"))
        connection = _connect(conf)
        cleanup.callback(connection.shutdown)
        cluster = Cluster(
            directory=directory,
            conf=conf,
            bindings=bindings,
            fsid=fsid,
            connection=connection,
        )
        cleanup.enter_context(_daemon(conf, "ceph-mgr", "x"))
        osd = str(uuid.uuid4())
        cluster.tell("osd new", uuid=osd)
        (directory / "osd").mkdir()
        _make(
            *("ceph-osd", "--conf", str(conf), "-i", "0", "--mkfs"),
            *("--osd-uuid", osd),
        )
        cleanup.enter_context(_daemon(conf, "ceph-osd", "0"))
        _wait("an OSD", cluster, _has_osd)
        # the manager warns about its disabled modules
        cluster.tell("health mute", code="MGR_MODULE_ERROR", sticky=True)
        cluster.tell("osd set-require-min-compat-client", version="mimic")
        for name in pools:
            cluster.add_pool(name)
        _wait("a manager", cluster, _has_manager)
        yield cluster


@pytest.fixture(scope="session")
def ceph() -> Iterator[Cluster]:
    """Return the session's cluster; skip if none can be started."""
    missing = missing_ceph()
    if missing is not None:
        pytest.skip(missing)
    with started() as cluster:
        yield cluster


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _manager_modules() -> list[str]:
    """Name the manager's modules, to disable them: some start slowly."""
    place = Path("/usr/share/ceph/mgr")
    return sorted(path.name for path in place.glob("[a-z]*"))


def _make(*command: str) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_PATIENCE
    )
    if done.returncode:
        message = f"{' '.join(command)}: {done.stderr.strip()}"
        raise CephError(message)


@contextlib.contextmanager
def _daemon(conf: Path, program: str, name: str) -> Iterator[None]:
    """Run a daemon that is killed when this process ends."""
    log = conf.parent / f"{program}.out"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *(program, "--conf", str(conf), "-i", name, "-f"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _connect(conf: Path) -> Any:  # noqa: ANN401 - the bindings have no types
    rados: Any = importlib.import_module("rados")
    patience = {"client_mount_timeout": str(_PATIENCE)}
    connection = rados.Rados(conffile=str(conf), conf=patience)
    try:
        connection.connect()
    except rados.Error as error:
        output = (conf.parent / "ceph-mon.out").read_text(errors="replace")
        message = f"the monitor does not answer: {error}\n{output}"
        raise CephError(message) from error
    return connection


def _has_osd(cluster: Cluster) -> bool:
    return bool(json.loads(cluster.tell("osd stat"))["num_up_osds"])


def _has_manager(cluster: Cluster) -> bool:
    return bool(json.loads(cluster.tell("mgr dump"))["available"])


def _wait(
    what: str, cluster: Cluster, is_up: Callable[[Cluster], bool]
) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not is_up(cluster):
        if time.monotonic() > deadline:
            output = "\n".join(
                path.read_text(errors="replace")
                for path in sorted(cluster.directory.glob("*.out"))
            )
            message = f"{what} is not up within {_PATIENCE} s\n{output}"
            raise CephError(message)
        time.sleep(0.1)
