"""qemu-img, which is told every format and every file, and guesses none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from clonepolicy import (
    ConflictError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters import _qemu_img
from clonepolicy.adapters.qcow2._file import File, format_of

_LOCKED = re.compile(r"Failed to (?:get .*lock|lock byte).*")

_Node: TypeAlias = "dict[str, str | _Node] | None"


def create(
    path: Path, size: int, layer: str | None = None, *, lock: int
) -> None:
    """Make an empty file, on a layer if one is given.

    The layer is not looked at.  ``lock`` is held as long as this is at work,
    also if whoever asked for it dies.
    """
    rests: tuple[str, ...] = ()
    if layer is not None:
        rests = ("-u", "-b", layer, "-F", format_of(layer))
    command = ("create", "-q", "-f", "qcow2", *rests, str(path), str(size))
    _run(*command, fds=(lock,))


def convert(chain: Sequence[File], kind: str, fd: int) -> None:
    """Write all of a file into an open one that is as large and all zeros."""
    _run(
        *("convert", "-n", "--target-is-zero", "-O", kind),
        *(_describe(chain), f"/proc/self/fd/{fd}"),
        fds=[fd, *(file.fd for file in chain)],
        size=chain[0].size,
    )


def check_unused(file: File) -> None:
    """Raise `ConflictError` if a process has a volume open to write."""
    _run("info", _describe([file]), fds=(file.fd,))


def resize(chain: Sequence[File], size: int, *, lock: int) -> None:
    """Grow a file; ``lock`` is held as in `create`."""
    fds = [lock, *(file.fd for file in chain)]
    _run("resize", "-q", _describe(chain), str(size), fds=fds)


def _describe(chain: Sequence[File]) -> str:
    """Name open files, so that qemu-img follows no header's reference."""
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
    """Run qemu-img, and raise what it says as our own."""
    found = shutil.which("qemu-img")
    if found is None:
        message = (
            "qcow2 volumes take qemu-img, which is not installed; install "
            "qemu-utils"
        )
        raise UnsupportedError(message)
    code, said = _qemu_img.run(found, *arguments, fds=fds, size=size)
    if not code:
        return
    if locked := _LOCKED.search(said):
        message = (
            f"another process has the volume open: {locked[0]}; detach it "
            "first, or wait until that is done"
        )
        raise ConflictError(message)
    message = (
        f"qemu-img {arguments[0]} failed ({code}): {said or 'it said nothing'}"
    )
    raise UnavailableError(message)
