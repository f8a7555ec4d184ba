"""The commands of qemu-img that the array needs.

Each command names every file and its format, so that qemu-img neither
guesses a format nor follows a reference in a header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from clonepolicy import ConflictError, UnavailableError
from clonepolicy.adapters import _qemu_img
from clonepolicy.adapters.qcow2._header import File, format_of

_LOCKED = re.compile(r"Failed to (?:get .*lock|lock byte).*")

_Node: TypeAlias = "dict[str, str | _Node] | None"


def create(
    path: Path, size: int, layer: str | None = None, *, lock: int
) -> None:
    """Create a file of ``size`` bytes without data, maybe on a layer.

    qemu-img does not look at the layer.  It keeps ``lock`` open while it
    runs, so that the lock stays even if the calling process dies.
    """
    rests: tuple[str, ...] = ()
    if layer is not None:
        rests = ("-u", "-b", layer, "-F", format_of(layer))
    command = ("create", "-q", "-f", "qcow2", *rests, str(path), str(size))
    _run(*command, fds=(lock,))


def convert(chain: Sequence[File], kind: str, fd: int) -> None:
    """Copy a disk into an open file of the same size that is all zeros."""
    _run(
        *("convert", "-n", "--target-is-zero", "-O", kind),
        *(_describe(chain), f"/proc/self/fd/{fd}"),
        fds=[fd, *(file.fd for file in chain)],
        size=chain[0].size,
    )


def check_unused(file: File) -> None:
    """Raise `ConflictError` if a process has a volume open for writing."""
    _run("info", _describe([file]), fds=(file.fd,))


def resize(chain: Sequence[File], size: int, *, lock: int) -> None:
    """Grow a file to ``size`` bytes; keep ``lock`` as `create` does."""
    fds = [lock, *(file.fd for file in chain)]
    _run("resize", "-q", _describe(chain), str(size), fds=fds)


def _describe(chain: Sequence[File]) -> str:
    """Describe a chain of open files as a block node in JSON."""
    node: _Node = None
    for file in reversed(chain):
        path = f"/proc/self/fd/{file.fd}"
        below = {"backing": node} if file.format == "qcow2" else {}
        node = {
            "driver": file.format,
            "file": {"driver": "file", "filename": path},
            **below,
        }
    return f"json:{json.dumps(node)}"


def _run(*arguments: str, fds: Iterable[int], size: int = 0) -> None:
    """Run qemu-img; raise its failure as an `AdapterError`."""
    program = _qemu_img.find("Qcow2Array")
    code, output = _qemu_img.run(program, *arguments, fds=fds, size=size)
    if not code:
        return
    if locked := _LOCKED.search(output):
        message = (
            f"another process has the volume open: {locked[0]}; detach it "
            "first, or wait until it is closed"
        )
        raise ConflictError(message)
    message = (
        f"qemu-img {arguments[0]} failed ({code}): {output or 'no output'}"
    )
    raise UnavailableError(message)
