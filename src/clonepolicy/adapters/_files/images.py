"""Stored images: files in directories that only Glance writes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from clonepolicy import (
    FactError,
    FileLocation,
    Location,
    NotFoundError,
    StoredImage,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths
from clonepolicy.adapters._files.errors import translate_errors

_NO_IMAGE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
        errno.ENXIO,  # a socket, or a device that does not exist
    }
)


class ImageDirectories:
    """The images that volumes in a directory can be cloned from.

    An image is a regular file, not a link, directly in one of the images'
    directories, on the file system of the volumes.

    Raises:
        FactError: ``images`` is one path instead of several.
    """

    def __init__(
        self, images: Iterable[paths.PathLike], volumes: Path
    ) -> None:
        """Take the images' directories, and the volumes' directory."""
        if isinstance(images, (str, bytes, os.PathLike)):
            raise FactError("images", images, "several directories, as a list")
        self._images = frozenset(str(Path(path).absolute()) for path in images)
        self._volumes = volumes

    def find(self, location: Location) -> StoredImage | None:
        """Return the size of the image at a location; None: no image."""
        with translate_errors(f"looking at {location}"):
            try:
                fd, _ = self.open(location)
            except NotFoundError:
                return None
            with paths.closing(fd):
                return StoredImage(size=_sizes.to_gib(os.fstat(fd).st_size))

    def open(self, location: Location) -> tuple[int, Path]:
        """Open the image at a location; return the descriptor and its path.

        Raises:
            NotFoundError: there is no image.
            OSError: the image cannot be opened.
        """
        if isinstance(location, FileLocation):
            path = Path(location.path)
            fd = self._open(path)
            if fd is not None:
                return fd, path
        message = f"{location} is no image of this array"
        raise NotFoundError(message)

    def _open(self, path: Path) -> int | None:
        if str(path.parent) not in self._images:
            return None
        # O_NONBLOCK: opening a pipe must not wait for a writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(path, flags)
        except ValueError:  # the name cannot be that of a file
            return None
        except OSError as error:
            if error.errno in _NO_IMAGE:
                return None
            raise
        try:
            found = os.fstat(fd)
            if (
                stat.S_ISREG(found.st_mode)
                and found.st_dev == self._volumes.stat().st_dev
            ):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None
