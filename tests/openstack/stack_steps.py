"""Volume managers that stop at a step of their work, for tests only.

A step is about to change something: a commit that writes to Cinder's
database, a request to Glance, or a change of the array.  The process then
waits for an order: to die, as by ``kill -9``, or to go on.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy
from cinder.volume import manager
from eventlet import patcher
from glanceclient.common import http

from clonepolicy.adapters.cinder import PolicyVolumeManager, _images

FOLDER = Path(os.environ["HOME"], "steps")
_WRITES = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+)")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COMMANDS = {"cp", "rm", "truncate"}
_RBD = {
    "RBD": ("clone", "create", "remove", "rename", "trash_move"),
    "Image": (
        *("create_snap", "protect_snap", "unprotect_snap", "remove_snap"),
        *("resize", "flatten"),
    ),
}
# the whole process stops, and not only one of its green threads
_sleep: Callable[[float], None] = patcher.original("time").sleep


class Steps:
    """Counts the steps of one work at a time, and stops at one of them."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self._work: str | None = None
        self._thread = 0
        self._passed = 0

    @contextlib.contextmanager
    def of(self, work: str) -> Iterator[None]:
        """Count the steps in the block; a part of other work counts there."""
        thread = threading.get_ident()
        if self._work is not None and self._thread == thread:
            yield
            return
        self._work, self._thread = work, thread
        self._passed = 0
        try:
            yield
        finally:
            if self._thread == thread:
                self._work = None
            _note("ended", f"{work} {os.getpid()}")

    def commit(self, written: set[str]) -> None:
        """Count a commit, unless it is another thread's."""
        if threading.get_ident() == self._thread:
            self.step("commit " + ", ".join(sorted(written)))

    def step(self, name: str) -> None:
        """Count a step, and stop if it is the one that was asked for."""
        if self._work is None:
            return
        number, self._passed = self._passed, self._passed + 1
        _note("steps", f"{self._work} {number} {name}")
        with contextlib.suppress(FileNotFoundError):
            work, asked = json.loads((FOLDER / "asked").read_text())
            if work == self._work and asked in {number, name}:
                _obey(name)


def _note(file: str, line: str) -> None:
    with (FOLDER / file).open("a") as log:
        log.write(line + "\n")


def _obey(name: str) -> None:
    pid = os.getpid()
    order = FOLDER / f"order-{pid}"
    written = FOLDER / f"stopped-{pid}"
    written.write_text(json.dumps([pid, name]))
    written.rename(FOLDER / "stopped")
    while not order.exists():
        _sleep(0.01)
    if order.read_text() == "die":
        os.kill(os.getpid(), signal.SIGKILL)


STEPS = Steps()


def _watch_database() -> None:
    listen, engine = sqlalchemy.event.listen, sqlalchemy.engine.Engine

    def execute(
        connection: Any, _cursor: object, statement: str, *_: Any
    ) -> None:
        found = _WRITES.match(statement)
        if found:
            connection.info.setdefault("written", set()).add(
                " ".join(found.groups())
            )

    def commit(connection: Any) -> None:
        written = connection.info.pop("written", None)
        if written:
            STEPS.commit(written)

    def rollback(connection: Any) -> None:
        connection.info.pop("written", None)

    listen(engine, "before_cursor_execute", execute)
    listen(engine, "commit", commit)
    listen(engine, "rollback", rollback)


def _watch_glance() -> None:
    asked = http.SessionClient.request

    def request(client: Any, url: str, method: str, **more: Any) -> Any:
        if method != "GET":
            STEPS.step(f"Glance {method} {_ID.sub('…', url.lstrip('/'))}")
        return asked(client, url, method, **more)

    http.SessionClient.request = request


def _watch_array(driver: Any) -> None:
    if hasattr(driver, "rbd"):
        rbd = driver.rbd
        kinds = {
            kind: _watched(getattr(rbd, kind), names)
            for kind, names in _RBD.items()
        }
        driver.rbd = types.SimpleNamespace(**vars(rbd) | kinds)
        return
    execute = driver._execute

    def run(command: str, *arguments: Any, **more: Any) -> Any:
        if command in _COMMANDS:
            STEPS.step(f"array {command}")
        return execute(command, *arguments, **more)

    driver._execute = run


def _watched(kind: type, names: tuple[str, ...]) -> type:
    def watched(name: str) -> Any:
        method = getattr(kind, name)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            STEPS.step(f"array {name}")
            return method(*args, **kwargs)

        return call

    return type(
        kind.__name__, (kind,), {name: watched(name) for name in names}
    )


class _Stepping:
    """Counts the steps of a create, of an upload and of a start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        this: Any = self
        _watch_array(this.driver)

    def create_volume(self, *args: Any, **kwargs: Any) -> Any:
        with STEPS.of("create"):
            return super().create_volume(*args, **kwargs)  # type: ignore[misc] # the manager's

    def copy_volume_to_image(self, *args: Any, **kwargs: Any) -> Any:
        with STEPS.of("upload"):
            return super().copy_volume_to_image(*args, **kwargs)  # type: ignore[misc] # the manager's

    def do_cleanup(self, *args: Any, **kwargs: Any) -> Any:
        with STEPS.of("start"):
            return super().do_cleanup(*args, **kwargs)  # type: ignore[misc] # the manager's


def _be_impatient() -> None:
    """Wait shorter for tasks of Glance, some of which died with it."""
    made = _images.glance_images

    def impatient(*args: Any) -> Any:
        images = made(*args)
        patience = attrs.evolve(images.patience, total=30.0)
        return attrs.evolve(images, patience=patience)

    vars(_images)["glance_images"] = impatient


class StockManager(_Stepping, manager.VolumeManager):
    """Cinder's own manager."""


class PolicyManager(_Stepping, PolicyVolumeManager):
    """The drop-in."""


_watch_database()
_watch_glance()
_be_impatient()
