# ruff: noqa: ANN401 - the bindings have no types
"""What a snapshot is, without opening its image.

Opening takes over a dozen requests, one after the other, and a good part of
the time that a clone does.  These are a few, and of the kind that the
kernel's client makes too, so that no release of Ceph may change them.
"""

from __future__ import annotations

import errno
import struct
from typing import Any

import attrs

from clonepolicy import NotFoundError, RbdLocation

_MOST = 1 << 16
"""Bytes of an answer: enough for 8,000 snapshots."""


@attrs.frozen
class Snapshot:
    """What a clone of it begins with."""

    size: int
    """Bytes."""
    is_clone: bool
    """Whether it hangs on another image itself."""


def find_snapshot(pool: Any, location: RbdLocation, rados: Any) -> Snapshot:
    """Ask an open pool for a snapshot.

    Raises:
        NotFoundError: there is no such image, or snapshot of it.
        rados.Error: anything else.
    """
    message = f"there is no {location}"
    try:
        named = _ask(pool, f"rbd_id.{location.image}", "get_id")
    except rados.ObjectNotFound as error:
        raise NotFoundError(message) from error
    header = f"rbd_header.{_text(named)}"
    listed = _ask(pool, header, "get_snapcontext")
    _, count = struct.unpack_from("<QI", listed)
    for (number,) in struct.iter_unpack("<Q", listed[12 : 12 + 8 * count]):
        key = struct.pack("<Q", number)
        try:
            name = _text(_ask(pool, header, "get_snapshot_name", key))
            if name == location.snapshot:
                size = _ask(pool, header, "get_size", key)
                return Snapshot(
                    struct.unpack_from("<BQ", size)[1],
                    _is_clone(pool, header, key, rados),
                )
        except rados.ObjectNotFound:
            # it went in the meantime
            continue
    raise NotFoundError(message)


def _is_clone(pool: Any, header: str, key: bytes, rados: Any) -> bool:
    try:
        parent = _ask(pool, header, "get_parent", key)
    except rados.Error as error:
        if error.errno != errno.EXDEV:
            raise
        # its parent is in a namespace, which there is no room to say
        return True
    return bool(struct.unpack_from("<q", parent)[0] >= 0)


def _ask(pool: Any, key: str, method: str, data: bytes = b"") -> bytes:
    _, answer = pool.execute(key, "rbd", method, data, _MOST)
    return bytes(answer)


def _text(packed: bytes) -> str:
    (length,) = struct.unpack_from("<I", packed)
    return packed[4 : 4 + length].decode()
