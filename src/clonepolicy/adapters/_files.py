"""Sparse files: cloned by reference, copied and streamed with their holes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    FactError,
    IntegrityError,
    LeftBehindError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)

CHUNK = 1 << 20
_BLOCK = 1 << 16
_ZEROS = bytes(CHUNK)
_ZERO_BLOCK = bytes(_BLOCK)

_FICLONE = 0x40049409
_FS_IOC_GETFSUUID = 0x80111500
_BTRFS_IOC_FS_INFO = 0x8400941F

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REMEDIES = {
    errno.EFBIG: (
        "the file system takes no file that large; make it smaller or use "
        "another pool"
    ),
    errno.EACCES: "permission denied; check who may read and write there",
    errno.EPERM: "permission denied; check who may read and write there",
    errno.EROFS: "the file system is read-only; mount it to be written",
    errno.EIO: "I/O error; check the disk and the system's log",
}
_DAMAGED = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)
_FORBIDDEN = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
SPOOL = ".spool-"
"""What the name of a file begins with that is to lose it at once."""

_FOREIGN = "_clonepolicy_foreign"
"""The mark of an error that is not about what a block does."""

_NO_IMAGE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
        errno.ENXIO,  # a socket, or a device that is not there
    }
)

_NO_REFLINK = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS}
)

AnyPath: TypeAlias = "str | os.PathLike[str]"


@attrs.frozen
class Adapted:
    """Let nothing but `AdapterError` out of a block; name what it did."""

    what: str

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise what the operating system or SQLite said as our own."""
        if error is not None and _FOREIGN in vars(error):
            return
        if isinstance(error, UnicodeEncodeError):
            message = f"{self.what}: no file or record has such a name"
            raise NotFoundError(message) from error
        if isinstance(error, (OSError, sqlite3.Error)):
            raise _adapt(self.what, error) from error


def _adapt(what: str, error: OSError | sqlite3.Error) -> AdapterError:
    if isinstance(error, sqlite3.IntegrityError):
        return ConflictError(f"{what}: the catalogue forbids it: {error}")
    if isinstance(error, sqlite3.Error):
        return UnavailableError(_of_catalogue(what, error))
    if isinstance(error, FileNotFoundError):
        missing = error.filename or "the data"
        return NotFoundError(f"{what}: {missing} is not there")
    if isinstance(error, FileExistsError):
        message = f"{what}: there is data already; discard it first"
        return ConflictError(message)
    if error.errno in _FULL:
        return UnavailableError(
            f"{what}: no space left; delete something or use another pool"
        )
    why = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return UnavailableError(f"{what}: {why}")


def foreign(data: Iterable[bytes]) -> Iterator[bytes]:
    """Pass somebody else's data on; what it raises is not adapted."""
    try:
        yield from data
    except OSError as error:
        vars(error)[_FOREIGN] = True
        raise


def damaged(what: str, why: str) -> str:
    """Say that the catalogue is no use, and what can be done."""
    return (
        f"{what}: catalogue.sqlite, the cloud's catalogue, is damaged: {why}; "
        "restore it from a backup, or init another cloud elsewhere"
    )


def _of_catalogue(what: str, error: sqlite3.Error) -> str:
    # the extended codes have more in the higher bits
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
    if code in _DAMAGED:
        return damaged(what, str(error))
    if code in _FORBIDDEN:
        return (
            f"{what}: the cloud's catalogue cannot be used: {error}; check "
            "who may read and write catalogue.sqlite and its directory"
        )
    if code == sqlite3.SQLITE_FULL:
        return f"{what}: no space left for the catalogue; delete something"
    return f"{what}: the catalogue is not usable now: {error}; try again"


def identify(directory: Path) -> str:
    """Name the file system that a directory lies on.

    Btrfs gives each subvolume a device of its own but shares data between
    them, so there the file system's own id alone counts; elsewhere two
    copies of a file system may be mounted at once, and the device tells
    them apart.
    """
    device = directory.stat().st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        info = bytearray(1024)
        try:
            fcntl.ioctl(fd, _BTRFS_IOC_FS_INFO, info)
        except OSError:
            pass
        else:
            return f"btrfs-{info[16:32].hex()}"
        found = bytearray(17)
        try:
            fcntl.ioctl(fd, _FS_IOC_GETFSUUID, found)
        except OSError:
            return f"dev-{place}"
    finally:
        os.close(fd)
    own = found[1:]
    return f"fs-{own.hex()}-{place}" if any(own) else f"dev-{place}"


def can_reflink(directory: Path) -> bool:
    """Try whether files in a directory share data; leave nothing behind."""
    with (
        spool(directory) as source,
        spool(directory) as target,
    ):
        os.write(source, _ZERO_BLOCK)
        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as error:
            if error.errno in _NO_REFLINK:
                return False
            raise
    return True


def reflink(source: int, target: int) -> None:
    """Let an empty file share all of another's data."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_REFLINK:
            message = (
                "these two files cannot share data; they must lie on one "
                "file system, with the same attributes"
            )
            raise UnsupportedError(message) from error
        raise


@contextlib.contextmanager
def opened(fd: int) -> Iterator[int]:
    """Close a file descriptor in the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def clone(
    source: int, path: Path, *, shares: bool, size: int | None = None
) -> None:
    """Make a file with an open file's content, whole and synced, or none.

    It shares all its data, or is a copy of it, and is filled up with zeros
    to ``size`` bytes.
    """
    with opened(create(path)) as new:
        try:
            (reflink if shares else copy)(source, new)
            if size is not None:
                os.ftruncate(new, size)
            os.fsync(new)
        except BaseException as error:
            _take_back(path, error)
            raise


