"""A lock file for each open cloud shows whether its process is alive."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

import attrs

from clonepolicy.adapters._files.paths import closing, create


@attrs.frozen
class ProcessLock:
    """A lock file that this process holds, and that names its work.

    Records of unfinished work carry the file's name, the token.  The kernel
    frees the lock when the process ends.
    """

    token: str
    directory: Path
    _fd: int

    @classmethod
    def acquire(cls, directory: Path) -> ProcessLock:
        """Create and lock a file with a new token."""
        while True:
            token = str(uuid.uuid4())
            path = directory / token
            fd = create(path)
            # remove_stale may have come between creating and locking it
            if _lock(fd, fcntl.LOCK_EX) and _is_at(fd, path):
                return cls(token, directory, fd)
            os.close(fd)

    def release(self) -> None:
        """Remove the file and free the lock."""
        (self.directory / self.token).unlink(missing_ok=True)
        os.close(self._fd)

    def is_dead(self, token: str) -> bool:
        """Return whether no process holds a token's lock."""
        return token != self.token and _is_free(self.directory / token)

    def remove_stale(self) -> None:
        """Remove the lock files of dead processes."""
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
    with closing(fd):
        # shared, so that two processes that ask at once do not see each other
        free = _lock(fd, fcntl.LOCK_SH)
        if free and remove:
            path.unlink(missing_ok=True)
        return free
