"""Count what a volume manager asks of other services, request by request."""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import attrs
import requests
import sqlalchemy
from cinder.volume import driver as base
from oslo_messaging.rpc import client as rpc

_KEYSTONE = ("/auth/tokens", "/v3", "/v3/")
_NO_REQUESTS = frozenset({"set_initialized", "get_version", "set_throttle"})


@attrs.define
class Trace:
    """One request to the volume manager, with everything that it asked."""

    operation: str
    subject: str
    """The id of the volume."""
    seconds: float = 0.0
    asked: list[tuple[str, str, float]] = attrs.field(factory=list)
    """Kind, what was asked, and the seconds from the start to the answer."""
    began: float = attrs.field(factory=time.time)
    _started: float = attrs.field(factory=time.perf_counter, init=False)

    def note(self, kind: str, what: str) -> None:
        """Add one request, which has just been answered."""
        at = time.perf_counter() - self._started
        self.asked.append((kind, what, at))

    def end(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._started

    def count(self) -> Counter[str]:
        """Count the requests by kind; a commit is a transaction."""
        return Counter(
            "transactions" if what == "COMMIT" else kind
            for kind, what, _ in self.asked
        )

    def listed(self) -> str:
        """Write one line for each request."""
        return "\n".join(
            f"{at * 1e3:8.1f} ms  {kind:9} {what[:120]}"
            for kind, what, at in self.asked
        )


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextlib.contextmanager
def traced(
    operation: str, subject: str, done: Callable[[Trace], None]
) -> Iterator[None]:
    """Trace a block, unless it is part of one that is traced."""
    if _current.get() is not None:
        yield
        return
    trace = Trace(operation, subject)
    token = _current.set(trace)
    try:
        yield
    finally:
        trace.end()
        _current.reset(token)
        done(trace)


def note(kind: str, what: str) -> None:
    """Note one request that has just been answered, if one is traced."""
    trace = _current.get()
    if trace is not None:
        trace.note(kind, what)


@functools.cache
def watch() -> None:
    """Watch HTTP, RPC and the database from now on, once in a process."""
    _wrap(requests.Session, "send", _http)
    _wrap(rpc._BaseCallContext, "call", _rpc)
    engine = sqlalchemy.Engine
    sqlalchemy.event.listen(engine, "after_cursor_execute", _statement)
    sqlalchemy.event.listen(engine, "commit", lambda _: note(*_COMMIT))


_COMMIT = ("database", "COMMIT")


def _wrap(
    owner: Any, name: str, describe: Callable[..., tuple[str, str]]
) -> None:
    asked = getattr(owner, name)

    @functools.wraps(asked)
    def noted(*args: Any, **kwargs: Any) -> Any:
        try:
            return asked(*args, **kwargs)
        finally:
            note(*describe(*args, **kwargs))

    setattr(owner, name, noted)


def _http(_session: object, request: Any, **_: object) -> tuple[str, str]:
    path = request.path_url.partition("?")[0]
    kind = "keystone" if path.endswith(_KEYSTONE) else "glance"
    return kind, f"{request.method} {path}"


def _rpc(_context: object, _ctxt: object, method: str, **_: object) -> Any:
    return "scheduler", method


def _statement(*about: Any) -> None:
    if about[2] != "BEGIN":  # sqlite's, as the first of each transaction
        note("database", " ".join(about[2].split()))


def watch_driver(driver: Any) -> None:
    """Watch a driver's calls, but not those that it makes of itself."""
    for name, _ in inspect.getmembers(base.VolumeDriver, callable):
        known = hasattr(driver, name) and name not in _NO_REQUESTS
        if known and not name.startswith("_"):
            _watch_method(driver, name)


def _watch_method(driver: Any, name: str) -> None:
    called = getattr(driver, name)

    @functools.wraps(called)
    def noted(*args: Any, **kwargs: Any) -> Any:
        try:
            return called(*args, **kwargs)
        finally:
            note("array", name)

    vars(driver)[name] = noted
