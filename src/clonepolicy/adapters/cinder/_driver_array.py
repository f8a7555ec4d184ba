"""`CinderArray`: any Cinder volume driver as an array backend."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
from cinder import coordination
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    AdapterError,
    Backend,
    ConflictError,
    FileLocation,
    GiB,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    StaleError,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters import _inspection
from clonepolicy.adapters._files import sparse
from clonepolicy.adapters.cinder._driver import (
    backend_from_driver,
    is_a,
    is_rbd,
)
from clonepolicy.adapters.cinder._errors import traced, translate_errors
from clonepolicy.adapters.cinder._records import volume_from_object
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.adapters.cinder._threads import check_thread
from clonepolicy.adapters.cinder._volumes import CinderVolumes
from clonepolicy.ports import (
    Inspection,
    StoredImage,
    StoredVolume,
    check_source,
    volume_changed,
)

LOG = log.getLogger(__name__)


@attrs.frozen(kw_only=True)
class CinderArray:
    """An `ArrayBackend` over one backend of Cinder, by its driver.

    Args:
        driver: an initialized Cinder volume driver.
        volumes: reads the objects of volumes.
        extra: the backend's ``extra_capabilities``.
        frozen: whether the backend's service is frozen.
        known: by id, the objects of the volumes that the caller works on, so
            that the driver changes the same objects.  Others are read.
        cloned: is called with a volume directly after the driver cloned it.
        sources: by id of a clone, the id of the volume that it is made of.
    """

    driver: Any
    volumes: CinderVolumes
    extra: Mapping[str, Any] | None = None
    frozen: bool = False
    known: Mapping[str, Any] = attrs.field(factory=dict)
    cloned: Callable[[Any], None] = lambda _volume: None
    sources: dict[str, str] = attrs.field(factory=dict)

    def get_backend(self) -> Backend:
        """Return what the driver and the operator declare."""
        self._check_thread()
        with translate_errors("reading the driver's capabilities"):
            return backend_from_driver(
                self.driver, extra=self.extra, frozen=self.frozen
            )

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Ask an RBD driver what it stores of a volume.

        Raises:
            UnsupportedError: it is another driver; no other can look it up.
        """
        if not is_rbd(self.driver):
            raise UnsupportedError(
                f"{type(self.driver).__name__} cannot look up stored volumes:"
                " ask the array"
            )
        with translate_errors(f"looking up volume {volume_id}"):
            try:
                with self._open_volume(volume_id) as stored:
                    clones = len(list(stored.list_children2()))
                    return StoredVolume(size=stored.size(), clones=clones)
            except self.driver.rbd.ImageNotFound:
                return None

    def inspect(self, source: str | Location) -> Inspection:
        """Inspect data of an RBD driver; no other driver can read it."""
        if not is_rbd(self.driver):
            return Inspection.NOT_INSPECTED
        with (
            translate_errors(f"inspecting {source}"),
            (
                self._open_volume(source)
                if isinstance(source, str)
                else self._open_snapshot(source)
            ) as image,
        ):
            return _inspection.inspect(image.read, image.size())

    def find_image(self, location: Location) -> StoredImage | None:
        """Open an RBD snapshot to learn its size.

        Raises:
            UnsupportedError: it is another driver, or the snapshot is in
                another cluster.
        """
        try:
            with (
                translate_errors(f"looking up image {location}"),
                self._open_snapshot(location) as image,
            ):
                return StoredImage(size=-(-image.size() // GiB))
        except NotFoundError:
            return None

    def _check_thread(self) -> None:
        """Refuse to use an RBD driver where it would hang."""
        if installed_release().rbd_in_eventlet and is_rbd(self.driver):
            check_thread()

    def _open_volume(self, volume_id: str) -> Any:
        self._check_thread()
        known = self.known.get(volume_id)
        volume = (
            self.volumes.read_object(volume_id) if known is None else known
        )
        return _open_rbd(self.driver, volume.name)

    def _open_snapshot(self, location: Location) -> Any:
        self._check_thread()
        if (
            not isinstance(location, RbdLocation)
            or not is_rbd(self.driver)
            or self.driver._get_fsid() != location.fsid
        ):
            raise UnsupportedError(f"{location} is no image of this array")
        return _open_rbd(
            self.driver,
            location.image,
            pool=location.pool,
            snapshot=location.snapshot,
        )

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Have the driver clone, under the lock that a deletion takes.

        The driver makes the clone as large as its record says.

        Raises:
            ConflictError: the source is not at rest.
            StaleError: the source has changed.
            AdapterError: the driver failed.
        """
        # the driver is asked only if its answer matters
        uploading = source.status == "uploading"
        check_source(source, self.get_backend() if uploading else Backend())
        target = self.get_object(volume_id)
        with self.locked(source) as held:
            self.sources[volume_id] = source.id
            with translate_errors(f"cloning volume {source.id}"):
                update = self.driver.create_cloned_volume(target, held)
                self.cloned(target)
            self._save(target, update)

    @contextlib.contextmanager
    def locked(self, source: Volume) -> Iterator[Any]:
        """Keep a volume from being deleted, and yield its object.

        Raises:
            StaleError: the volume has changed.
        """
        with contextlib.ExitStack() as stack:
            with translate_errors(f"locking volume {source.id}"):
                stack.enter_context(self.deletion_lock(source.id))
            found = self.volumes.get_object(source.id)
            with translate_errors(f"reading volume {source.id}"):
                now = volume_from_object(found)
            if volume_changed(source, now):
                raise StaleError(
                    f"volume {source.id} has changed since the decision"
                )
            yield found

    def deletion_lock(self, volume_id: str) -> Any:
        """Return the lock that Cinder takes to delete a volume."""
        name = f"{volume_id}-delete_volume"
        return coordination.COORDINATOR.get_lock(name)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Have the driver clone the image at this location only."""
        target = self.get_object(volume_id)
        with translate_errors(f"cloning image {location}"):
            update, cloned = self.driver.clone_image(
                self.volumes.context,
                target,
                (None, [{"url": str(location), "metadata": {}}]),
                {"disk_format": "raw", "container_format": "bare"},
                None,
            )
            if not cloned:
                missing = self.find_image(location) is None
                message = f"the driver does not clone {location}"
                raise (NotFoundError if missing else UnsupportedError)(message)
            self.cloned(target)
        self._save(target, update)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume, unless its record has the size already.

        Cinder's drivers make a clone as large as its record says.
        """
        target = self.get_object(volume_id)
        if target.size > size:
            raise ConflictError(
                f"volume {volume_id} has {target.size} GiB: it cannot shrink "
                f"to {size}"
            )
        if target.size == size:
            return
        with translate_errors(f"extending volume {volume_id}"):
            self.driver.extend_volume(target, size)
        self._save(target, {"size": size})

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Create a volume and have the driver copy the data into it."""
        check_thread()
        del size  # the driver reads it from the record
        target = self.get_object(volume_id)
        with translate_errors(f"copying image {image.id}"):
            self._save(target, self.driver.create_volume(target))
            self.driver.copy_image_to_volume(
                self.volumes.context, target, _OneImage(image, data), image.id
            )

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Yield a volume's data, by a temporary file.

        The file is in ``image_conversion_dir``: a driver writes all data
        into an image service, and cannot return it in chunks.
        """
        check_thread()
        source = self.get_object(volume_id)
        folder = cfg.CONF.image_conversion_dir
        meta = {
            "id": volume_id,
            "disk_format": "raw",
            "container_format": "bare",
        }
        with tempfile.TemporaryFile(dir=folder) as file:
            with translate_errors(f"reading data of volume {volume_id}"):
                self.driver.copy_volume_to_image(
                    self.volumes.context, source, _ImageFile(file), meta
                )
            size = os.fstat(file.fileno()).st_size
            yield from sparse.stream(file.fileno(), size)

    def discard(self, volume_id: str) -> None:
        """Have the driver delete a volume's data, if there is any."""
        self._check_thread()
        target = self.known.get(volume_id) or self.volumes.find_object(
            volume_id
        )
        if target is None:
            return
        source_id = self.sources.get(volume_id)
        if source_id is not None:
            self.locate_clone(target, source_id)
        with translate_errors(f"deleting data of volume {volume_id}"):
            self.driver.delete_volume(target)
        if source_id is not None:
            self.remove_clone_snapshot(target, source_id)

    def locate_clone(self, target: Any, source_id: str) -> None:
        """Give a clone the share of its source, if its record has none.

        A RemoteFS driver clones within a share, returns the share after it
        cloned, and without one deletes nothing.  Other drivers' locations
        may be those of one volume.
        """
        module, name = "cinder.volume.drivers.remotefs", "RemoteFSDriver"
        if target.provider_location or not is_a(self.driver, module, name):
            return
        source = self.volumes.find_object(source_id)
        if source is not None:
            target.provider_location = source.provider_location

    def remove_clone_snapshot(self, target: Any, source_id: str) -> None:
        """Remove the snapshot of its source that an RBD driver cloned.

        The driver keeps it when the clone is deleted, and when it is killed
        before it clones.  Call this after the deletion.  An error is logged.
        """
        if not is_rbd(self.driver):
            return
        name = f"{target.name}.clone_snap"
        try:
            source = self.get_object(source_id)
            with (
                translate_errors(f"removing snapshot {name}"),
                _open_rbd(self.driver, source.name, read_only=False) as stored,
            ):
                known = {snapshot["name"] for snapshot in stored.list_snaps()}
                if name in known:
                    if stored.is_protected_snap(name):
                        stored.unprotect_snap(name)
                    stored.remove_snap(name)
        except AdapterError as error:
            LOG.warning("clonepolicy cannot tidy up\n%s", traced(error))

    def get_object(self, volume_id: str) -> Any:
        """Return the caller's object of a volume, or read it."""
        self._check_thread()
        known = self.known.get(volume_id)
        return self.volumes.get_object(volume_id) if known is None else known

    def _save(self, target: Any, update: Mapping[str, Any] | None) -> None:
        if not update:
            return
        action = f"writing the record of volume {target.id}"
        with translate_errors(action), target.obj_as_admin():
            target.update(update)
            target.save()


@attrs.define
class _OneImage:
    """An image service that holds one image, to be downloaded once."""

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
        for chunk in self.data:
            file.write(chunk)


@attrs.frozen
class _ImageFile:
    """An image service that writes uploaded data into a file."""

    file: Any

    def update(
        self,
        _context: object,
        _image_id: str,
        _meta: object,
        data: Any,
        **_headers: object,
    ) -> None:
        # fill() turns zeros into holes, which need neither space nor time
        chunks = iter(lambda: data.read(sparse.CHUNK), b"")
        sparse.fill(self.file.fileno(), chunks)


def _open_rbd(
    driver: Any, name: str, *, read_only: bool = True, **more: Any
) -> Any:
    from cinder.volume.drivers import rbd  # noqa: PLC0415 - needs librbd

    return rbd.RBDVolumeProxy(driver, name, read_only=read_only, **more)
