# ruff: noqa: ANN401 - the bindings have no types
"""Clones made whole or not at all, and removed with what they needed.

A clone of a volume takes a snapshot of it first, and a kill in between
leaves one to which nothing leads from the clone's id.  So a note is there
before the snapshot and after it: an object named by the clone, which says of
which volume.  Only while there is the note there may be the snapshot, and
discarding removes the clone, then the snapshot, then the note.

Clones of format 2 need no snapshot that can be seen, and it goes at once: to
the trash, from which Ceph takes it when the clone goes.  Those of format 1
hold on to a protected one; it stays, and so does the note.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    GiB,
    IntegrityError,
    LeftBehindError,
    RbdLocation,
    UnsupportedError,
    check_volume_id,
)
from clonepolicy.adapters.rbd._pool import Pool, children, image_name

_SNAPSHOT = "clone-"


def _snapshot(volume_id: str) -> str:
    return f"{_SNAPSHOT}{volume_id}"


def _is_own(snapshot: str) -> bool:
    volume_id = snapshot.removeprefix(_SNAPSHOT)
    try:
        check_volume_id(volume_id)
    except UnsupportedError:
        return False
    return snapshot == _snapshot(volume_id)


def _note(volume_id: str) -> str:
    return f"clonepolicy.source.{volume_id}"


@attrs.frozen(kw_only=True)
class Clones:
    """Makes and removes the clones in a pool."""

    pool: Pool
    depth: int
    """Most images that one may hang on."""
    retries: int
    interval: float

    def of_volume(self, volume_id: str, source: str, size: int) -> None:
        """Clone a volume of so many bytes."""
        self._check_free(volume_id)
        with contextlib.ExitStack() as undo:
            with self.pool.alone(source), self.pool.opened(source) as old:
                has = old.size()
                if has != size:
                    message = (
                        f"volume {source} has {has} bytes, and its record "
                        f"says {size}; correct the record"
                    )
                    raise IntegrityError(message)
                self._note(volume_id, source)
                # to undo is to ask for the volume again, so it comes later
                undo.enter_context(self._all_or_nothing(volume_id))
                self._clone_snapshot(old, volume_id, source)
                deep = self.pool.has_ancestors(old, self.depth)
                if not deep:
                    # a clone of format 1 keeps its snapshot busy
                    with contextlib.suppress(self.pool.rbd.ImageBusy):
                        self._remove_snapshot(old, volume_id)
            if deep:
                with self.pool.opened(volume_id) as new:
                    new.flatten()
                self._forget(volume_id)

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
            # the answer where clones are of format 1
            old.protect_snap(snapshot)
            rbd.RBD().clone(*clone)

    def of_image(self, volume_id: str, location: RbdLocation) -> None:
        """Clone a stored image, and grow the clone to a whole GiB."""
        self._check_free(volume_id)
        found = self.pool.find_snapshot(location)
        with self._all_or_nothing(volume_id):
            self._clone_stored(volume_id, location)
            size = -(-found.size // GiB) * GiB
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
                message = (
                    f"the cluster does not clone {location}: {error}; protect "
                    "the snapshot, or let the cluster require mimic clients"
                )
                raise UnsupportedError(message) from error

    def discard(self, volume_id: str) -> None:
        """Remove a volume that nothing hangs on, and what it needed."""
        with contextlib.suppress(self.pool.rbd.ImageNotFound):
            self._remove_leftovers(volume_id)
        self.pool.remove(volume_id, self.retries, self.interval)
        self._forget(volume_id)

    def _remove_leftovers(self, volume_id: str) -> None:
        """Remove snapshots that killed processes left of clones never made.

        Raises:
            ConflictError: some were made.

        Those that others took are left to keep the volume from going.
        """
        with self.pool.opened(volume_id, read_only=True) as image:
            found = children(image)
            if found:
                message = (
                    f"volume {volume_id} has clones: {', '.join(found)}; "
                    "discard or flatten them first"
                )
                raise ConflictError(message)
            snapshots = list(image.list_snaps())
        if not snapshots:
            return
        rbd = self.pool.rbd
        with self.pool.alone(volume_id), self.pool.opened(volume_id) as image:
            for snapshot in snapshots:
                if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
                    image.remove_snap_by_id(snapshot["id"])
                elif _is_own(snapshot["name"]):
                    image.remove_snap2(
                        snapshot["name"], rbd.RBD_SNAP_REMOVE_UNPROTECT
                    )

    def _check_free(self, volume_id: str) -> None:
        """Refuse what is there, lest undoing should remove it."""
        if self.pool.has(volume_id):
            message = f"volume {volume_id} has data already; discard it first"
            raise ConflictError(message)

    def _note(self, volume_id: str, source: str) -> None:
        rados = self.pool.rados
        with rados.WriteOpCtx() as operation:
            operation.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
            operation.write_full(source.encode())
            self.pool.objects.operate_write_op(operation, _note(volume_id))

    def _forget(self, volume_id: str) -> None:
        """Remove the snapshot that there may be, and the note."""
        try:
            source = self.pool.objects.read(_note(volume_id)).decode()
        except self.pool.rados.ObjectNotFound:
            return
        try:
            with self.pool.alone(source), self.pool.opened(source) as old:
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
        """Undo what was done of a clone when it fails."""
        try:
            yield
        except BaseException as error:
            self._undo(volume_id, error)
            raise

    def _undo(self, volume_id: str, error: BaseException) -> None:
        rados, rbd = self.pool.rados, self.pool.rbd
        try:
            if isinstance(error, rbd.ImageExists):
                # somebody else made it in the meantime
                self._forget(volume_id)
            else:
                self.discard(volume_id)
        except (AdapterError, rados.Error, rbd.Error) as another:
            message = (
                f"volume {volume_id} could be neither cloned nor removed: "
                f"{another}"
            )
            raise LeftBehindError(message) from error
