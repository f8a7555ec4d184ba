"""Make qcow2 files, as QEMU's ``docs/interop/qcow2.txt`` says."""

from __future__ import annotations

import struct
from collections.abc import Iterable

CLUSTER = 1 << 12
SIZE = 1 << 20
BACKING_FORMAT, DATA_FILE = 0xE2792ACA, 0x44415441


def image(  # noqa: PLR0913 - each is a field of the header
    *,
    version: int = 3,
    backing: bytes = b"",
    backing_at: int | None = None,
    crypt: int = 0,
    features: int = 0,
    autoclear: int = 0,
    length: int = 104,
    snapshots: int = 0,
    extensions: Iterable[tuple[int, bytes]] = (),
    size: int = SIZE,
    table_at: int = 3 * CLUSTER,
    refcounts_at: int = CLUSTER,
    l2: int | None = None,
    data: bytes = b"",
) -> bytes:
    """Make a disk of one table; ``data`` is the start of it."""
    extra = b"".join(
        struct.pack(">II", kind, len(body)) + body + bytes(-len(body) % 8)
        for kind, body in extensions
    )
    start = 72 if version < 3 else 104
    at = start + len(extra) + 8
    if backing_at is None:
        backing_at = at if backing else 0
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", version, backing_at, len(backing), 12, size),
        *(crypt, 1, table_at, refcounts_at, 1, snapshots, 0),
    )
    if version >= 3:
        header += struct.pack(">QQQII", features, 0, autoclear, 4, length)
    header += extra + bytes(8) + backing
    assert len(header) <= CLUSTER
    # each table is a cluster: of references, the map, the map's second level
    clusters = [
        header,
        struct.pack(">Q", 2 * CLUSTER),
        struct.pack(">6H", *[1] * 6),
        struct.pack(">Q", (4 * CLUSTER | 1 << 63) if l2 is None else l2),
        struct.pack(">Q", (5 * CLUSTER | 1 << 63) if data else 0),
        data[:CLUSTER],
    ]
    return b"".join(each.ljust(CLUSTER, b"\0") for each in clusters)


def first_version(backing: bytes) -> bytes:
    """Make a file of the format's first version, on a backing file."""
    header = struct.pack(
        ">4sIQIIQBBHIQ",
        *(b"QFI\xfb", 1, 48, len(backing), 0, SIZE, 12, 9, 0, 0, 2048),
    )
    return (header + backing).ljust(CLUSTER, b"\0")
