"""Ports that fail, or kill the process, at a chosen call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import attrs

from clonepolicy import AdapterError
from clonepolicy.ports import Journal, Ports

__all__ = ["Call", "Fault", "Faulty", "Kill"]


class Kill(BaseException):
    """A kill of the process: every later call raises it again."""


@attrs.frozen
class Fault:
    """An error to raise at a call."""

    at: int | str
    """The number of the call, from 0, or the name of a method, as in
    ``images.verify_location``."""
    error: BaseException
    after: bool = False
    """Whether the call takes effect first, so that only its answer is lost.
    An iterator of data raises the error after its last piece."""
    times: int = 1
    """How many calls of a named method fail, from the first one on."""


@attrs.frozen
class Call:
    """A call of a port or the journal."""

    name: str
    """The method, as in ``images.verify_location``."""
    arguments: tuple[object, ...]


@attrs.define
class _Watched:
    """A port whose every call goes through `Faulty.call`."""

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
    """Wraps ports and a journal, records every call, and injects faults.

    Attributes:
        ports: the wrapped ports.
        journal: the wrapped journal, if there is one.
        calls: all calls so far.  The journal's are among them, since a kill
            may hit them, too.
    """

    def __init__(
        self,
        ports: Ports,
        journal: Journal | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        """Wrap ports and a journal; without faults, only record calls."""
        self.ports = Ports(
            images=self._watch("images", ports.images),
            volumes=self._watch("volumes", ports.volumes),
            array=self._watch("array", ports.array),
        )
        self.journal: Journal | None = None
        if journal is not None:
            self.journal = self._watch("journal", journal)
        self.calls: list[Call] = []
        self._faults = tuple(faults)
        self._fired: Counter[int] = Counter()
        self._killed: Kill | None = None

    def _watch(self, name: str, target: object) -> Any:  # noqa: ANN401 - it stands for any port
        return _Watched(self, name, target)

    def restart(self) -> None:
        """Work again after a kill, as a new process; keep counting calls."""
        self._killed = None

    def call(
        self,
        name: str,
        method: Callable[..., Any],
        /,
        *arguments: object,
        **keywords: object,
    ) -> object:
        """Make one call, or raise its fault."""
        if self._killed is not None:
            raise self._killed
        fault = self._fault(len(self.calls), name)
        self.calls.append(Call(name, (*arguments, *keywords.values())))
        if fault is not None and not fault.after:
            self._fail(fault)
        try:
            result = method(*arguments, **keywords)
        except AdapterError:
            self._fail(fault)
            raise
        if isinstance(result, Iterator):
            return self._interrupted(result, fault)
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

    def _fail(self, fault: Fault | None) -> None:
        if fault is None:
            return
        if isinstance(fault.error, Kill):
            self._killed = fault.error
        raise fault.error

    def _interrupted(
        self, data: Iterator[bytes], fault: Fault | None
    ) -> Iterator[bytes]:
        yield from data
        self._fail(fault)
