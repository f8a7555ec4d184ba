"""Stored images: files in directories that only Glance writes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
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
        try:
            with (
                paths.translate_errors(f"looking at {location}"),
                self.opened(location) as (fd, _),
            ):
                return StoredImage(size=_sizes.to_gib(os.fstat(fd).st_size))
        except NotFoundError:
            return None

    @contextlib.contextmanager
    def opened(self, location: Location) -> Iterator[tuple[int, Path]]:
        """Open the image at a location; yield the descriptor and its path.

        Raises:
            NotFoundError: there is no image.
            OSError: the image cannot be opened.
        """
        missing = NotFoundError(f"{location} is no image of this array")
        if not isinstance(location, FileLocation):
            raise missing
        path = Path(location.path)
        if str(path.parent) not in self._images:
            raise missing
        # O_NONBLOCK: opening a pipe must not wait for a writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(path, flags)
        except ValueError:  # the name cannot be that of a file
            raise missing from None
        except OSError as error:
            if error.errno in _NO_IMAGE:
                raise missing from None
            raise
        with paths.closing(fd):
            found, here = os.fstat(fd), self._volumes.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_dev != here.st_dev:
                raise missing
            yield fd, path
