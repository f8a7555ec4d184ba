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

from clonepolicy import (
    IntegrityError,
    RbdLocation,
    UnsupportedError,
    check_volume_id,
)
from clonepolicy.adapters import _files
from clonepolicy.adapters.rbd._errors import adapt
from clonepolicy.adapters.rbd._snapshots import Snapshot, find_snapshot

_PIECE = 4 << 20
_ZEROS = bytes(_PIECE)
_LOCKS = "clonepolicy.locks"
"""The object that bears the locks of a pool's volumes."""
_LOCKED = 30
"""Seconds after which a lock is free again, whatever became of its owner."""
_POLL = 0.05


def image_name(volume_id: str) -> str:
    """Name a volume's image."""
    check_volume_id(volume_id)
    return f"volume-{volume_id}"


class Pool:
    """A pool of volumes; threads may share it.

    Outside of `adapted` everything raises librados' and librbd's errors.
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
        with self.adapted(f"opening pool {name}"):
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
        """End the connection; may be repeated."""
        self.objects.close()
        self.cluster.shutdown()

    @contextlib.contextmanager
    def adapted(self, what: str) -> Iterator[None]:
        """Let nothing of librados or librbd out of a block but our errors."""
        try:
            yield
        except (self.rados.Error, self.rbd.Error) as error:
            raise adapt(what, error) from error

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
    def alone(self, volume_id: str) -> Iterator[None]:
        """Keep others, who ask likewise, from changing a volume meanwhile.

        Who changes an image takes librbd's own lock on it, and takes it over
        from who has it.  Where clients come and go, as they do when there
        are many clones to be made of one volume, that goes wrong sometimes:
        Pacific's librbd crashes, or waits for ever.
        """
        # few names, since an object keeps the name of each lock it ever bore
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
        """Look at a snapshot in any pool of the cluster."""
        with self.cluster.open_ioctx(location.pool) as pool:
            return find_snapshot(pool, location, self.rados)

    def has(self, volume_id: str) -> bool:
        """Say whether there is an image of that name, whole or not."""
        try:
            # what leads to an image; opening one takes ten times as long
            self.objects.stat(f"rbd_id.{image_name(volume_id)}")
        except self.rados.ObjectNotFound:
            return False
        return True

    def create(self, volume_id: str, size: int) -> None:
        """Make an image of so many bytes, all zeros."""
        self.rbd.RBD().create(self.objects, image_name(volume_id), size)

    def remove(self, volume_id: str, retries: int, interval: float) -> None:
        """Remove an image, if it is there; wait while it is open."""
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
        """Say whether an open image hangs on so many others, or more."""
        with contextlib.ExitStack() as opened:
            for _ in range(count):
                try:
                    parent = image.get_parent_image_spec()
                except self.rbd.ImageNotFound:
                    return False
                pool = self.cluster.open_ioctx(parent["pool_name"])
                opened.enter_context(pool)
                pool.set_namespace(parent["pool_namespace"])
                image = self.rbd.Image(
                    pool, image_id=image.parent_id(), read_only=True
                )
                opened.enter_context(image)
        return True


def children(image: Any) -> list[str]:
    """Name what hangs on an open image or its snapshots, in the trash too."""
    return [
        f"{child['pool']}/{child['image']}" for child in image.list_children2()
    ]


def stream(image: Any) -> Iterator[bytes]:
    """Give an open image's data in pieces; holes cost no reading."""
    at = 0
    for start, end in _extents(image):
        yield from _zeros(start - at)
        for at in range(start, end, _PIECE):
            yield image.read(at, min(_PIECE, end - at))
        at = end
    yield from _zeros(image.size() - at)


def fill(image: Any, pieces: Iterator[bytes]) -> None:
    """Write pieces into an open image of zeros, and sync it."""
    # librbd waits for every single write until it was asked to flush once
    image.flush()
    at, size = 0, image.size()
    for piece in pieces:
        if at + len(piece) > size:
            message = f"there is more data than the {size} bytes of room"
            raise IntegrityError(message)
        for start, view in _files.islands(piece):
            image.write(bytes(view), at + start)
        at += len(piece)
    image.flush()


def _extents(image: Any) -> list[tuple[int, int]]:
    """Find where an open image, or one that it hangs on, has objects."""
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
            "RbdArray takes the Python bindings of librados and librbd: "
            f"{error}; install Debian's python3-rbd, or the like, where this "
            "Python finds it"
        )
        raise UnsupportedError(message) from error


def _timeouts(seconds: int) -> dict[str, str]:
    names = (
        "client_mount_timeout",
        "rados_mon_op_timeout",
        "rados_osd_op_timeout",
    )
    return {} if seconds < 0 else dict.fromkeys(names, str(seconds))
