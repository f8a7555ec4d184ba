"""Refuse headers of images: names of other files, and some subtypes.

Only subtypes whose disk is complete in one file are accepted.  A header is
read as QEMU reads it, because QEMU converts the image.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from clonepolicy._text import shown

_SECTOR = 512


def refuse_qcow2(head: bytes) -> Iterator[str]:
    """Yield the reasons to refuse a qcow2 image.

    Source: QEMU's ``docs/interop/qcow2.txt``.
    """
    version, backing = struct.unpack_from(">IQ", head, 4)
    (encrypted,) = struct.unpack_from(">I", head, 32)
    if backing:
        yield "it has a backing file"
    if encrypted:
        yield "it is encrypted"
    end = 72
    if version >= 3:  # noqa: PLR2004 - the format's
        features, end = struct.unpack_from(">Q20xI", head, 72)
        if features & ~_QCOW2_FEATURES:
            yield "it has a data file or a feature that is not known"
    while True:
        if end > len(head) - 8:
            yield "its header is too long"
            return
        kind, length = struct.unpack_from(">II", head, end)
        if kind == _DATA_FILE:
            yield "it names a data file"
        if not kind:
            return
        end += 8 + -(-length // 8) * 8


_QCOW2_FEATURES = 0b1011
"""The accepted features: dirty, corrupt, and the type of compression."""
_DATA_FILE = 0x44415441


def refuse_vmdk(head: bytes, size: int) -> Iterator[str]:
    """Yield the reasons to refuse a VMDK image.

    QEMU reads other files if the capacity is missing, or if the descriptor
    has a parent's name anywhere.
    """
    if not head.startswith(b"KDMV"):
        yield "it is not one sparse extent"
        return
    (capacity,) = struct.unpack_from("<Q", head, 12)
    if not capacity:
        yield "it has no capacity"
    if size % _SECTOR:
        yield "its last sector is not complete"
    descriptor = head[_SECTOR:][:_DESCRIPTOR]
    text, end, _ = descriptor.lower().partition(b"\0")
    if not end:
        yield "its descriptor is too long"
    if b"parentfilenamehint" in text:
        yield "it has a parent"
    extents = 0
    for line in map(bytes.strip, text.split(b"\n")):
        extents += _EXTENT.fullmatch(line) is not None
        if not _LINE.fullmatch(line):
            yield f"its descriptor has the line {shown(repr(line), 80)}"
    if extents != 1:
        yield f"it has {extents} extents"


_DESCRIPTOR = 20 * _SECTOR
_EXTENT = re.compile(rb'(rw|rdonly|noaccess)\s+\d+\s+sparse\s+"[^"/]*"')
_LINE = re.compile(
    rb"|#.*|ddb\..*|(version|encoding|cid|isnativesnapshot)\s*=.*"
    rb"|parentcid\s*=\s*ffffffff"
    rb'|createtype\s*=\s*"(monolithicsparse|streamoptimized)"'
    rb"|" + _EXTENT.pattern
)


def refuse_vdi(head: bytes) -> Iterator[str]:
    """Yield the reasons to refuse a VDI image."""
    (kind,) = struct.unpack_from("<I", head, 0x4C)
    if kind not in {1, 2}:  # dynamic, static
        yield f"it is of type {kind}"
    if any(head[0x1A8:0x1C8]):
        yield "it has a parent"


def refuse_vhd(head: bytes) -> Iterator[str]:
    """Yield the reasons to refuse a VHD image.

    Source: Microsoft's Virtual Hard Disk Image Format Specification.
    """
    at, kind = struct.unpack_from(">Q36xI", head, 16)
    if (kind, at) != (3, _SECTOR) or not head.startswith(b"cxsparse", at):
        yield f"it is of type {kind}; only dynamic ones (3) are accepted"
    elif any(head[_SECTOR + 40 :][:16]):
        yield "it has a parent"


def refuse_vhdx(metadata: bytes) -> Iterator[str]:
    """Yield the reasons to refuse a VHDX image with these metadata."""
    if _PARENT_LOCATOR in metadata:
        yield "it has a parent"


_PARENT_LOCATOR = bytes.fromhex("2d5fd3a8 0bb3 4d45 abf7 d3d84834ab0c")
