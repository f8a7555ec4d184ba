"""The array: volumes as images of a pool."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    FactError,
    FileLocation,
    GiB,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    Volume,
    check_source,
    check_volume_id,
)
from clonepolicy.adapters import _files, _formats
from clonepolicy.adapters.rbd._clones import Clones
from clonepolicy.adapters.rbd._pool import Pool, children, fill, stream


class RbdArray:
    """An array of images ``volume-<id>`` in a pool.

    The arguments are options of cinder.conf by their names there, and
    ``image_pools``.  It holds one connection, which threads may share; a
    process that forks opens its own afterwards.

    Args:
        rbd_pool: where the volumes lie.
        rbd_ceph_conf: the cluster's ceph.conf; empty: where Ceph looks.
        rbd_user: who the cluster takes it for.
        rbd_max_clone_depth: most images that one may hang on, counted
            through all pools.  The clone of a source that hangs on as many
            is flattened: all its data is copied, and it hangs on none.
        rados_connect_timeout: seconds in which the cluster has to answer
            each request; negative: as long as it takes.
        rados_connection_retries: how often `discard` tries again while
            the volume is open elsewhere, as it seems to be for 30 seconds
            after somebody who had it open was killed.
        rados_connection_interval: seconds to wait before the first of
            these; the wait doubles each time.
        image_conversion_dir: where images that are not raw are unpacked,
            in files without a name; None: where temporary files lie.
        image_pools: pools that only Glance writes; what lies in others is
            no image of this array.

    Raises:
        UnsupportedError: librbd's bindings are not installed.
        AdapterError: the cluster or the pool cannot be used.
        FactError: the depth is no whole number above 0, or ``image_pools``
            no set of names.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True,
        clone_kind=CloneKind.COPY_ON_WRITE,
        image_clone_kind=CloneKind.COPY_ON_WRITE,
        can_extend=True,
        clone_while_uploading=True,
        image_schemes=frozenset({"rbd"}),
    )

    def __init__(  # noqa: PLR0913 - each is an option
        self,
        *,
        rbd_pool: str,
        rbd_ceph_conf: str | Path = "",
        rbd_user: str | None = None,
        rbd_max_clone_depth: int = 5,
        rados_connect_timeout: int = -1,
        rados_connection_retries: int = 3,
        rados_connection_interval: float = 5,
        image_conversion_dir: Path | None = None,
        image_pools: frozenset[str] = frozenset(),
    ) -> None:
        """Connect to the cluster and open the pool."""
        if type(rbd_max_clone_depth) is not int or rbd_max_clone_depth < 1:
            raise FactError(
                "rbd_max_clone_depth",
                rbd_max_clone_depth,
                "a whole number > 0",
            )
        _check_names("image_pools", image_pools)
        self._pool = Pool(
            rbd_pool,
            ceph_conf=rbd_ceph_conf,
            user=rbd_user,
            timeout=rados_connect_timeout,
        )
        self._clones = Clones(
            pool=self._pool,
            depth=rbd_max_clone_depth,
            retries=rados_connection_retries,
            interval=rados_connection_interval,
        )
        self._conversion_dir = image_conversion_dir
        self._image_pools = frozenset(image_pools)
        self._backend = attrs.evolve(
            self.CAPABILITIES, array_id=self._pool.fsid
        )

    def __enter__(self) -> Self:
        """Give the array; leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the connection; may be repeated."""
        self._pool.close()

    def get_backend(self) -> Backend:
        """Tell what the cluster is and can do."""
        return self._backend

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Tell an image's size, and how many hang on it."""
        try:
            with (
                self._pool.adapted(f"looking at volume {volume_id}"),
                self._pool.opened(volume_id, read_only=True) as image,
            ):
                clones = len(children(image))
                return StoredVolume(size=image.size(), clones=clones)
        except NotFoundError:
            return None

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for a snapshot in one of the images' pools."""
        try:
            there = self._own(location)
            with self._pool.adapted(f"looking at {there}"):
                found = self._pool.find_snapshot(there)
        except NotFoundError:
            return None
        return StoredImage(size=-(-found.size // GiB))

    def _own(self, location: Location) -> RbdLocation:
        """Refuse a location that is none of the images' pools."""
        if (
            isinstance(location, RbdLocation)
            and location.fsid == self._backend.array_id
            and location.pool in self._image_pools
            # no snapshot means the image as it is now; a NUL ends a name
            and location.snapshot
            and (location.image + location.snapshot).isprintable()
        ):
            return location
        message = f"{location!r} is no image of this array"
        raise NotFoundError(message)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Clone a snapshot made for it, of which nothing stays to be seen.

        Only where the cluster takes clients older than mimic, it stays as
        long as the clone does.
        """
        check_volume_id(volume_id)
        check_volume_id(source.id)
        check_source(source, self._backend)
        with self._pool.adapted(f"cloning volume {source.id} to {volume_id}"):
            size = source.size * GiB
            self._clones.of_volume(volume_id, source.id, size)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Clone an image's snapshot, and grow the clone to a whole GiB."""
        check_volume_id(volume_id)
        there = self._own(location)
        with self._pool.adapted(f"cloning {there} to volume {volume_id}"):
            self._clones.of_image(volume_id, there)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow an image to a size in GiB; never shrink one."""
        check_volume_id(volume_id)
        with (
            self._pool.adapted(f"extending volume {volume_id}"),
            self._pool.alone(volume_id),
            self._pool.opened(volume_id) as image,
        ):
            has = image.size()
            if has > size * GiB:
                message = (
                    f"volume {volume_id} has {has} bytes, more than {size} GiB"
                )
                raise ConflictError(message)
            if has < size * GiB:
                image.resize(size * GiB, allow_shrink=False)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of that many GiB with an image's data, all of it."""
        inspected = _formats.inspector(image)
        with self._pool.adapted(f"filling volume {volume_id} from {image.id}"):
            self._pool.create(volume_id, size * GiB)
            with self._pool.opened(volume_id) as new:
                fill(new, self._disk(inspected, size, data))

    def _disk(
        self, inspected: _formats.Inspector, size: int, data: Iterator[bytes]
    ) -> Iterator[bytes]:
        """Give the bytes of an image's disk, and see that it is safe."""
        if inspected.is_plain:
            yield from inspected.watch(data)
            inspected.finish()
            return
        qemu_img = _formats.find_qemu_img(inspected.disk_format)
        place = Path(self._conversion_dir or tempfile.gettempdir())
        with (
            _files.Adapted(f"unpacking {inspected.disk_format} data"),
            _files.spool(place) as packed,
            _files.spool(place) as disk,
        ):
            _files.fill(packed, inspected.watch(_files.foreign(data)))
            _formats.check_fits(inspected.finish(), size)
            os.ftruncate(disk, size * GiB)
            path = Path(f"/proc/{os.getpid()}/fd/{disk}")
            _formats.convert(qemu_img, inspected.disk_format, packed, path)
            yield from _files.stream(disk, size * GiB)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give an image's data, with that of those it hangs on."""
        with (
            self._pool.adapted(f"reading volume {volume_id}"),
            self._pool.opened(volume_id, read_only=True) as image,
        ):
            yield from stream(image)

    def discard(self, volume_id: str) -> None:
        """Remove an image that no other hangs on, and what it needed.

        Raises:
            ConflictError: others hang on it, or it has snapshots that are
                not of this array's making.
            UnavailableError: it is open elsewhere.
        """
        check_volume_id(volume_id)
        with self._pool.adapted(f"discarding volume {volume_id}"):
            self._clones.discard(volume_id)


def _check_names(field: str, value: object) -> None:
    # in a text, whatever is a part of it would be found
    if not isinstance(value, (set, frozenset)) or not all(
        isinstance(name, str) and name for name in value
    ):
        raise FactError(field, value, "a set of names")
