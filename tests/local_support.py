"""Clouds and file systems to test on, and checks of a whole cloud."""

from __future__ import annotations

import ctypes
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clonepolicy import AdapterError, Register, Volume
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.local import (
    Created,
    ImageRow,
    LocalCloud,
    Uploaded,
    VolumeRow,
)

MIB = 1 << 20
_CALLS = frozenset(
    {
        *("open", "close", "unlink", "ftruncate", "fsync", "pwrite"),
        *("ioctl", "flock", "copy_file_range", "pread", "execute"),
        *("executemany", "connect", "lseek"),
    }
)


def write_source(path: Path, size: int = 3 * MIB, seed: int = 1) -> Path:
    """Write a sparse file with islands of data, one at its end."""
    chance = random.Random(seed)  # noqa: S311 - any bytes will do
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(4096)
        file.write(chance.randbytes(100_000))
        file.seek(size // 2)
        file.write(chance.randbytes(300_000))
        file.seek(size - 5)
        file.write(b"last!")
    return path


def content(path: Path) -> dict[int, bytes]:
    """Return the blocks of 4 KiB of a file that are not zeros."""
    found = {}
    fd = paths.open_read(path)
    try:
        for start, end, data in sparse.extents(fd, path.stat().st_size):
            for at in range(start, end if data else start, 4096):
                block = os.pread(fd, 4096, at).rstrip(b"\0")
                if block:
                    found[at] = block
    finally:
        os.close(fd)
    return found


def faults(root: Path, source: Path | None = None) -> list[str]:
    """Return the defects of a cloud that no process has open."""
    expected = None if source is None else content(source)
    with LocalCloud(root) as cloud:
        found = [
            f"plan left: {entry}" for entry in cloud.journal.interrupted()
        ]
        named = {url for row in cloud.list_images() for url in row.locations}
        for row in cloud.list_volumes():
            found += _volume_faults(row, named, expected)
        for image in cloud.list_images():
            found += _image_faults(cloud, root, image)
        found += _strays(cloud, root)
        found += map(str, cloud.check())
        if len(list((root / "run").iterdir())) > 1:
            found.append("lock files of dead processes stay")
    return found


def _volume_faults(
    row: VolumeRow, named: set[str], expected: dict[int, bytes] | None
) -> Iterator[str]:
    status, path = row.volume.status, row.path
    size = _sizes.to_bytes(row.volume.size)
    if status == "available":
        if not path.exists() or path.stat().st_size != size:
            yield f"available but not whole: {row}"
        elif expected is not None and content(path) != expected:
            yield f"available with other bytes: {row}"
    elif status != "error":
        yield f"volume left {status}"
    elif path.exists():
        yield f"failed but with data: {row}"
    inside = row.volume.project_id == "cinder-internal"
    if inside and f"cinder://{row.volume.id}" not in named:
        yield f"orphan volume: {row}"


def _image_faults(
    cloud: LocalCloud, root: Path, row: ImageRow
) -> Iterator[str]:
    image = row.image
    if image.status != "active":
        yield f"image left {image.status}"
    for url in row.locations:
        backing = cloud.find_volume(url.removeprefix("cinder://"), None)
        if backing.volume.status != "available":
            yield f"location to nothing: {url}"
    if not row.locations and not (root / "images" / image.id).exists():
        yield f"image without data: {row}"
    try:
        for _ in cloud.ports("p", cloud.pools[0].name).images.download(
            image.id
        ):
            pass
    except AdapterError as error:
        yield f"image cannot be read: {error}"


def _strays(cloud: LocalCloud, root: Path) -> Iterator[str]:
    known = {row.path for row in cloud.list_volumes()}
    known |= {root / "images" / r.image.id for r in cloud.list_images()}
    places = (*(pool.path for pool in cloud.pools), root / "images")
    for place in places:
        for path in place.iterdir():
            if path not in known and path.name != ".pool":
                yield f"stray file: {path}"


def _active(cloud: LocalCloud, name: str) -> set[str]:
    rows = cloud.list_images()
    found = [row.image for row in rows if row.name == name]
    return {image.id for image in found if image.status == "active"}


def add_image(cloud: LocalCloud, source: Path, name: str = "image") -> str:
    """Add an image of project p; return its id."""
    return cloud.add_image(source, name=name, project_id="p").id


def make_volume(
    cloud: LocalCloud, image_id: str, name: str = "v", size: int = 1
) -> Volume:
    """Create a volume of project p from an image."""
    made = cloud.create_volume(image_id, name=name, project_id="p", size=size)
    assert made.volume is not None
    assert made.volume.volume.status == "available"
    return made.volume.volume


def register_image(cloud: LocalCloud, source: Path) -> tuple[Volume, str]:
    """Create a volume and register an image of it; return both."""
    volume = make_volume(cloud, add_image(cloud, source))
    made = cloud.upload_volume(volume.id, name="snap", project_id="p")
    assert isinstance(made.decision, Register)
    assert made.image is not None
    return volume, made.image.image.id


def raising(number: int) -> Callable[..., int]:
    """Return a function that raises an `OSError`."""

    def fail(*_: object) -> int:
        raise OSError(number, "injected")

    return fail


@pytest.fixture(autouse=True)
def agreeing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the result of each operation with the cloud's lists."""
    create, upload = LocalCloud.create_volume, LocalCloud.upload_volume

    def create_volume(
        cloud: LocalCloud,
        *args: str,
        **more: Any,  # noqa: ANN401 - passed on
    ) -> Created:
        made = create(cloud, *args, **more)
        if made.volume is None:
            return made
        known = {r.volume.id: r.volume.status for r in cloud.list_volumes()}
        says = made.volume.volume.status
        assert says == known.get(made.volume.volume.id)
        assert made.outcome is not None
        assert (says == "available") == (made.outcome.attempt is not None)
        return made

    def upload_volume(
        cloud: LocalCloud,
        *args: str,
        **more: Any,  # noqa: ANN401 - passed on
    ) -> Uploaded:
        before = _active(cloud, more["name"])
        made = upload(cloud, *args, **more)
        new = _active(cloud, more["name"]) - before
        assert new == (set() if made.image is None else {made.image.image.id})
        done = made.outcome is not None and made.outcome.attempt is not None
        assert done == bool(new)
        return made

    monkeypatch.setattr(LocalCloud, "create_volume", create_volume)
    monkeypatch.setattr(LocalCloud, "upload_volume", upload_volume)


_MAKE = {
    "ext4": ("mkfs.ext4", "-q"),
    "ext4 with blocks of 1 KiB": ("mkfs.ext4", "-q", "-b", "1024"),
    "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"),
    "btrfs": ("mkfs.btrfs", "-q"),
}
_NEW_NAMESPACE = 0x20000
_RECURSIVE_PRIVATE = 0x44000
_OWNER, _ME = "CLONEPOLICY_TESTS_OWNER_OF_MOUNTS", str(os.getpid())


