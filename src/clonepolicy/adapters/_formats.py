"""Disk formats: check that data is in its format, is safe, and fits.

qemu-img converts it within limits, because images may be malicious.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from oslo_utils.imageutils import format_inspector

from clonepolicy import (
    GiB,
    Image,
    IntegrityError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths, sparse

_QEMU: Mapping[str, str] = {
    "qcow2": "qcow2",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
}
"""The formats that are converted, and qemu-img's names of them."""

_PLAIN = frozenset({"raw", "iso"})
"""The formats whose bytes are the disk's bytes."""

_CONTAINERS = ("qcow2", "qed", "vdi", "vhd", "vhdx", "vmdk")
"""Formats that a plain image must not look like.

A program that guesses the format would open it as one of these.
"""

_HEAD = 1 << 16
_ADDRESS_SPACE = 1 << 21
"""In KiB."""
_TIMEOUT = 10
"""Seconds to wait for each second of processor time."""
_FULL = re.compile("No space left|Disk quota exceeded")


class Inspector:
    """Inspects an image's data in one pass.

    Raises:
        UnsupportedError: the image's format is neither plain nor converted.
    """

    def __init__(self, image: Image) -> None:
        """Expect data of the image's format."""
        check_supported(image.disk_format, image.container_format)
        self.disk_format = str(image.disk_format)
        self.is_plain = self.disk_format in _PLAIN
        self._size = 0
        self._head = bytearray()
        self._inspector = None if self.is_plain else _new(self.disk_format)

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield pieces; raise `IntegrityError` at the first wrong one."""
        for piece in pieces:
            self._size += len(piece)
            if self._inspector is not None:
                try:
                    self._inspector.eat_chunk(piece)
                except Exception as error:
                    # raised on any data that an inspector does not know
                    raise self._mislabelled(str(error)) from error
            elif len(self._head) < _HEAD:
                self._head += piece[:_HEAD]
                if len(self._head) >= _HEAD:
                    self._check_head()
            yield piece

    def finish(self) -> int:
        """Return the disk's size in bytes, after all data has passed.

        Raises:
            IntegrityError: the data is not in its format, or not safe.
        """
        if self._inspector is None:
            self._check_head()
            return self._size
        self._inspector.finish()
        try:
            self._inspector.safety_check()
        except format_inspector.SafetyCheckFailed as error:
            reasons = "; ".join(map(str, error.failures.values()))
            message = f"the {self.disk_format} data is not safe: {reasons}"
            raise IntegrityError(message) from error
        except format_inspector.ImageFormatError as error:
            raise self._mislabelled(str(error)) from error
        return self._inspector.virtual_size

    def _check_head(self) -> None:
        head = bytes(self._head)
        for name in _CONTAINERS:
            if _looks_like(name, head):
                raise self._mislabelled(f"it is {name}")
        if self.disk_format == "iso" and not _looks_like("iso", head):
            raise self._mislabelled("there is no ISO 9660 header")

    def _mislabelled(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"the data is not in its disk_format {self.disk_format}: {why}; "
            "correct disk_format or the data"
        )


def _new(name: str) -> format_inspector.FileInspector:
    return format_inspector.ALL_FORMATS[name]()


def _looks_like(name: str, head: bytes) -> bool:
    if name == "vmdk" and head.startswith(b"KDMV"):
        return True
    inspector = _new(name)
    with contextlib.suppress(Exception):  # raised for any other format
        inspector.eat_chunk(head)
        return inspector.format_match
    return False


def check_supported(
    disk_format: str | None, container_format: str | None
) -> None:
    """Raise `UnsupportedError` unless the format is plain or converted."""
    if container_format != "bare":
        message = (
            f"container_format {container_format} cannot be unpacked; use bare"
        )
        raise UnsupportedError(message)
    if disk_format not in _PLAIN and disk_format not in _QEMU:
        known = ", ".join(sorted({*_PLAIN, *_QEMU}))
        message = f"disk_format {disk_format} is not one of {known}"
        raise UnsupportedError(message)


def fill_file(
    path: Path, size: int, image: Image, data: Iterator[bytes]
) -> None:
    """Create a raw file of ``size`` GiB from an image's data, and sync it.

    Raises:
        UnsupportedError: the image's format is not supported.
        IntegrityError: the data is not in its format, or does not fit.
    """
    inspector, count = Inspector(image), _sizes.to_bytes(size)
    data = paths.passthrough(data)
    with paths.closing(paths.create(path)) as fd:
        if inspector.is_plain:
            sparse.fill(fd, inspector.watch(data), count)
            inspector.finish()
            os.ftruncate(fd, count)
        else:
            os.ftruncate(fd, count)
            convert(inspector, data, path, size, path.parent)
        os.fsync(fd)


def convert(
    inspector: Inspector,
    data: Iterator[bytes],
    path: Path,
    size: int,
    directory: Path,
) -> None:
    """Convert data into an existing file of ``size`` GiB, all zeros.

    An unnamed file in ``directory`` takes the data first, for inspection.

    Raises:
        UnsupportedError: qemu-img is not installed.
        UnavailableError: no space is left, or qemu-img takes too long.
        IntegrityError: the data is not in its format, not safe, or the disk
            in it does not fit.
    """
    disk_format, count = inspector.disk_format, _sizes.to_bytes(size)
    qemu_img = find_qemu_img(f"converting {disk_format}")
    with paths.unnamed(directory) as fd:
        sparse.fill(fd, inspector.watch(data))
        disk = inspector.finish()
        if disk > count:
            message = (
                f"the disk in the image has {disk} bytes; make the volume at "
                f"least {_sizes.to_gib(disk)} GiB"
            )
            raise IntegrityError(message)
        code, output = run_qemu_img(
            *(qemu_img, "convert", "-n", "--target-is-zero"),
            *("-f", _QEMU[disk_format], "-O", "raw"),
            *(f"/proc/self/fd/{fd}", str(path)),
            fds=(fd,),
            size=count,
        )
    if code:
        message = f"qemu-img cannot convert the {disk_format} data: {output}"
        raise IntegrityError(message)


def find_qemu_img(purpose: str) -> str:
    """Find qemu-img; raise `UnsupportedError` if it is not installed."""
    found = shutil.which("qemu-img")
    if found is None:
        message = (
            f"{purpose} needs qemu-img, which is not installed; install "
            "qemu-utils"
        )
        raise UnsupportedError(message)
    return found


def run_qemu_img(
    program: str, *arguments: str, fds: Iterable[int], size: int = 0
) -> tuple[int, str]:
    """Run qemu-img; return its exit code and its error output.

    The size of the work in bytes limits processor time and waiting time;
    memory has a fixed limit.

    Raises:
        UnavailableError: it took too long, or no space is left.
    """
    seconds = 60 + 60 * math.ceil(size / GiB)
    limits = f"ulimit -t {seconds} && ulimit -v {_ADDRESS_SPACE}"
    command = ("/bin/sh", "-c", f'{limits} && exec "$@"', "sh", program)
    try:
        done = subprocess.run(  # noqa: S603 - no name comes from outside
            [*command, *arguments],
            pass_fds=tuple(fds),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT * seconds,
            env={**os.environ, "LC_ALL": "C"},
            umask=0o077,
        )
    except subprocess.TimeoutExpired as error:
        message = (
            f"qemu-img took longer than {_TIMEOUT * seconds:g} s; try again"
        )
        raise UnavailableError(message) from error
    if not done.returncode:
        return 0, ""
    output = done.stderr.decode(errors="replace").strip()
    if _FULL.search(output):
        message = "no space left; delete something or use another pool"
        raise UnavailableError(message)
    return done.returncode, output
