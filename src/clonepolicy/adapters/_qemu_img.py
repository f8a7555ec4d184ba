"""qemu-img, run within bounds: what it reads is somebody else's data."""

from __future__ import annotations

import math
import os
import re
import subprocess
from collections.abc import Iterable

from clonepolicy import GiB, UnavailableError

_ADDRESS_SPACE = 1 << 21
"""KiB."""
_TIMEOUT = 10
"""Seconds of waiting for each of processor time."""
_FULL = re.compile("No space left|Disk quota exceeded")


def run(
    program: str, *arguments: str, fds: Iterable[int], size: int = 0
) -> tuple[int, str]:
    """Run qemu-img; give its exit code, and what it said of an error.

    Processor time, memory and waiting are bounded, by the size in bytes of
    what it has to do.

    Raises:
        UnavailableError: it took too long, or there is no space left.
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
    said = done.stderr.decode(errors="replace").strip()
    if _FULL.search(said):
        message = "no space left; delete something or use another pool"
        raise UnavailableError(message)
    return done.returncode, said
