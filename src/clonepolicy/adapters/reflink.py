"""Volumes as files of one directory, cloned by reflink (extra ``arrays``).

On XFS, btrfs and what else shares data between files a clone takes no time
and no space.  Elsewhere it is a copy, and the array says so.  The array is
the file system: directories of one have one identity.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    FileLocation,
    GiB,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    Volume,
    check_source,
    check_volume_id,
)
from clonepolicy.adapters import _files, _formats
from clonepolicy.adapters._files import Adapted, AnyPath, opened

__all__ = ["ReflinkArray"]


class ReflinkArray:
    """An array of files ``volume-<id>`` in a directory.

    Args:
        directory: where the volumes lie; it must be there.
        images: directories that only Glance writes; files right in them,
            on the same file system, are the stored images.

    Raises:
        AdapterError: a directory is not there, or cannot be used.
        FactError: ``images`` is one directory, and not several.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True,
        can_extend=True,
        clone_while_uploading=True,
        image_schemes=frozenset({"file"}),
    )

    def __init__(
        self, directory: AnyPath, *, images: Iterable[AnyPath] = ()
    ) -> None:
        """Look at the file system, and try whether it shares data."""
        self._directory = Path(directory).absolute()
        self._images = _files.image_directories(images)
        with Adapted(f"looking at {directory}"):
            self._shares = _files.can_reflink(self._directory)
            array_id = _files.identify(self._directory)
        kind = CloneKind.COPY_ON_WRITE if self._shares else CloneKind.FULL_COPY
        self._backend = attrs.evolve(
            self.CAPABILITIES,
            array_id=array_id,
            clone_kind=kind,
            image_clone_kind=kind,
        )

    def get_backend(self) -> Backend:
        """Tell what the file system is and can do."""
        return self._backend

    def path(self, volume_id: str) -> Path:
        """Give the place of a volume's file, whether there is one or not."""
        check_volume_id(volume_id)
        return self._directory / f"volume-{volume_id}"

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Tell the file's size; who shares its data is not known."""
        with Adapted(f"looking at volume {volume_id}"):
            size = _files.size_of(self.path(volume_id))
        return None if size is None else StoredVolume(size=size)

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for a file right in one of the images' directories."""
        if not isinstance(location, FileLocation):
            return None
        with Adapted(f"looking at {location}"):
            fd = self._open_image(location)
            if fd is None:
                return None
            with opened(fd):
                return StoredImage(size=-(-os.fstat(fd).st_size // GiB))

    def _open_image(self, location: FileLocation) -> int | None:
        here = self._directory.stat().st_dev
        return _files.open_image(location.path, self._images, here)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Let a volume's file share all data of another's, or copy it."""
        check_source(source, self._backend, at_one_instant=self._shares)
        with (
            Adapted(f"cloning volume {source.id} to {volume_id}"),
            opened(
                _files.open_source(self.path(source.id), source.size * GiB)
            ) as old,
        ):
            _files.clone(old, self.path(volume_id), shares=self._shares)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Let a volume's file share all data of an image's, or copy it."""
        path = self.path(volume_id)
        with Adapted(f"cloning {location} to volume {volume_id}"):
            fd = None
            if isinstance(location, FileLocation):
                fd = self._open_image(location)
            if fd is None:
                message = f"{location} is no image of this array"
                raise NotFoundError(message)
            with opened(fd):
                size = -(-os.fstat(fd).st_size // GiB) * GiB
                _files.clone(fd, path, shares=self._shares, size=size)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB; never shrink one."""
        with Adapted(f"extending volume {volume_id}"):
            _files.grow(self.path(volume_id), size * GiB)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of that many GiB with an image's data, all of it."""
        with Adapted(f"filling volume {volume_id} from image {image.id}"):
            _formats.fill_file(self.path(volume_id), size, image, data)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data."""
        with (
            Adapted(f"reading volume {volume_id}"),
            opened(_files.open_read(self.path(volume_id))) as fd,
        ):
            yield from _files.stream(fd, os.fstat(fd).st_size)

    def discard(self, volume_id: str) -> None:
        """Remove a volume's file; what clones share of it stays theirs."""
        with Adapted(f"discarding volume {volume_id}"):
            if _files.remove(self.path(volume_id)):
                _files.sync(self._directory)
