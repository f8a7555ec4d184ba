"""Create, open, measure, remove and sync files."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

PathLike: TypeAlias = "str | os.PathLike[str]"

UNNAMED = ".spool-"
"""Prefix of an unnamed file's name while it still has one."""


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
    with closing(_open_unnamed(directory)) as fd:
        yield fd


def _open_unnamed(directory: Path) -> int:
    flags = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
    try:
        return os.open(directory, flags, 0o600)
    except OSError:
        # this file system has no unnamed files: create one, remove its name
        path = directory / f"{UNNAMED}{uuid.uuid4()}"
    fd = create(path)
    try:
        remove(path)
    except BaseException:
        os.close(fd)
        raise
    return fd
