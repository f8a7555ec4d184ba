# ruff: noqa: ANN401 - the bindings have no types
"""A connection to a cluster, a pool of it, and the images in it."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from clonepolicy import RbdLocation, UnsupportedError
from clonepolicy.adapters._files import sparse
from clonepolicy.adapters.rbd._errors import translate
from clonepolicy.adapters.rbd._snapshots import Snapshot, find_snapshot
from clonepolicy.ports import check_volume_id

_PIECE = 4 << 20
_ZEROS = bytes(_PIECE)
_LOCKS = "clonepolicy.locks"
"""The object that carries the locks of a pool's volumes."""
_LOCKED = 30
"""Seconds after which a lock expires, even if its owner was killed."""
_POLL = 0.05


def image_name(volume_id: str) -> str:
    """Return the name of a volume's image."""
    check_volume_id(volume_id)
    return f"volume-{volume_id}"


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
        with self.translate_errors(f"opening pool {name}"):
            self.cluster = self.rados.Rados(
                rados_id=user,
                conffile=str(ceph_conf),
                conf=_timeouts(timeout),
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
            raise translate(action, error) from error

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
    def locked(self, volume_id: str) -> Iterator[None]:
        """Hold this array's own lock on a volume.

        A client that changes an image takes librbd's lock, even from the
        client that holds it.  If many clients do so one after the other, as
        when many clones are made of one volume, Pacific's librbd sometimes
        crashes or waits forever.
        """
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

    @contextlib.contextmanager
    def opened_snapshot(self, location: RbdLocation) -> Iterator[Any]:
        """Open a snapshot in any pool of the cluster."""
        with (
            self.cluster.open_ioctx(location.pool) as pool,
            self.rbd.Image(
                *(pool, location.image, location.snapshot), read_only=True
            ) as image,
        ):
            yield image

    def find_snapshot(self, location: RbdLocation) -> Snapshot:
        """Look up a snapshot in any pool of the cluster."""
        with self.cluster.open_ioctx(location.pool) as pool:
            return find_snapshot(pool, location, self.rados)

    def has(self, volume_id: str) -> bool:
        """Return whether a volume's image exists, complete or not."""
        try:
            # opening the image would take ten times as long
            self.objects.stat(f"rbd_id.{image_name(volume_id)}")
        except self.rados.ObjectNotFound:
            return False
        return True

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
        message = (
            "RbdArray needs the Python bindings of librados and librbd: "
            f"{error}; install them for this Python (Debian: python3-rbd)"
        )
        raise UnsupportedError(message) from error


def _timeouts(seconds: int) -> dict[str, str]:
    names = (
        "client_mount_timeout",
        "rados_mon_op_timeout",
        "rados_osd_op_timeout",
    )
    return {} if seconds < 0 else dict.fromkeys(names, str(seconds))
