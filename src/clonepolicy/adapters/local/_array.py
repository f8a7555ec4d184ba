"""The array: volumes as files of a pool."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    FileLocation,
    GiB,
    Image,
    Location,
    RbdLocation,
    StoredImage,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters.local import _files, _formats
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._files import Adapted
from clonepolicy.adapters.local._store import (
    WHOLE,
    Store,
    check_readable,
)


@contextlib.contextmanager
def opened(fd: int) -> Iterator[int]:
    """Close a file descriptor in the end."""
    try:
        yield fd
    finally:
        os.close(fd)


@attrs.frozen
class LocalArray:
    """The file system that one pool lies on."""

    _store: Store
    _pool: str

    def get_backend(self) -> Backend:
        """Tell what the file system is and can do."""
        return self._store.backend(self._pool)

    def find_image(self, _location: Location) -> StoredImage | None:
        """Find nothing: images lie behind no ``rbd`` or ``file`` URL here."""
        return None

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Let a volume's file share all data of another's, or copy it."""
        origin = self._store.catalogue.volume_row(source.id)
        check_readable(origin)
        row = self._in_creation(volume_id)
        shares = (
            self._store.backend(row["pool"]).clone_kind
            is CloneKind.COPY_ON_WRITE
        )
        with (
            Adapted(f"cloning volume {source.id} to {volume_id}"),
            opened(_files.open_read(self._store.volume_path(origin))) as old,
            opened(_files.create(self._store.volume_path(row))) as new,
        ):
            (_files.reflink if shares else _files.copy)(old, new)
            os.fsync(new)

    def clone_image(
        self, _volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Refuse: there is no such image here."""
        message = f"{location} lies on no array of this cloud; download it"
        raise UnsupportedError(message)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB; never shrink one."""
        row = self._in_creation(volume_id)
        path = self._store.volume_path(row)
        with (
            Adapted(f"extending volume {volume_id}"),
            opened(os.open(path, os.O_RDWR | os.O_CLOEXEC)) as fd,
        ):
            if os.fstat(fd).st_size > size * GiB:
                message = f"volume {volume_id} has more than {size} GiB"
                raise ConflictError(message)
            os.ftruncate(fd, size * GiB)
            os.fsync(fd)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of that many GiB with an image's data, all of it."""
        row = self._in_creation(volume_id)
        inspector = _formats.inspector(image)
        path = self._store.volume_path(row)
        with (
            Adapted(f"filling volume {volume_id} from image {image.id}"),
            opened(_files.create(path)) as fd,
        ):
            if inspector.is_plain:
                _files.fill(fd, inspector.watch(data), size * GiB)
                inspector.finish()
                os.ftruncate(fd, size * GiB)
            else:
                os.ftruncate(fd, size * GiB)
                self._convert(inspector, path, size, data)
            os.fsync(fd)

    def _convert(
        self,
        inspector: _formats.Inspector,
        path: Path,
        size: int,
        data: Iterator[bytes],
    ) -> None:
        qemu_img = _formats.find_qemu_img(inspector.disk_format)
        with _files.spool(path.parent) as spool:
            _files.fill(spool, inspector.watch(data))
            _formats.check_fits(inspector.finish(), size)
            _formats.convert(qemu_img, inspector.disk_format, spool, path)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data."""
        row = self._store.catalogue.volume_row(volume_id)
        check_readable(row)
        with (
            Adapted(f"reading volume {volume_id}"),
            opened(_files.open_read(self._store.volume_path(row))) as fd,
        ):
            yield from _files.stream(fd, row["size"] * GiB)

    def erase(self, volume_id: str) -> None:
        """Remove a volume's data, if there is any."""
        catalogue = self._store.catalogue
        what = f"erasing volume {volume_id}"
        row = catalogue.row(
            what, "SELECT * FROM volume WHERE id = ?", volume_id
        )
        if row is not None and row["status"] in WHOLE:
            message = (
                f"volume {volume_id} is {row['status']} and keeps its data; "
                "delete it instead"
            )
            raise ConflictError(message)
        with Adapted(what):
            for path in self._store.pools.values():
                _files.remove(path / f"volume-{volume_id}")

    def _in_creation(self, volume_id: str) -> Row:
        row = self._store.catalogue.volume_row(volume_id)
        if row["status"] != "creating":
            message = (
                f"volume {volume_id} is {row['status']}; only one in creation "
                "is given data"
            )
            raise ConflictError(message)
        return row
