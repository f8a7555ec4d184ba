"""The directories of a cloud: made, checked, locked, and shared by ports."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Container, Mapping
from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    Config,
    ConflictError,
    FactError,
    NotFoundError,
    UnavailableError,
    Volume,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local._catalogue import (
    Catalogue,
    Row,
    translate_errors,
)
from clonepolicy.adapters.reflink import ReflinkArray

CATALOGUE = "catalogue.sqlite"
_MARK = ".pool"
"""A file in each pool; it is missing if the file system is not mounted."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
WHOLE = frozenset({"available", "in-use", "uploading"})
"""The statuses of volumes that have all their data."""


@attrs.frozen
class ProcessLock:
    """A lock file that this process holds, and that names its work.

    Records of unfinished work carry the file's name, the token.  The kernel
    frees the lock when the process ends.
    """

    token: str
    directory: Path
    _fd: int

    @classmethod
    def acquire(cls, directory: Path) -> ProcessLock:
        """Create and lock a file with a new token."""
        while True:
            token = str(uuid.uuid4())
            path = directory / token
            fd = paths.create(path)
            # remove_stale may have come between creating and locking it
            if _lock(fd, fcntl.LOCK_EX) and _is_at(fd, path):
                return cls(token, directory, fd)
            os.close(fd)

    def release(self) -> None:
        """Remove the file and free the lock."""
        (self.directory / self.token).unlink(missing_ok=True)
        os.close(self._fd)

    def is_dead(self, token: str) -> bool:
        """Return whether no process holds a token's lock."""
        return token != self.token and _is_free(self.directory / token)

    def remove_stale(self) -> None:
        """Remove the lock files of dead processes."""
        for path in self.directory.iterdir():
            if path.name != self.token:
                _is_free(path, remove=True)


def _lock(fd: int, kind: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    return False


def _is_at(fd: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def _is_free(path: Path, *, remove: bool = False) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    with paths.closing(fd):
        # shared, so that two processes that ask at once do not see each other
        free = _lock(fd, fcntl.LOCK_SH)
        if free and remove:
            path.unlink(missing_ok=True)
        return free


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

    def is_whole(self, row: Row) -> bool:
        """Return whether a volume's file has the volume's size."""
        size = paths.size_of(self.volume_path(row))
        return size == _sizes.to_bytes(row["size"])

    def free(self, pool: str) -> int:
        """Return the free bytes of a pool."""
        with translate_errors(f"looking at pool {pool}"):
            return shutil.disk_usage(self.pool_path(pool)).free


def check_status(
    kind: str, row: Row, allowed: Container[str], why: str = ""
) -> None:
    """Raise `ConflictError` unless a record has one of the statuses."""
    if row["status"] not in allowed:
        message = f"{kind} {row['id']} is {row['status']}{why}"
        raise ConflictError(message)


def check_readable(row: Row) -> None:
    """Raise `ConflictError` unless a volume has all its data."""
    whole = ", ".join(sorted(WHOLE))
    why = f"; its data can be read only if it is {whole}"
    check_status("volume", row, WHOLE, why)


def make_cloud(
    root: Path, pools: Mapping[str, Path | None], config: Config
) -> None:
    """Make the directories and the catalogue; raise as `LocalCloud.init`."""
    if (root / CATALOGUE).exists():
        message = f"{root} is a cloud already; open it"
        raise ConflictError(message)
    if not pools or not all(map(_NAME.fullmatch, pools)):
        raise FactError("pools", pools, "names of letters, digits, _.-")
    paths = {
        name: Path("pools") / name if path is None else path.absolute()
        for name, path in pools.items()
    }
    try:  # the catalogue stores paths as text
        "".join(map(str, paths.values())).encode()
    except UnicodeEncodeError:
        raise FactError("pools", pools, "paths that are text") from None
    with translate_errors(f"making a cloud in {root}"):
        _make_empty(root)
        # pools outside first: if one fails, the root stays empty
        outside = [path for path in paths.values() if path.is_absolute()]
        inside = [Path("images"), Path("run"), *paths.values()]
        for path in dict.fromkeys((*outside, *inside)):
            _make_empty(root / path)
        rows = [(name, str(p), str(uuid.uuid4())) for name, p in paths.items()]
        for _, place, mark in rows:
            (root / place / _MARK).write_text(mark)
        draft = root / "catalogue.draft"
        Catalogue.make(draft, rows, config)
        draft.rename(root / CATALOGUE)


def _make_empty(directory: Path) -> None:
    """Make a directory, or accept an empty one."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in directory.iterdir()}
    except FileExistsError as error:
        message = f"{directory} is not a directory; use a new or empty one"
        raise ConflictError(message) from error
    except OSError as error:
        message = (
            f"the directory {directory} cannot be made: {error.strerror}; "
            "use another path"
        )
        raise UnavailableError(message) from error
    # a new file system has lost+found at its root
    if names - {"lost+found"}:
        message = f"{directory} is not empty; use a new or empty directory"
        raise ConflictError(message)


def check_cloud(root: Path) -> None:
    """Check that a directory is a cloud, and that it can be repaired.

    Raises:
        NotFoundError: the directory is no cloud.
        UnavailableError: it cannot be written.
    """
    if not (root / CATALOGUE).is_file():
        message = (
            f"{root} is not a cloud; make one with LocalCloud.init, or "
            f"clonepolicy init {root}"
        )
        raise NotFoundError(message)
    for path in (root, root / "run"):
        if path.is_dir() and not os.access(
            path, os.W_OK | os.X_OK, effective_ids=True
        ):
            message = (
                f"{path} cannot be written, and opening a cloud needs that "
                "even for reading; make it writable for this user, or open a "
                "copy of the cloud"
            )
            raise UnavailableError(message)


def check_mounted(name: str, path: Path, mark: str) -> None:
    """Raise `UnavailableError` if a pool's file system is not mounted."""
    with contextlib.suppress(OSError):
        if (path / _MARK).read_text() == mark:
            return
    message = (
        f"pool {name} is not at {path}; mount its file system and try again"
    )
    raise UnavailableError(message)
