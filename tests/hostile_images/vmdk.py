"""Make VMDK files, as VMware's Virtual Disk Format 5.0 says."""

from __future__ import annotations

import struct

SECTOR = 512
SIZE = 1 << 20
AT_END = (1 << 64) - 1
GRAIN = 128
TYPES = (
    *("monolithicSparse", "monolithicFlat", "streamOptimized"),
    *("twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "custom"),
    *("vmfs", "vmfsSparse", "vmfsThin", "vmfsRaw", "vmfsRDM", "vmfsRDMP"),
    *("vmfsEagerZeroedThick", "vmfsRawDeviceMap", "seSparse"),
    *("vmfsPassthroughRawDeviceMap", "fullDevice", "partitionedDevice"),
)
"""All values of ``createType`` that are documented."""
FLAT = frozenset(
    {
        *("monolithicFlat", "twoGbMaxExtentFlat", "vmfs", "vmfsRaw"),
        *("vmfsRDM", "fullDevice", "partitionedDevice"),
    }
)


def descriptor(  # noqa: PLR0913 - each is a line
    *,
    cid: int = 1,
    kind: str = "monolithicSparse",
    extent: str | None = None,
    parent: str = "",
    parent_cid: int = 0xFFFFFFFF,
    head: str = "# Disk DescriptorFile\n",
) -> bytes:
    """Write a descriptor; its extent is a file if there is ``extent``."""
    line = f'RW {SIZE // SECTOR} SPARSE "disk.vmdk"'
    if extent is not None:
        flat = kind in FLAT
        word = "VMFS" if kind == "vmfs" else "FLAT" if flat else "SPARSE"
        at = " 0" if word == "FLAT" else ""
        line = f'RW {SIZE // SECTOR} {word} "{extent}"{at}'
    text = (
        f"{head}version=1\nCID={cid:08x}\nparentCID={parent_cid:08x}\n"
        f'createType="{kind}"\n{parent}{line}\n'
        'ddb.virtualHWVersion = "4"\n'
    )
    return text.encode()


def sparse(  # noqa: PLR0913 - each is a field of the header
    text: bytes,
    *,
    data: bytes = b"",
    capacity: int = SIZE // SECTOR,
    version: int = 1,
    at: int = 1,
    sectors: int = 20,
    directory: int = 21,
) -> bytes:
    """Make one extent with an embedded descriptor, and maybe one grain."""
    header = _header(version, 1, capacity, at, sectors, directory, 0)
    tables = struct.pack("<I", 22).ljust(SECTOR, b"\0")
    tables += struct.pack("<I", 32 if data else 0).ljust(4 * SECTOR, b"\0")
    made = header + text.ljust(20 * SECTOR, b"\0") + tables
    if data:
        made = made.ljust(32 * SECTOR, b"\0")
        made += data[: GRAIN * SECTOR].ljust(GRAIN * SECTOR, b"\0")
    return made


def stream(text: bytes, *, capacity: int = SIZE // SECTOR) -> bytes:
    """Make a stream-optimized file without data; the footer counts."""
    flags = 1 | 1 << 16 | 1 << 17
    start = SIZE // SECTOR
    parts = [
        _header(3, flags, start, 1, 20, AT_END, 1),
        text.ljust(20 * SECTOR, b"\0"),
        _marker(4, 1),
        bytes(4 * SECTOR),
        _marker(1, 2),
        struct.pack("<I", 22).ljust(SECTOR, b"\0"),
        _marker(1, 3, size=0),
        _header(3, flags, capacity, 1, 20, 27, 1),
        bytes(SECTOR),
    ]
    return b"".join(parts)


def _marker(count: int, kind: int, size: int = 0) -> bytes:
    return struct.pack("<QII", count, size, kind).ljust(SECTOR, b"\0")


def _header(  # noqa: PLR0913, PLR0917 - each is a field
    version: int,
    flags: int,
    capacity: int,
    at: int,
    sectors: int,
    directory: int,
    compression: int,
) -> bytes:
    packed = struct.pack(
        "<4sIIQQQQIQQQB4sH",
        *(b"KDMV", version, flags, capacity, GRAIN, at, sectors, 512),
        *(0, directory, 26, 0, b"\n \r\n", compression),
    )
    return packed.ljust(SECTOR, b"\0")
