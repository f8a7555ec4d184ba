"""What processes do in a saved cloud, and how to start and kill them.

Each process is forked from a server that never opened an array, because
clients of a Ceph cluster do not survive a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from unittest import mock

import attrs
from deaths import Death, dying
from saved_cloud import SavedCloud

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    execute,
    recover,
)
from clonepolicy.plan import Attempt

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "executing"])
_TIMEOUT = 120
"""Seconds that a process may take."""

Action: TypeAlias = Callable[[SavedCloud, Death | None], object]
Enter: TypeAlias = Callable[[], SavedCloud]

# -- actions ----------------------------------------------------------------


def create(
    cloud: SavedCloud, death: Death | None, *, image_id: str, size: int = 1
) -> Attempt | None:
    """Create a volume from an image; return the successful attempt."""
    decision = cloud.decide_create(image_id, size)
    with dying(cloud, death) as (ports, journal):
        return execute(decision.plan, ports, journal=journal).attempt


def upload(
    cloud: SavedCloud, death: Death | None, *, volume_id: str
) -> Attempt | None:
    """Upload a volume to a new image; return the successful attempt."""
    decision = cloud.decide_upload(volume_id)
    with dying(cloud, death) as (ports, journal):
        return execute(decision.plan, ports, journal=journal).attempt


def recover_all(cloud: SavedCloud, death: Death | None) -> None:
    """Recover the plans of dead processes."""
    with dying(cloud, death) as (ports, journal):
        recover(journal, ports)


def delete_volume(cloud: SavedCloud, volume_id: str) -> None:
    """Delete a volume, and the image whose data it holds."""
    with cloud.records() as records:
        status = records.volume(volume_id).status
        if status != "available":
            message = f"volume {volume_id} is {status}"
            raise ConflictError(message)
        records.set_volume(volume_id, status="deleting")
    _finish_deleting(cloud, volume_id)


def _finish_deleting(cloud: SavedCloud, volume_id: str) -> None:
    try:
        cloud.array.discard(volume_id)
    except ConflictError:
        with cloud.records() as records:
            records.set_volume(volume_id, status="available")
        raise
    with cloud.records() as records:
        for image_id, row in tuple(records.images.items()):
            if CinderLocation(volume_id) in row.locations:
                del records.images[image_id]
        records.delete_volume(volume_id)


def restart(cloud: SavedCloud) -> None:
    """Clean up as Cinder does at its start.

    Volumes and images that no plan has named fail, uploading volumes get
    their status back, and deletions go on.
    """
    with cloud.records() as records:
        ports = records.ports("")
        for volume_id in records.volumes.keys() - records.named:
            ports.volumes.fail(volume_id)
        for image_id in records.images.keys() - records.named:
            ports.images.discard(image_id)
        for volume_id in records.volumes:
            ports.volumes.restore(volume_id)
        deleting = [
            volume_id
            for volume_id, row in records.volumes.items()
            if row.record.status == "deleting"
        ]
    for volume_id in deleting:
        with contextlib.suppress(ConflictError):
            _finish_deleting(cloud, volume_id)


def race(cloud: SavedCloud, death: Death | None, *, seed: int) -> None:
    """Create, upload and delete at random until a kill."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    recover_all(cloud, death)
    while True:
        with cloud.records() as records:
            images = [
                image_id
                for image_id, row in records.images.items()
                if row.record.status == "active"
            ]
            volumes = [
                volume_id
                for volume_id, row in records.volumes.items()
                if row.record.status == "available"
            ]
            backing = [v for v in volumes if records.volumes[v].for_image]
        own = [v for v in volumes if v not in backing]
        try:
            match chance.randrange(8):
                case 0 | 1 | 2 | 3:
                    image_id = chance.choice(images)
                    size = chance.randrange(1, 3)
                    done = create(cloud, death, image_id=image_id, size=size)
                    cloud.count(f"create by {str(done).split()[0]}")
                case 4 | 5:
                    done = upload(cloud, death, volume_id=chance.choice(own))
                    cloud.count(f"upload by {done}")
                case 6 if len(backing) > 1:
                    delete_volume(cloud, chance.choice(backing))
                    cloud.count("delete a source")
                case _:
                    delete_volume(cloud, chance.choice(own))
                    cloud.count("delete")
        except IndexError:
            pass
        except AdapterError as error:
            cloud.count(type(error).__name__)


# -- processes --------------------------------------------------------------


def _child(
    enter: Enter, action: Action, death: Death | None, log: Path
) -> None:
    try:
        action(enter(), death)
    except BaseException:
        log.write_text(traceback.format_exc())
        raise


@attrs.frozen
class Process:
    """A process that performs an action in a cloud."""

    log: Path
    process: multiprocessing.context.ForkServerProcess

    @classmethod
    def start(
        cls,
        enter: Enter,
        action: Action,
        death: Death | None,
        log: Path,
    ) -> Process:
        """Start a process, which logs the traceback if the action raises."""
        process = _CONTEXT.Process(
            target=_child, args=(enter, action, death, log), daemon=True
        )
        # the first process starts the server, which imports the preload
        path = os.pathsep.join(sys.path)
        with mock.patch.dict(os.environ, PYTHONPATH=path):
            process.start()
        return cls(log, process)

    def died(self) -> bool:
        """Wait for the process; return whether it was killed.

        Raises:
            AssertionError: it failed, or it did not stop in time.
        """
        self.process.join(_TIMEOUT)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.process.close()
        if code not in {0, -signal.SIGKILL}:
            log = self.log.read_text() if self.log.exists() else ""
            message = f"a process exited with {code}\n{log}"
            raise AssertionError(message)
        return code != 0
