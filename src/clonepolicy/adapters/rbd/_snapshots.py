# ruff: noqa: ANN401 - the bindings have no types
"""Look up a snapshot without opening its image.

Opening an image takes more than a dozen requests, one after the other, and
much of a clone's time.  These are fewer requests.  The kernel's client makes
them too, so every release of Ceph must keep them.
"""

from __future__ import annotations

import errno
import struct
from typing import Any

import attrs

from clonepolicy import NotFoundError, RbdLocation

_MOST = 1 << 16
"""The longest answer in bytes: enough for 8,000 snapshots."""


@attrs.frozen
class Snapshot:
    """What a clone of the snapshot starts with."""

    size: int
    """In bytes."""
    is_clone: bool
    """Whether the snapshot's image has a parent."""


def find_snapshot(pool: Any, location: RbdLocation, rados: Any) -> Snapshot:
    """Look up a snapshot in an open pool.

    Raises:
        NotFoundError: the image or the snapshot does not exist.
        rados.Error: anything else.
    """
    message = f"there is no {location}"
    try:
        image_id = _ask(pool, f"rbd_id.{location.image}", "get_id")
    except rados.ObjectNotFound as error:
        raise NotFoundError(message) from error
    header = f"rbd_header.{_text(image_id)}"
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
            # the snapshot was removed meanwhile
            continue
    raise NotFoundError(message)


def _is_clone(pool: Any, header: str, key: bytes, rados: Any) -> bool:
    try:
        parent = _ask(pool, header, "get_parent", key)
    except rados.Error as error:
        if error.errno != errno.EXDEV:
            raise
        # the parent is in a namespace, which the answer cannot express
        return True
    return bool(struct.unpack_from("<q", parent)[0] >= 0)


def _ask(pool: Any, key: str, method: str, data: bytes = b"") -> bytes:
    _, answer = pool.execute(key, "rbd", method, data, _MOST)
    return bytes(answer)


def _text(packed: bytes) -> str:
    (length,) = struct.unpack_from("<I", packed)
    return packed[4 : 4 + length].decode()
