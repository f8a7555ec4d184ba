"""Calls of an array in another process, which can be killed on the way.

The other process is a new Python; pickle carries the call to it.  It kills
itself at a given point.  Points are the calls and returns of all functions,
also those of C; the same call passes the same points in every run, so that
results can be repeated.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

import attrs

from clonepolicy.ports import ArrayBackend
from clonepolicy.testing.conformance._check import fail
from clonepolicy.testing.conformance._fixture import Content

_TIMEOUT = 600
"""Seconds after which a call is taken for one that never returns."""
_PROGRAM = f"from {__name__} import main; main()"


@attrs.frozen
class Call:
    """A call that another process makes."""

    reopen: Callable[[], ArrayBackend]
    """Open the array there."""
    method: str
    arguments: tuple[object, ...]
    content: Content | None = None
    """Data that is passed in pieces, as the last argument."""


def can_be_sent(reopen: Callable[[], ArrayBackend] | None) -> bool:
    """Say whether pickle can carry this function to another process."""
    try:
        pickle.dumps(reopen)
    except Exception:  # noqa: BLE001 - an author's object may fail in any way
        return False
    return reopen is not None


def call_elsewhere(call: Call, *, die_at: int = 0) -> int | None:
    """Have another process make a call and die at a point; 0: never.

    Returns:
        How many points it passed; None: it was killed.
    """
    path = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(  # noqa: S603 - this Python
            [sys.executable, "-c", _PROGRAM],
            input=pickle.dumps((call, die_at)),
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        fail(
            f"{call.method} has not returned after {_TIMEOUT} seconds in "
            "another process: it may wait for a process that was killed"
        )
    if done.returncode == -signal.SIGKILL:
        return None
    output = done.stdout.split()
    if done.returncode or not output:
        *_, last = done.stderr.decode(errors="replace").splitlines() or [""]
        fail(f"{call.method} failed in another process: {last}")
    return int(output[-1])


def main() -> None:
    """Make the call from standard input; print how many points it passed."""
    call, die_at = pickle.load(sys.stdin.buffer)  # noqa: S301 - the kit wrote it
    array = call.reopen()
    arguments = list(call.arguments)
    if call.content is not None:
        arguments.append(call.content.pieces())
    passed = 0

    def count(*_: object) -> None:
        nonlocal passed
        passed += 1
        if passed == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    method = getattr(array, call.method)
    sys.setprofile(count)
    try:
        method(*arguments)
    finally:
        sys.setprofile(None)
    sys.stdout.write(f"{passed}\n")
