"""What the ports of one open cloud share: catalogue, owner, places."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    GiB,
    NotFoundError,
    Volume,
)
from clonepolicy.adapters import _files
from clonepolicy.adapters.local._catalogue import Catalogue, Row
from clonepolicy.adapters.local._owners import Owner

_VOLUME_FILE = re.compile(r"volume-([0-9a-f-]{36})")
WHOLE = frozenset({"available", "in-use", "uploading"})
"""The statuses of volumes that have all their data."""


@attrs.frozen
class Store:
    """One open cloud's insides."""

    root: Path
    catalogue: Catalogue
    owner: Owner
    pools: dict[str, Path]
    _backends: dict[str, Backend] = attrs.field(factory=dict)

    def backend(self, pool: str) -> Backend:
        """Tell what a pool's file system is and can do; ask it once."""
        path = self.pool_path(pool)
        known = self._backends.get(pool)
        if known is None:
            with _files.Adapted(f"looking at pool {pool}"):
                known = _probe(path)
            self._backends[pool] = known
        return known

    def pool_path(self, pool: str) -> Path:
        """Give a pool's directory, or raise `NotFoundError`."""
        if pool not in self.pools:
            names = ", ".join(self.pools)
            message = f"there is no pool {pool}; there are: {names}"
            raise NotFoundError(message)
        return self.pools[pool]

    def pool_of(self, volume: Volume) -> str:
        """Give the pool in which a volume lies."""
        pool = None if volume.host is None else volume.host.pool
        if pool is None:
            message = f"volume {volume.id} lies in no pool of this cloud"
            raise NotFoundError(message)
        return pool

    def volume_path(self, row: Row) -> Path:
        """Give the place of a volume's file."""
        return self.pool_path(row["pool"]) / f"volume-{row['id']}"

    def image_path(self, image_id: str) -> Path:
        """Give the place of an image's file."""
        return self.root / "images" / image_id

    def volume_files(self) -> Iterator[tuple[str, Path]]:
        """Walk the volumes' files as (volume id, path)."""
        for pool in self.pools.values():
            for path in pool.iterdir():
                if found := _VOLUME_FILE.fullmatch(path.name):
                    yield found[1], path

    def spools(self) -> Iterator[Path]:
        """Walk what was to have no name, but whose maker died before."""
        for pool in self.pools.values():
            yield from pool.glob(f"{_files.SPOOL}*")

    def is_whole(self, row: Row) -> bool:
        """Say whether a volume's file has the volume's size."""
        size: int = row["size"] * GiB
        return _files.size_of(self.volume_path(row)) == size

    def free(self, pool: str) -> int:
        """Tell how many bytes are free in a pool."""
        with _files.Adapted(f"looking at pool {pool}"):
            found = os.statvfs(self.pool_path(pool))
        return found.f_bavail * found.f_frsize


def _probe(path: Path) -> Backend:
    shares = _files.can_reflink(path)
    return Backend(
        array_id=_files.identify(path),
        can_clone=True,
        clone_kind=(
            CloneKind.COPY_ON_WRITE if shares else CloneKind.FULL_COPY
        ),
        clone_across_pools=shares,
        can_extend=True,
        clone_while_uploading=True,
    )


def check_readable(row: Row) -> None:
    """Refuse to take a volume's data before it has any, or after."""
    if row["status"] not in WHOLE:
        message = (
            f"volume {row['id']} is {row['status']}; its data can be taken "
            f"only from one that is {', '.join(sorted(WHOLE))}"
        )
        raise ConflictError(message)


def delete_volume_record(db: sqlite3.Connection, volume_id: str) -> None:
    """Delete the record of a volume whose file is gone."""
    db.execute("DELETE FROM volume WHERE id = ?", (volume_id,))
