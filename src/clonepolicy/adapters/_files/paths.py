"""Create, open, measure, remove and sync files; translate their errors."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from clonepolicy import (
    AdapterError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)

PathLike: TypeAlias = "str | os.PathLike[str]"

UNNAMED = ".spool-"
"""Prefix of an unnamed file's name while it still has one."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PERMISSION = "permission denied; check who may read and write there"
_REMEDIES = {
    errno.EFBIG: (
        "the file system cannot store a file that large; make it smaller or "
        "use another pool"
    ),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "the file system is read-only; remount it read-write",
    errno.EIO: "I/O error; check the disk and the system's log",
}
_MARK = "_clonepolicy_passthrough"
"""The attribute that `passthrough` sets on an error."""


@contextlib.contextmanager
def closing(fd: int) -> Iterator[int]:
    """Close a file descriptor at the end of a block."""
    try:
        yield fd
    finally:
        os.close(fd)


def create(path: Path) -> int:
    """Create and open an empty file; raise `FileExistsError` if it exists."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def open_read(path: Path) -> int:
    """Open a file for reading."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def size_of(path: Path) -> int | None:
    """Return a file's size in bytes; None if it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def bytes_on_disk(path: Path) -> int:
    """Return the bytes that a file occupies; 0 if it does not exist."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def remove(path: Path) -> bool:
    """Remove a file if it exists; return whether it existed."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def sync(path: Path) -> None:
    """Sync a file's content, or a directory's entries, to disk."""
    with closing(open_read(path)) as fd:
        os.fsync(fd)


@contextlib.contextmanager
def unnamed(directory: Path) -> Iterator[int]:
    """Open a file that has no name; the kernel frees it when it is closed."""
    path = None
    try:
        fd = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        # this file system has no unnamed files: create one, remove its name
        path = directory / f"{UNNAMED}{uuid.uuid4()}"
        fd = create(path)
    with closing(fd):
        if path is not None:
            remove(path)
        yield fd


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise an `OSError` of a block as an `AdapterError`.

    The message begins with ``action``.  Errors that `passthrough` marked
    are raised unchanged.
    """
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        if _MARK in vars(error):
            raise
        raise _translate(action, error) from error


def passthrough(data: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a caller's data; `translate_errors` leaves its errors alone."""
    try:
        yield from data
    except (OSError, UnicodeEncodeError) as error:
        vars(error)[_MARK] = True
        raise


def _translate(
    action: str, error: OSError | UnicodeEncodeError
) -> AdapterError:
    if isinstance(error, UnicodeEncodeError):
        message = f"{action}: no file or record can have such a name"
        return NotFoundError(message)
    if isinstance(error, FileNotFoundError):
        missing = error.filename or "the data"
        return NotFoundError(f"{action}: {missing} does not exist")
    if isinstance(error, FileExistsError):
        message = f"{action}: data exists already; discard it first"
        return ConflictError(message)
    if error.errno in _FULL:
        return UnavailableError(
            f"{action}: no space left; delete something or use another pool"
        )
    why = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return UnavailableError(f"{action}: {why}")
