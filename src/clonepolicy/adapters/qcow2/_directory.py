"""The directory: what its files rest on, and how that changes.

A change can be killed at any instant and is then either done or taken back:
each name appears and goes in one step, and nothing goes before nobody refers
to it any more.  What a kill leaves are names to which nobody refers; the
next to change something removes them.

But for one kind: where the file system has no files without names, a kill in
a certain instant leaves an empty ``.spool-*``.  It stays, since such a file
may as well be another host's that is about to fill it.
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

from clonepolicy import (
    CloneLimitError,
    IntegrityError,
    LeftBehindError,
    check_volume_id,
)
from clonepolicy.adapters import _files
from clonepolicy.adapters._files import opened
from clonepolicy.adapters.qcow2 import _qemu
from clonepolicy.adapters.qcow2._file import LAYER, File, open_file

_NEW = ".new-"
"""What the name of a file begins with that is there under the lock only."""


class Directory:
    """Volumes, layers, a lock and a mark."""

    def __init__(self, path: Path) -> None:
        """Look at nothing yet."""
        self.path = path

    def volume(self, volume_id: str) -> Path:
        """Give the place of a volume's file, whether there is one or not."""
        check_volume_id(volume_id)
        return self.path / f"volume-{volume_id}"

    def identify(self) -> str:
        """Read the identity, the same wherever this is mounted; make one.

        A copy of the directory has it too, until ``.array-id`` is removed.
        """
        path = self.path / ".array-id"
        with self.locked() as lock:
            if not path.exists():
                with self.changing(lock):
                    new = self._new()
                    with opened(_files.create(new)) as fd:
                        os.write(fd, f"qcow2-{uuid.uuid4()}".encode())
                        os.fsync(fd)
                    new.rename(path)
                    _files.sync(self.path)
            found = path.read_bytes().decode(errors="replace")
        if not re.fullmatch(r"qcow2-[0-9a-f-]{36}", found):
            message = f"{path} holds no identity; restore it from a backup"
            raise IntegrityError(message)
        return found

    # -- one change at a time -----------------------------------------------

    @contextlib.contextmanager
    def flock(self, name: str) -> Iterator[int]:
        """Take one of the locks.

        It goes with the last process that has it, however that ends, and
        network file systems keep it between hosts.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with opened(os.open(self.path / name, flags, 0o600)) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Keep all others out; clean up first if one died at its change.

        Names change under this lock only, lest somebody take a layer to
        which nothing refers yet for one to which nothing refers any more.
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
        """Mark that a change is going on; take it back if it fails.

        The mark is the lock file's size, which a file system with a journal
        keeps in order with the names that change after it.
        """
        os.ftruncate(lock, 1)
        try:
            yield
        except BaseException as error:
            try:
                if making is not None:
                    _files.remove(making)
                self.clean()
            except OSError as another:
                message = (
                    f"{self.path} could be neither changed nor cleaned up: "
                    f"{another}"
                )
                raise LeftBehindError(message) from error
            _unmark(lock)
            raise
        _unmark(lock)

    def clean(self) -> None:
        """Remove what nobody refers to."""
        names = [path.name for path in self.path.iterdir()]
        doomed = [name for name in names if name.startswith(_NEW)]
        used: set[str] = set()
        # on what a damaged file rests is not known: then all layers stay
        with contextlib.suppress(IntegrityError):
            for name in names:
                if name.startswith("volume-"):
                    with contextlib.ExitStack() as stack:
                        chain = self.open_chain(self.path / name, stack)
                        used.update(file.name for file in chain)
            doomed += filter(LAYER.fullmatch, {*names} - used)
        self.remove(doomed)

    # -- files --------------------------------------------------------------

    def open_chain(
        self, path: Path, stack: contextlib.ExitStack
    ) -> list[File]:
        """Open a volume's file and all its layers, from the top."""
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
        """Raise `FileExistsError` if there is anything of a volume."""
        for name in (self.volume(volume_id).name, *self.parts(volume_id)):
            if os.path.lexists(self.path / name):
                raise FileExistsError(errno.EEXIST, "there is data", name)

    def new_layer(self, kind: str = "qcow2") -> Path:
        """Give a place for a layer, by its format."""
        return self.path / f"layer-{uuid.uuid4()}.{kind}"

    def link(self, path: Path, kind: str = "qcow2") -> str:
        """Give a file one more name, as a layer that is referred to once."""
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
        """Put an empty file on a layer, in one step, in a volume's place."""
        new = self._new()
        _qemu.create(new, size, layer, lock=lock)
        # what it rests on has to last no shorter than itself
        _files.sync(new)
        _files.sync(self.path)
        new.rename(path)
        _files.sync(self.path)

    def remove(self, names: Iterable[str]) -> bool:
        """Remove files, if they are there; tell whether any was."""
        removed = [_files.remove(self.path / name) for name in names]
        return any(removed)

    def parts(self, volume_id: str) -> tuple[str, str]:
        """Name what is there while a volume is made without the lock."""
        return f".part-{volume_id}", f".raw-{volume_id}"

    @contextlib.contextmanager
    def part(self, volume_id: str, size: int) -> Iterator[tuple[Path, Path]]:
        """Make an empty file for work that takes long, and needs no lock.

        It is named after the volume, to be found if its maker dies, and so
        is the raw file that may be made beside it.
        """
        part, raw = names = self.parts(volume_id)
        with contextlib.ExitStack() as stack:
            with self.locked() as lock:
                self.check_vacant(volume_id)
                stack.callback(self._take_back, names)
                _qemu.create(self.path / part, size, lock=lock)
            yield self.path / part, self.path / raw

    def _take_back(self, names: Iterable[str]) -> None:
        try:
            self.remove(names)
        except OSError as error:
            message = f"what was begun could not be removed: {error}"
            raise LeftBehindError(message) from error

    def _new(self) -> Path:
        return self.path / f"{_NEW}{uuid.uuid4()}"


def list_own(chain: Iterable[File]) -> list[str]:
    """Name a file and the layers that only it needs, from the top."""
    own = []
    for file in chain:
        own.append(file.name)
        # what has another name is needed by another, with all it rests on
        if os.fstat(file.fd).st_nlink > 1:
            break
    return own


def fill(part: Path, chain: Sequence[File]) -> None:
    """Write all of a file into an empty one, and sync it."""
    with opened(os.open(part, os.O_RDWR | os.O_CLOEXEC)) as fd:
        _qemu.convert(chain, "qcow2", fd)
        os.fsync(fd)


def _unmark(lock: int) -> None:
    # a mark that stays makes the next look for nothing, no more
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
