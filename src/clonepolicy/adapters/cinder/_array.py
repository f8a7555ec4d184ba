"""Any Cinder volume driver as an `ArrayBackend`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
from cinder import coordination
from oslo_config import cfg

from clonepolicy import (
    Backend,
    ConflictError,
    FileLocation,
    GiB,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    StaleError,
    StoredImage,
    StoredVolume,
    UnsupportedError,
    Volume,
    changed,
    check_source,
)
from clonepolicy.adapters._files import sparse
from clonepolicy.adapters.cinder._backend import (
    backend_from_driver,
    is_rbd,
)
from clonepolicy.adapters.cinder._errors import told_as_adapter_error
from clonepolicy.adapters.cinder._records import volume_from_object
from clonepolicy.adapters.cinder._volumes import CinderVolumes


def _nothing(_volume: object) -> None:
    """Clean nothing up after a clone."""


@attrs.frozen(kw_only=True)
class CinderArray:
    """One backend of Cinder, by its driver.

    ``known`` holds the objects of volumes that the caller works on, by id,
    so that driver and caller see the same one; others are read.
    ``cloned`` is called with a volume right after the driver cloned it.
    """

    driver: Any
    volumes: CinderVolumes
    extra: Mapping[str, Any] | None = None
    frozen: bool = False
    known: Mapping[str, Any] = attrs.field(factory=dict)
    cloned: Callable[[Any], None] = _nothing

    def get_backend(self) -> Backend:
        """Tell what the driver and the operator declare."""
        with told_as_adapter_error("driver's capabilities"):
            return backend_from_driver(
                self.driver, extra=self.extra, frozen=self.frozen
            )

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Have an RBD driver look; no other kind of driver can.

        Raises:
            UnsupportedError: the driver cannot tell.
        """
        if not is_rbd(self.driver):
            message = (
                f"{type(self.driver).__name__} cannot tell: ask the array"
            )
            raise UnsupportedError(message)
        with told_as_adapter_error(f"volume {volume_id}"):
            return _rbd_volume(self.driver, self.get_object(volume_id))

    def find_image(self, location: Location) -> StoredImage | None:
        """Open an RBD snapshot to learn its size; know no other kind."""
        if not isinstance(location, RbdLocation):
            return None
        try:
            with told_as_adapter_error(f"image {location}"):
                return _rbd_image(self.driver, location)
        except NotFoundError:
            return None

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Have the driver clone, under the lock that deletion takes.

        The driver makes the clone as large as its record says.

        Raises:
            ConflictError: the source is not at rest.
            StaleError: it is no longer what it was.
            AdapterError: the driver failed, in whatever way.
        """
        # the driver is asked only where its answer matters
        uploading = source.status == "uploading"
        check_source(source, self.get_backend() if uploading else Backend())
        target = self.get_object(volume_id)
        with self.held(source) as held:
            with told_as_adapter_error(f"clone of volume {source.id}"):
                update = self.driver.create_cloned_volume(target, held)
                self.cloned(target)
            self._save(target, update)

    @contextlib.contextmanager
    def held(self, source: Volume) -> Iterator[Any]:
        """Keep a volume from deletion while it is what it was.

        Raises:
            StaleError: it is no longer.
        """
        with contextlib.ExitStack() as stack:
            with told_as_adapter_error(f"lock of volume {source.id}"):
                lock = coordination.COORDINATOR.get_lock(
                    f"{source.id}-delete_volume"
                )
                stack.enter_context(lock)
            found = self.volumes.get_object(source.id)
            with told_as_adapter_error(f"volume {source.id}"):
                now = volume_from_object(found)
            if changed(source, now):
                message = f"volume {source.id} has changed"
                raise StaleError(message)
            yield found

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Have the driver clone the image behind this one location."""
        target = self.get_object(volume_id)
        with told_as_adapter_error(f"clone of image {location}"):
            update, cloned = self.driver.clone_image(
                self.volumes.context,
                target,
                (None, [{"url": str(location), "metadata": {}}]),
                {"disk_format": "raw", "container_format": "bare"},
                None,
            )
            if not cloned:
                missing = self.find_image(location) is None
                message = f"the driver declines {location}"
                raise (NotFoundError if missing else UnsupportedError)(message)
            self.cloned(target)
        self._save(target, update)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume; one whose record has the size is grown already.

        Cinder's drivers make a clone as large as its record says.
        """
        target = self.get_object(volume_id)
        if target.size > size:
            message = f"volume {volume_id} has {target.size} GiB, not {size}"
            raise ConflictError(message)
        if target.size == size:
            return
        with told_as_adapter_error(f"extension of volume {volume_id}"):
            self.driver.extend_volume(target, size)
        self._save(target, {"size": size})

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Make a volume and have the driver copy the data into it."""
        del size  # the record's, which the driver reads
        target = self.get_object(volume_id)
        what = f"copy of image {image.id}"
        with told_as_adapter_error(what):
            self._save(target, self.driver.create_volume(target))
            self.driver.copy_image_to_volume(
                self.volumes.context, target, _Source(image, data), image.id
            )

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data, through a file in image_conversion_dir.

        Drivers push data, and do not let it be pulled.
        """
        source = self.get_object(volume_id)
        folder = cfg.CONF.image_conversion_dir
        with tempfile.TemporaryFile(dir=folder) as spool:
            meta = {"id": volume_id, "disk_format": "raw"}
            meta["container_format"] = "bare"
            with told_as_adapter_error(f"data of volume {volume_id}"):
                self.driver.copy_volume_to_image(
                    self.volumes.context, source, _Target(spool), meta
                )
            size = os.fstat(spool.fileno()).st_size
            yield from sparse.stream(spool.fileno(), size)

    def discard(self, volume_id: str) -> None:
        """Have the driver delete a volume's data, if there is any."""
        target = self.known.get(volume_id) or self.volumes.find_object(
            volume_id
        )
        if target is None:
            return
        with told_as_adapter_error(f"deletion of volume {volume_id}"):
            self.driver.delete_volume(target)

    def get_object(self, volume_id: str) -> Any:
        """Give the caller's object of a volume, or read it."""
        known = self.known.get(volume_id)
        return self.volumes.get_object(volume_id) if known is None else known

    def _save(self, target: Any, update: Mapping[str, Any] | None) -> None:
        if not update:
            return
        what = f"record of volume {target.id}"
        with told_as_adapter_error(what), target.obj_as_admin():
            target.update(update)
            target.save()


