"""Processes, mounts and ports for real services, apart from this machine's.

Everything runs in one pid and mount namespace, whose first process reads a
pipe from this process.  The pipe closes however this process ends.  The
kernel then kills everything in the namespace and removes its mounts.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

HOST = "127.0.0.1"
_BELOW_EPHEMERAL = range(20_000, 32_000)
_PATIENCE = 120
_GRACE = 10
_LINES = 30
_PACKAGES = {
    "filefrag": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "nsenter": "util-linux",
    "qemu-img": "qemu-utils",
    "rabbitmqctl": "rabbitmq-server",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
RABBITMQ = Path("/usr/lib/rabbitmq/bin")
POSTGRESQL = Path("/usr/lib/postgresql")
POSTGRESQL_DATA = Path("/var/lib/postgresql")


class StackError(Exception):
    """A part of the stack failed; the message contains the end of its log."""


def missing_requirements() -> list[str]:
    """Return what this machine lacks to run the stack."""
    lacks = [
        f"{package} (Debian package)"
        for program, package in _PACKAGES.items()
        if shutil.which(program) is None
    ]
    if not any(POSTGRESQL.glob("*/bin/initdb")):
        lacks.append("postgresql (Debian package)")
    lacks += [
        f"{package} (nox -s openstack installs it)"
        for package in ("cinder", "glance", "gunicorn", "keystone", "psycopg2")
        if importlib.util.find_spec(package) is None
    ]
    if os.geteuid() != 0:
        lacks.append("root")
    if not Path("/dev/loop-control").exists():
        lacks.append("loop devices")
    if not lacks and not _may_unshare():
        lacks.append("the right to create namespaces and to mount")
    return sorted(set(lacks))


def _may_unshare() -> bool:
    command = "unshare --mount --pid --fork mount -t tmpfs none /mnt"
    tried = subprocess.run(command.split(), check=False, capture_output=True)
    return tried.returncode == 0


def free_ports(count: int) -> list[int]:
    """Find free ports outside the range that the kernel assigns."""
    found: list[int] = []
    for port in random.sample(_BELOW_EPHEMERAL, len(_BELOW_EPHEMERAL)):
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            found.append(port)
        if len(found) == count:
            return found
    message = "no free ports"
    raise StackError(message)


def wait_for(
    what: str,
    ready: Callable[[], object],
    process: Process | None = None,
) -> None:
    """Call ``ready`` until it returns true; an `OSError` counts as false.

    Raises:
        StackError: it did not return true in time, or the process has ended.
    """
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and (process is None or process.alive):
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.2)
    message = f"{what}: not ready within {_PATIENCE} s"
    raise StackError(message if process is None else process.failure(message))


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([f"--- {log.name}", *lines[-_LINES:]])


@attrs.frozen
class Process:
    """A program in the namespace, with its children."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        """Whether the program is running."""
        return self.popen.poll() is None

    def failure(self, message: str) -> str:
        """Append the end of the log to a message."""
        return f"{message}\n{_tail(self.log)}"

    def finish(self) -> None:
        """Wait until the program ends.

        Raises:
            StackError: it failed.
        """
        if self.popen.wait(_PATIENCE) != 0:
            raise StackError(self.failure(f"{self.name} failed"))

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End the program and its children by a signal, then by SIGKILL."""
        for number in (by, signal.SIGKILL):
            self._signal(number)
            end = time.monotonic() + _GRACE
            while self._signal(0) and time.monotonic() < end:
                time.sleep(0.1)
        self.popen.wait(_GRACE)

    def kill(self) -> None:
        """Kill the program and its children, at whatever they do."""
        self._signal(signal.SIGKILL)
        self.popen.wait(_GRACE)

    def _signal(self, number: int) -> bool:
        self.popen.poll()  # a zombie would stay in its group
        try:
            os.killpg(self.popen.pid, number)
        except ProcessLookupError:
            return False
        return True


@attrs.frozen
class Namespace:
    """A pid and mount namespace, with a folder and an environment."""

    folder: Path
    first: int
    environment: Mapping[str, str]
    processes: list[Process] = attrs.field(factory=list)

    def start(self, name: str, *command: str, **more: str) -> Process:
        """Start a program; its output is written to ``<name>.out``."""
        log = self.folder / f"{name}.out"
        enter = f"nsenter --target {self.first} --mount --pid"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [*enter.split(), *command],
                env={**self.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(Process(name, popen, log))
        return self.processes[-1]

    def run(self, name: str, *command: str, **more: str) -> None:
        """Run a program until it ends.

        Raises:
            StackError: it failed.
        """
        self.start(name, *command, **more).finish()

    def visible_path(self, path: Path) -> Path:
        """Return the path by which this process sees a namespace's file."""
        return Path(f"/proc/{self.first}/root") / path.relative_to("/")


@contextlib.contextmanager
def open_namespace(
    folder: Path, environment: Mapping[str, str]
) -> Iterator[Namespace]:
    """Open a namespace; leaving it kills everything that runs in it."""
    command = "unshare --mount --pid --fork --mount-proc"
    with subprocess.Popen(
        # the shell stays, to wait for orphaned processes
        [*command.split(), "sh", "-c", "echo; cat; true"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as outer:
        assert outer.stdin
        assert outer.stdout
        outer.stdout.readline()
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        under = Namespace(folder, int(children.read_text()), environment)
        try:
            yield under
        finally:
            outer.stdin.close()
            outer.wait()
            for process in under.processes:
                process.popen.wait()
