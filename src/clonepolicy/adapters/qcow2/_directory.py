"""Change the files of the array's directory, all at once or not at all.

A process can be killed at any instant of a change.  Then the change is
either done or undone: each name appears or disappears in one step, and no
name is removed while another file needs it.  A kill may leave names that no
file needs; the next change removes them.

There is one exception.  On a file system without unnamed files, a kill at a
certain instant leaves an empty file ``.spool-*``.  It stays, because it
could also belong to another host that is about to fill it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from clonepolicy import CloneLimitError, IntegrityError, LeftBehindError
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.qcow2 import _commands
from clonepolicy.adapters.qcow2._commands import LAYER, File, open_file
from clonepolicy.ports import check_volume_id

_NEW = ".new-"
"""Prefix of files that exist only while the lock is held."""


@attrs.frozen
class Directory:
    """Volumes, layers, a lock and an identity."""

    path: Path

    def volume(self, volume_id: str) -> Path:
        """Return the path of a volume's file, whether it exists or not."""
        check_volume_id(volume_id)
        return self.path / f"volume-{volume_id}"

    def identify(self) -> str:
        """Read the directory's identity; make one if there is none.

        The identity is the same on every host.  A copy of the directory has
        it too, until ``.array-id`` is removed from the copy.
        """
        path = self.path / ".array-id"
        with self.locked() as lock:
            if not path.exists():
                with self.changing(lock):
                    new = self._new()
                    with paths.closing(paths.create(new)) as fd:
                        os.write(fd, f"qcow2-{uuid.uuid4()}".encode())
                        os.fsync(fd)
                    new.rename(path)
                    paths.sync(self.path)
            found = path.read_bytes().decode(errors="replace")
        if not re.fullmatch(r"qcow2-[0-9a-f-]{36}", found):
            message = f"{path} holds no identity; restore it from a backup"
            raise IntegrityError(message)
        return found

    @contextlib.contextmanager
    def flock(self, name: str) -> Iterator[int]:
        """Hold the lock file ``name``.

        The kernel frees the lock when the last process that has it open
        ends.  Network file systems share it between hosts.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with paths.closing(os.open(self.path / name, flags, 0o600)) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the directory's lock; clean up if its last holder was killed.

        Names change only under this lock.  Otherwise a new layer, which no
        file needs yet, could be removed as one that no file needs any more.
        """
        with self.flock(".lock") as lock:
            if os.fstat(lock).st_size:
                self.clean()
                os.ftruncate(lock, 0)
            yield lock

    @contextlib.contextmanager
    def changing(
        self, lock: int, making: Path | None = None
    ) -> Iterator[None]:
        """Mark the directory as being changed; undo the change if it fails.

        Undoing removes the file ``making`` and all files that no volume
        needs.  The mark is the lock file's size.  A journalling file system
        writes it no later than the names that change after it.
        """
        os.ftruncate(lock, 1)
        try:
            yield
        except BaseException as error:
            try:
                if making is not None:
                    paths.remove(making)
                self.clean()
            except OSError as another:
                raise LeftBehindError(
                    f"{self.path} could be neither changed nor cleaned up: "
                    f"{another}"
                ) from error
            _unmark(lock)
            raise
        _unmark(lock)

    def clean(self) -> None:
        """Remove the files that no volume needs."""
        names = [path.name for path in self.path.iterdir()]
        doomed = [name for name in names if name.startswith(_NEW)]
        used: set[str] = set()
        # if a file is damaged, its layers are not known: keep all layers
        with contextlib.suppress(IntegrityError):
            for name in names:
                if name.startswith("volume-"):
                    with contextlib.ExitStack() as stack:
                        chain = self.open_chain(self.path / name, stack)
                        used.update(file.name for file in chain)
            doomed += filter(LAYER.fullmatch, {*names} - used)
        self.remove(doomed)

    def open_chain(
        self, path: Path, stack: contextlib.ExitStack
    ) -> list[File]:
        """Open a volume's file and all its layers, the volume first."""
        chain: list[File] = []
        name: str | None = path.name
        while name is not None:
            if any(name == file.name for file in chain):
                message = f"{name} rests on itself; restore a backup"
                raise IntegrityError(message)
            file = open_file(self.path, name)
            stack.callback(os.close, file.fd)
            chain.append(file)
            name = file.layer
        return chain

    def check_vacant(self, volume_id: str) -> None:
        """Raise `FileExistsError` if a volume has any file."""
        for name in (self.volume(volume_id).name, *self.parts(volume_id)):
            if os.path.lexists(self.path / name):
                raise FileExistsError(errno.EEXIST, "there is data", name)

    def new_layer(self, kind: str = "qcow2") -> Path:
        """Return a path for a new layer of a format."""
        return self.path / f"layer-{uuid.uuid4()}.{kind}"

    def link(self, path: Path, kind: str = "qcow2") -> str:
        """Link a file as a new layer; return the layer's name."""
        layer = self.new_layer(kind)
        try:
            os.link(path, layer)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            message = f"the file system takes no more clones of {path.name}"
            raise CloneLimitError(message) from error
        return layer.name

    def put(self, lock: int, path: Path, layer: str, size: int) -> None:
        """Replace ``path`` in one step by an empty file on a layer."""
        new = self._new()
        _commands.create(new, size, layer, lock=lock)
        # the layer must be on disk before a file that rests on it
        paths.sync(new)
        paths.sync(self.path)
        new.rename(path)
        paths.sync(self.path)

    def remove(self, names: Iterable[str]) -> bool:
        """Remove files that exist; return whether any did."""
        removed = [paths.remove(self.path / name) for name in names]
        return any(removed)

    def parts(self, volume_id: str) -> tuple[str, str]:
        """Name the files of a volume that is being made without the lock."""
        return f".part-{volume_id}", f".raw-{volume_id}"

    @contextlib.contextmanager
    def part(self, volume_id: str, size: int) -> Iterator[tuple[Path, Path]]:
        """Create an empty file of ``size`` bytes, to fill without the lock.

        Yields its path, and the path for a raw file beside it.  Both are
        named after the volume, so that `Qcow2Array.discard` finds them if
        this process is killed.
        """
        part, raw = names = self.parts(volume_id)
        with contextlib.ExitStack() as stack:
            with self.locked() as lock:
                self.check_vacant(volume_id)
                stack.callback(self._remove_parts, names)
                _commands.create(self.path / part, size, lock=lock)
            yield self.path / part, self.path / raw

    def _remove_parts(self, names: Iterable[str]) -> None:
        try:
            self.remove(names)
        except OSError as error:
            message = f"an unfinished volume could not be removed: {error}"
            raise LeftBehindError(message) from error

    def _new(self) -> Path:
        return self.path / f"{_NEW}{uuid.uuid4()}"


def list_own(chain: Iterable[File]) -> list[str]:
    """Name the files of a chain that no other volume needs."""
    own = []
    for file in chain:
        own.append(file.name)
        # another link means that another file needs this one and all below
        if os.fstat(file.fd).st_nlink > 1:
            break
    return own


def fill(part: Path, chain: Sequence[File]) -> None:
    """Copy a disk into an empty qcow2 file, and sync it."""
    with paths.closing(os.open(part, os.O_RDWR | os.O_CLOEXEC)) as fd:
        _commands.convert(chain, "qcow2", fd)
        os.fsync(fd)


def _unmark(lock: int) -> None:
    # if the mark stays, the next holder of the lock only cleans up in vain
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
