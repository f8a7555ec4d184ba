"""Edge cases of the arrays that need no file system and no cluster."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import attrs
import pytest

from clonepolicy import (
    ConflictError,
    FactError,
    FileLocation,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters._files import paths
from clonepolicy.adapters._qemu import run
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.ports import StoredImage, StoredVolume


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty directory for volumes."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a directory with one image."""
    path = tmp_path / "images"
    path.mkdir()
    (path / "image").write_bytes(b"data")
    return path


@pytest.fixture
def array(place: Path, images: Path) -> ReflinkArray:
    """Open an array on both directories."""
    return ReflinkArray(place, images=[images])


def new_id() -> str:
    """Return an id for a new volume."""
    return str(uuid.uuid4())


# -- stored images ----------------------------------------------------------


def test_an_image_is_opened(images: Path, place: Path) -> None:
    """A regular file directly in one of the directories is an image."""
    path = images / "image"
    directories = paths.ImageDirectories([images], place)
    with directories.opened(FileLocation(str(path))) as (fd, found):
        assert path == found
        assert b"data" == os.read(fd, 10)
        assert not os.get_inheritable(fd)


ABSENT = ("no", "a\0b", "\ud800", "\udcff", "n" * 300)
"""Names of files directly in the directory that are not there."""


@pytest.mark.parametrize(
    "name",
    [
        *ABSENT,
        *(
            "image/below",
            "link",
            "loop",
            "below",
            "below/image",
            "../image",
            "..",
            "",
        ),
        *("pipe", "socket"),
    ],
)
def test_other_files_are_no_images(
    array: ReflinkArray,
    images: Path,
    place: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No array looks at any other file; a pipe does not block."""
    (images.parent / "image").write_bytes(b"data")
    (images / "link").symlink_to(images / "image")
    (images / "loop").symlink_to(images / "loop")
    (images / "below").mkdir()
    (images / "below" / "image").write_bytes(b"data")
    os.mkfifo(images / "pipe")
    monkeypatch.chdir(images)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    location = FileLocation(f"{images}/{name}")
    if name in ABSENT:
        assert None is array.find_image(location)
        with pytest.raises(NotFoundError):
            array.clone_image(new_id(), location)
    else:
        with pytest.raises(UnsupportedError, match="no image of this array"):
            array.find_image(location)
        with pytest.raises(UnsupportedError, match="no image of this array"):
            array.clone_image(new_id(), location)
    assert [] == list(place.iterdir())


def test_an_image_on_another_device_is_not_looked_at(images: Path) -> None:
    """A file on another file system cannot share data with the volumes."""
    elsewhere = Path("/proc")
    assert images.stat().st_dev != elsewhere.stat().st_dev
    directories = paths.ImageDirectories([images], elsewhere)
    location = FileLocation(str(images / "image"))
    with pytest.raises(UnsupportedError):
        directories.find(location)
    with pytest.raises(UnsupportedError), directories.opened(location):
        pass


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOMEM]
)
def test_an_image_that_cannot_be_opened_is_not_hidden(
    array: ReflinkArray,
    images: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the reason; the image is not reported as missing."""
    location, real = FileLocation(f"{images}/image"), os.open

    def refuse(path: object, *more: int, **other: int) -> int:
        if str(path) == location.path:
            raise OSError(number, os.strerror(number))
        return real(path, *more, **other)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    kind = ForbiddenError if number == errno.EACCES else UnavailableError
    with pytest.raises(kind, match="looking at file://"):
        array.find_image(location)
    with pytest.raises(kind, match="cloning file://"):
        array.clone_image(new_id(), location)


# -- options ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path])
def test_directories_are_strings_or_paths(
    place: Path,
    images: Path,
    kind: type[str | Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A relative path is resolved when the array is opened."""
    monkeypatch.chdir(place.parent)
    array = ReflinkArray(kind("place"), images=[kind("images")])
    monkeypatch.chdir("/")
    volume_id = new_id()
    location = FileLocation(f"{images}/image")
    assert StoredImage(size=1) == array.find_image(location)
    array.clone_image(volume_id, location)
    assert place / f"volume-{volume_id}" == array.path(volume_id)
    assert StoredVolume(size=1 << 30) == array.stat(volume_id)


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_a_single_directory_of_images_is_refused(
    place: Path, images: Path, kind: Callable[[Path], str | Path]
) -> None:
    """A string would be taken for one directory per character."""
    with pytest.raises(FactError, match="images: expected ") as caught:
        ReflinkArray(place, images=kind(images))  # type: ignore[arg-type]
    assert kind(images) == caught.value.value


@pytest.mark.parametrize(
    "pools",
    ["images,glance", "images", ["images"], None, {"images", ""}, {1}],
)
def test_pools_of_images_must_be_a_set_of_names(pools: object) -> None:
    """A string would contain each of its parts as a pool."""
    with pytest.raises(FactError, match="image_pools: expected "):
        RbdArray(rbd_pool="p", image_pools=pools)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", ["5", True, 2.5, 0, -1, None])
def test_the_depth_must_be_a_whole_number(depth: object) -> None:
    """The depth is an integer above 0, not text and not a Boolean."""
    with pytest.raises(FactError, match="rbd_max_clone_depth: expected "):
        RbdArray(rbd_pool="p", rbd_max_clone_depth=depth)  # type: ignore[arg-type]


# -- discarding -------------------------------------------------------------


def record_syncs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Record the paths that are synced."""
    found: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        found.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_discarding_syncs_the_directory(
    array: ReflinkArray,
    images: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The directory is synced if a file was removed."""
    volume_id = new_id()
    array.clone_image(volume_id, FileLocation(f"{images}/image"))
    found = record_syncs(monkeypatch)
    array.discard(volume_id)
    assert [place] == found
    array.discard(volume_id)
    assert [place] == found


# -- qemu-img ---------------------------------------------------------------


@pytest.mark.parametrize(
    "output", ["No space left on device", "Disk quota exceeded"]
)
def test_a_full_file_system_is_unavailable(
    tmp_path: Path, output: str
) -> None:
    """A full file system is unavailable; the image is not damaged."""
    program = tmp_path / "qemu-img"
    program.write_text(f"#!/bin/sh\necho 'error: {output}' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(UnavailableError, match="no space left"):
        run.run_qemu_img(str(program), "convert", fds=())


# -- a librbd of one image ----------------------------------------------------

_Snapshot: TypeAlias = "dict[str, str | int]"


class _RbdError(Exception):
    """An error of librbd."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.errno = number


class _ObjectNotFoundError(Exception):
    """librados' error of a missing object."""


@attrs.define
class _Ceph:
    """A cluster with one image and named snapshots."""

    snapshots: list[str]
    is_there: bool = True

    # librados

    def connect(self) -> None:
        """Do nothing."""

    def get_fsid(self) -> str:
        """Return some id."""
        return "fsid"

    def open_ioctx(self, _: str) -> _Ceph:
        """Return this object as each pool."""
        return self

    def lock_exclusive(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def unlock(self, *_: object) -> None:
        """Do nothing."""

    def read(self, _: str) -> bytes:
        """Raise the error of a missing object."""
        raise _ObjectNotFoundError

    # librbd

    @contextlib.contextmanager
    def open(self, *_: object, **__: object) -> Iterator[_Ceph]:
        """Return this object as the image."""
        if not self.is_there:
            raise _RbdError(errno.ENOENT)
        yield self

    def list_children2(self) -> list[_Snapshot]:
        """Return no clones."""
        return []

    def list_snaps(self) -> list[_Snapshot]:
        """Return the snapshots."""
        return [{"name": each, "namespace": 0} for each in self.snapshots]

    def remove_snap2(self, name: str, _: int) -> None:
        """Remove a snapshot."""
        self.snapshots.remove(name)

    def remove(self, *_: object) -> None:
        """Remove the image, unless it has snapshots."""
        if self.snapshots:
            raise _RbdError(errno.ENOTEMPTY)
        self.is_there = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the modules ``rados`` and ``rbd``."""
        rados, rbd = ModuleType("rados"), ModuleType("rbd")
        vars(rados).update(
            Rados=lambda **_: self,
            Error=_ObjectNotFoundError,
            ObjectNotFound=_ObjectNotFoundError,
        )
        nothing = type("ImageNotFound", (_RbdError,), {})
        busy = type("ImageBusy", (_RbdError,), {})
        vars(rbd).update(
            RBD=lambda: self,
            Image=self.open,
            Error=_RbdError,
            ImageNotFound=nothing,
            ImageBusy=busy,
            RBD_SNAP_NAMESPACE_TYPE_TRASH=2,
            RBD_SNAP_REMOVE_UNPROTECT=1,
        )
        monkeypatch.setitem(sys.modules, "rados", rados)
        monkeypatch.setitem(sys.modules, "rbd", rbd)


def test_discard_removes_snapshots_of_unfinished_clones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Discarding a volume removes the snapshots of unfinished clones."""
    ceph = _Ceph([f"clone-{new_id()}", f"clone-{new_id()}"])
    ceph.install(monkeypatch)
    RbdArray(rbd_pool="volumes").discard(new_id())
    assert not ceph.is_there


@pytest.mark.parametrize(
    "name",
    [
        "clone-before-upgrade",
        "clone-",
        "clone-{id}-old",
        "clone-{id}\n",
        "my-clone-{id}",
        "{id}",
        "clone-{upper}",
    ],
)
def test_an_operators_snapshot_is_not_removed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot with a similar name stays, and so does its volume."""
    found = name.format(id=new_id(), upper=new_id().upper())
    ceph = _Ceph([found])
    ceph.install(monkeypatch)
    array = RbdArray(rbd_pool="volumes")
    with pytest.raises(ConflictError, match="snapshots that others took"):
        array.discard(new_id())
    assert [found] == ceph.snapshots
    assert ceph.is_there
