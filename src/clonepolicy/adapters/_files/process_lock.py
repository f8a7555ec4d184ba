"""The lock file of a process, by which others see that it is alive."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import uuid
from pathlib import Path

from clonepolicy.adapters._files import paths

_TOKEN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ProcessLock:
    """A lock file that names the unfinished work of this process.

    Records of unfinished work carry the file's name, the token.  The kernel
    frees the lock when the process ends.  The file is made when the token is
    first asked for, so a process that only reads writes nothing.
    """

    def __init__(self, directory: Path) -> None:
        """Take the directory of the lock files."""
        self.directory = directory
        self._turn = threading.Lock()
        self._held: tuple[str, int] | None = None

    @property
    def token(self) -> str:
        """The name of this process's file; raises `OSError`."""
        with self._turn:
            if self._held is None:
                self._held = _acquire(self.directory)
            return self._held[0]

    def release(self) -> None:
        """Remove the file, if there is one, and free the lock."""
        with self._turn:
            if self._held is not None:
                token, fd = self._held
                self._held = None
                # a file that stays is removed by the next repair
                with paths.closing(fd), contextlib.suppress(OSError):
                    (self.directory / token).unlink()

    def is_own(self, token: object) -> bool:
        """Return whether a token is this process's."""
        return self._held is not None and token == self._held[0]

    def is_dead(self, token: object) -> bool:
        """Return whether a token is of a process that does not run.

        False for a value that no process can have written as its token.
        """
        if not is_token(token) or self.is_own(token):
            return False
        return _is_free(self.directory / str(token))

    def remove_stale(self) -> None:
        """Remove the lock files of dead processes, and no other file."""
        for path in self.directory.iterdir():
            if self.is_dead(path.name):
                _is_free(path, remove=True)


def is_token(value: object) -> bool:
    """Return whether a value can be the token of a process."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _acquire(directory: Path) -> tuple[str, int]:
    """Create and lock a file with a new token."""
    while True:
        token = str(uuid.uuid4())
        path = directory / token
        fd = paths.create(path)
        # remove_stale may have come between creating and locking it
        if _lock(fd, fcntl.LOCK_EX) and _is_at(fd, path):
            return token, fd
        os.close(fd)


def _lock(fd: int, kind: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    return False


def _is_at(fd: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def _is_free(path: Path, *, remove: bool = False) -> bool:
    """Return whether nobody holds the lock of a file; remove it if so."""
    try:
        fd = os.open(path, paths.READ)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it may be alive
    with paths.closing(fd):
        # a shared lock: two processes that ask at once must not both see one
        free = _lock(fd, fcntl.LOCK_SH)
        found = os.fstat(fd)
        # a lock file is regular and empty
        if free and remove and paths.is_empty_file(found):
            path.unlink(missing_ok=True)
        return free
