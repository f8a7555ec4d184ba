"""qemu-img, which is told every format and every file, and guesses none."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from clonepolicy import (
    ConflictError,
    GiB,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.qcow2._file import File, format_of

_ADDRESS_SPACE = 1 << 21
"""KiB."""
_TIMEOUT = 10
"""Seconds of waiting for each of processor time."""
_LOCKED = re.compile(r"Failed to (?:get .*lock|lock byte).*")
_FULL = re.compile("No space left|Disk quota exceeded")

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
    """Run qemu-img; time and memory are bounded, whatever it reads."""
    found = shutil.which("qemu-img")
    if found is None:
        message = (
            "qcow2 volumes take qemu-img, which is not installed; install "
            "qemu-utils"
        )
        raise UnsupportedError(message)
    seconds = 60 + 60 * math.ceil(size / GiB)
    limits = f"ulimit -t {seconds} && ulimit -v {_ADDRESS_SPACE}"
    command = ("/bin/sh", "-c", f'{limits} && exec "$@"', "sh", found)
    try:
        done = subprocess.run(  # noqa: S603 - no name comes from outside
            [*command, *arguments],
            pass_fds=tuple(fds),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT * seconds,
            env={**os.environ, "LC_ALL": "C"},
            umask=0o077,
        )
    except subprocess.TimeoutExpired as error:
        message = (
            f"qemu-img took longer than {_TIMEOUT * seconds} s; try again"
        )
        raise UnavailableError(message) from error
    if not done.returncode:
        return
    said = done.stderr.decode(errors="replace").strip()
    if _FULL.search(said):
        message = "no space left; delete something or use another pool"
        raise UnavailableError(message)
    if locked := _LOCKED.search(said):
        message = (
            f"another process has the volume open: {locked[0]}; detach it "
            "first, or wait until that is done"
        )
        raise ConflictError(message)
    message = (
        f"qemu-img {arguments[0]} failed ({done.returncode}): "
        f"{said or 'it said nothing'}"
    )
    raise UnavailableError(message)
