# ruff: noqa: ANN401 - librbd's bindings have no types
"""Work on an `RbdArray` in a process that is killed.

Usage: ``rbd_worker.py OPTIONS ACTION ...``, the options as JSON.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from rbd_support import image_record, source_content

from clonepolicy import RbdLocation, Volume
from clonepolicy.adapters import rbd as adapter
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.adapters.rbd import _pool as pool_module

_DEEP = os.environ.get("CLONEPOLICY_PROFILE") == "deep"


class _Worker:
    """The work of a process that is killed."""

    def __init__(self, array: RbdArray, location: RbdLocation) -> None:
        """Choose ids for one action."""
        self.array, self.location = array, location
        self.target, self.source = str(uuid.uuid4()), str(uuid.uuid4())

    def write(self, volume_id: str) -> None:
        """Write a volume."""
        content = source_content(volume_id)
        image = image_record("raw", content.size)
        self.array.write(volume_id, 1, image, content.pieces())

    def clone(self) -> None:
        """Clone the source to the target."""
        record = Volume(
            id=self.source, project_id="p", size=1, status="available"
        )
        self.array.clone_volume(self.target, record)

    def prepare(self, action: str) -> None:
        """Create the volumes that an action needs."""
        if action in {"clone_volume", "discard", "extend"}:
            self.write(self.source)
        if action in {"discard", "extend"}:
            self.clone()

    def act(self, action: str) -> None:
        """Carry the action out."""
        if action == "clone_volume":
            self.clone()
        elif action == "clone_image":
            self.array.clone_image(self.target, self.location)
        elif action == "write":
            self.write(self.target)
        elif action == "extend":
            self.array.extend(self.target, 3)
        else:
            self.array.discard(self.target)


def _die_at_line(line: int) -> None:
    """Kill this process before it runs a line of the adapter."""
    place, left = str(Path(adapter.__file__).parent), line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(place):
            return None
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def _job(
    options: dict[str, Any],
    action: str,
    location: RbdLocation,
    line: int | None,
    moment: float | None,
) -> dict[str, Any]:
    """Carry an action out in a new process, and kill it."""
    ready, begun = os.pipe()
    ids, send_ids = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            worker = _Worker(RbdArray(**options), location)
            worker.prepare(action)
            os.write(
                send_ids, json.dumps([worker.target, worker.source]).encode()
            )
            os.write(begun, b"!")
            if line is not None:
                _die_at_line(line)
            worker.act(action)
            sys.settrace(None)
            code = 0
        finally:
            os._exit(code)
    os.close(begun)
    os.close(send_ids)
    assert b"!" == os.read(ready, 1)
    start = time.monotonic()
    if moment is not None:
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    target, source = json.loads(os.read(ids, 1000))
    os.close(ready)
    os.close(ids)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return {
        "target": target,
        "source": source if action not in {"write", "clone_image"} else None,
        "killed": bool(status),
        "took": time.monotonic() - start,
    }


def _kill(
    options: dict[str, Any], action: str, how: str, location: RbdLocation
) -> list[dict[str, Any]]:
    """Kill an action at later and later lines or moments."""
    if how == "lines":
        jobs = []
        for line in itertools.count(1, 1 if _DEEP else 8):
            jobs.append(_job(options, action, location, line, None))
            if not jobs[-1]["killed"]:
                break
        return jobs
    whole = _job(options, action, location, None, None)
    count = 60 if _DEEP else 6
    return [
        whole,
        *(
            _job(options, action, location, None, whole["took"] * at / count)
            for at in range(count)
        ),
    ]


def _main(options: dict[str, Any], action: str, *more: str) -> None:
    options["image_pools"] = frozenset(options["image_pools"])
    if action == "kill":
        # import only: a connection would not survive the fork
        for name in ("rados", "rbd"):
            importlib.import_module(name)
        pool_module._LOCKED = 3
        what, how, location = more
        _, _, *parts = location.split("/")
        jobs = _kill(options, what, how, RbdLocation(*parts))
        sys.stdout.write(json.dumps(jobs))
        return
    source, *targets = more
    record = Volume(id=source, project_id="p", size=1, status="available")
    with RbdArray(**options) as array, ThreadPoolExecutor(4) as threads:
        for done in [
            threads.submit(array.clone_volume, target, record)
            for target in targets
        ]:
            done.result()


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]), *sys.argv[2:])
