"""Volumes as files of one directory, cloned by reflink (extra ``arrays``).

On XFS, btrfs and other file systems that share data between files, a clone
takes no time and no space.  On any other a clone is a copy, and the array
says so.  The array is the file system: two directories on one file system
have the same identity.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, TypeAlias

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    FileLocation,
    Image,
    LeftBehindError,
    Location,
    RbdLocation,
    Volume,
)
from clonepolicy.adapters import _formats, _inspection, _sizes
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters._files.paths import translate_errors
from clonepolicy.ports import (
    Inspection,
    StoredImage,
    StoredVolume,
    check_source,
    check_volume_id,
)

__all__ = ["ReflinkArray"]

Copied: TypeAlias = Callable[[int, int], None]


class ReflinkArray:
    """An array of files ``volume-<id>`` in a directory.

    Args:
        directory: where the volumes are; it must exist.
        images: directories that only Glance writes; files directly in them,
            on the same file system, are the stored images.

    Raises:
        AdapterError: a directory does not exist, or cannot be used.
        FactError: ``images`` is one directory instead of several.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True,
        can_extend=True,
        clone_while_uploading=True,
        image_schemes=frozenset({"file"}),
    )

    def __init__(
        self,
        directory: paths.PathLike,
        *,
        images: Iterable[paths.PathLike] = (),
    ) -> None:
        """Identify the file system, and try whether it shares data."""
        self._directory = Path(directory).absolute()
        self._images = paths.ImageDirectories(images, self._directory)
        with translate_errors(f"looking at {directory}"):
            self._shares = sparse.can_reflink(self._directory)
            array_id = sparse.file_system_id(self._directory)
        kind = CloneKind.COPY_ON_WRITE if self._shares else CloneKind.FULL_COPY
        self._backend = attrs.evolve(
            self.CAPABILITIES,
            array_id=array_id,
            clone_kind=kind,
            image_clone_kind=kind,
            clone_in_use=self._shares,
        )

    def get_backend(self) -> Backend:
        """Return what the file system is and can do."""
        return self._backend

    def path(self, volume_id: str) -> Path:
        """Return the path of a volume's file, whether it exists or not."""
        check_volume_id(volume_id)
        return self._directory / f"volume-{volume_id}"

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return the file's size; which files share its data is not known."""
        with translate_errors(f"looking at volume {volume_id}"):
            size = paths.size_of(self.path(volume_id))
        return None if size is None else StoredVolume(size=size)

    def inspect(self, source: str | Location) -> Inspection:
        """Inspect the start of a volume's or an image's file."""
        if isinstance(source, str):
            return inspect_file(self.path(source), source)
        with (
            translate_errors(f"inspecting {source}"),
            self._images.opened(source) as (fd, _),
        ):
            return _inspection.inspect_file(fd)

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for a file directly in one of the images' directories."""
        return self._images.find(location)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Share all data of the source's file, or copy it."""
        self.clone_file(volume_id, source, self.path(source.id))

    def clone_file(
        self,
        volume_id: str,
        source: Volume,
        path: Path,
        copied: Copied | None = None,
    ) -> None:
        """Clone a source whose file is at ``path``, in any directory.

        If the array does not share data, ``copied`` is called with the number
        of bytes that were copied now, and of those that are left.

        Raises:
            UnsupportedError: the array shares data, and the path is on
                another file system.
            AdapterError: as `ArrayBackend.clone_volume` raises.
        """
        check_source(source, self._backend, at_one_instant=self._shares)
        with (
            translate_errors(f"cloning volume {source.id} to {volume_id}"),
            paths.stored(path) as fd,
        ):
            size = os.fstat(fd).st_size
            _sizes.check_recorded(source, size)
            self._clone(fd, volume_id, size, copied)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Share all data of an image's file, or copy it."""
        with (
            translate_errors(f"cloning {location} to volume {volume_id}"),
            self._images.opened(location) as (fd, _),
        ):
            size = _sizes.to_gib(os.fstat(fd).st_size)
            self._clone(fd, volume_id, _sizes.to_bytes(size))

    def _clone(
        self,
        source: int,
        volume_id: str,
        size: int,
        copied: Copied | None = None,
    ) -> None:
        """Create a volume of so many bytes from an open file, or nothing."""
        path = self.path(volume_id)
        with paths.closing(paths.create(path)) as fd:
            try:
                if self._shares:
                    sparse.reflink(source, fd)
                else:
                    sparse.copy(source, fd, copied)
                os.ftruncate(fd, size)
                os.fsync(fd)
            except BaseException as error:
                try:
                    paths.remove(path)
                except OSError as left:
                    message = f"{path} could be neither filled nor removed"
                    raise LeftBehindError(f"{message}: {left}") from error
                raise

    def extend(self, volume_id: str, size: int) -> None:
        """Extend a volume with zeros to a size in GiB; never shrink it."""
        extend_file(self.path(volume_id), volume_id, size)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of ``size`` GiB with all of an image's data."""
        action = f"filling volume {volume_id} from image {image.id}"
        with translate_errors(action):
            _formats.fill_file(self.path(volume_id), size, image, data)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Yield a volume's data."""
        with (
            translate_errors(f"reading volume {volume_id}"),
            paths.stored(self.path(volume_id)) as fd,
        ):
            yield from sparse.stream(fd, os.fstat(fd).st_size)

    def discard(self, volume_id: str) -> None:
        """Remove a volume's file; clones keep the data that they share."""
        with translate_errors(f"discarding volume {volume_id}"):
            if paths.remove(self.path(volume_id)):
                paths.sync(self._directory)


def inspect_file(path: Path, volume_id: str) -> Inspection:
    """Inspect a volume's file, as `ArrayBackend.inspect`."""
    with (
        translate_errors(f"inspecting volume {volume_id}"),
        paths.stored(path) as fd,
    ):
        return _inspection.inspect_file(fd)


def extend_file(path: Path, volume_id: str, size: int) -> None:
    """Extend a volume's file, as `ArrayBackend.extend`."""
    with (
        translate_errors(f"extending volume {volume_id}"),
        paths.stored(path, paths.READ | os.O_RDWR) as fd,
    ):
        _sizes.check_not_larger(volume_id, os.fstat(fd).st_size, size)
        os.ftruncate(fd, _sizes.to_bytes(size))
        os.fsync(fd)
