"""The array: the methods of `ArrayBackend`, as changes of the directory."""

from __future__ import annotations

import contextlib
import functools
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
    Image,
    IntegrityError,
    Location,
    RbdLocation,
    Volume,
)
from clonepolicy.adapters import _formats, _inspection, _sizes
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters._files.paths import translate_errors
from clonepolicy.adapters.qcow2 import _commands
from clonepolicy.adapters.qcow2._commands import File, format_of, open_file
from clonepolicy.adapters.qcow2._directory import Directory, fill, list_own
from clonepolicy.ports import (
    Inspection,
    StoredImage,
    StoredVolume,
    check_source,
)


class Qcow2Array:
    """An array of qcow2 files ``volume-<id>`` in a directory, by qemu-img.

    Many hosts may share the directory.

    Cloning a volume that has data of its own turns its file into a layer,
    and both the volume and the clone get a new, empty file on that layer.
    If the volume was not written to since its last clone, the clone rests on
    the volume's layer, and no chain gets longer.  If a chain would get
    longer than ``max_chain`` files, the source is first copied into a single
    layer, which takes as long as copying its data.

    If a process has a source with data of its own open for writing, cloning
    it is refused.  A source without data of its own can be cloned even then,
    because new data goes to its own file and not to the layer.

    Args:
        directory: where the volumes are; it must exist.
        images: directories that only Glance writes; files directly in them,
            on the same file system, are the stored images, and all of them
            are raw.  Volumes rest on hard links to them.
        max_chain: how many files a volume may consist of.

    Raises:
        AdapterError: a directory does not exist, or cannot be used.
        FactError: ``max_chain`` is too small, or ``images`` is one directory
            instead of several.
    """

    API_VERSION: ClassVar[int] = 1
    CAPABILITIES: ClassVar[Backend] = Backend(
        can_clone=True,
        clone_kind=CloneKind.COPY_ON_WRITE,
        image_clone_kind=CloneKind.COPY_ON_WRITE,
        can_extend=True,
        clone_while_uploading=True,
        clone_in_use=False,
        image_schemes=frozenset({"file"}),
    )

    def __init__(
        self,
        directory: paths.PathLike,
        *,
        images: Iterable[paths.PathLike] = (),
        max_chain: int = 8,
    ) -> None:
        """Give the directory an identity, unless it has one."""
        if type(max_chain) is not int or max_chain < 2:  # noqa: PLR2004 - a layer and the volume
            raise FactError("max_chain", max_chain, "a whole number >= 2")
        self._directory = Directory(Path(directory).absolute())
        self._images = paths.ImageDirectories(images, self._directory.path)
        self._max_chain = max_chain
        with translate_errors(f"looking at {directory}"):
            self._backend = attrs.evolve(
                self.CAPABILITIES, array_id=self._directory.identify()
            )

    def get_backend(self) -> Backend:
        """Return what the array is and can do."""
        return self._backend

    def path(self, volume_id: str) -> Path:
        """Return the path of a volume's file, whether it exists or not."""
        return self._directory.volume(volume_id)

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return the disk's size; clones are neither limited nor counted."""
        name = self.path(volume_id).name
        with translate_errors(f"looking at volume {volume_id}"):
            try:
                file = open_file(self._directory.path, name)
            except FileNotFoundError:
                return None
            os.close(file.fd)
        return StoredVolume(size=file.size)

    def inspect(self, source: str | Location) -> Inspection:
        """Inspect the start of a volume's disk, or of an image's file."""
        with (
            translate_errors(f"inspecting {source}"),
            contextlib.ExitStack() as stack,
        ):
            if not isinstance(source, str):
                fd, _ = stack.enter_context(self._images.opened(source))
                return _inspection.inspect_file(fd)
            path = self.path(source)
            with self._directory.locked():
                chain = self._directory.open_chain(path, stack)
            read = functools.partial(_commands.read, chain)
            return _inspection.inspect(read, chain[0].size)

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for a file directly in one of the images' directories."""
        return self._images.find(location)

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Put a new file on a layer that the source rests on too."""
        # a process that uses the source could write to the shared data
        check_source(source, self._backend, at_one_instant=False)
        with translate_errors(f"cloning volume {source.id} to {volume_id}"):
            if self._clone(volume_id, source):
                return
            # one at a time: a process that waited need not copy again
            with self._directory.flock(".flatten"):
                if self._clone(volume_id, source):
                    return
                self._flatten(volume_id, source)
                if self._clone(volume_id, source):
                    return
        raise ConflictError(
            f"volume {source.id} was changed while it was copied; try again"
        )

    def _clone(self, volume_id: str, source: Volume) -> bool:
        """Clone a volume; return False if its chain is too long."""
        path = self.path(source.id)
        with self._directory.locked() as lock, contextlib.ExitStack() as stack:
            self._directory.check_vacant(volume_id)
            chain = self._directory.open_chain(path, stack)
            top = chain[0]
            _sizes.check_recorded(source, top.size)
            layer = top.layer if top.is_empty() else None
            if len(chain) + (layer is None) > self._max_chain:
                return False
            with self._directory.changing(lock, self.path(volume_id)):
                if layer is None:
                    _commands.check_unused(top)
                    layer = self._directory.link(path)
                    self._directory.put(lock, path, layer, top.size)
                twin = self._directory.link(
                    self._directory.path / layer, format_of(layer)
                )
                self._directory.put(lock, self.path(volume_id), twin, top.size)
        return True

    def _flatten(self, volume_id: str, source: Volume) -> None:
        """Copy a volume into a single layer, and put the volume on it.

        The copy is made without the lock.  If the volume was changed
        meanwhile, nothing is done.
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
        """Put a new file on a hard link to an image."""
        path = self.path(volume_id)
        with (
            translate_errors(f"cloning {location} to volume {volume_id}"),
            self._directory.locked() as lock,
        ):
            self._directory.check_vacant(volume_id)
            with (
                self._images.opened(location) as (fd, source),
                self._directory.changing(lock, path),
            ):
                image = os.fstat(fd)
                layer = self._directory.link(source, "raw")
                linked = (self._directory.path / layer).lstat()
                if not os.path.samestat(image, linked):
                    message = f"{location} was replaced meanwhile; try again"
                    raise ConflictError(message)
                size = _sizes.to_bytes(_sizes.to_gib(image.st_size))
                self._directory.put(lock, path, layer, size)

    def extend(self, volume_id: str, size: int) -> None:
        """Extend a volume with zeros to a size in GiB; never shrink it."""
        path, wanted = self.path(volume_id), _sizes.to_bytes(size)
        with (
            translate_errors(f"extending volume {volume_id}"),
            self._directory.locked() as lock,
            contextlib.ExitStack() as stack,
        ):
            chain = self._directory.open_chain(path, stack)
            _sizes.check_not_larger(volume_id, chain[0].size, size)
            if chain[0].size == wanted:
                return
            try:
                _commands.resize(chain, wanted, lock=lock)
            except AdapterError:
                # qemu-img writes the header last: its size decides
                found = self.stat(volume_id)
                if found is None or found.size != wanted:
                    raise
            os.fsync(chain[0].fd)

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of ``size`` GiB with all of an image's data."""
        path, count = self.path(volume_id), _sizes.to_bytes(size)
        with (
            translate_errors(
                f"filling volume {volume_id} from image {image.id}"
            ),
            self._directory.part(volume_id, count) as (part, raw),
        ):
            _formats.fill_file(raw, size, image, data)
            with paths.closing(paths.open_read(raw)) as fd:
                disk = File(fd=fd, name=raw.name, format="raw", size=count)
                fill(part, [disk])
            with self._directory.locked():
                part.rename(path)
                paths.sync(self._directory.path)

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Yield the bytes of a volume's disk."""
        path = self.path(volume_id)
        with (
            translate_errors(f"reading volume {volume_id}"),
            contextlib.ExitStack() as stack,
        ):
            with self._directory.locked():
                chain = self._directory.open_chain(path, stack)
            size = chain[0].size
            fd = stack.enter_context(paths.unnamed(self._directory.path))
            os.ftruncate(fd, size)
            _commands.convert(chain, "raw", fd)
            yield from sparse.stream(fd, size)

    def discard(self, volume_id: str) -> None:
        """Remove a volume's file, and the layers that only it needs."""
        path = self.path(volume_id)
        with (
            translate_errors(f"discarding volume {volume_id}"),
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
                    paths.sync(self._directory.path)
                if damaged:
                    self._directory.clean()
