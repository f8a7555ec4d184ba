# ruff: noqa: ANN401 - the bindings have no types
"""A connection to a cluster, a pool of it, and the images in it."""

from __future__ import annotations

import contextlib
import errno
import struct
import time
import uuid
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RbdLocation,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.ports import check_volume_id

_PIECE = 4 << 20
_ZEROS = bytes(_PIECE)
_LOCKS = "clonepolicy.locks"
"""The object that carries the locks of a pool's volumes."""
_LOCKED = 30
"""Seconds after which a lock expires, even if its owner was killed."""
_POLL = 0.05
_TIMEOUTS = (
    "client_mount_timeout",
    "rados_mon_op_timeout",
    "rados_osd_op_timeout",
)
_MOST = 1 << 16
"""The longest answer in bytes: enough for 8,000 snapshots."""
_FORBIDDEN = (
    ForbiddenError,
    "Ceph does not permit this; check the capabilities of rbd_user",
)
_SILENT = (
    UnavailableError,
    "the cluster does not answer; check it, and try again",
)
_FAILED = (UnavailableError, "the cluster failed")
_UNABLE = (UnsupportedError, "the cluster does not support this")
_KINDS: Mapping[int, tuple[type[AdapterError], str]] = {
    **paths.DATA_ERRORS,
    errno.ENOENT: (NotFoundError, "it does not exist"),
    errno.ENOTEMPTY: (
        ConflictError,
        "it has snapshots that others took; remove them first",
    ),
    errno.EBUSY: (
        UnavailableError,
        "a client has it open, or had a moment ago; close it there, or wait",
    ),
    errno.EPERM: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
    errno.ETIMEDOUT: _SILENT,
    errno.ENOTCONN: _SILENT,
    errno.ESHUTDOWN: (
        UnavailableError,
        "the cluster has blocked this client; open the array again",
    ),
    errno.EOPNOTSUPP: _UNABLE,
    errno.ENOSYS: _UNABLE,
}


def image_name(volume_id: str) -> str:
    """Return the name of a volume's image."""
    check_volume_id(volume_id)
    return f"volume-{volume_id}"


@attrs.frozen
class Snapshot:
    """What a clone of the snapshot starts with."""

    size: int
    """In bytes."""
    is_clone: bool
    """Whether the snapshot's image has a parent."""


