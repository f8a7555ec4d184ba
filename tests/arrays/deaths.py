"""Ways for a process to die while it executes a plan in a saved cloud."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast

import attrs
from saved_cloud import SavedCloud
from typing_extensions import override

from clonepolicy.ports import ArrayBackend, Journal, Ports
from clonepolicy.testing.faults import Fault, Faulty, Kill


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@attrs.frozen
class AtCall:
    """Die at a call of a port or the journal, from 0."""

    number: int


@attrs.frozen
class Inside:
    """Die at a function call or return in the array's code, from 1.

    Number 0 lets the process live, and counts the calls and returns.
    """

    number: int


@attrs.frozen
class Late:
    """Die so many seconds after the first call of the array."""

    seconds: float


Death: TypeAlias = AtCall | Inside | Late


class _Deadly(Faulty):
    @override
    def _fail(self, fault: Fault | None) -> None:
        if fault is not None:
            _die()


@attrs.define
class _DeadlyArray:
    """An array during whose calls the process dies."""

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
def dying(
    cloud: SavedCloud, death: Death | None
) -> Iterator[tuple[Ports, Journal]]:
    """Yield ports and a journal that kill this process; None: they do not.

    If the process survives `Inside` or `Late`, the cloud's tally has the
    array's ``events`` and the time in ``ms``.
    """
    ports, journal = cloud.ports, cloud.journal
    match death:
        case None:
            yield ports, journal
        case AtCall(number):
            deadly = _Deadly(ports, journal, [Fault(number, Kill())])
            yield deadly.ports, cast("Journal", deadly.journal)
        case _:
            deadly_array = _DeadlyArray(ports.array, death)
            array = cast("ArrayBackend", deadly_array)
            yield attrs.evolve(ports, array=array), journal
            ms = int(1000 * (time.monotonic() - deadly_array.began))
            with cloud.records() as records:
                records.tally["events"] = deadly_array.events
                records.tally["ms"] = ms
