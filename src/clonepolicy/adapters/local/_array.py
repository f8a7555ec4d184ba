"""The array of the local cloud: the files of its volumes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from clonepolicy import (
    Backend,
    ConflictError,
    FileLocation,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local._catalogue import Row, translate_errors
from clonepolicy.adapters.local._store import (
    UNFINISHED,
    WHOLE,
    Store,
    check_readable,
    check_status,
)
from clonepolicy.adapters.reflink import (
    ReflinkArray,
    extend_file,
    inspect_file,
)
from clonepolicy.ports import (
    Inspection,
    Observer,
    StoredImage,
    StoredVolume,
    check_volume_id,
)


@attrs.frozen
class LocalArray:
    """The `ReflinkArray` of each pool, guarded by the volumes' records.

    A volume's record names its pool.  The array changes the data of a volume
    only while the record says ``creating``.
    """

    _store: Store
    _pool: str
    _observer: Observer = attrs.field(factory=Observer)

    def get_backend(self) -> Backend:
        """Return what the pool's file system is and can do."""
        return self._store.backend(self._pool)

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return the size of a volume's file in its pool."""
        if row := self._find(volume_id):
            return self._store.array(row["pool"]).stat(volume_id)
        return None

    def inspect(self, source: str | Location) -> Inspection:
        """Inspect the start of a volume's file in its pool."""
        if not isinstance(source, str):
            return self._store.array(self._pool).inspect(source)
        path = self._store.volume_file(
            self._store.catalogue.volume_row(source)
        )
        return inspect_file(path, source)

    def find_image(self, location: Location) -> StoredImage | None:
        """Raise `UnsupportedError`: no image has such a location."""
        return self._store.array(self._pool).find_image(location)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Share all data of the source's file, or copy it."""
        origin = self._store.catalogue.volume_row(source.id)
        path = self._store.volume_file(origin)
        self._creating(volume_id).clone_file(
            volume_id, source, path, self._observer.copied
        )

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Raise `UnsupportedError`: no image of this cloud can be cloned."""
        raise UnsupportedError(
            f"volume {volume_id} cannot be cloned from {location}, which is "
            "on no array of this cloud; download it"
        )

    def extend(self, volume_id: str, size: int) -> None:
        """Extend a volume with zeros to a size in GiB; never shrink it."""
        # not by `Store.array`: probing fails on a full file system
        path = self._store.volume_file(self._creating_row(volume_id))
        extend_file(path, volume_id, size)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of ``size`` GiB with all of an image's data."""
        self._creating(volume_id).write(volume_id, size, image, data)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Yield a volume's data."""
        row = self._store.catalogue.volume_row(volume_id)
        array = self._store.array(row["pool"])
        if array.stat(volume_id) is not None:
            check_readable(self._store, row)
        yield from array.read(volume_id)

    def discard(self, volume_id: str) -> None:
        """Remove the data of a volume in creation, if it has any."""
        row = self._find(volume_id)
        if row is None:
            return
        if row["status"] in WHOLE:
            raise ConflictError(
                f"volume {volume_id} is {row['status']} and keeps its data; "
                "delete it instead"
            )
        # not by `Store.array` either
        path = self._store.volume_file(row)
        with translate_errors(f"discarding volume {volume_id}"):
            if row["status"] in UNFINISHED:
                paths.remove(path)
            elif paths.size_of(path) is not None:
                raise ConflictError(
                    f"volume {volume_id} is {row['status']} but has data; "
                    "see clonepolicy check"
                )

    def _find(self, volume_id: str) -> Row | None:
        check_volume_id(volume_id)
        with contextlib.suppress(NotFoundError):
            return self._store.catalogue.volume_row(volume_id)
        return None

    def _creating_row(self, volume_id: str) -> Row:
        """Return a volume's row, if it is being created."""
        row = self._store.catalogue.volume_row(volume_id)
        why = "; only a volume in creation takes data"
        check_status("volume", row, {"creating"}, why)
        return row

    def _creating(self, volume_id: str) -> ReflinkArray:
        """Return the array of the pool of a volume that is being created."""
        return self._store.array(self._creating_row(volume_id)["pool"])
