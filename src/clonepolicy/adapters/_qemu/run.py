"""Find and run qemu-img."""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from clonepolicy import GiB, UnavailableError, UnsupportedError
from clonepolicy.adapters._qemu import confine

Node: TypeAlias = "Mapping[str, str | Node | None]"
"""A block node of QEMU: a driver, and the nodes below it."""

_ADDRESS_SPACE = 1 << 21
"""In KiB."""
_SIGNALLED = 128
"""What bubblewrap adds to the number of a signal."""
_TIMEOUT = 10
"""Seconds to wait for each second of processor time."""
_FULL = re.compile("No space left|Disk quota exceeded")


def find_qemu_img(purpose: str) -> str:
    """Find qemu-img; raise `UnsupportedError` if it is not installed."""
    found = shutil.which("qemu-img")
    if found is None:
        raise UnsupportedError(
            f"{purpose} needs qemu-img, which is not installed; install "
            "qemu-utils"
        )
    return found


def path_of(fd: int) -> str:
    """Return a name by which a program that inherits a file can open it."""
    return f"/proc/self/fd/{fd}"


def file_node(fd: int) -> Node:
    """Describe an open file as a block node."""
    return {"driver": "file", "filename": path_of(fd)}


def in_json(node: Node | None) -> str:
    """Write a block node as a file name for qemu-img."""
    return f"json:{json.dumps(node)}"


@functools.cache
def bubblewrap() -> tuple[str, ...]:
    """Return a command that confines programs where there is no Landlock.

    Empty: it is not needed, not installed, or not allowed to this user.
    """
    program = shutil.which("bwrap")
    if confine.landlock() or program is None:
        return ()
    views = (("--ro-bind-try", path, path) for path in confine.SYSTEM)
    command = (
        *(program, "--unshare-all", "--die-with-parent"),
        *("--proc", "/proc", "--dev", "/dev", *itertools.chain(*views)),
    )
    tried = subprocess.run(  # noqa: S603 - as below
        [*command, "true"], capture_output=True, check=False
    )
    return () if tried.returncode else command


def run_qemu_img(
    program: str, *arguments: str, fds: Iterable[int], size: int = 0
) -> tuple[int, str]:
    """Run qemu-img; return its exit code with its output, or with its errors.

    It can open the files in ``fds`` by `path_of`, and no other file where
    there is Landlock or `bubblewrap`.  The size of the work in bytes limits
    processor time and waiting time; memory has a fixed limit.

    Raises:
        UnavailableError: it took too long, needed too much memory, could
            not be confined, or no space is left.
    """
    seconds = 60 + 60 * math.ceil(size / GiB)
    fds, wrap = tuple(fds), bubblewrap()
    command = [
        *(sys.executable, "-I", "-S", confine.__file__),
        *(str(seconds), str(_ADDRESS_SPACE), ",".join(map(str, fds))),
        *((*wrap, "--ro-bind", program, program) if wrap else ()),
        *(program, *arguments),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - no name comes from outside
            command,
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT * seconds,
            env={**os.environ, "LC_ALL": "C"},
            umask=0o077,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"qemu-img took longer than {_TIMEOUT * seconds:g} s; try again"
        ) from error
    if not done.returncode:
        return 0, done.stdout.decode(errors="replace")
    output = done.stderr.decode(errors="replace").strip()
    if done.returncode == confine.EXIT:
        raise UnavailableError(output)
    if _FULL.search(output):
        message = "no space left; delete something or use another pool"
        raise UnavailableError(message)
    if done.returncode < 0 or done.returncode > _SIGNALLED:
        message = (
            f"qemu-img was killed ({done.returncode}); it may use {seconds} s "
            f"of processor time and {_ADDRESS_SPACE >> 10} MiB of memory"
        )
        raise UnavailableError(message)
    return done.returncode, output
