"""The state that the ports of one open cloud share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    NotFoundError,
    Volume,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local._catalogue import Catalogue, Row
from clonepolicy.adapters.local._errors import translate_errors
from clonepolicy.adapters.local._process_lock import ProcessLock
from clonepolicy.adapters.reflink import ReflinkArray

_VOLUME_FILE = re.compile(r"volume-([0-9a-f-]{36})")
WHOLE = frozenset({"available", "in-use", "uploading"})
"""The statuses of volumes that have all their data."""


@attrs.frozen
class Store:
    """One open cloud: its catalogue, its process's lock, and its pools."""

    root: Path
    catalogue: Catalogue
    lock: ProcessLock
    pools: dict[str, Path] = attrs.field(factory=dict)
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
        """Return a pool's directory; raise `NotFoundError` if unknown."""
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
        """Return the path of a volume's file."""
        return self.pool_path(row["pool"]) / f"volume-{row['id']}"

    def image_path(self, image_id: str) -> Path:
        """Return the path of an image's file."""
        return self.root / "images" / image_id

    def volume_files(self) -> Iterator[tuple[str, Path]]:
        """Walk the volumes' files as (volume id, path)."""
        for pool in self.pools.values():
            for path in pool.iterdir():
                if found := _VOLUME_FILE.fullmatch(path.name):
                    yield found[1], path

    def leftover_files(self) -> Iterator[Path]:
        """Walk files that a killed process could not unname."""
        for pool in self.pools.values():
            yield from pool.glob(f"{paths.UNNAMED}*")

    def is_whole(self, row: Row) -> bool:
        """Return whether a volume's file has the volume's size."""
        size = paths.size_of(self.volume_path(row))
        return size == _sizes.to_bytes(row["size"])

    def free(self, pool: str) -> int:
        """Return the free bytes of a pool."""
        with translate_errors(f"looking at pool {pool}"):
            found = os.statvfs(self.pool_path(pool))
        return found.f_bavail * found.f_frsize


def check_readable(row: Row) -> None:
    """Raise `ConflictError` unless a volume has all its data."""
    if row["status"] not in WHOLE:
        message = (
            f"volume {row['id']} is {row['status']}; its data can be read "
            f"only if it is {', '.join(sorted(WHOLE))}"
        )
        raise ConflictError(message)