@attrs.define
class _Source:
    """An image service that has one image, and gives it once."""

    image: Image
    data: Iterator[bytes]
    temp_images: Any = None

    def show(self, _context: object, image_id: str) -> dict[str, Any]:
        return {
            "id": image_id,
            "disk_format": self.image.disk_format,
            "container_format": self.image.container_format,
            "size": self.image.size,
            "properties": {},
        }

    def download(self, _context: object, _image_id: str, file: Any) -> None:
        for piece in self.data:
            file.write(piece)


@attrs.frozen
class _Target:
    """An image service that takes one image's data."""

    spool: Any

    def update(
        self,
        _context: object,
        _image_id: str,
        _meta: object,
        data: Any,
        **_headers: object,
    ) -> None:
        # zeros become holes: they take neither space nor time
        pieces = iter(lambda: data.read(sparse.CHUNK), b"")
        sparse.fill(self.spool.fileno(), pieces)


def _rbd_image(
    driver: Any,
    location: RbdLocation,
) -> StoredImage | None:
    from cinder.volume.drivers import rbd  # noqa: PLC0415 - needs librbd

    if driver._get_fsid() != location.fsid:
        return None
    with rbd.RBDVolumeProxy(
        driver,
        location.image,
        pool=location.pool,
        snapshot=location.snapshot,
        read_only=True,
    ) as image:
        return StoredImage(size=-(-image.size() // GiB))


def _rbd_volume(driver: Any, volume: Any) -> StoredVolume | None:
    from cinder.volume.drivers import rbd  # noqa: PLC0415 - needs librbd

    try:
        with rbd.RBDVolumeProxy(driver, volume.name, read_only=True) as held:
            clones = len(list(held.list_children2()))
            return StoredVolume(size=held.size(), clones=clones)
    except driver.rbd.ImageNotFound:
        return None
