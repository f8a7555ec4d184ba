"""Kill a process with a Cinder at a chosen point, and start another one.

A point is directly before a call of the driver or of Glance, or before a
commit that writes to the database.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy
from cinder import context
from cinder_cloud import INTERNAL, CinderCloud
from fake_image_service import FakeImages
from installed import db as tables
from installed import models

SERVICE = 1000
"""The id of the service that is killed; no row has it."""


@attrs.define
class Killer:
    """Counts points, and kills its own process at one of them."""

    at: int | str
    """The number of the point, from 0, or a call, as ``add_location``."""
    world: Path
    """The file that gets what is outside of the process."""
    cloud: CinderCloud
    passed: int = 0
    _writes: bool = False

    def watch(self) -> None:
        """Watch the driver, Glance and the database."""
        for owner in (type(self.cloud.driver), FakeImages):
            self._watch_calls(owner)
        engine = tables.main_context_manager.writer.get_engine()
        sqlalchemy.event.listen(engine, "before_cursor_execute", self._execute)
        sqlalchemy.event.listen(engine, "commit", self._commit)

    def _watch_calls(self, owner: Any) -> None:
        called = owner._called

        def watched(this: object, name: str, *ids: str) -> None:
            self.point(name)
            called(this, name, *ids)

        owner._called = watched

    def _execute(self, *about: Any) -> None:
        statement = about[2]
        self._writes |= not statement.lstrip().startswith("SELECT")

    def _commit(self, _connection: object) -> None:
        if self._writes:
            self._writes = False
            self.point("commit")

    def point(self, name: str) -> None:
        """Kill the process if this is the point."""
        if self.at in {self.passed, name}:
            self.keep_world()
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def keep_world(self) -> None:
        """Write what the fakes hold, because it outlives the process."""
        self.world.write_bytes(pickle.dumps(_world(self.cloud)))


def killed(
    cloud: CinderCloud,
    start: Callable[[], CinderCloud],
    work: Callable[[CinderCloud], object],
    at: int | str,
    folder: Path,
) -> bool:
    """Do work in a process that is killed at a point; return if it was.

    Afterwards the cloud's driver and images hold what that process left.
    """
    world = folder / "world"
    held = _world(cloud)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            # a connection to sqlite must not be used after a fork
            tables.main_context_manager.writer.get_engine().dispose(
                close=False
            )
            killer = Killer(at, world, start())
            _hold(killer.cloud, held)
            killer.watch()
            work(killer.cloud)
            killer.keep_world()
            status = 0
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in {0, -signal.SIGKILL}, "the child failed: see its output"
    _hold(cloud, pickle.loads(world.read_bytes()))  # noqa: S301 - our own
    return ended == -signal.SIGKILL


def restart(
    before: CinderCloud, start: Callable[[], CinderCloud]
) -> CinderCloud:
    """Start a volume manager in this process, as after a kill."""
    cloud = start()
    _hold(cloud, _world(before))
    initialize(cloud)
    return cloud


def initialize(cloud: CinderCloud) -> None:
    """Do what a service does when it starts."""
    cloud.manager.init_host(service_id=SERVICE)


def _world(cloud: CinderCloud) -> tuple[dict[str, Any], ...]:
    images = cloud.images
    return cloud.driver.held, images.metas, images.data, images.locations


def _hold(cloud: CinderCloud, world: tuple[dict[str, Any], ...]) -> None:
    cloud.driver.held = dict(world[0])
    images = cloud.images
    images.metas, images.data, images.locations = world[1:]


def rows(model: Any) -> list[Any]:
    """Read the rows of a table that are not deleted."""
    admin = context.get_admin_context()
    with tables.main_context_manager.reader.using(admin):
        query = admin.session.query(model).filter_by(deleted=False)
        return list(query.all())


def notes() -> list[str]:
    """Return the values of all notes."""
    return [
        row.value
        for row in rows(models.VolumeAdminMetadata)
        if row.key.startswith("clonepolicy:")
    ]


def leftovers(cloud: CinderCloud, image: str) -> list[str]:
    """Return what is half made, except for a volume in error."""
    found = [f"note {value}" for value in notes()]
    found += [
        f"reservation {row.resource}" for row in rows(models.Reservation)
    ]
    volumes = rows(models.Volume)
    meta = cloud.images.metas.get(image)
    registered = {
        url.removeprefix("cinder://") for url in cloud.images.locations[image]
    }
    if meta is not None and meta["status"] != "active":
        found.append(f"image {meta['status']}")
    for volume in volumes:
        if volume.status not in {"available", "error"}:
            found.append(f"{volume.project_id}'s volume {volume.status}")
        if volume.project_id == INTERNAL and (
            meta is None or volume.id not in registered
        ):
            found.append("image volume")
    for row in rows(models.QuotaUsage):
        if row.project_id == INTERNAL and row.resource == "volumes":
            mine = [v for v in volumes if v.project_id == INTERNAL]
            if (row.in_use, row.reserved) != (len(mine), 0):
                found.append(f"quota {row.in_use} + {row.reserved}")
    known = {volume.id for volume in volumes}
    found += ["data" for held in cloud.driver.held if held not in known]
    return found
