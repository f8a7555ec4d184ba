"""Volumes as plain files in one directory; a clone is a copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    GiB,
    Image,
    IntegrityError,
    Location,
    NotFoundError,
    UnsupportedError,
    Volume,
)
from clonepolicy.ports import (
    Inspection,
    StoredVolume,
    check_source,
    check_volume_id,
)
from filearray import _files


class FileArray:
    """An array of files ``volume-<id>`` in an existing directory."""

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True, clone_kind=CloneKind.FULL_COPY, can_extend=True
    )

    def __init__(self, directory: Path) -> None:
        """Open the array in a directory."""
        self._directory = directory.absolute()
        array_id = _files.identify(self._directory)
        self._backend = attrs.evolve(self.CAPABILITIES, array_id=array_id)

    def get_backend(self) -> Backend:
        """Return what the array is and can do."""
        return self._backend

    def _path(self, volume_id: str) -> Path:
        check_volume_id(volume_id)
        return self._directory / f"volume-{volume_id}"

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return the file's size in bytes; None: there is no file."""
        with contextlib.suppress(NotFoundError):
            return StoredVolume(size=_files.size_of(self._path(volume_id)))
        return None

    def inspect(self, source: str | Location) -> Inspection:
        """Leave the data uninspected."""
        del source
        return Inspection.NOT_INSPECTED

    def find_image(self, location: Location) -> None:
        """Refuse: the array stores no images."""
        raise UnsupportedError(f"{location}: this array stores no images")

    def clone_image(self, volume_id: str, location: Location) -> None:
        """Refuse: the array stores no images."""
        raise UnsupportedError(
            f"{location} cannot become volume {volume_id}: "
            "this array stores no images"
        )

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Copy a volume that nobody writes to."""
        check_source(source, self._backend, at_one_instant=False)
        old, size = self._path(source.id), source.size * GiB
        found = _files.size_of(old)
        if found != size:
            raise IntegrityError(f"{old.name} has {found} bytes, not {size}")
        _files.make(self._path(volume_id), size, _files.pieces(old))

    def extend(self, volume_id: str, size: int) -> None:
        """Extend the file to a size in GiB."""
        _files.extend(self._path(volume_id), size * GiB)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Write raw data into a new file; refuse other formats."""
        if (image.disk_format, image.container_format) != ("raw", "bare"):
            raise UnsupportedError(f"image {image.id} is not raw and bare")
        _files.make(self._path(volume_id), size * GiB, data)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Return the file's data, in pieces."""
        yield from _files.pieces(self._path(volume_id))

    def discard(self, volume_id: str) -> None:
        """Remove the file, if there is one."""
        _files.remove(self._path(volume_id))
