"""Volumes, images and a wrapped qemu-img for tests of `Qcow2Array`."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from harness_qcow2 import OWN, holds, overwrite

import local_support
from clonepolicy import FileLocation, Image, Volume
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._qemu import confine
from clonepolicy.adapters.qcow2 import Qcow2Array

MIB = 1 << 20
SIZE = 4 * MIB
_MORE_CALLS = {
    *("link", "rename", "fork_exec", "fstat", "lstat", "scandir", "listdir"),
    *("waitpid", "write"),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a GiB 4 MiB, and count more calls as instants of a kill."""
    monkeypatch.setattr(_sizes, "GiB", SIZE)
    calls = local_support._CALLS | _MORE_CALLS
    monkeypatch.setattr(local_support, "_CALLS", calls)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty directory."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def array(place: Path) -> Qcow2Array:
    """Open an array in the directory."""
    return Qcow2Array(place)


def new_id() -> str:
    """Return an id for a new volume."""
    return str(uuid.uuid4())


def record(volume_id: str, status: str = "available", size: int = 1) -> Volume:
    """Return a volume's record."""
    return Volume(id=volume_id, project_id="p", size=size, status=status)


def image(disk_format: str = "raw") -> Image:
    """Return an image's record."""
    return Image(
        id=new_id(),
        status="active",
        disk_format=disk_format,
        container_format="bare",
    )


def content(seed: int = 1) -> bytes:
    """Return a disk's bytes: islands of data between zeros."""
    found = bytearray(SIZE)
    found[:4] = b"head"
    found[MIB : MIB + 70_000] = random.Random(seed).randbytes(70_000)  # noqa: S311 - any bytes will do
    found[-5:] = b"last!"
    return bytes(found)


def fill(array: Qcow2Array, data: bytes | None = None) -> str:
    """Create a volume of one GiB with data."""
    volume_id = new_id()
    data = content() if data is None else data
    array.write(volume_id, 1, image(), iter([data]))
    return volume_id


def clone(array: Qcow2Array, source: str, size: int = 1) -> str:
    """Clone a volume; return the clone's id."""
    volume_id = new_id()
    array.clone_volume(volume_id, record(source, size=size))
    return volume_id


def data_of(array: Qcow2Array, volume_id: str) -> bytes:
    """Read all of a volume."""
    return b"".join(array.read(volume_id))


def put(data: bytes, at: int, piece: bytes) -> bytes:
    """Return data with a piece of it replaced."""
    return data[:at] + piece + data[at + len(piece) :]


def names(place: Path) -> set[str]:
    """Name all files except the array's own."""
    return {path.name for path in place.iterdir()} - OWN


def volume_names(*volume_ids: str) -> set[str]:
    """Name the files of volumes."""
    return {f"volume-{volume_id}" for volume_id in volume_ids}


def wrap_qemu_img(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> Path:
    """Run a script before each qemu-img; return the log of the calls.

    In the script, ``$count`` is the number of the call.  qemu-img is not
    confined, because the script writes the log.
    """
    log, wrapper = tmp_path / "log", tmp_path / "bin" / "qemu-img"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(
        f'#!/bin/sh\necho "$1" >>{log}\ncount=$(wc -l <{log})\n'
        f'real={shutil.which("qemu-img")}\n{script}\nexec $real "$@"\n'
    )
    wrapper.chmod(0o755)
    path = os.pathsep.join((str(wrapper.parent), os.environ["PATH"]))
    monkeypatch.setenv("PATH", path)
    plain = tmp_path / "plain.py"
    plain.write_text("import os, sys\nos.execv(sys.argv[4], sys.argv[4:])\n")
    monkeypatch.setattr(confine, "__file__", str(plain))
    return log


@contextlib.contextmanager
def unopened(path: Path) -> Iterator[None]:
    """Check that no process opens a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        in_open = 0x20
        assert libc.inotify_add_watch(fd, os.fsencode(path), in_open) >= 0
        yield
        with pytest.raises(BlockingIOError):
            os.read(fd, 4096)
    finally:
        os.close(fd)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return an empty directory for images."""
    path = tmp_path / "images"
    path.mkdir()
    return path


@contextlib.contextmanager
def tmpfs(path: Path, size: str) -> Iterator[Path]:
    """Mount a small file system."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs: {done.stderr.strip()}")
    try:
        yield path
    finally:
        unmount = ["umount", "--lazy", str(path)]
        subprocess.run(unmount, check=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory with its links and holes."""
    shutil.rmtree(target, ignore_errors=True)
    copy = ["cp", "-a", str(source), str(target)]
    subprocess.run(copy, check=True)


@attrs.frozen(kw_only=True)
class Site:
    """A directory with volumes, and their expected data."""

    place: Path
    images: Path
    expected: dict[str, bytes]
    source: str
    """A volume with new data since it was cloned."""
    target: str
    """The id of a volume to be made."""

    def array(self) -> Qcow2Array:
        """Open the array; the source's chain is at the limit."""
        return Qcow2Array(self.place, images=[self.images], max_chain=2)

    def wide(self) -> Qcow2Array:
        """Open the array with a limit that is not reached."""
        return Qcow2Array(self.place, images=[self.images])

    def check(self) -> None:
        """Check that the expected volumes exist, and nothing else."""
        assert volume_names(*self.expected) == set(holds(self.place))
        array = self.wide()
        found = {each: data_of(array, each) for each in self.expected}
        assert self.expected == found


@pytest.fixture
def site(place: Path, images: Path) -> Site:
    """Make a volume, a clone of it, and an image."""
    (images / "image").write_bytes(content(2))
    array = Qcow2Array(place)
    source = fill(array)
    other = clone(array, source)
    overwrite(array.path(source), 0, b"source")
    return Site(
        place=place,
        images=images,
        expected={
            source: put(content(), 0, b"source"),
            other: content(),
        },
        source=source,
        target=new_id(),
    )


Action: TypeAlias = Callable[[Site], object]


def make_clone(site: Site) -> None:
    """Clone the source on its layer."""
    site.wide().clone_volume(site.target, record(site.source))


def make_flattened(site: Site) -> None:
    """Clone the source after copying it into one layer."""
    site.array().clone_volume(site.target, record(site.source))


def make_image_clone(site: Site) -> None:
    """Clone the image."""
    location = FileLocation(str(site.images / "image"))
    site.array().clone_image(site.target, location)


def make_written(site: Site) -> None:
    """Write a new volume."""
    site.array().write(site.target, 1, image(), iter([content()]))


MAKE: dict[str, Action] = {
    "clone": make_clone,
    "flatten": make_flattened,
    "image": make_image_clone,
    "write": make_written,
}
