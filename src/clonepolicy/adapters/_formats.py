"""Disk formats: what content is, whether it is safe, and its raw form."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from oslo_utils.imageutils import format_inspector

from clonepolicy import (
    GiB,
    Image,
    IntegrityError,
    UnsupportedError,
)
from clonepolicy.adapters import _files, _qemu_img

_QEMU: Mapping[str, str] = {
    "qcow2": "qcow2",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
}
"""Formats that are converted, by qemu-img's names."""

_PLAIN = frozenset({"raw", "iso"})
"""Formats whose bytes are the disk's bytes."""

_CONTAINERS = ("qcow2", "qed", "vdi", "vhd", "vhdx", "vmdk")
"""What must not hide in a disk's bytes: programs that guess would open it."""

_HEAD = 1 << 16


class Inspector:
    """Watches an image's data pass; says in the end what it is."""

    def __init__(self, disk_format: str) -> None:
        """Expect data of a format."""
        self.disk_format = disk_format
        self.is_plain = disk_format in _PLAIN
        self._size = 0
        self._head = bytearray()
        self._seen = None if self.is_plain else _inspect(disk_format)

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass pieces on; `IntegrityError` once they cannot be right."""
        for piece in pieces:
            self._size += len(piece)
            if self._seen is not None:
                self._eat(self._seen, piece)
            elif len(self._head) < _HEAD:
                self._head += piece[:_HEAD]
                if len(self._head) >= _HEAD:
                    self._check_head()
            yield piece

    def finish(self) -> int:
        """Give the disk's size in bytes; `IntegrityError` if it is not safe.

        To be asked when all data has passed.
        """
        if self._seen is None:
            self._check_head()
            return self._size
        self._seen.finish()
        try:
            self._seen.safety_check()
        except format_inspector.SafetyCheckFailed as error:
            reasons = "; ".join(map(str, error.failures.values()))
            message = f"the {self.disk_format} data is not safe: {reasons}"
            raise IntegrityError(message) from error
        except format_inspector.ImageFormatError as error:
            raise self._mislabelled(str(error)) from error
        return self._seen.virtual_size

    def _eat(self, seen: format_inspector.FileInspector, piece: bytes) -> None:
        try:
            seen.eat_chunk(piece)
        except Exception as error:
            # an inspector fails in any way on what it does not know
            raise self._mislabelled(str(error)) from error

    def _check_head(self) -> None:
        head = bytes(self._head)
        for name in _CONTAINERS:
            if _looks_like(name, head):
                raise self._mislabelled(f"it is {name}")
        if self.disk_format == "iso" and not _looks_like("iso", head):
            raise self._mislabelled("there is no ISO 9660 header")

    def _mislabelled(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"the data is not what its disk_format {self.disk_format} says: "
            f"{why}; correct disk_format or the data"
        )


def _inspect(name: str) -> format_inspector.FileInspector:
    return format_inspector.ALL_FORMATS[name]()


def _looks_like(name: str, head: bytes) -> bool:
    if name == "vmdk" and head.startswith(b"KDMV"):
        return True
    found = _inspect(name)
    with contextlib.suppress(Exception):  # its way to say no
        found.eat_chunk(head)
        return found.format_match
    return False


def inspector(image: Image) -> Inspector:
    """Give the inspector for an image, or raise `UnsupportedError`."""
    check_supported(image.disk_format, image.container_format)
    return Inspector(str(image.disk_format))


def check_supported(
    disk_format: str | None, container_format: str | None
) -> None:
    """Refuse a format that is neither plain nor converted."""
    if container_format != "bare":
        message = (
            f"container_format {container_format} cannot be unpacked; use bare"
        )
        raise UnsupportedError(message)
    if disk_format not in _PLAIN and disk_format not in _QEMU:
        known = ", ".join(sorted({*_PLAIN, *_QEMU}))
        message = f"disk_format {disk_format} is not one of {known}"
        raise UnsupportedError(message)


def check_fits(virtual_size: int, size: int) -> None:
    """Refuse a disk that is larger than the volume."""
    if virtual_size > size * GiB:
        message = (
            f"the disk in the image has {virtual_size} bytes; make the volume "
            f"at least {math.ceil(virtual_size / GiB)} GiB"
        )
        raise IntegrityError(message)


def fill_file(
    path: Path, size: int, image: Image, data: Iterator[bytes]
) -> None:
    """Make a raw file of that many GiB of an image's data, and sync it.

    Raises:
        UnsupportedError: the format is none that is known here.
        IntegrityError: the data is not of its format, or does not fit.
    """
    inspected = inspector(image)
    data = _files.foreign(data)
    with _files.opened(_files.create(path)) as fd:
        if inspected.is_plain:
            _files.fill(fd, inspected.watch(data), size * GiB)
            inspected.finish()
            os.ftruncate(fd, size * GiB)
        else:
            os.ftruncate(fd, size * GiB)
            _convert_into(path, size, inspected, data)
        os.fsync(fd)


def _convert_into(
    path: Path, size: int, inspected: Inspector, data: Iterator[bytes]
) -> None:
    qemu_img = find_qemu_img(inspected.disk_format)
    with _files.spool(path.parent) as spool:
        _files.fill(spool, inspected.watch(data))
        check_fits(inspected.finish(), size)
        convert(qemu_img, inspected.disk_format, spool, path)


def find_qemu_img(disk_format: str) -> str:
    """Find qemu-img, or raise `UnsupportedError`."""
    found = shutil.which("qemu-img")
    if found is None:
        message = (
            f"converting {disk_format} takes qemu-img, which is not "
            "installed; install qemu-utils, or use a raw image"
        )
        raise UnsupportedError(message)
    return found


def convert(qemu_img: str, disk_format: str, source: int, path: Path) -> None:
    """Convert an open, inspected file into an existing file of zeros.

    Raises:
        UnavailableError: there is no space left, or no end of waiting.
        IntegrityError: it is refused.
    """
    code, said = _qemu_img.run(
        *(qemu_img, "convert", "-n", "--target-is-zero"),
        *("-f", _QEMU[disk_format], "-O", "raw"),
        *(f"/proc/self/fd/{source}", str(path)),
        fds=(source,),
        size=path.stat().st_size,
    )
    if code:
        message = f"qemu-img could not convert the {disk_format} data: {said}"
        raise IntegrityError(message)
