"""A Block Storage API that knows volumes and their sizes."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Iterator

import attrs
from http_server import QuietHandler, serving

_TIMEOUT = 60


@attrs.define
class VolumeApi:
    """The part of the Block Storage API that Glance uses."""

    url: str = ""
    sizes: dict[str, int] = attrs.field(factory=dict)
    types: dict[str, str] = attrs.field(factory=dict)
    deleted: list[str] = attrs.field(factory=list)
    asked: threading.Event = attrs.field(factory=threading.Event)
    open: threading.Event = attrs.field(factory=threading.Event)
    """While this is not set, nothing is answered."""

    def add_volume(self, volume_type: str = "fast") -> str:
        """Add a volume of 1 GiB; return its id."""
        volume_id = str(uuid.uuid4())
        self.sizes[volume_id] = 1
        self.types[volume_id] = volume_type
        return volume_id

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Answer nothing while the context is open."""
        self.asked.clear()
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()


@contextlib.contextmanager
def running_volume_api() -> Iterator[VolumeApi]:
    """Run the API on a free port."""
    api = VolumeApi()
    api.open.set()

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the server calls it
            api.asked.set()
            api.open.wait(_TIMEOUT)
            name = self.path.rsplit("/", maxsplit=1)[-1]
            if name == "default":
                kind = {"id": "1", "name": "fast"}
                self.answer(200, json.dumps({"volume_type": kind}).encode())
            elif name in api.sizes:
                volume = {
                    "id": name,
                    "size": api.sizes[name],
                    "metadata": {},
                    "volume_type": api.types.get(name, "fast"),
                }
                self.answer(200, json.dumps({"volume": volume}).encode())
            else:
                self.answer(404, b"{}")

        def do_DELETE(self) -> None:  # noqa: N802 - the same
            api.deleted.append(self.path.rsplit("/", maxsplit=1)[-1])
            self.answer(202, b"")

    with serving(Handler) as api.url:
        yield api
