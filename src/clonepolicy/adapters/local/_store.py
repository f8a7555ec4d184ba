"""An open cloud: its files, and what may be done with its records."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    NotFoundError,
    UnavailableError,
    Volume,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths
from clonepolicy.adapters._files.process_lock import ProcessLock
from clonepolicy.adapters.local._catalogue import (
    Catalogue,
    Row,
    translate_errors,
)
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.ports import check_volume_id

WHOLE = frozenset({"available", "in-use", "uploading"})
"""The statuses of volumes that have all their data."""
UNFINISHED = frozenset({"creating", "deleting"})
"""The statuses in which a volume's file is not the only copy of anything."""


@attrs.frozen
class Store:
    """One open cloud: its catalogue, its process's lock, and its pools."""

    root: Path
    catalogue: Catalogue
    lock: ProcessLock
    pools: dict[str, Path] = attrs.field(factory=dict)
    absent: dict[str, str] = attrs.field(factory=dict)
    """The pools that cannot be used now, with the reason for each."""
    _arrays: dict[str, ReflinkArray] = attrs.field(factory=dict)

    def array(self, pool: str) -> ReflinkArray:
        """Return the array of a pool's files; probe its file system once."""
        path = self.pool_path(pool)
        if pool not in self._arrays:
            self._arrays[pool] = ReflinkArray(path)
        return self._arrays[pool]

    def backend(self, pool: str) -> Backend:
        """Return what a pool's file system is and can do."""
        found = self.array(pool).get_backend()
        return attrs.evolve(
            found,
            clone_across_pools=found.clone_kind is CloneKind.COPY_ON_WRITE,
            image_clone_kind=None,
            image_schemes=frozenset(),
        )

    def pool_path(self, pool: str) -> Path:
        """Return the directory of a pool that can be used.

        Raises:
            NotFoundError: the cloud has no such pool.
            UnavailableError: the pool is not there now.
        """
        path = self._directory(pool)
        if pool in self.absent:
            raise UnavailableError(self.absent[pool])
        return path

    def _directory(self, pool: str) -> Path:
        if pool not in self.pools:
            names = ", ".join(self.pools)
            message = f"there is no pool {pool}; the pools are: {names}"
            raise NotFoundError(message)
        return self.pools[pool]

    def pool_of(self, volume: Volume) -> str:
        """Return the name of a volume's pool."""
        pool = None if volume.host is None else volume.host.pool
        if pool is None:
            message = f"volume {volume.id} is in no pool of this cloud"
            raise NotFoundError(message)
        return pool

    def volume_path(self, row: Row) -> Path:
        """Return the path of a volume's file, even if its pool is missing."""
        check_volume_id(row["id"])
        return self._directory(row["pool"]) / f"volume-{row['id']}"

    def volume_file(self, row: Row) -> Path:
        """Return the path of a volume's file in a pool that can be used."""
        self.pool_path(row["pool"])
        return self.volume_path(row)

    def image_path(self, image_id: str) -> Path:
        """Return the path of an image's file."""
        check_volume_id(image_id)  # a UUID too
        return self.root / "images" / image_id

    def misfit(self, row: Row) -> str | None:
        """Say why a volume's file does not fit its record; None: it fits."""
        if row["pool"] in self.absent:
            return f"is not there: {self.absent[row['pool']]}"
        size = _sizes.to_bytes(row["size"])
        return paths.misfit(self.volume_path(row), size)

    def free(self, pool: str) -> int:
        """Return the free bytes of a pool."""
        with translate_errors(f"looking at pool {pool}"):
            return paths.free(self.pool_path(pool))


def check_status(
    kind: str, row: Row, allowed: Container[str], why: str = ""
) -> None:
    """Raise `ConflictError` unless a record has one of the statuses."""
    if row["status"] not in allowed:
        raise ConflictError(f"{kind} {row['id']} is {row['status']}{why}")


def check_readable(store: Store, row: Row) -> None:
    """Raise `ConflictError` unless a volume has all its data."""
    whole = ", ".join(sorted(WHOLE))
    why = f"; its data can be read only if it is {whole}"
    check_status("volume", row, WHOLE, why)
    if misfit := store.misfit(row):
        message = f"volume {row['id']} is damaged: its file {misfit}"
        raise ConflictError(f"{message}; see clonepolicy check")


def check_not_directory(path: Path) -> None:
    """Raise `ConflictError` if a directory is where a file should be.

    Its content does not belong to this cloud, and may be the only copy.
    """
    if path.is_dir() and not path.is_symlink():
        raise ConflictError(f"{path} is a directory; move it away first")
