"""Calls of an array in a process of its own, which is killed in the middle.

The process is a new Python, which is told by pickle what to open and what to
call.  It kills itself when it has passed so many points: the calls and
returns of all functions, C's too.  A point is the same in every run, so that
a certificate is.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

import attrs

from clonepolicy import ArrayBackend
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._row import broken

_PATIENCE = 600
"""Seconds after which a call is taken for one that never ends."""
_PROGRAM = f"from {__name__} import main; main()"


@attrs.frozen
class Call:
    """What another process is to do."""

    again: Callable[[], ArrayBackend]
    """Opens the array there."""
    method: str
    arguments: tuple[object, ...]
    content: Content | None = None
    """Data that comes after the arguments."""


def can_be_sent(again: Callable[[], ArrayBackend] | None) -> bool:
    """Say whether another process can be told how to open an array."""
    try:
        pickle.dumps(again)
    except Exception:  # noqa: BLE001 - somebody else's object may fail in any way
        return False
    return again is not None


def make(call: Call, *, die_at: int = 0) -> int | None:
    """Have a process make a call, and die at some point; 0: at none.

    Returns:
        How many points it passed; None: it died.
    """
    path = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(  # noqa: S603 - this Python
            [sys.executable, "-c", _PROGRAM],
            input=pickle.dumps((call, die_at)),
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        broken(
            f"{call.method} has taken {_PATIENCE} seconds in another process: "
            "does it wait for one that was killed?"
        )
    if done.returncode == -signal.SIGKILL:
        return None
    said = done.stdout.split()
    if done.returncode or not said:
        *_, last = done.stderr.decode(errors="replace").splitlines() or [""]
        broken(f"another process cannot do it: {last}")
    return int(said[-1])


def main() -> None:
    """Do what standard input says, and say how many points were passed."""
    call, die_at = pickle.load(sys.stdin.buffer)  # noqa: S301 - the kit wrote it
    array = call.again()
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