def _own_mounts() -> None:
    """Let mounts end with this process and those that it starts."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_NEW_NAMESPACE) == 0:
        libc.mount(None, b"/", None, _RECURSIVE_PRIVATE, None)


# before a process starts that others are forked from; those share its mounts
if os.geteuid() == 0 and os.environ.setdefault(_OWNER, _ME) == _ME:
    _own_mounts()


def mounted(kind: str, directory: Path, size: int = 512) -> Iterator[Path]:
    """Mount a new file system of so many MiB, for this process alone.

    The kernel unmounts it when the process ends, however that happens.
    """
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place = directory / kind.partition(" ")[0]
    place.mkdir()
    run = functools.partial(subprocess.run, capture_output=True, text=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "none", str(place)]
    if kind != "tmpfs":
        make, device = _MAKE[kind], directory / "device"
        if shutil.which(make[0]) is None:
            pytest.skip(f"{make[0]} is not installed")
        with device.open("wb") as file:
            file.truncate(size * MIB)
        run([*make, str(device)], check=True)
        mount = ["mount", "-o", "loop", str(device), str(place)]
    done = run(mount, check=False)
    if done.returncode:
        pytest.skip(f"no {kind}: {done.stderr.strip()}")
    try:
        yield place
    finally:
        run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="session")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Mount an XFS with reflinks."""
    yield from mounted("xfs", tmp_path_factory.mktemp("xfs"))


@pytest.fixture(scope="session")
def btrfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Mount a btrfs."""
    yield from mounted("btrfs", tmp_path_factory.mktemp("btrfs"))


@pytest.fixture(params=["plain", "xfs", "btrfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return a path for a directory on each file system."""
    if request.param == "plain":
        yield tmp_path / "place"
        return
    mount: Path = request.getfixturevalue(request.param)
    mine = mount / tmp_path.name
    mine.mkdir()
    try:
        yield mine / "place"
    finally:
        shutil.rmtree(mine)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write a small sparse file."""
    return write_source(tmp_path / "source.img")


def shrink() -> None:
    """Make a GiB 4 MiB, so that many kills take little time."""
    vars(_sizes)["GiB"] = 4 * MIB


def die_at(call: int) -> None:
    """Kill this process at its n-th system call or SQL statement."""
    left = call

    def count(_frame: object, event: str, what: object) -> None:
        nonlocal left
        if event == "c_call" and getattr(what, "__name__", "") in _CALLS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def killed(action: Callable[[], object], call: int) -> bool:
    """Run an action in a process that is killed; return whether it was."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_at(call)
            action()
            code = 0
        finally:
            sys.setprofile(None)
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        message = f"the process failed at call {call} instead of dying"
        raise RuntimeError(message)
    return os.WIFSIGNALED(status)