def _take_back(path: Path, error: BaseException) -> None:
    try:
        remove(path)
    except OSError as another:
        message = f"{path} could be neither filled nor removed: {another}"
        raise LeftBehindError(message) from error


def grow(path: Path, size: int) -> None:
    """Grow a file by zeros to a size in bytes; never shrink one."""
    with opened(os.open(path, os.O_RDWR | os.O_CLOEXEC)) as fd:
        has = os.fstat(fd).st_size
        if has > size:
            message = f"{path.name} has more than {size} bytes: {has}"
            raise ConflictError(message)
        os.ftruncate(fd, size)
        os.fsync(fd)


def _extents(fd: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """Walk a file as (start, end, whether there is data)."""
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
    """Copy a file's data and holes into an empty file."""
    size = os.fstat(source).st_size
    for start, end, data in _extents(source, size):
        at = start
        while data and at < end:
            moved = _copy_some(source, target, at, end - at)
            if not moved:
                message = "the source became shorter while it was copied"
                raise IntegrityError(message)
            at += moved
    os.ftruncate(target, size)


def _copy_some(source: int, target: int, at: int, most: int) -> int:
    try:
        return os.copy_file_range(source, target, most, at, at)
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
    return os.pwrite(target, os.pread(source, min(most, CHUNK), at), at)


def stream(fd: int, size: int) -> Iterator[bytes]:
    """Give a file's first ``size`` bytes in pieces; holes cost no reading."""
    for start, end, data in _extents(fd, size):
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
    """Write pieces into an empty file, leave holes for zeros; give the size.

    Raises:
        IntegrityError: there is more data than ``limit``.
    """
    at = 0
    for piece in pieces:
        if limit is not None and at + len(piece) > limit:
            message = f"there is more data than the {limit} bytes of room"
            raise IntegrityError(message)
        for start, view in islands(piece):
            _write(fd, view, at + start)
        at += len(piece)
    os.ftruncate(fd, at)
    return at


def islands(piece: bytes) -> Iterator[tuple[int, memoryview]]:
    """Find what of a piece is not zeros, as (where, bytes)."""
    if piece is _ZEROS:
        return
    view, size = memoryview(piece), len(piece)
    start = end = 0
    while end < size:
        # comparing views is slow and slicing copies; this does neither
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


def create(path: Path) -> int:
    """Make an empty file that is not there yet, and open it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def open_read(path: Path) -> int:
    """Open a file for reading."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def open_source(path: Path, size: int) -> int:
    """Open a file that has so many bytes for cloning.

    Raises:
        IntegrityError: it has another size.
    """
    fd = open_read(path)
    has = os.fstat(fd).st_size
    if has != size:
        os.close(fd)
        message = (
            f"{path.name} has {has} bytes, and its record says {size}; "
            "correct the record"
        )
        raise IntegrityError(message)
    return fd


def image_directories(images: Iterable[AnyPath]) -> frozenset[str]:
    """Name the directories of stored images from the root on.

    Raises:
        FactError: it is one path, and not several.
    """
    if isinstance(images, (str, bytes, os.PathLike)):
        raise FactError("images", images, "several directories, as a list")
    return frozenset(str(Path(path).absolute()) for path in images)


def open_image(
    path: str, directories: frozenset[str], device: int
) -> int | None:
    """Open a stored image for reading; None: there is none.

    It is a plain file, and no link, right in one of the directories and on
    the device.
    """
    place = Path(path)
    if str(place.parent) not in directories:
        return None
    # not blocking, lest it wait at a pipe
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(place, flags)
    except ValueError:  # no file has such a name
        return None
    except OSError as error:
        if error.errno in _NO_IMAGE:
            return None
        raise
    try:
        about = os.fstat(fd)
        fits = stat.S_ISREG(about.st_mode) and about.st_dev == device
    except BaseException:
        os.close(fd)
        raise
    if fits:
        return fd
    os.close(fd)
    return None


def size_of(path: Path) -> int | None:
    """Tell a file's size; None: it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def bytes_on_disk(path: Path) -> int:
    """Tell what a file takes on disk; 0 where it is not there."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def remove(path: Path) -> bool:
    """Remove a file, if it is there; tell whether it was."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def sync(path: Path) -> None:
    """Sync a file, or the names in a directory."""
    with opened(open_read(path)) as fd:
        os.fsync(fd)


@contextlib.contextmanager
def spool(directory: Path) -> Iterator[int]:
    """Give a file without a name: however this ends, nothing stays."""
    fd = _nameless(directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _nameless(directory: Path) -> int:
    try:
        return os.open(
            directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600
        )
    except OSError:
        # a file system that gives every file a name, if only for a moment
        path = directory / f"{SPOOL}{uuid.uuid4()}"
    fd = create(path)
    try:
        remove(path)
    except BaseException:
        os.close(fd)
        raise
    return fd
