"""Files: create, open and remove them; their errors; stored images."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from clonepolicy import (
    AdapterError,
    ConflictError,
    FactError,
    FileLocation,
    ForbiddenError,
    Location,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters import _sizes
from clonepolicy.ports import StoredImage

PathLike: TypeAlias = "str | os.PathLike[str]"

UNNAMED = ".spool-"
"""Prefix of an unnamed file's name while it still has one."""

_FULL = (
    UnavailableError,
    "no space left; delete something or use another pool",
)
_FORBIDDEN = (
    ForbiddenError,
    "permission denied; check who may read and write there",
)
DATA_ERRORS: Mapping[int, tuple[type[AdapterError], str]] = {
    errno.EEXIST: (ConflictError, "data exists already; discard it first"),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}
"""What errors mean wherever an array keeps its data."""

_REMEDIES = {
    errno.EFBIG: (
        "the file system cannot store a file that large; make it smaller or "
        "use another pool"
    ),
    errno.EROFS: "the file system is read-only; remount it read-write",
    errno.EIO: "I/O error; check the disk and the system's log",
}
_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_NO_FILE = frozenset(
    {
        errno.ELOOP,  # a link
        errno.ENXIO,  # a socket, or a device that does not exist
    }
)
_MARK = "_clonepolicy_passthrough"
"""The attribute that `passthrough` sets on an error."""


@contextlib.contextmanager
def closing(fd: int) -> Iterator[int]:
    """Close a file descriptor at the end of a block."""
    try:
        yield fd
    finally:
        os.close(fd)


READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags to read a stored file: follow no link, wait for no pipe."""


def create(path: Path) -> int:
    """Create and open an empty file; raise `FileExistsError` if it exists."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def open_read(path: Path) -> int:
    """Open a file for reading."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def stored(path: Path, flags: int = READ) -> Iterator[int]:
    """Open a stored file; refuse links and all that is not a regular file.

    Raises:
        ConflictError: there is something else at its place.
        OSError: it cannot be opened.
    """
    try:
        fd = os.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise _not_regular(path) from None
        raise
    with closing(fd):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _not_regular(path)
        yield fd


def _not_regular(path: Path) -> ConflictError:
    return ConflictError(
        f"{path} is not a regular file; put the right file there"
    )


def misfit(path: Path, size: int | None = None) -> str | None:
    """Say why a stored file is not usable; None: nothing is wrong with it.

    ``size`` is the expected number of bytes; None: any.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if not os.access(path, os.R_OK, effective_ids=True):
        return "cannot be read by this user"
    if size not in {None, found.st_size}:
        return f"has {found.st_size} bytes instead of {size}"
    return None


def is_empty_file(found: os.stat_result) -> bool:
    """Return whether a file is regular and has no bytes."""
    return stat.S_ISREG(found.st_mode) and not found.st_size


def size_of(path: Path) -> int | None:
    """Return a file's size in bytes; None if it does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_size
    return None


def bytes_on_disk(path: Path) -> int:
    """Return the bytes that a file occupies; 0 if it cannot be looked at."""
    with contextlib.suppress(OSError):
        return path.lstat().st_blocks * 512
    return 0


def free(path: Path) -> int:
    """Return the bytes that this user can still write to a file system."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def remove(path: Path) -> bool:
    """Remove a file if it exists; return whether it existed."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        return True
    return False


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
    number = error.errno or 0
    why = _REMEDIES.get(number, error.strerror or str(error))
    kind, why = DATA_ERRORS.get(number, (UnavailableError, why))
    return kind(f"{action}: {why}")


class ImageDirectories:
    """The images that volumes in a directory can be cloned from.

    An image is a regular file, not a link, directly in one of the images'
    directories, on the file system of the volumes.

    Raises:
        FactError: ``images`` is one path instead of several.
    """

    def __init__(self, images: Iterable[PathLike], volumes: Path) -> None:
        """Take the images' directories, and the volumes' directory."""
        if isinstance(images, (str, bytes, os.PathLike)):
            raise FactError("images", images, "several directories, as a list")
        self._images = frozenset(str(Path(path).absolute()) for path in images)
        self._volumes = volumes

    def find(self, location: Location) -> StoredImage | None:
        """Return the size of the image at a location; None: no image.

        Raises:
            UnsupportedError: as `opened`.
        """
        with (
            contextlib.suppress(NotFoundError),
            translate_errors(f"looking at {location}"),
            self.opened(location) as (fd, _),
        ):
            return StoredImage(size=_sizes.to_gib(os.fstat(fd).st_size))
        return None

    @contextlib.contextmanager
    def opened(self, location: Location) -> Iterator[tuple[int, Path]]:
        """Open the image at a location; yield the descriptor and its path.

        Raises:
            NotFoundError: there is no image.
            UnsupportedError: the location is in none of the directories, or
                names what is no regular file on the volumes' file system.
            UnavailableError: the directory is not there.
            OSError: the image cannot be opened.
        """
        foreign = UnsupportedError(f"{location} is no image of this array")
        if not isinstance(location, FileLocation):
            raise foreign
        path = Path(location.path)
        if str(path.parent) not in self._images:
            raise foreign
        try:
            fd = os.open(path, READ)
        except ValueError:  # the name cannot be that of a file
            raise NotFoundError(f"there is no image {location}") from None
        except OSError as error:
            if error.errno in _MISSING:
                self._check_mounted(path.parent, foreign)
                raise NotFoundError(f"there is no image {location}") from None
            if error.errno in _NO_FILE:
                raise foreign from None
            raise
        with closing(fd):
            found, here = os.fstat(fd), self._volumes.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_dev != here.st_dev:
                raise foreign
            yield fd, path

    def _check_mounted(self, folder: Path, foreign: AdapterError) -> None:
        """Check that a folder without the image is the one that has images.

        The directory below a file system that is not mounted is empty.
        """
        try:
            there = folder.stat().st_dev
        except FileNotFoundError:
            message = f"{folder} is not there; mount its file system"
            raise UnavailableError(message) from None
        if there != self._volumes.stat().st_dev:
            raise foreign
