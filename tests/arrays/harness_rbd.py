"""A harness for the array in Ceph, with librbd and Ceph's programs."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from ceph import CephError, Cluster

from clonepolicy import GiB, Location, RbdLocation
from clonepolicy.adapters.rbd import RbdArray, _pool
from clonepolicy.testing.conformance import ArrayHarness

OWN = frozenset({"clonepolicy.locks"})
"""Objects of the array itself, which belong to no volume."""


_OPENED: defaultdict[str, list[RbdArray]] = defaultdict(list)
"""Open arrays, by pool; they are closed before the pool is removed."""


def open_array(rbd_pool: str, **options: Any) -> RbdArray:  # noqa: ANN401 - passed on
    """Open an array whose locks expire soon after their process died."""
    vars(_pool)["_LOCKED"] = 5
    array = RbdArray(rbd_pool=rbd_pool, **options)
    _OPENED[rbd_pool].append(array)
    return array


def make_harness(
    cluster: Cluster, ceph_conf: Path | None = None
) -> ArrayHarness:
    """Make an array in one new pool, with images in another."""
    tag = uuid.uuid4().hex[:8]
    volumes, images = f"volumes-{tag}", f"images-{tag}"
    for pool in (volumes, images):
        cluster.add_pool(pool)

    reopen = partial(
        open_array,
        rbd_pool=volumes,
        rbd_ceph_conf=ceph_conf or cluster.conf,
        image_pools=frozenset({images}),
        rados_connection_interval=2,
    )

    def close() -> None:
        for array in _OPENED[volumes]:
            array.close()
        for pool in (volumes, images):
            cluster.remove_pool(pool)

    return ArrayHarness(
        array=reopen(),
        reopen=reopen,
        overwrite=lambda volume_id, offset, data: overwrite(
            cluster, volumes, volume_id, offset, data
        ),
        guest=lambda volume_id: guest(cluster, volumes, volume_id),
        size_of=lambda volume_id: size_of(cluster, volumes, volume_id),
        holds=lambda: holds(cluster, volumes),
        exclusive=lambda volume_id: exclusive(cluster, volumes, volume_id),
        add_image=lambda pieces: add_image(cluster, images, pieces),
        remove_image=lambda location: remove_image(cluster, location),
        breaking=breaking,
        close=close,
    )


@contextlib.contextmanager
def opened(
    cluster: Cluster, pool: str, name: str, *, read_only: bool = False
) -> Iterator[Any]:
    """Open an image."""
    rbd: Any = importlib.import_module("rbd")
    with (
        cluster.connection.open_ioctx(pool) as objects,
        rbd.Image(objects, name, read_only=read_only) as image,
    ):
        yield image


def overwrite(
    cluster: Cluster, pool: str, volume_id: str, offset: int, data: bytes
) -> None:
    """Write into a volume, as a guest would."""
    with opened(cluster, pool, f"volume-{volume_id}") as image:
        image.write(data, offset)


@contextlib.contextmanager
def guest(
    cluster: Cluster, pool: str, volume_id: str
) -> Iterator[Callable[[int, bytes], object]]:
    """Open a volume, and yield a function that writes to it and flushes."""
    with opened(cluster, pool, f"volume-{volume_id}") as image:

        def write(offset: int, data: bytes) -> None:
            image.write(data, offset)
            image.flush()

        yield write


def size_of(cluster: Cluster, pool: str, volume_id: str) -> int | None:
    """Return a volume's size in bytes; None: there is no volume."""
    try:
        output = cluster.run(
            "rbd", "info", "--format", "json", f"{pool}/volume-{volume_id}"
        )
    except CephError as error:
        if "No such file or directory" not in str(error):
            raise
        return None
    return int(json.loads(output)["size"])


def holds(cluster: Cluster, pool: str) -> Collection[str]:
    """Name images, snapshots that are not in the trash, and other objects."""
    rbd: Any = importlib.import_module("rbd")
    with cluster.connection.open_ioctx(pool) as objects:
        names = set(rbd.RBD().list(objects))
        found = names | {
            f"trash/{entry['id']}" for entry in rbd.RBD().trash_list(objects)
        }
        found |= {
            entry.key
            for entry in objects.list_objects()
            if entry.key not in OWN and not entry.key.startswith("rbd_")
        }
    for name in names:
        with opened(cluster, pool, name, read_only=True) as image:
            found |= {
                f"{name}@{snapshot['name']}"
                for snapshot in image.list_snaps()
                if snapshot["namespace"] != rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH
            }
    return found


def exclusive(cluster: Cluster, pool: str, volume_id: str) -> int:
    """Return the bytes in a volume's own objects."""
    lengths: list[int] = []

    def count(_start: int, length: int, exists: bool) -> None:  # noqa: FBT001 - librbd calls it
        lengths.append(length if exists else 0)

    with opened(cluster, pool, f"volume-{volume_id}", read_only=True) as image:
        image.diff_iterate(0, image.size(), None, count, include_parent=False)
    return sum(lengths)


def add_image(
    cluster: Cluster, pool: str, pieces: Iterator[bytes]
) -> RbdLocation:
    """Store raw data as Glance does, with a protected snapshot."""
    rbd: Any = importlib.import_module("rbd")
    name = str(uuid.uuid4())
    with cluster.connection.open_ioctx(pool) as objects:
        rbd.RBD().create(objects, name, 0)
    with opened(cluster, pool, name) as image:
        at = 0
        for piece in pieces:
            if image.size() < at + len(piece):
                image.resize(at + GiB)
            if piece.count(0) != len(piece):
                image.write(piece, at)
            at += len(piece)
        image.resize(at)
        image.create_snap("snap")
        image.protect_snap("snap")
    return RbdLocation(cluster.fsid, pool, name, "snap")


def remove_image(cluster: Cluster, location: Location) -> None:
    """Remove an image; flatten its clones first."""
    assert isinstance(location, RbdLocation)
    rbd: Any = importlib.import_module("rbd")
    with opened(cluster, location.pool, location.image) as image:
        for child in list(image.list_children2()):
            with opened(cluster, child["pool"], child["image"]) as clone:
                clone.flatten()
        for snapshot in list(image.list_snaps()):
            image.remove_snap2(snapshot["name"], rbd.RBD_SNAP_REMOVE_UNPROTECT)
    with cluster.connection.open_ioctx(location.pool) as objects:
        rbd.RBD().remove(objects, location.image)


@contextlib.contextmanager
def breaking() -> Iterator[None]:
    """Make librbd's clone and resize fail after they have succeeded."""
    rbd: Any = importlib.import_module("rbd")

    class Image(rbd.Image):  # type: ignore[misc] # the bindings have no types
        resize = failing_after(rbd.Image.resize)

    clone = failing_after(rbd.RBD.clone)
    with (
        mock.patch.object(rbd, "Image", Image),
        mock.patch.object(rbd.RBD, "clone", clone),
    ):
        yield


def failing_after(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes the call and then fails."""
    rbd: Any = importlib.import_module("rbd")

    def fail(*args: Any, **more: Any) -> None:  # noqa: ANN401 - whatever it takes
        call(*args, **more)
        raise rbd.OSError("broken", errno=5)

    return fail
