"""The port: what is asked of the array, in changes of its directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import attrs

from clonepolicy import (
    AdapterError,
    Backend,
    CloneKind,
    ConflictError,
    FactError,
    FileLocation,
    GiB,
    Image,
    IntegrityError,
    Location,
    NotFoundError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    Volume,
    check_source,
)
from clonepolicy.adapters import _files, _formats
from clonepolicy.adapters._files import Adapted, AnyPath, opened
from clonepolicy.adapters.qcow2 import _qemu
from clonepolicy.adapters.qcow2._directory import (
    Directory,
    fill,
    list_own,
)
from clonepolicy.adapters.qcow2._file import File, format_of, open_file


class Qcow2Array:
    """An array of qcow2 files ``volume-<id>`` in a directory, by qemu-img.

    The directory may be shared by many hosts.  A volume with data of its own
    is frozen when it is cloned: its file becomes a layer, and it and the
    clone start on that anew.  One that has not been written to since only
    lends its layer, so that clones of one source lengthen no chain.  Where
    one would get longer than ``max_chain`` files the source is first copied
    into a single layer, which takes as long as a copy takes.  What somebody
    has open to write is neither frozen nor copied, and its clone is refused;
    while it has no data of its own it lends its layer all the same, since
    what is written then goes to its own file.

    Args:
        directory: where the volumes lie; it must be there.
        images: directories that only Glance writes; files right in them,
            on the same file system, are the stored images, raw all of them.
            Volumes rest on hard links to them.
        max_chain: how many files a volume may consist of.

    Raises:
        AdapterError: a directory is not there, or cannot be used.
        FactError: ``max_chain`` is too small, or ``images`` is one directory
            and not several.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True,
        clone_kind=CloneKind.COPY_ON_WRITE,
        image_clone_kind=CloneKind.COPY_ON_WRITE,
        can_extend=True,
        clone_while_uploading=True,
        image_schemes=frozenset({"file"}),
    )

    def __init__(
        self,
        directory: AnyPath,
        *,
        images: Iterable[AnyPath] = (),
        max_chain: int = 8,
    ) -> None:
        """Give the directory an identity, unless it has one."""
        if type(max_chain) is not int or max_chain < 2:  # noqa: PLR2004 - a layer and what is on it
            raise FactError("max_chain", max_chain, "a whole number >= 2")
        self._directory = Directory(Path(directory).absolute())
        self._images = _files.image_directories(images)
        self._max_chain = max_chain
        with Adapted(f"looking at {directory}"):
            self._backend = attrs.evolve(
                self.CAPABILITIES, array_id=self._directory.identify()
            )

    def get_backend(self) -> Backend:
        """Tell what the array is and can do."""
        return self._backend

    def path(self, volume_id: str) -> Path:
        """Give the place of a volume's file, whether there is one or not."""
        return self._directory.volume(volume_id)

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Tell the disk's size; clones are not limited, and not counted."""
        name = self.path(volume_id).name
        with Adapted(f"looking at volume {volume_id}"):
            try:
                file = open_file(self._directory.path, name)
            except FileNotFoundError:
                return None
            os.close(file.fd)
        return StoredVolume(size=file.size)

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for a file right in one of the images' directories."""
        if not isinstance(location, FileLocation):
            return None
        with Adapted(f"looking at {location}"):
            fd = self._open_image(location)
            if fd is None:
                return None
            with opened(fd):
                return StoredImage(size=-(-os.fstat(fd).st_size // GiB))

    def _open_image(self, location: FileLocation) -> int | None:
        here = self._directory.path.stat().st_dev
        return _files.open_image(location.path, self._images, here)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Let a new file and another volume's rest on one layer."""
        # who uses it would go on writing into what the clone shares
        check_source(source, self._backend, at_one_instant=False)
        with Adapted(f"cloning volume {source.id} to {volume_id}"):
            if self._clone(volume_id, source):
                return
            # one at a time: whoever waits for this need not do it again
            with self._directory.flock(".flatten"):
                if self._clone(volume_id, source):
                    return
                self._flatten(volume_id, source)
                if self._clone(volume_id, source):
                    return
        message = f"volume {source.id} was changed while it was copied"
        raise ConflictError(message)

    def _clone(self, volume_id: str, source: Volume) -> bool:
        """Clone a volume, unless its chain has to be made shorter first."""
        path = self.path(source.id)
        with self._directory.locked() as lock, contextlib.ExitStack() as stack:
            self._directory.check_vacant(volume_id)
            chain = self._directory.open_chain(path, stack)
            top = chain[0]
            if top.size != source.size * GiB:
                message = (
                    f"volume {source.id} has {top.size} bytes, and its record "
                    f"says {source.size} GiB; correct the record"
                )
                raise IntegrityError(message)
            layer = top.layer if top.is_empty() else None
            if len(chain) + (layer is None) > self._max_chain:
                return False
            with self._directory.changing(lock, self.path(volume_id)):
                if layer is None:
                    _qemu.check_unused(top)
                    layer = self._directory.link(path)
                    self._directory.put(lock, path, layer, top.size)
                twin = self._directory.link(
                    self._directory.path / layer, format_of(layer)
                )
                self._directory.put(lock, self.path(volume_id), twin, top.size)
        return True

    def _flatten(self, volume_id: str, source: Volume) -> None:
        """Copy a volume into one layer, and put it on that if it is the same.

        Meanwhile it may be cloned, extended, discarded or written to.
        """
        path = self.path(source.id)
        with contextlib.ExitStack() as stack:
            with self._directory.locked():
                chain = self._directory.open_chain(path, stack)
            before, size = os.fstat(chain[0].fd), chain[0].size
            part, _ = stack.enter_context(
                self._directory.part(volume_id, size)
            )
            fill(part, chain)
            with self._directory.locked() as lock:
                chain = self._directory.open_chain(path, stack)
                now = os.fstat(chain[0].fd)
                if not os.path.samestat(before, now) or (
                    before.st_mtime_ns != now.st_mtime_ns
                ):
                    return
                _, *layers = list_own(chain)
                with self._directory.changing(lock):
                    layer = self._directory.new_layer()
                    part.rename(layer)
                    self._directory.put(lock, path, layer.name, size)
                    self._directory.remove(layers)

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Let a new file rest on a hard link to an image."""
        if not isinstance(location, FileLocation):
            message = f"{location} is no image of this array"
            raise NotFoundError(message)
        path = self.path(volume_id)
        with (
            Adapted(f"cloning {location} to volume {volume_id}"),
            self._directory.locked() as lock,
            contextlib.ExitStack() as stack,
        ):
            self._directory.check_vacant(volume_id)
            fd = self._open_image(location)
            if fd is None:
                message = f"{location} is no image of this array"
                raise NotFoundError(message)
            image = os.fstat(stack.enter_context(opened(fd)))
            size = -(-image.st_size // GiB) * GiB
            with self._directory.changing(lock, self.path(volume_id)):
                layer = self._directory.link(Path(location.path), "raw")
                linked = (self._directory.path / layer).lstat()
                if not os.path.samestat(image, linked):
                    message = f"{location} was replaced in this moment"
                    raise ConflictError(message)
                self._directory.put(lock, path, layer, size)

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB; never shrink one."""
        path, wanted = self.path(volume_id), size * GiB
        with (
            Adapted(f"extending volume {volume_id}"),
            self._directory.locked() as lock,
            contextlib.ExitStack() as stack,
        ):
            chain = self._directory.open_chain(path, stack)
            has = chain[0].size
            if has > wanted:
                message = (
                    f"volume {volume_id} has more than {wanted} bytes: {has}"
                )
                raise ConflictError(message)
            if has == wanted:
                return
            try:
                _qemu.resize(chain, wanted, lock=lock)
            except AdapterError:
                # the header, written last, says whether it is done or not
                found = self.stat(volume_id)
                if found is None or found.size != wanted:
                    raise
            os.fsync(chain[0].fd)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of that many GiB with an image's data, all of it."""
        path = self.path(volume_id)
        with (
            Adapted(f"filling volume {volume_id} from image {image.id}"),
            self._directory.part(volume_id, size * GiB) as (part, raw),
        ):
            _formats.fill_file(raw, size, image, data)
            with opened(_files.open_read(raw)) as fd:
                filled = File(
                    fd=fd, name=raw.name, format="raw", size=size * GiB
                )
                fill(part, [filled])
            with self._directory.locked():
                part.rename(path)
                _files.sync(self._directory.path)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data, as the disk has it."""
        path = self.path(volume_id)
        with (
            Adapted(f"reading volume {volume_id}"),
            contextlib.ExitStack() as stack,
        ):
            with self._directory.locked():
                chain = self._directory.open_chain(path, stack)
            size = chain[0].size
            spool = stack.enter_context(_files.spool(self._directory.path))
            os.ftruncate(spool, size)
            _qemu.convert(chain, "raw", spool)
            yield from _files.stream(spool, size)

    def discard(self, volume_id: str) -> None:
        """Remove a volume's file, and the layers that only it rests on."""
        path = self.path(volume_id)
        with (
            Adapted(f"discarding volume {volume_id}"),
            self._directory.locked() as lock,
            contextlib.ExitStack() as stack,
        ):
            names = [path.name, *self._directory.parts(volume_id)]
            damaged = False
            try:
                names += list_own(self._directory.open_chain(path, stack))
            except FileNotFoundError:
                pass
            except IntegrityError:
                damaged = True
            with self._directory.changing(lock):
                if self._directory.remove(names):
                    _files.sync(self._directory.path)
                if damaged:
                    self._directory.clean()
