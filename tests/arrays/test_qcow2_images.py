"""`Qcow2Array` clones stored images by hard links."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import qcow2_support
from harness_qcow2 import chain, overwrite
from qcow2_support import (
    SIZE,
    clone,
    content,
    data_of,
    names,
    new_id,
    put,
    tmpfs,
    unopened,
)

from clonepolicy import (
    ConflictError,
    FactError,
    FileLocation,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.ports import StoredImage

small = qcow2_support.small
place = qcow2_support.place
images = qcow2_support.images

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io are not installed; install qemu-utils",
)


def test_a_clone_of_an_image_outlives_it(place: Path, images: Path) -> None:
    """The clone rests on a hard link; zeros follow the image's data."""
    array = Qcow2Array(place, images=[images])
    path, volume_id = images / "image", new_id()
    data = content() + b"odd"
    path.write_bytes(data)
    location = FileLocation(str(path))
    assert StoredImage(size=2) == array.find_image(location)
    array.clone_image(volume_id, location)
    path.unlink()
    second = clone(array, volume_id, 2)
    overwrite(array.path(volume_id), 0, b"mine")
    expected = data + bytes(2 * SIZE - len(data))
    assert expected == data_of(array, second)
    assert put(expected, 0, b"mine") == data_of(array, volume_id)
    assert 2 == len(chain(array.path(second)))
    for each in (volume_id, second):
        array.discard(each)
    assert set() == names(place)


def test_an_image_that_is_replaced_is_not_cloned(
    place: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The array links only the file that it has measured."""
    array = Qcow2Array(place, images=[images])
    path, link = images / "image", os.link
    path.write_bytes(content())

    def replace_first(source: Path, target: Path) -> None:
        new = path.with_name("new")
        new.write_bytes(content(2) * 2)
        new.rename(path)
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", replace_first)
        with pytest.raises(ConflictError, match="replaced"):
            array.clone_image(new_id(), FileLocation(str(path)))
    assert set() == names(place)


def test_an_image_is_cloned_as_raw(place: Path, images: Path) -> None:
    """An image that looks like qcow2 is cloned as raw bytes."""
    array = Qcow2Array(place, images=[images])
    path, volume_id = images / "image", new_id()
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
    subprocess.run([*create, "/etc/passwd", str(path)], check=True)
    with unopened(Path("/etc/passwd")):
        array.clone_image(volume_id, FileLocation(str(path)))
        found = data_of(array, volume_id)
    assert path.read_bytes() == found.rstrip(b"\0") + bytes(
        path.stat().st_size - len(found.rstrip(b"\0"))
    )


def test_only_regular_files_in_the_directory_are_images(
    place: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Links, directories and files elsewhere are no images."""
    array = Qcow2Array(place, images=[images])
    (tmp_path / "image").write_bytes(content())
    (images / "link").symlink_to(tmp_path / "image")
    (images / "below").mkdir()
    (images / "below" / "image").write_bytes(content())
    os.mkfifo(images / "pipe")
    monkeypatch.chdir(images)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    odd = ("socket", "a\0b", "\ud800", "n" * 300, "link/below")
    plain = ("link", "below", "below/image", "pipe", "../image", "no")
    for name in (*plain, *odd):
        location = FileLocation(f"{images}/{name}")
        if name in {"no", *odd[1:4]}:
            assert None is array.find_image(location)
            with pytest.raises(NotFoundError):
                array.clone_image(new_id(), location)
            continue
        with pytest.raises(UnsupportedError):
            array.find_image(location)
        with pytest.raises(UnsupportedError):
            array.clone_image(new_id(), location)
    assert set() == names(place)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_an_image_that_cannot_be_opened_is_not_hidden(
    place: Path, images: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the reason; the image is not reported as missing."""
    array, real = Qcow2Array(place, images=[images]), os.open
    location = FileLocation(f"{images}/image")

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
    assert set() == names(place)


@pytest.mark.parametrize("kind", [str, Path])
def test_directories_are_strings_or_paths(
    place: Path, images: Path, kind: type[str | Path]
) -> None:
    """A single path instead of a list of directories is refused."""
    (images / "image").write_bytes(content())
    array = Qcow2Array(kind(place), images=[kind(images)])
    location = FileLocation(f"{images}/image")
    assert StoredImage(size=1) == array.find_image(location)
    with pytest.raises(FactError, match="images: expected "):
        Qcow2Array(place, images=kind(images))  # type: ignore[arg-type]


def test_an_image_on_another_file_system_is_not_looked_at(
    place: Path, tmp_path: Path
) -> None:
    """An image that cannot be linked is no image of the array."""
    with tmpfs(tmp_path / "tmpfs", "8M") as other:
        (other / "image").write_bytes(content())
        array = Qcow2Array(place, images=[other])
        with pytest.raises(UnsupportedError):
            array.find_image(FileLocation(f"{other}/image"))
