"""Convert an image's data to a raw disk, and let nothing else into it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clonepolicy import Image, IntegrityError
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters._formats.inspector import QEMU, Inspector
from clonepolicy.adapters._formats.probe import HEAD
from clonepolicy.adapters._qemu.run import (
    Node,
    file_node,
    find_qemu_img,
    in_json,
    path_of,
    run_qemu_img,
)

_LAYERED = frozenset({"qcow2", "vmdk"})
"""For these formats QEMU is told to open no backing file."""
_NO_CID = 0xFFFFFFFF
_SUBTYPES = frozenset({"monolithicSparse", "streamOptimized"})


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
            convert(inspector, data, fd, size, path.parent)
        os.fsync(fd)


def convert(
    inspector: Inspector,
    data: Iterator[bytes],
    target: int,
    size: int,
    directory: Path,
) -> None:
    """Convert data into an open file of ``size`` GiB, all zeros.

    The data is first stored in an unnamed file in ``directory``, where
    `Inspector` and QEMU inspect it.  The converted disk is inspected, too.

    Raises:
        UnsupportedError: qemu-img is not installed.
        UnavailableError: no space is left, or qemu-img takes too long.
        IntegrityError: the data is not in its format or not safe, or the
            disk in it does not fit or looks like another format.
    """
    disk_format, count = inspector.disk_format, _sizes.to_bytes(size)
    qemu_img = find_qemu_img(f"converting {disk_format}")
    with paths.unnamed(directory) as fd:
        sparse.fill(fd, inspector.watch(data))
        disk = inspector.finish()
        image = in_json(_node(disk_format, fd))
        said = _run(
            *(disk_format, qemu_img, "info", "--output=json", image), fds=(fd,)
        )
        disk = max(disk, _check_info(disk_format, json.loads(said), fd))
        if disk > count:
            raise IntegrityError(
                f"the disk in the image has {disk} bytes; make the volume at "
                f"least {_sizes.to_gib(disk)} GiB"
            )
        _run(
            *(disk_format, qemu_img, "convert", "-n", "--target-is-zero"),
            *("-O", "raw", image, path_of(target)),
            fds=(fd, target),
            size=count,
        )
    inspector.check_disk(os.pread(target, HEAD, 0))


def _node(disk_format: str, fd: int) -> Node:
    """Describe an image as one file, whatever its headers say."""
    layers: Node = {"backing": None} if disk_format in _LAYERED else {}
    return {"driver": QEMU[disk_format], "file": file_node(fd), **layers}


def _check_info(disk_format: str, info: dict[str, Any], fd: int) -> int:
    """Check what QEMU says of an image; return its disk's size in bytes.

    Raises:
        IntegrityError: it names another file, or is of another subtype.
    """
    others = {*_file_names(info)} - {path_of(fd)}
    details = info.get("format-specific", {}).get("data", {})
    subtype = details.get("create-type", "monolithicSparse")
    if (
        others
        or subtype not in _SUBTYPES
        or details.get("parent-cid", _NO_CID) != _NO_CID
        or info.get("encrypted")
    ):
        raise IntegrityError(
            f"the {disk_format} data is not safe: QEMU finds the subtype "
            f"{subtype} in it, and the files {sorted(others)}"
        )
    return int(info["virtual-size"])


def _file_names(info: object) -> Iterator[str]:
    """Yield every name of a file in an answer of ``qemu-img info``."""
    if isinstance(info, list):
        for each in info:
            yield from _file_names(each)
    elif isinstance(info, dict):
        for key, value in info.items():
            if key.endswith("filename") or key == "data-file":
                yield str(value)
            else:
                yield from _file_names(value)


def _run(
    disk_format: str, *command: str, fds: tuple[int, ...], size: int = 0
) -> str:
    code, output = run_qemu_img(*command, fds=fds, size=size)
    if code:
        message = f"qemu-img cannot read the {disk_format} data: {output}"
        raise IntegrityError(message)
    return output
