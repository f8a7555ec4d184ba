"""Small HTTP servers for tests."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server on a free port; yield its URL."""
    server = ThreadingHTTPServer((LOOPBACK, 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}
    )
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class QuietHandler(BaseHTTPRequestHandler):
    """A handler of HTTP/1.1 requests that logs nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass

    def answer(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        length: int | None = None,
    ) -> None:
        """Send a whole answer; ``length`` replaces its true length."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        said = len(body) if length is None else length
        self.send_header("Content-Length", str(said))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Close the connection, as a crash does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
