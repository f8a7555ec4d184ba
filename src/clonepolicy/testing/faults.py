"""Ports that fail, or a process that dies, at any call that is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NoReturn, cast

import attrs

from clonepolicy import (
    AdapterError,
    ArrayBackend,
    ImageService,
    Journal,
    Ports,
    VolumeService,
)


class Kill(BaseException):
    """Stands for the end of the process: nothing works after it."""


@attrs.frozen
class Fault:
    """An error to be raised at a call.

    ``at`` is the number of the call, from 0, or the name of a method, as
    in ``images.verify_location``, of which the first ``times`` calls fail.
    ``after``: the call takes effect, and only its answer is lost, whatever
    it was; data that is given piece by piece breaks off at its end.
    """

    at: int | str
    error: BaseException
    after: bool = False
    times: int = 1


@attrs.frozen
class Call:
    """One call that was made."""

    name: str
    arguments: tuple[object, ...]


@attrs.define
class _Watched:
    """Passes every method of a port through."""

    faulty: Faulty
    name: str
    target: object

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(
            self.faulty.call,
            f"{self.name}.{method}",
            getattr(self.target, method),
        )


class Faulty:
    """Ports, and a journal, with faults; ``calls`` are those made so far.

    The journal's calls are counted with those of the ports, since a kill
    may come there too.
    """

    def __init__(
        self,
        ports: Ports,
        journal: Journal | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        """Wrap ports and journal; without faults, just watch."""
        self.ports = Ports(
            images=cast("ImageService", self._watch("images", ports.images)),
            volumes=cast(
                "VolumeService", self._watch("volumes", ports.volumes)
            ),
            array=cast("ArrayBackend", self._watch("array", ports.array)),
        )
        self.journal = (
            None
            if journal is None
            else cast("Journal", self._watch("journal", journal))
        )
        self.calls: list[Call] = []
        self._faults = tuple(faults)
        self._fired: Counter[int] = Counter()
        self._killed: Kill | None = None

    def _watch(self, name: str, target: object) -> _Watched:
        return _Watched(self, name, target)

    def restart(self) -> None:
        """Be a new process after a kill; calls are counted on."""
        self._killed = None

    def call(
        self,
        name: str,
        method: Callable[..., Any],
        /,
        *arguments: object,
        **keywords: object,
    ) -> object:
        """Make one call, or fail as was planned."""
        if self._killed is not None:
            raise self._killed
        fault = self._fault(len(self.calls), name)
        self.calls.append(Call(name, (*arguments, *keywords.values())))
        if fault is not None and not fault.after:
            self._fail(fault)
        try:
            result = method(*arguments, **keywords)
        except AdapterError:
            if fault is not None:
                self._fail(fault)
            raise
        if isinstance(result, Iterator):
            return self._broken_off(result, fault)
        if fault is not None:
            self._fail(fault)
        return result

    def _fault(self, number: int, name: str) -> Fault | None:
        for at, fault in enumerate(self._faults):
            if fault.at == number or (
                fault.at == name and self._fired[at] < fault.times
            ):
                self._fired[at] += 1
                return fault
        return None

    def _fail(self, fault: Fault) -> NoReturn:
        if isinstance(fault.error, Kill):
            self._killed = fault.error
        raise fault.error

    def _broken_off(
        self, data: Iterator[bytes], fault: Fault | None
    ) -> Iterator[bytes]:
        yield from data
        if fault is not None:
            self._fail(fault)
