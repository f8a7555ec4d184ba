"""Read, write and copy sparse files without touching their holes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from clonepolicy import IntegrityError

CHUNK = 1 << 20
_BLOCK = 1 << 16
_ZEROS = bytes(CHUNK)
_ZERO_BLOCK = bytes(_BLOCK)
_CANNOT_COPY = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTTY}
)


def extents(fd: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """Walk a file's first ``size`` bytes as (start, end, is data)."""
    at = 0
    while at < size:
        try:
            data = min(os.lseek(fd, at, os.SEEK_DATA), size)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size
        if data > at:
            yield at, data, False
        if data < size:
            at = min(os.lseek(fd, data, os.SEEK_HOLE), size)
            yield data, at, True
        else:
            at = size


def copy(source: int, target: int) -> None:
    """Copy an open file's data and holes into an empty open file.

    Raises:
        IntegrityError: the source became shorter meanwhile.
    """
    size = os.fstat(source).st_size
    for start, end, data in extents(source, size):
        at = start
        while data and at < end:
            copied = _copy_some(source, target, at, end - at)
            if not copied:
                message = "the source became shorter while it was copied"
                raise IntegrityError(message)
            at += copied
    os.ftruncate(target, size)


def _copy_some(source: int, target: int, at: int, most: int) -> int:
    try:
        return os.copy_file_range(source, target, most, at, at)
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
    return os.pwrite(target, os.pread(source, min(most, CHUNK), at), at)


def stream(fd: int, size: int) -> Iterator[bytes]:
    """Yield a file's first ``size`` bytes in pieces; do not read holes."""
    for start, end, data in extents(fd, size):
        at = start
        while at < end:
            most = min(CHUNK, end - at)
            if data:
                piece = os.pread(fd, most, at)
            else:
                piece = _ZEROS if most == CHUNK else _ZEROS[:most]
            if not piece:
                return
            yield piece
            at += len(piece)


def fill(fd: int, pieces: Iterable[bytes], limit: int | None = None) -> int:
    """Write pieces into an empty file, zeros as holes; return its size.

    Raises:
        IntegrityError: the pieces have more than ``limit`` bytes.
    """
    at = 0
    for piece in pieces:
        check_room(at + len(piece), limit)
        for start, view in islands(piece):
            _write(fd, view, at + start)
        at += len(piece)
    os.ftruncate(fd, at)
    return at


def check_room(end: int, limit: int | None) -> None:
    """Raise `IntegrityError` if data ends behind ``limit``, in bytes."""
    if limit is not None and end > limit:
        message = f"there is more data than the {limit} bytes of room"
        raise IntegrityError(message)


def islands(piece: bytes) -> Iterator[tuple[int, memoryview]]:
    """Find the parts of a piece that are not zeros, as (offset, bytes)."""
    if piece is _ZEROS:
        return
    view, size = memoryview(piece), len(piece)
    start = end = 0
    while end < size:
        # startswith neither copies, as a slice does, nor is slow, as
        # comparing views is
        zero = piece.startswith(_ZERO_BLOCK, end)
        if zero and start < end:
            yield start, view[start:end]
        end = min(end + _BLOCK, size)
        if zero:
            start = end
    if start < size:
        yield start, view[start:]


def _write(fd: int, view: memoryview, at: int) -> None:
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
