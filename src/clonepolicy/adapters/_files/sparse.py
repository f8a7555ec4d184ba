"""Read, write, copy and share sparse files without touching their holes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clonepolicy import IntegrityError, UnsupportedError
from clonepolicy.adapters._files import paths

CHUNK = 1 << 20
_AT_ONCE = 16 << 20
"""Bytes that the kernel copies in one call; progress is told in between."""
_BLOCK = 1 << 16
_ZEROS = bytes(CHUNK)
_ZERO_BLOCK = bytes(_BLOCK)
_CANNOT = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTTY}
)
"""What the kernel answers if two files cannot share or copy data."""

# from linux/fs.h and linux/btrfs.h
_FICLONE = 0x40049409
_FS_IOC_GETFSUUID = 0x80111500
_BTRFS_IOC_FS_INFO = 0x8400941F


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


def copy(
    source: int, target: int, copied: Callable[[int, int], None] | None = None
) -> None:
    """Copy an open file's data and holes into an empty open file.

    Calls ``copied`` with the number of bytes that were copied now, and of
    those that are left; holes do not count.

    Raises:
        IntegrityError: the source became shorter meanwhile.
    """
    size = os.fstat(source).st_size
    pieces = [(at, end) for at, end, data in extents(source, size) if data]
    left = sum(end - at for at, end in pieces)
    for start, end in pieces:
        at = start
        while at < end:
            count = _copy_some(source, target, at, min(end - at, _AT_ONCE))
            if not count:
                message = "the source became shorter while it was copied"
                raise IntegrityError(message)
            at += count
            left -= count
            if copied is not None:
                copied(count, left)
    os.ftruncate(target, size)


def _copy_some(source: int, target: int, at: int, most: int) -> int:
    try:
        return os.copy_file_range(source, target, most, at, at)
    except OSError as error:
        if error.errno not in _CANNOT:
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
            done = 0
            while done < len(view):
                done += os.pwrite(fd, view[done:], at + start + done)
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


def file_system_id(directory: Path) -> str:
    """Identify the file system that a directory is on.

    Btrfs gives each subvolume its own device number but shares data between
    subvolumes, so only its UUID counts.  Elsewhere two copies of a file
    system may be mounted at once, and the device number tells them apart.
    """
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    flags = os.O_RDONLY | os.O_DIRECTORY
    with paths.closing(os.open(directory, flags)) as fd:
        info = bytearray(1024)
        if _answers(fd, _BTRFS_IOC_FS_INFO, info):
            return f"btrfs-{info[16:32].hex()}"
        uuid = bytearray(17)
        if _answers(fd, _FS_IOC_GETFSUUID, uuid) and any(uuid[1:]):
            return f"fs-{uuid[1:].hex()}-{number}"
    return f"dev-{number}"


def _answers(fd: int, request: int, answer: bytearray) -> bool:
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, request, answer)
        return True
    return False


def can_reflink(directory: Path) -> bool:
    """Try whether files of a directory can share data, on unnamed files."""
    with paths.unnamed(directory) as source, paths.unnamed(directory) as new:
        os.write(source, _ZERO_BLOCK)
        with contextlib.suppress(UnsupportedError):
            reflink(source, new)
            return True
    return False


def reflink(source: int, target: int) -> None:
    """Let an empty open file share all data of another.

    Raises:
        UnsupportedError: these files cannot share data.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT:
            raise UnsupportedError(
                "these two files cannot share data; they must be on one file "
                "system, with the same attributes"
            ) from error
        raise
