"""What processes do in a cloud around a real array, and how they die of it.

Each runs in a process that is forked from one that never had anything to
do with an array: clients of a Ceph cluster do not survive a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, cast
from unittest import mock

import attrs
from saved_cloud import SavedCloud
from typing_extensions import override

from clonepolicy import (
    AdapterError,
    ArrayBackend,
    CinderLocation,
    ConflictError,
    Journal,
    Ports,
    execute,
    recover,
)
from clonepolicy.testing.faults import Fault, Faulty, Kill

Enter: TypeAlias = Callable[[], SavedCloud]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "executing"])
_PATIENCE = 120
"""Seconds for a process to come to any end."""


# -- dying ------------------------------------------------------------------


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@attrs.frozen
class AtCall:
    """Die at a call of a port or the journal, the one before it done."""

    number: int


@attrs.frozen
class Inside:
    """Die in the array's own code, at a call or a return; 0: at none."""

    number: int


@attrs.frozen
class Late:
    """Die so long after the array was first asked for something."""

    seconds: float


Death: TypeAlias = AtCall | Inside | Late


class _Deadly(Faulty):
    @override
    def _fail(self, fault: Fault) -> NoReturn:
        _die()


@attrs.define
class _Mined:
    """An array in the midst of whose work the process dies."""

    array: ArrayBackend
    death: Inside | Late
    began: float = 0
    events: int = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._call, getattr(self.array, name))

    def _call(self, method: Callable[..., Any], *arguments: object) -> object:
        if not self.began:
            self.began = time.monotonic()
            if isinstance(self.death, Late):
                timer = threading.Timer(self.death.seconds, _die)
                timer.daemon = True
                timer.start()
        if isinstance(self.death, Inside):
            sys.setprofile(self._count)
        try:
            return method(*arguments)
        finally:
            sys.setprofile(None)

    def _count(self, *_: object) -> None:
        self.events += 1
        if Inside(self.events) == self.death:
            _die()


@contextlib.contextmanager
def _mortal(
    cloud: SavedCloud, death: Death | None
) -> Iterator[tuple[Ports, Journal]]:
    """Give ports and a journal of which this process dies, or does not."""
    ports, journal = cloud.ports, cloud.journal
    match death:
        case None:
            yield ports, journal
        case AtCall(number):
            deadly = _Deadly(ports, journal, [Fault(number, Kill())])
            yield deadly.ports, cast("Journal", deadly.journal)
        case _:
            mined = _Mined(ports.array, death)
            array = cast("ArrayBackend", mined)
            yield attrs.evolve(ports, array=array), journal
            with cloud.records() as records:
                records.tally["events"] = mined.events
                records.tally["ms"] = int(
                    1000 * (time.monotonic() - mined.began)
                )


# -- what is done -----------------------------------------------------------

Action: TypeAlias = Callable[[SavedCloud, "Death | None"], object]


def create(
    cloud: SavedCloud, death: Death | None, *, image_id: str, size: int = 1
) -> str | None:
    """Create a volume of an image; name the attempt that succeeded."""
    decision = cloud.decide_create(image_id, size)
    with _mortal(cloud, death) as (ports, journal):
        return execute(decision.plan, ports, journal=journal).attempt


def upload(
    cloud: SavedCloud, death: Death | None, *, volume_id: str
) -> str | None:
    """Upload a volume to a new image; name the attempt that succeeded."""
    decision = cloud.decide_upload(volume_id)
    with _mortal(cloud, death) as (ports, journal):
        return execute(decision.plan, ports, journal=journal).attempt


def recover_all(cloud: SavedCloud, death: Death | None) -> None:
    """Take up what the dead have left."""
    with _mortal(cloud, death) as (ports, journal):
        recover(journal, ports)


def delete_volume(cloud: SavedCloud, volume_id: str) -> None:
    """Delete a volume, and the image whose data it is."""
    with cloud.records() as records:
        status = records.volume(volume_id).status
        if status != "available":
            message = f"volume {volume_id} is {status}"
            raise ConflictError(message)
        records.set_volume(volume_id, status="deleting")
    _go_on_deleting(cloud, volume_id)


def _go_on_deleting(cloud: SavedCloud, volume_id: str) -> None:
    try:
        cloud.array.discard(volume_id)
    except ConflictError:
        with cloud.records() as records:
            records.set_volume(volume_id, status="available")
        raise
    with cloud.records() as records:
        for image_id, image in tuple(records.images.items()):
            if CinderLocation(volume_id) in image.locations:
                del records.images[image_id]
        records.delete_volume(volume_id)


def restart(cloud: SavedCloud) -> None:
    """Do as Cinder when it starts with what no plan ever was about."""
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
            for volume_id, held in records.volumes.items()
            if held.record.status == "deleting"
        ]
    for volume_id in deleting:
        with contextlib.suppress(ConflictError):
            _go_on_deleting(cloud, volume_id)


def race(cloud: SavedCloud, death: Death | None, *, seed: int) -> None:
    """Create, upload and delete at random until killed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    recover_all(cloud, death)
    while True:
        with cloud.records() as records:
            images = [
                image_id
                for image_id, image in records.images.items()
                if image.record.status == "active"
            ]
            volumes = [
                volume_id
                for volume_id, held in records.volumes.items()
                if held.record.status == "available"
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
    enter: Enter, action: Action, death: Death | None, said: Path
) -> None:
    try:
        action(enter(), death)
    except BaseException:
        said.write_text(traceback.format_exc())
        raise


@attrs.frozen
class Process:
    """A process that does something in a cloud."""

    said: Path
    process: multiprocessing.context.ForkServerProcess

    @classmethod
    def start(
        cls,
        enter: Enter,
        action: Action,
        death: Death | None,
        said: Path,
    ) -> Process:
        """Start it; ``said`` is where it says why it fails."""
        process = _CONTEXT.Process(
            target=_child, args=(enter, action, death, said), daemon=True
        )
        # the first starts the server, which is to find what to load
        path = os.pathsep.join(sys.path)
        with mock.patch.dict(os.environ, PYTHONPATH=path):
            process.start()
        return cls(said, process)

    def died(self) -> bool:
        """Wait for its end; say whether it was killed, or did its work."""
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.process.close()
        if code not in {0, -signal.SIGKILL}:
            said = self.said.read_text() if self.said.exists() else ""
            message = f"a process ended with {code}\n{said}"
            raise AssertionError(message)
        return code != 0
