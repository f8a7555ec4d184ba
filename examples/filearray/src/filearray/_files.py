"""Files that are there as a whole or not at all, and all that takes."""

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
def _adapted() -> Iterator[None]:
    """Let no error of the operating system out as such."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(str(error)) from error
    except FileExistsError as error:
        raise ConflictError(str(error)) from error
    except OSError as error:
        raise UnavailableError(str(error)) from error


def identify(directory: Path) -> str:
    """Give the identity of a directory, which it gets when it has none."""
    mark = directory / ".array-id"
    with _adapted():
        # a link is there with all that it says: no half of an id is read
        with contextlib.suppress(FileExistsError):
            mark.symlink_to(str(uuid.uuid4()))
        return str(mark.readlink())


def size_of(path: Path) -> int:
    """Tell a file's size."""
    with _adapted():
        return path.stat().st_size


def pieces(path: Path) -> Iterator[bytes]:
    """Give a file's data, and zeros for holes, which are not read."""
    with _adapted(), path.open("rb", buffering=0) as file:
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
        return True  # there is none up to the file's end


def make(path: Path, size: int, data: Iterator[bytes]) -> None:
    """Make a file of all of the data and zeros up to a size, or none."""
    made = path.with_suffix(".part")
    with _adapted():
        # whoever has made this may go on; nobody else makes the file now
        made.touch(0o600, exist_ok=False)
    try:
        _check_vacant(path)
        _fill(made, size, data)
        with _adapted():
            made = made.rename(path)
            _sync(path.parent)
    except BaseException as error:
        try:
            made.unlink()
        except OSError as stuck:
            raise LeftBehindError(f"{made} stays: {stuck}") from error
        raise


def _check_vacant(path: Path) -> None:
    with _adapted():
        if path.exists():
            raise ConflictError(f"{path.name} has data; discard it first")


def _fill(path: Path, size: int, data: Iterator[bytes]) -> None:
    with _adapted():
        file = path.open("r+b", buffering=0)
    with file:
        # what the data raises is not of this file: it is not adapted
        for piece in data:
            with _adapted():
                if file.tell() + len(piece) > size:
                    raise IntegrityError(f"more than {size} bytes of data")
                if piece == _ZEROS[: len(piece)]:
                    file.seek(len(piece), os.SEEK_CUR)
                elif file.write(piece) < len(piece):
                    raise OSError(errno.ENOSPC, "no room for all", path)
        with _adapted():
            file.truncate(size)
            os.fsync(file.fileno())


def grow(path: Path, size: int) -> None:
    """Let zeros follow on a file's data; never cut any off."""
    with _adapted(), path.open("r+b") as file:
        has = file.seek(0, os.SEEK_END)
        if has > size:
            raise ConflictError(f"{path.name} has {has} bytes, over {size}")
        try:
            file.truncate(size)
            os.fsync(file.fileno())
        except OSError:
            file.truncate(has)
            raise


def remove(path: Path) -> None:
    """Remove a file, and what a kill has left of making it."""
    with _adapted():
        path.with_suffix(".part").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        _sync(path.parent)


def _sync(directory: Path) -> None:
    """Let a name that came or went survive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
