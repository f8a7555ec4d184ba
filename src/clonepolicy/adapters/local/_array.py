"""The array: volumes as files of a pool."""

from __future__ import annotations

from collections.abc import Iterator

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
    StoredVolume,
    UnsupportedError,
    Volume,
    check_source,
    check_volume_id,
)
from clonepolicy.adapters import _files, _formats
from clonepolicy.adapters._files import Adapted, opened
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._store import (
    WHOLE,
    Store,
    check_readable,
)


@attrs.frozen
class LocalArray:
    """The file system that one pool lies on."""

    _store: Store
    _pool: str

    def get_backend(self) -> Backend:
        """Tell what the file system is and can do."""
        return self._store.backend(self._pool)

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Look for a volume's file in every pool."""
        check_volume_id(volume_id)
        with Adapted(f"looking at volume {volume_id}"):
            for path in self._store.pools.values():
                size = _files.size_of(path / f"volume-{volume_id}")
                if size is not None:
                    return StoredVolume(size=size)
        return None

    def find_image(self, _location: Location) -> StoredImage | None:
        """Find nothing: images lie behind no ``rbd`` or ``file`` URL here."""
        return None

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Let a volume's file share all data of another's, or copy it."""
        origin = self._store.catalogue.volume_row(source.id)
        row = self._in_creation(volume_id)
        there = self._store.backend(row["pool"])
        shares = there.clone_kind is CloneKind.COPY_ON_WRITE
        check_source(source, there, at_one_instant=shares)
        with (
            Adapted(f"cloning volume {source.id} to {volume_id}"),
            opened(
                _files.open_source(
                    self._store.volume_path(origin), source.size * GiB
                )
            ) as old,
        ):
            _files.clone(old, self._store.volume_path(row), shares=shares)

    def clone_image(
        self, _volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Refuse: there is no such image here."""
        message = f"{location} lies on no array of this cloud; download it"
        raise UnsupportedError(message)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB; never shrink one."""
        row = self._in_creation(volume_id)
        with Adapted(f"extending volume {volume_id}"):
            _files.grow(self._store.volume_path(row), size * GiB)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of that many GiB with an image's data, all of it."""
        row = self._in_creation(volume_id)
        with Adapted(f"filling volume {volume_id} from image {image.id}"):
            path = self._store.volume_path(row)
            _formats.fill_file(path, size, image, data)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data."""
        row = self._store.catalogue.volume_row(volume_id)
        with (
            Adapted(f"reading volume {volume_id}"),
            opened(_files.open_read(self._store.volume_path(row))) as fd,
        ):
            check_readable(row)
            yield from _files.stream(fd, row["size"] * GiB)

    def discard(self, volume_id: str) -> None:
        """Remove a volume's data, if there is any."""
        check_volume_id(volume_id)
        catalogue = self._store.catalogue
        what = f"discarding volume {volume_id}"
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
