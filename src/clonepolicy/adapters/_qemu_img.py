"""Run qemu-img within limits, because images may be malicious."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable

from clonepolicy import GiB, UnavailableError, UnsupportedError

_ADDRESS_SPACE = 1 << 21
"""In KiB."""
_TIMEOUT = 10
"""Seconds to wait for each second of processor time."""
_FULL = re.compile("No space left|Disk quota exceeded")


def find(purpose: str) -> str:
    """Find qemu-img; raise `UnsupportedError` if it is not installed."""
    found = shutil.which("qemu-img")
    if found is None:
        message = (
            f"{purpose} needs qemu-img, which is not installed; install "
            "qemu-utils"
        )
        raise UnsupportedError(message)
    return found


def run(
    program: str, *arguments: str, fds: Iterable[int], size: int = 0
) -> tuple[int, str]:
    """Run qemu-img; return its exit code and its error output.

    The size of the work in bytes limits processor time and waiting time;
    memory has a fixed limit.

    Raises:
        UnavailableError: it took too long, or no space is left.
    """
    seconds = 60 + 60 * math.ceil(size / GiB)
    limits = f"ulimit -t {seconds} && ulimit -v {_ADDRESS_SPACE}"
    command = ("/bin/sh", "-c", f'{limits} && exec "$@"', "sh", program)
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
            f"qemu-img took longer than {_TIMEOUT * seconds:g} s; try again"
        )
        raise UnavailableError(message) from error
    if not done.returncode:
        return 0, ""
    output = done.stderr.decode(errors="replace").strip()
    if _FULL.search(output):
        message = "no space left; delete something or use another pool"
        raise UnavailableError(message)
    return done.returncode, output
