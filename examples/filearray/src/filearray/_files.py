"""Files that exist completely or not at all, and translated errors."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from clonepolicy import (
    ConflictError,
    IntegrityError,
    LeftBehindError,
    NotFoundError,
    UnavailableError,
)

_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


@contextlib.contextmanager
def _translating_errors() -> Iterator[None]:
    """Translate errors of the operating system into adapter errors."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(str(error)) from error
    except FileExistsError as error:
        raise ConflictError(str(error)) from error
    except OSError as error:
        raise UnavailableError(str(error)) from error


def identify(directory: Path) -> str:
    """Return the identity of a directory; give it one if it has none."""
    mark = directory / ".array-id"
    with _translating_errors():
        # a symbolic link is created with its text in one step
        with contextlib.suppress(FileExistsError):
            mark.symlink_to(str(uuid.uuid4()))
        return str(mark.readlink())


def size_of(path: Path) -> int:
    """Return a file's size in bytes."""
    with _translating_errors():
        return path.stat().st_size


def pieces(path: Path) -> Iterator[bytes]:
    """Return a file's data; return holes as zeros without reading them."""
    with _translating_errors(), path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for at in range(0, size, _PIECE):
            length = min(_PIECE, size - at)
            if _is_hole(file.fileno(), at, length):
                yield _ZEROS[:length]
            else:
                yield os.pread(file.fileno(), length, at)


def _is_hole(fd: int, at: int, length: int) -> bool:
    """Say whether a part of a file has no data."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA) >= at + length
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return True  # there is no data up to the end of the file


def make(path: Path, size: int, data: Iterator[bytes]) -> None:
    """Make a file of all data, then zeros up to a size in bytes; or none."""
    made = path.with_suffix(".part")
    with _translating_errors():
        # only the call that creates this file may go on
        made.touch(0o600, exist_ok=False)
    try:
        _check_vacant(path)
        _fill(made, size, data)
        with _translating_errors():
            made = made.rename(path)
            _sync(path.parent)
    except BaseException as error:
        try:
            made.unlink()
        except OSError as stuck:
            raise LeftBehindError(f"{made} stays: {stuck}") from error
        raise


def _check_vacant(path: Path) -> None:
    with _translating_errors():
        if path.exists():
            raise ConflictError(f"{path.name} has data; discard it first")


def _fill(path: Path, size: int, data: Iterator[bytes]) -> None:
    with _translating_errors():
        file = path.open("r+b", buffering=0)
    with file:
        # errors of the data are not translated: they are not of this file
        for piece in data:
            with _translating_errors():
                if file.tell() + len(piece) > size:
                    raise IntegrityError(f"more than {size} bytes of data")
                if piece == _ZEROS[: len(piece)]:
                    file.seek(len(piece), os.SEEK_CUR)
                elif file.write(piece) < len(piece):
                    raise OSError(errno.ENOSPC, "no room for all", path)
        with _translating_errors():
            file.truncate(size)
            os.fsync(file.fileno())


def extend(path: Path, size: int) -> None:
    """Extend a file with zeros to a size in bytes; never shrink it."""
    with _translating_errors(), path.open("r+b") as file:
        found = file.seek(0, os.SEEK_END)
        if found > size:
            raise ConflictError(f"{path.name} has {found} bytes, over {size}")
        try:
            file.truncate(size)
            os.fsync(file.fileno())
        except OSError:
            file.truncate(found)
            raise


def remove(path: Path) -> None:
    """Remove a file, and what a killed process left of making it."""
    with _translating_errors():
        path.with_suffix(".part").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make new and removed names survive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
