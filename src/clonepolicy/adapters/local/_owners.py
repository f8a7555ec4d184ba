"""Who is alive: a lock file per open cloud, let go by the kernel."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

import attrs


@attrs.frozen
class Owner:
    """This process's claim on what it has begun: a token and its lock."""

    token: str
    directory: Path
    _fd: int

    @classmethod
    def enter(cls, directory: Path) -> Owner:
        """Take a token of which nobody else can say that it is free."""
        while True:
            token = str(uuid.uuid4())
            path = directory / token
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(path, flags, 0o600)
            # whoever tidies may have come between making and locking it
            if _lock(fd, fcntl.LOCK_EX) and _is_at(fd, path):
                return cls(token, directory, fd)
            os.close(fd)

    def leave(self) -> None:
        """Let the token go."""
        (self.directory / self.token).unlink(missing_ok=True)
        os.close(self._fd)

    def is_dead(self, token: str) -> bool:
        """Say whether nobody holds a token any more."""
        return token != self.token and _is_free(self.directory / token)

    def tidy(self) -> None:
        """Remove the lock files of the dead."""
        for path in self.directory.iterdir():
            if path.name != self.token:
                _is_free(path, remove=True)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _is_free(path: Path, *, remove: bool = False) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        # shared, so that two who ask at once both get the same answer
        free = _lock(fd, fcntl.LOCK_SH)
        if free and remove:
            path.unlink(missing_ok=True)
        return free
    finally:
        os.close(fd)
