"""qcow2 files: their headers, and the commands of qemu-img.

The format is described in ``docs/interop/qcow2.txt`` of QEMU.  Each command
names every file and its format, so that qemu-img neither guesses a format
nor follows a reference in a header.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from clonepolicy import ConflictError, IntegrityError, UnavailableError
from clonepolicy.adapters._files import paths
from clonepolicy.adapters._qemu.run import (
    Node,
    file_node,
    find_qemu_img,
    in_json,
    path_of,
    run_qemu_img,
)

LAYER = re.compile(
    r"layer-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(qcow2|raw)"
)
"""The names of layers; a layer's suffix is its format."""

_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_EXTENSION = struct.Struct(">II")
_BACKING_FORMAT = 0xE2792ACA
_START = 4096
"""Bytes that hold the header, its extensions and the layer's name, in every
file that this array makes."""
_DIRTY = 1
"""The only incompatible feature that is accepted: reference counts were not
written back.  The next program that writes to the file repairs them."""
_LONGEST_TABLE = 1 << 25
_LOCKED = re.compile(r"Failed to (?:get .*lock|lock byte).*")


def format_of(layer: str) -> str:
    """Return the format of a layer, by its name."""
    return layer.rpartition(".")[2]


@attrs.frozen(kw_only=True)
class File:
    """An open file of the array: a volume or a layer."""

    fd: int
    name: str
    format: str
    size: int
    """Of the disk, in bytes."""
    layer: str | None = None
    """The name of the layer that the file rests on."""
    table: tuple[int, int] = (0, 0)
    """The offset and length of the table of clusters."""

    def is_empty(self) -> bool:
        """Return whether all of the disk's data is in the layer."""
        start, length = self.table
        return self.layer is not None and not any(
            os.pread(self.fd, length, start)
        )


def open_file(directory: Path, name: str) -> File:
    """Open a regular file directly in a directory, and read its header.

    Raises:
        IntegrityError: this array did not make the file, or a layer is
            missing.
    """
    try:
        fd = os.open(directory / name, paths.READ)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _wrong(name, "it is a symbolic link") from error
        if error.errno == errno.ENOENT and LAYER.fullmatch(name):
            raise _wrong(name, "it is missing") from error
        raise
    try:
        return _read_header(fd, name)
    except BaseException:
        os.close(fd)
        raise


def _read_header(fd: int, name: str) -> File:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise _wrong(name, "it is not a regular file")
    if format_of(name) == "raw":
        return File(fd=fd, name=name, format="raw", size=found.st_size)
    start = os.pread(fd, _START, 0)
    if len(start) < _HEADER.size:
        raise _wrong(name, "it is too short")
    fields = _HEADER.unpack_from(start)
    magic, version, backing, length, _, size, crypt, entries, table = fields[
        :9
    ]
    snapshots, features, end = fields[11], fields[13], fields[17]
    if magic != b"QFI\xfb" or version != 3:  # noqa: PLR2004 - the format's
        raise _wrong(name, "it is not a qcow2 file of version 3")
    if (
        crypt
        or snapshots
        or features & ~_DIRTY
        or 8 * entries > _LONGEST_TABLE
    ):
        why = "it has an external data file, snapshots or some other feature"
        raise _wrong(name, why)
    layer = None
    if backing:
        layer = _layer(name, start[:backing], end, start[backing:][:length])
    return File(
        fd=fd,
        name=name,
        format="qcow2",
        size=size,
        layer=layer,
        table=(table, 8 * entries),
    )


def _layer(name: str, head: bytes, at: int, backing: bytes) -> str:
    layer = backing.decode(errors="replace")
    if not LAYER.fullmatch(layer):
        raise _wrong(name, f"it rests on {layer!r}, which is no layer here")
    declared = _backing_format(head, at).decode(errors="replace")
    if declared != format_of(layer):
        raise _wrong(name, f"it says that {layer} is {declared!r}")
    return layer


def _backing_format(head: bytes, at: int) -> bytes:
    while at + _EXTENSION.size <= len(head):
        kind, length = _EXTENSION.unpack_from(head, at)
        at += _EXTENSION.size
        if kind == _BACKING_FORMAT:
            return head[at : at + length]
        at += -(-length // 8) * 8
    return b""


def _wrong(name: str, why: str) -> IntegrityError:
    message = f"this array did not make {name}, or it is damaged: {why}"
    return IntegrityError(f"{message}; restore it from a backup")


def create(
    path: Path, size: int, layer: str | None = None, *, lock: int
) -> None:
    """Create a new file of ``size`` bytes without data, maybe on a layer.

    qemu-img does not look at the layer.  It keeps ``lock`` open while it
    runs, so that the lock stays even if the calling process dies.
    """
    rests = ("-u", "-b", layer, "-F", format_of(layer)) if layer else ()
    with paths.closing(paths.create(path)) as fd:
        command = ("create", "-q", "-f", "qcow2", *rests, path_of(fd))
        _run(*command, str(size), fds=(fd, lock))


def convert(chain: Sequence[File], kind: str, fd: int) -> None:
    """Copy a disk into an open file of the same size that is all zeros."""
    _run(
        *("convert", "-n", "--target-is-zero", "-O", kind),
        *(_describe(chain), path_of(fd)),
        fds=[fd, *(file.fd for file in chain)],
        size=chain[0].size,
    )


def read(chain: Sequence[File], at: int, length: int) -> bytes:
    """Read a part of a disk, at a multiple of its length."""
    with tempfile.TemporaryFile() as file:
        fd = file.fileno()
        _run(
            *("dd", "-O", "raw", f"bs={length}", f"skip={at // length}"),
            *("count=1", f"if={_describe(chain)}", f"of={path_of(fd)}"),
            fds=[fd, *(file.fd for file in chain)],
        )
        return os.pread(fd, length, 0)


def check_unused(file: File) -> None:
    """Raise `ConflictError` if a process has a volume open for writing."""
    _run("info", _describe([file]), fds=(file.fd,))


def resize(chain: Sequence[File], size: int, *, lock: int) -> None:
    """Grow a file to ``size`` bytes; keep ``lock`` as `create` does."""
    fds = [lock, *(file.fd for file in chain)]
    _run("resize", "-q", _describe(chain), str(size), fds=fds)


def _describe(chain: Sequence[File]) -> str:
    """Describe a chain of open files as a block node in JSON."""
    node: Node | None = None
    for file in reversed(chain):
        below = {"backing": node} if file.format == "qcow2" else {}
        node = {"driver": file.format, "file": file_node(file.fd), **below}
    return in_json(node)


def _run(*arguments: str, fds: Iterable[int], size: int = 0) -> None:
    """Run qemu-img; raise its failure as an `AdapterError`."""
    program = find_qemu_img("Qcow2Array")
    code, output = run_qemu_img(program, *arguments, fds=fds, size=size)
    if not code:
        return
    if locked := _LOCKED.search(output):
        raise ConflictError(
            f"another process has the volume open: {locked[0]}; detach it "
            "first, or wait until it is closed"
        )
    raise UnavailableError(
        f"qemu-img {arguments[0]} failed ({code}): {output or 'no output'}"
    )
