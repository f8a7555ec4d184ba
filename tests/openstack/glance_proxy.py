"""A proxy before Glance that injects faults."""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest
from http_server import QuietHandler, serving

if TYPE_CHECKING:
    from glance_server import Glance


@attrs.frozen
class Reply:
    """Glance's answer."""

    status: int
    body: bytes
    content_type: str


Ask: TypeAlias = Callable[[], Reply]
Fault: TypeAlias = Callable[[Any, Ask], None]


def lost_request(handler: QuietHandler, _ask: Ask) -> None:
    """Close the connection before Glance gets the request."""
    handler.hang_up()


def lost_answer(handler: QuietHandler, ask: Ask) -> None:
    """Close the connection after Glance has answered."""
    ask()
    handler.hang_up()


def answering(status: int, body: bytes = b"") -> Fault:
    """Answer in place of Glance."""

    def fault(handler: QuietHandler, _ask: Ask) -> None:
        handler.answer(status, body, "text/plain")

    return fault


def changing(
    change: Callable[[bytes], bytes], *, keep_length: bool = False
) -> Fault:
    """Change the body; claim its new length, or keep the old one."""

    def fault(handler: QuietHandler, ask: Ask) -> None:
        reply = ask()
        length = len(reply.body) if keep_length else None
        body = change(reply.body)
        handler.answer(reply.status, body, reply.content_type, length)
        handler.hang_up()

    return fault


def doing(act: Callable[[], object]) -> Fault:
    """Run a function just before Glance gets the request."""

    def fault(handler: QuietHandler, ask: Ask) -> None:
        act()
        reply = ask()
        handler.answer(reply.status, reply.body, reply.content_type)

    return fault


@attrs.define
class Proxy:
    """A proxy before Glance, which injects faults."""

    glance: Glance | str
    url: str = ""
    seen: list[str] = attrs.field(factory=list)
    _faults: list[tuple[str, list[Fault]]] = attrs.field(factory=list)

    def inject(self, request: str, *faults: Fault) -> None:
        """Inject faults into the next requests that match ``METHOD path``."""
        self._faults.append((request, list(faults)))

    def always(self, request: str, fault: Fault) -> None:
        """Inject a fault into every request that matches."""
        self._faults.append((request, [fault] * 1000))

    @contextlib.contextmanager
    def disturbed(self, fault: Fault) -> Iterator[None]:
        """Inject a fault into every request in the block."""
        faults = self._faults
        self._faults = []
        self.always(".*", fault)
        try:
            yield
        finally:
            self._faults = faults

    def fault(self, request: str) -> Fault:
        """Return the fault for a request; without one it is passed on."""
        self.seen.append(request)
        for pattern, faults in self._faults:
            if faults and re.fullmatch(pattern, request):
                return faults.pop(0)
        return doing(lambda: None)

    def client(self, project: str, *roles: str) -> Any:
        """Make a client that goes through here."""
        assert not isinstance(self.glance, str)
        return self.glance.client(project, *roles, url=self.url)


@contextlib.contextmanager
def proxied(glance: Glance | str) -> Iterator[Proxy]:
    """Run a proxy before a Glance, or before a URL."""
    proxy = Proxy(glance)
    url = glance if isinstance(glance, str) else glance.url
    host, port = url.removeprefix("http://").split(":")

    class Handler(QuietHandler):
        def serve(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                data = self.unchunked()

            def ask() -> Reply:
                connection = http.client.HTTPConnection(host, int(port))
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name not in {"Transfer-Encoding", "Content-Length"}
                }
                connection.request(self.command, self.path, data, headers)
                answer = connection.getresponse()
                kind = answer.headers.get("Content-Type", "")
                reply = Reply(answer.status, answer.read(), kind)
                connection.close()
                return reply

            try:
                proxy.fault(f"{self.command} {self.path}")(self, ask)
            except ConnectionError:  # Glance itself has stopped
                self.hang_up()

        def unchunked(self) -> bytes:
            data = bytearray()
            while length := int(self.rfile.readline(), 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - their names there

    with serving(Handler) as proxy.url:
        yield proxy


@pytest.fixture
def proxy(glance: Glance) -> Iterator[Proxy]:
    """Return a proxy before the Glance with default options."""
    with proxied(glance) as running:
        yield running


@pytest.fixture
def open_proxy(open_glance: Glance) -> Iterator[Proxy]:
    """Return a proxy before the Glance that shows locations in images."""
    with proxied(open_glance) as running:
        yield running
