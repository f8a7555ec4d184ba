"""The array: the methods of `ArrayBackend`, for images of a pool."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

import attrs

from clonepolicy import (
    Backend,
    CloneKind,
    FactError,
    FileLocation,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters import _formats, _inspection, _sizes
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.rbd._clones import Clones
from clonepolicy.adapters.rbd._pool import Pool, children, fill, stream
from clonepolicy.ports import (
    Inspection,
    StoredImage,
    StoredVolume,
    check_source,
)


class RbdArray:
    """An array of images ``volume-<id>`` in a pool.

    The arguments are options of cinder.conf, by the same names, and
    ``image_pools``.  The array holds one connection, which threads may
    share; after a fork, the child process must open an array of its own.

    Args:
        rbd_pool: where the volumes are.
        rbd_ceph_conf: the cluster's ceph.conf; empty: Ceph's default paths.
        rbd_user: the user to connect as.
        rbd_max_clone_depth: the most ancestors that an image may have,
            counted through all pools.  If a source has that many, its clone
            is flattened: all data is copied, and the clone has no parent.
        rados_connect_timeout: seconds in which the cluster must answer each
            request; negative: no limit.
        rados_connection_retries: how often `discard` tries again while a
            client has the volume open.  Ceph takes a killed client for
            alive for another 30 seconds.
        rados_connection_interval: seconds to wait before the first retry;
            the wait doubles with each retry.
        image_conversion_dir: where images that are not raw are converted,
            in unnamed files; None: the directory of temporary files.
        image_pools: pools that only Glance writes; an image in any other
            pool is no image of this array.

    Raises:
        UnsupportedError: librbd's bindings are not installed.
        AdapterError: the cluster or the pool cannot be used.
        FactError: the depth is not a whole number above 0, or
            ``image_pools`` is not a set of names.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True,
        clone_kind=CloneKind.COPY_ON_WRITE,
        image_clone_kind=CloneKind.COPY_ON_WRITE,
        can_extend=True,
        clone_while_uploading=True,
        clone_in_use=True,
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
        """Return the array; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; may be repeated."""
        self._pool.close()

    def get_backend(self) -> Backend:
        """Return what the cluster is and can do."""
        return self._backend

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return an image's size, and the number of its clones."""
        with (
            contextlib.suppress(NotFoundError),
            self._pool.translate_errors(f"looking at volume {volume_id}"),
            self._pool.opened(volume_id, read_only=True) as image,
        ):
            clones = len(children(image))
            return StoredVolume(size=image.size(), clones=clones)
        return None

    def inspect(self, source: str | Location) -> Inspection:
        """Inspect the start of a volume's image, or of a snapshot."""
        with (
            self._pool.translate_errors(f"inspecting {source}"),
            (
                self._pool.opened(source, read_only=True)
                if isinstance(source, str)
                else self._pool.opened_snapshot(self._own(source))
            ) as image,
        ):
            return _inspection.inspect(image.read, image.size())

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for a snapshot in one of the images' pools."""
        snapshot = self._own(location)
        with contextlib.suppress(NotFoundError):
            with self._pool.translate_errors(f"looking at {snapshot}"):
                found = self._pool.find_snapshot(snapshot)
            return StoredImage(size=_sizes.to_gib(found.size))
        return None

    def _own(self, location: Location) -> RbdLocation:
        """Check that a location is a snapshot in one of the images' pools."""
        if (
            isinstance(location, RbdLocation)
            and location.fsid == self._backend.array_id
            and location.pool in self._image_pools
            # without a snapshot, librbd clones the image as it is now; a NUL
            # ends a name
            and location.snapshot
            and (location.image + location.snapshot).isprintable()
        ):
            return location
        raise UnsupportedError(f"{location!r} is no image of this array")

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Take a snapshot of the source, clone it, and remove it.

        If the cluster admits clients older than mimic, the snapshot stays as
        long as the clone.
        """
        check_source(source, self._backend)
        with self._pool.translate_errors(
            f"cloning volume {source.id} to {volume_id}"
        ):
            self._clones.clone_volume(volume_id, source)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Clone an image's snapshot, and extend the clone to a whole GiB."""
        snapshot = self._own(location)
        with self._pool.translate_errors(
            f"cloning {snapshot} to volume {volume_id}"
        ):
            self._clones.clone_image(volume_id, snapshot)

    def extend(self, volume_id: str, size: int) -> None:
        """Extend an image with zeros to a size in GiB; never shrink it."""
        with (
            self._pool.translate_errors(f"extending volume {volume_id}"),
            self._pool.locked(volume_id),
            self._pool.opened(volume_id) as image,
        ):
            _sizes.check_not_larger(volume_id, image.size(), size)
            wanted = _sizes.to_bytes(size)
            if image.size() < wanted:
                image.resize(wanted, allow_shrink=False)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of ``size`` GiB with all of an image's data."""
        inspector = _formats.Inspector(image)
        with self._pool.translate_errors(
            f"filling volume {volume_id} from {image.id}"
        ):
            self._pool.create(volume_id, _sizes.to_bytes(size))
            with self._pool.opened(volume_id) as new:
                fill(new, self._disk(inspector, size, data))

    def _disk(
        self, inspector: _formats.Inspector, size: int, data: Iterator[bytes]
    ) -> Iterator[bytes]:
        """Yield the bytes of an image's disk, inspected and raw."""
        if inspector.is_plain:
            yield from inspector.watch(data)
            inspector.finish()
            return
        directory = Path(self._conversion_dir or tempfile.gettempdir())
        with (
            paths.translate_errors(f"converting {inspector.disk_format} data"),
            paths.unnamed(directory) as fd,
        ):
            count = _sizes.to_bytes(size)
            os.ftruncate(fd, count)
            data = paths.passthrough(data)
            _formats.convert(inspector, data, fd, size, directory)
            yield from sparse.stream(fd, count)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Yield an image's data, with that of its ancestors."""
        with (
            self._pool.translate_errors(f"reading volume {volume_id}"),
            self._pool.opened(volume_id, read_only=True) as image,
        ):
            yield from stream(image)

    def discard(self, volume_id: str) -> None:
        """Remove an image without clones, and what this array made for it.

        Raises:
            ConflictError: the image has clones, or snapshots that this array
                did not take.
            UnavailableError: a client has the image open.
        """
        with self._pool.translate_errors(f"discarding volume {volume_id}"):
            self._clones.discard(volume_id)


def _check_names(field: str, value: object) -> None:
    # a string would do for `in`, and contain each of its parts
    if not isinstance(value, (set, frozenset)) or not all(
        isinstance(name, str) and name for name in value
    ):
        raise FactError(field, value, "a set of names")
