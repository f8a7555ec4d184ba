# ruff: noqa: ANN401 - the bindings have no types
"""Make clones whole or not at all; remove them with their snapshots.

Cloning a volume takes a snapshot of the source first.  A kill at this point
leaves a snapshot that cannot be found from the clone's id.  So a note is
written before the snapshot is taken: an object that is named after the clone
and holds the source's id.  The snapshot exists only while the note exists.
Discarding removes the clone, then the snapshot, then the note.

A clone of format 2 needs no visible snapshot.  Its snapshot is removed at
once: it goes to the trash, from which Ceph removes it with the clone.  A
clone of format 1 needs its protected snapshot; snapshot and note stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    LeftBehindError,
    RbdLocation,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters.rbd._pool import Pool, children, image_name
from clonepolicy.ports import check_volume_id

_SNAPSHOT = "clone-"


def _snapshot(volume_id: str) -> str:
    return f"{_SNAPSHOT}{volume_id}"


def _is_our_snapshot(snapshot: str) -> bool:
    volume_id = snapshot.removeprefix(_SNAPSHOT)
    with contextlib.suppress(UnsupportedError):
        check_volume_id(volume_id)
        return snapshot == _snapshot(volume_id)
    return False


def _note(volume_id: str) -> str:
    return f"clonepolicy.source.{volume_id}"


@attrs.frozen(kw_only=True)
class Clones:
    """Makes and removes the clones in a pool."""

    pool: Pool
    depth: int
    """The most ancestors that a clone may have."""
    retries: int
    interval: float

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Clone a volume."""
        self._check_vacant(volume_id)
        with contextlib.ExitStack() as undo:
            with (
                self.pool.locked(source.id),
                self.pool.opened(source.id) as old,
            ):
                _sizes.check_recorded(source, old.size())
                self._write_note(volume_id, source.id)
                # undoing opens the source again: do it after closing this
                undo.enter_context(self._all_or_nothing(volume_id))
                self._clone_snapshot(old, volume_id, source.id)
                deep = self.pool.has_ancestors(old, self.depth)
                if not deep:
                    # a clone of format 1 keeps its snapshot busy
                    with contextlib.suppress(self.pool.rbd.ImageBusy):
                        self._remove_snapshot(old, volume_id)
            if deep:
                with self.pool.opened(volume_id) as new:
                    new.flatten()
                self._remove_note(volume_id)

    def _clone_snapshot(self, old: Any, volume_id: str, source: str) -> None:
        rbd, snapshot = self.pool.rbd, _snapshot(volume_id)
        clone = (
            *(self.pool.objects, image_name(source), snapshot),
            *(self.pool.objects, image_name(volume_id)),
        )
        old.create_snap(snapshot)
        try:
            rbd.RBD().clone(*clone)
        except rbd.InvalidArgument:
            # raised if the cluster makes clones of format 1
            old.protect_snap(snapshot)
            rbd.RBD().clone(*clone)

    def clone_image(self, volume_id: str, location: RbdLocation) -> None:
        """Clone a stored image, and extend the clone to a whole GiB."""
        self._check_vacant(volume_id)
        found = self.pool.find_snapshot(location)
        with self._all_or_nothing(volume_id):
            self._clone_stored(volume_id, location)
            size = _sizes.to_bytes(_sizes.to_gib(found.size))
            deep = found.is_clone and self._is_deep(location)
            if deep or found.size < size:
                with self.pool.opened(volume_id) as new:
                    new.resize(size, allow_shrink=False)
                    if deep:
                        new.flatten()

    def _is_deep(self, location: RbdLocation) -> bool:
        with self.pool.opened_snapshot(location) as old:
            return self.pool.has_ancestors(old, self.depth)

    def _clone_stored(self, volume_id: str, location: RbdLocation) -> None:
        rbd = self.pool.rbd
        with self.pool.cluster.open_ioctx(location.pool) as there:
            try:
                rbd.RBD().clone(
                    *(there, location.image, location.snapshot),
                    *(self.pool.objects, image_name(volume_id)),
                )
            except rbd.InvalidArgument as error:
                raise UnsupportedError(
                    f"the cluster does not clone {location}: {error}; protect "
                    "the snapshot, or make the cluster require mimic clients"
                ) from error

    def discard(self, volume_id: str) -> None:
        """Remove a volume without clones, with its snapshot and its note."""
        with contextlib.suppress(self.pool.rbd.ImageNotFound):
            self._remove_leftovers(volume_id)
        self.pool.remove(volume_id, self.retries, self.interval)
        self._remove_note(volume_id)

    def _remove_leftovers(self, volume_id: str) -> None:
        """Remove a volume's snapshots that killed processes left.

        Snapshots that others took stay; Ceph then refuses to remove the
        volume.

        Raises:
            ConflictError: the volume has clones.
        """
        with self.pool.opened(volume_id, read_only=True) as image:
            found = children(image)
            if found:
                raise ConflictError(
                    f"volume {volume_id} has clones: {', '.join(found)}; "
                    "discard or flatten them first"
                )
            snapshots = list(image.list_snaps())
        if not snapshots:
            return
        rbd = self.pool.rbd
        with self.pool.locked(volume_id), self.pool.opened(volume_id) as image:
            for snapshot in snapshots:
                if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
                    image.remove_snap_by_id(snapshot["id"])
                elif _is_our_snapshot(snapshot["name"]):
                    image.remove_snap2(
                        snapshot["name"], rbd.RBD_SNAP_REMOVE_UNPROTECT
                    )

    def _check_vacant(self, volume_id: str) -> None:
        """Refuse a volume that exists, because undoing would remove it."""
        if self.pool.has(volume_id):
            message = f"volume {volume_id} has data already; discard it first"
            raise ConflictError(message)

    def _write_note(self, volume_id: str, source: str) -> None:
        rados = self.pool.rados
        with rados.WriteOpCtx() as operation:
            operation.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
            operation.write_full(source.encode())
            self.pool.objects.operate_write_op(operation, _note(volume_id))

    def _remove_note(self, volume_id: str) -> None:
        """Remove the note, and the snapshot if it exists."""
        try:
            source = self.pool.objects.read(_note(volume_id)).decode()
        except self.pool.rados.ObjectNotFound:
            return
        try:
            with self.pool.locked(source), self.pool.opened(source) as old:
                self._remove_snapshot(old, volume_id)
        except self.pool.rbd.ImageNotFound:
            self.pool.objects.remove_object(_note(volume_id))

    def _remove_snapshot(self, old: Any, volume_id: str) -> None:
        old.remove_snap2(
            _snapshot(volume_id), self.pool.rbd.RBD_SNAP_REMOVE_UNPROTECT
        )
        self.pool.objects.remove_object(_note(volume_id))

    @contextlib.contextmanager
    def _all_or_nothing(self, volume_id: str) -> Iterator[None]:
        """If a block fails, remove what it made of a clone."""
        rados, rbd = self.pool.rados, self.pool.rbd
        try:
            yield
        except BaseException as error:
            try:
                if isinstance(error, rbd.ImageExists):
                    # somebody else made the volume meanwhile: leave it
                    self._remove_note(volume_id)
                else:
                    self.discard(volume_id)
            except (AdapterError, rados.Error, rbd.Error) as another:
                raise LeftBehindError(
                    f"volume {volume_id} could be neither cloned nor removed: "
                    f"{another}"
                ) from error
            raise