class Pool:
    """A pool of volumes; threads may share it.

    Outside a block of `translate_errors`, every method raises the errors of
    librados and librbd.
    """

    def __init__(
        self,
        name: str,
        *,
        ceph_conf: str | Path,
        user: str | None,
        timeout: int,
    ) -> None:
        """Connect to the cluster."""
        self.rados, self.rbd = _bindings()
        conf = {} if timeout < 0 else dict.fromkeys(_TIMEOUTS, str(timeout))
        with self.translate_errors(f"opening pool {name}"):
            self.cluster = self.rados.Rados(
                rados_id=user, conffile=str(ceph_conf), conf=conf
            )
            try:
                self.cluster.connect()
                self.fsid = str(self.cluster.get_fsid())
                self.objects = self.cluster.open_ioctx(name)
            except BaseException:
                self.cluster.shutdown()
                raise

    def close(self) -> None:
        """Close the connection; may be repeated."""
        self.objects.close()
        self.cluster.shutdown()

    @contextlib.contextmanager
    def translate_errors(self, action: str) -> Iterator[None]:
        """Raise an error of librados or librbd as an `AdapterError`."""
        try:
            yield
        except (self.rados.Error, self.rbd.Error) as error:
            number = getattr(error, "errno", None) or 0
            kind, why = _KINDS.get(number, _FAILED)
            raise kind(f"{action}: {why} ({error})") from error

    @contextlib.contextmanager
    def opened(
        self, volume_id: str, *, read_only: bool = False
    ) -> Iterator[Any]:
        """Open a volume's image."""
        with self.rbd.Image(
            self.objects, image_name(volume_id), read_only=read_only
        ) as image:
            yield image

    @contextlib.contextmanager
    def opened_snapshot(self, location: RbdLocation) -> Iterator[Any]:
        """Open a snapshot in any pool for reading."""
        names = (location.image, location.snapshot)
        with (
            self.cluster.open_ioctx(location.pool) as pool,
            self.rbd.Image(pool, *names, read_only=True) as image,
        ):
            yield image

    @contextlib.contextmanager
    def locked(self, volume_id: str) -> Iterator[None]:
        """Hold this array's own lock on a volume.

        A client that changes an image takes librbd's lock, even from the
        client that holds it.  If many clients do so one after the other, as
        when many clones are made of one volume, Pacific's librbd sometimes
        crashes or waits forever.
        """
        check_volume_id(volume_id)
        # few names: an object remembers the name of each lock it ever had
        lock = (_LOCKS, volume_id[:2], str(uuid.uuid4()))
        deadline = time.monotonic() + 2 * _LOCKED
        while True:
            try:
                self.objects.lock_exclusive(*lock, duration=_LOCKED)
            except self.rados.ObjectBusy:
                if time.monotonic() > deadline:
                    raise
            else:
                break
            time.sleep(_POLL)
        try:
            yield
        finally:
            with contextlib.suppress(self.rados.ObjectNotFound):
                self.objects.unlock(*lock)

    def find_snapshot(self, location: RbdLocation) -> Snapshot:
        """Look up a snapshot in any pool, without opening its image.

        Opening an image takes more than a dozen requests, one after the
        other, and much of a clone's time.  These are fewer requests.  The
        kernel's client makes them too, so every release of Ceph must keep
        them.

        Raises:
            NotFoundError: the image or the snapshot does not exist.
        """
        missing = NotFoundError(f"there is no {location}")
        with self.cluster.open_ioctx(location.pool) as pool:
            try:
                image_id = _ask(pool, f"rbd_id.{location.image}", "get_id")
            except self.rados.ObjectNotFound as error:
                raise missing from error
            header = f"rbd_header.{_text(image_id)}"
            listed = _ask(pool, header, "get_snapcontext")
            _, count = struct.unpack_from("<QI", listed)
            for at in range(12, 12 + 8 * count, 8):
                key = listed[at : at + 8]
                # a snapshot may be removed meanwhile
                with contextlib.suppress(self.rados.ObjectNotFound):
                    name = _text(_ask(pool, header, "get_snapshot_name", key))
                    if name == location.snapshot:
                        size = _ask(pool, header, "get_size", key)
                        return Snapshot(
                            struct.unpack_from("<BQ", size)[1],
                            self._is_clone(pool, header, key),
                        )
        raise missing

    def _is_clone(self, pool: Any, header: str, key: bytes) -> bool:
        try:
            parent = _ask(pool, header, "get_parent", key)
        except self.rados.Error as error:
            if error.errno != errno.EXDEV:
                raise
            # the parent is in a namespace, which the answer cannot express
            return True
        return bool(struct.unpack_from("<q", parent)[0] >= 0)

    def has(self, volume_id: str) -> bool:
        """Return whether a volume's image exists, complete or not."""
        with contextlib.suppress(self.rados.ObjectNotFound):
            # opening the image would take ten times as long
            self.objects.stat(f"rbd_id.{image_name(volume_id)}")
            return True
        return False

    def create(self, volume_id: str, size: int) -> None:
        """Create an image of so many bytes, all zeros."""
        self.rbd.RBD().create(self.objects, image_name(volume_id), size)

    def remove(self, volume_id: str, retries: int, interval: float) -> None:
        """Remove an image if it exists; wait while it is open elsewhere."""
        for left in reversed(range(retries + 1)):
            try:
                self.rbd.RBD().remove(self.objects, image_name(volume_id))
            except self.rbd.ImageNotFound:
                return
            except self.rbd.ImageBusy:
                if not left:
                    raise
            else:
                return
            time.sleep(interval)
            interval *= 2

    def has_ancestors(self, image: Any, count: int) -> bool:
        """Return whether an open image has ``count`` ancestors or more."""
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                try:
                    parent = image.get_parent_image_spec()
                except self.rbd.ImageNotFound:
                    return False
                pool = self.cluster.open_ioctx(parent["pool_name"])
                stack.enter_context(pool)
                pool.set_namespace(parent["pool_namespace"])
                image = self.rbd.Image(
                    pool, image_id=image.parent_id(), read_only=True
                )
                stack.enter_context(image)
        return True


def children(image: Any) -> list[str]:
    """Name the clones of an open image, those in the trash included."""
    return [
        f"{child['pool']}/{child['image']}" for child in image.list_children2()
    ]


def stream(image: Any) -> Iterator[bytes]:
    """Yield an open image's data in pieces; do not read holes."""
    at = 0
    for start, end in _extents(image):
        yield from _zeros(start - at)
        for at in range(start, end, _PIECE):
            yield image.read(at, min(_PIECE, end - at))
        at = end
    yield from _zeros(image.size() - at)


def fill(image: Any, pieces: Iterator[bytes]) -> None:
    """Write pieces into an open image of zeros, and sync it."""
    # until the first flush, librbd waits for each single write
    image.flush()
    at, size = 0, image.size()
    for piece in pieces:
        sparse.check_room(at + len(piece), size)
        for start, view in sparse.islands(piece):
            image.write(bytes(view), at + start)
        at += len(piece)
    image.flush()


def _extents(image: Any) -> list[tuple[int, int]]:
    """List where an open image or an ancestor has objects."""
    found: list[tuple[int, int]] = []

    def note(start: int, length: int, exists: bool) -> None:  # noqa: FBT001 - librbd calls it
        if exists:
            found.append((start, start + length))

    image.diff_iterate(0, image.size(), None, note, whole_object=True)
    return sorted(found)


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _ZEROS if size >= _PIECE else _ZEROS[:size]
        size -= _PIECE


def _bindings() -> tuple[Any, Any]:
    try:
        return import_module("rados"), import_module("rbd")
    except ImportError as error:
        raise UnsupportedError(
            "RbdArray needs the Python bindings of librados and librbd: "
            f"{error}; install them for this Python (Debian: python3-rbd)"
        ) from error


def _ask(pool: Any, key: str, method: str, data: bytes = b"") -> bytes:
    _, answer = pool.execute(key, "rbd", method, data, _MOST)
    return bytes(answer)


def _text(packed: bytes) -> str:
    (length,) = struct.unpack_from("<I", packed)
    return packed[4 : 4 + length].decode()
