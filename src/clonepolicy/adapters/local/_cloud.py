"""The cloud: the methods that users of a directory call."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from clonepolicy import (
    SAFE,
    AdapterError,
    Config,
    FactError,
    Image,
    NotFoundError,
    Outcome,
    Quota,
    Volume,
)
from clonepolicy.adapters._files.process_lock import ProcessLock
from clonepolicy.adapters.local import (
    _check,
    _make,
    _operations,
    _records,
    _remedy,
    _repair,
    _store,
)
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.adapters.local._best_pool import best_pool
from clonepolicy.adapters.local._catalogue import (
    Catalogue,
    Row,
    damaged,
    translate_errors,
)
from clonepolicy.adapters.local._check import Problem
from clonepolicy.adapters.local._images import LocalImages
from clonepolicy.adapters.local._journal import LocalJournal
from clonepolicy.adapters.local._operations import Operation
from clonepolicy.adapters.local._records import (
    Created,
    ImageRow,
    Pool,
    Uploaded,
    VolumeRow,
)
from clonepolicy.adapters.local._volumes import LocalVolumes
from clonepolicy.policy import Policy
from clonepolicy.ports import Journal, Observer, Ports

_DEFAULTS = Config(
    allowed_direct_url_schemes=frozenset({"cinder"}),
    cinder_internal_tenant_project_id="cinder-internal",
    cinder_internal_tenant_user_id="cinder-internal",
    image_upload_use_cinder_backend=True,
    image_upload_use_internal_tenant=True,
)
T = TypeVar("T")


def _sound(convert: Callable[[Row], T], rows: Iterable[Row]) -> tuple[T, ...]:
    """Convert rows; leave out those that are damaged."""
    found = []
    for row in rows:
        with contextlib.suppress(AdapterError):
            found.append(convert(row))
    return tuple(found)


class LocalCloud:
    """An open cloud; opening it repairs what killed processes left.

    Repair removes no data that might be the only copy.  A cloud opens even
    if something in it cannot be repaired or used; `check` names it.

    Raises:
        NotFoundError: the directory is no cloud.
        UnavailableError: its catalogue cannot be read.
    """

    recovered: tuple[Outcome, ...]
    """The outcomes of the plans of dead processes."""

    def __init__(self, root: Path, *, repair: bool = True) -> None:
        """Open a cloud, and finish or undo the plans of dead processes.

        Without ``repair``, those plans and their records stay as they are.
        """
        root = root.absolute()
        with translate_errors(f"opening the cloud in {root}"):
            _make.check_cloud(root)
        with contextlib.ExitStack() as undo:
            catalogue = Catalogue(root / _make.CATALOGUE)
            undo.callback(catalogue.close)
            lock = ProcessLock(root / "run")
            undo.callback(lock.release)
            self._store = _store.Store(root, catalogue, lock)
            self._find_pools()
            self._journal = LocalJournal(catalogue, lock)
            ports = self._ports(None, next(iter(self._store.pools)))
            self.recovered = ()
            self._unrepaired: AdapterError | None = None
            try:
                if repair:
                    self.recovered = _repair.repair(
                        self._store, self._journal, ports
                    )
            except AdapterError as error:
                self._unrepaired = error
            self._closing = undo.pop_all()

    def _find_pools(self) -> None:
        store, action = self._store, "reading the pools"
        query = "SELECT * FROM pool ORDER BY rowid"
        for row in store.catalogue.rows(action, query):
            if not all(isinstance(value, str) for value in row):
                raise damaged(action, "a pool's record is not text")
            name, path = row["name"], store.root / row["path"]
            store.pools[name] = path
            if why := _make.why_absent(name, path, row["mark"]):
                store.absent[name] = why
        if not store.pools:
            raise damaged(action, "there is no pool")

    @classmethod
    def init(
        cls,
        root: Path,
        *,
        pools: Mapping[str, Path | None] | None = None,
        config: Config = _DEFAULTS,
    ) -> LocalCloud:
        """Make a cloud in a new or empty directory, and open it.

        Args:
            root: the cloud's directory.
            pools: the directory of each pool by name, new or empty; None: a
                directory below ``root``.
            config: the options of the cloud.

        Raises:
            ConflictError: a directory is not empty.
            FactError: a pool's name or path is invalid, or there is no pool.
            UnavailableError: a directory cannot be made.
        """
        root = root.absolute()
        named = {"pool1": None} if pools is None else dict(pools)
        _make.make_cloud(root, named, config)
        return cls(root)

    def close(self) -> None:
        """Close the cloud."""
        self._closing.close()

    def __enter__(self) -> Self:
        """Return the cloud; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the cloud."""
        self.close()

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The pools that are there, and what their file systems can do."""
        store = self._store
        return tuple(
            Pool(name, path, store.backend(name), store.free(name))
            for name, path in store.pools.items()
            if name not in store.absent
        )

    @property
    def absent_pools(self) -> Mapping[str, str]:
        """The pools that cannot be used now, with the reason for each."""
        return dict(self._store.absent)

    @property
    def config(self) -> Config:
        """The options, as they are now."""
        return self._store.catalogue.config()

    def set_config(self, config: Config) -> None:
        """Change the options, for every process."""
        self._store.catalogue.set_config(config)

    def set_quota(self, project_id: str, quota: Quota) -> None:
        """Limit the volumes of a project.

        Raises:
            FactError: the project's id is not valid, or the quota limits a
                volume type, of which this cloud has none, or is not known.
        """
        _records.check_project(project_id)
        for name in ("type_volumes", "type_gigabytes"):
            limit = getattr(quota, name)
            if limit is not None:
                expected = "None: a local cloud has no volume types"
                raise FactError(f"Quota.{name}", limit, expected)
        if quota.missing is not None:
            raise FactError("Quota.missing", quota.missing, "None")
        self._store.catalogue.execute(
            f"setting the quota of {project_id}",
            "INSERT OR REPLACE INTO quota VALUES (?, ?, ?, ?)",
            *(project_id, quota.volumes, quota.gigabytes),
            quota.per_volume_gigabytes,
        )

    def quota_left(self, project_id: str) -> Quota:
        """Return what the quota of a project has left."""
        _records.check_text("project_id", project_id)
        return self._store.catalogue.quota(project_id)

    @property
    def journal(self) -> Journal:
        """The journal of unfinished plans."""
        return self._journal

    def ports(self, project_id: str | None, pool: str) -> Ports:
        """Return the ports of a project or the operator, for one pool."""
        self._store.pool_path(pool)
        return self._ports(project_id, pool)

    def _ports(
        self,
        project_id: str | None,
        pool: str,
        observer: Observer | None = None,
    ) -> Ports:
        store = self._store
        return Ports(
            images=LocalImages(store, project_id),
            volumes=LocalVolumes(store),
            array=LocalArray(store, pool, observer or Observer()),
        )

    def add_image(  # noqa: PLR0913 - one for each field of an image
        self,
        source: Path,
        *,
        name: str,
        project_id: str,
        disk_format: str = "raw",
        container_format: str = "bare",
        visibility: str = "private",
        min_disk: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Image:
        """Store a file's content as an image, after inspecting it.

        Calls ``progress`` with the number of bytes done, and of all bytes.

        Raises:
            FactError: an argument is invalid.
            IntegrityError: the content is not in that format, or not safe.
            UnsupportedError: the format is not supported.
        """
        _records.check_text("name", name)
        image = _records.new_image(
            project_id, disk_format, container_format, visibility, min_disk
        )
        _operations.add_image(self._store, source, name, image, progress)
        return self.find_image(image.id, project_id).image

    def list_images(
        self, project_id: str | None = None
    ) -> tuple[ImageRow, ...]:
        """Return the images that a project sees; None: all images.

        `check` names those whose records are damaged.
        """
        _records.check_project(project_id)
        rows = _records.visible_images(self._store, project_id)
        return _sound(
            lambda row: _records.image_row(self._store, row, project_id), rows
        )

    def find_image(self, id_or_name: str, project_id: str | None) -> ImageRow:
        """Find an image by id, by at least 8 characters of it, or by name.

        Raises:
            NotFoundError: the project sees no such image.
            ConflictError: there are several.
        """
        _records.check_project(project_id)
        rows = _records.visible_images(self._store, project_id)
        row = _records.find("image", id_or_name, rows)
        return _records.image_row(self._store, row, project_id)

    def delete_image(self, image_id: str) -> None:
        """Delete an image, and the internal volume that holds its data.

        Raises:
            NotFoundError: there is no such image.
            ConflictError: it is being stored.
        """
        _operations.delete_image(self._store, image_id)

    def list_volumes(
        self, project_id: str | None = None
    ) -> tuple[VolumeRow, ...]:
        """Return a project's volumes; None: all volumes.

        `check` names those whose records are damaged.
        """
        _records.check_project(project_id)
        rows = self._store.catalogue.volume_rows(project_id)
        return _sound(lambda row: _records.volume_row(self._store, row), rows)

    def find_volume(
        self, id_or_name: str, project_id: str | None
    ) -> VolumeRow:
        """Find a volume by id, by at least 8 characters of it, or by name.

        Raises:
            NotFoundError: the project has no such volume.
            ConflictError: there are several.
        """
        _records.check_project(project_id)
        rows = self._store.catalogue.volume_rows(project_id)
        row = _records.find("volume", id_or_name, rows)
        return _records.volume_row(self._store, row)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume.

        Raises:
            NotFoundError: there is no such volume.
            ConflictError: it holds the data of an image, or is in use.
        """
        _operations.delete_volume(self._store, volume_id)

    def check(self) -> tuple[Problem, ...]:
        """Name all that does not fit together; change nothing.

        A volume whose file does not fit its record has the status ``error``
        until the file fits again, or `adopt_volume` takes it as it is.
        """
        return _check.problems(self._store, self._unrepaired)

    def adopt_volume(
        self, volume_id: str, *, name: str, project_id: str
    ) -> VolumeRow:
        """Take a volume's file as it is: make its record fit the file.

        Zeros are added up to the recorded size, or to a whole GiB; no byte
        is lost.  A file without a valid record becomes a volume of this name
        and project.  The data of an image that the volume holds changes too.

        Raises:
            NotFoundError: no pool has a regular file of this volume.
            ConflictError: a process works on it, or several pools have one.
        """
        _records.check_text("name", name)
        _records.check_text("project_id", project_id)
        _remedy.adopt_volume(self._store, volume_id, name, project_id)
        return self.find_volume(volume_id, None)

    def discard(self, where: str) -> None:
        """Remove a file or record that `check` names as discardable.

        Raises:
            NotFoundError: `check` does not name it.
            ConflictError: `check` names another remedy for it.
        """
        _remedy.discard(self._store, where, _DEFAULTS)

    def create_volume(  # noqa: PLR0913 - one for each field of a volume
        self,
        image_id: str,
        *,
        name: str,
        project_id: str,
        size: int,
        pool: str | None = None,
        policy: Policy = SAFE,
        observer: Observer | None = None,
    ) -> Created:
        """Create a volume of ``size`` GiB from an image.

        Without ``pool``, the volume goes where it is a reflink of a volume
        with the image's data, or else to the pool of such a volume.  If there
        is none, it goes to a pool with room for the image: to one whose
        clones are reflinks, or else to the one with the most free space.  If
        this raises, even KeyboardInterrupt, no volume stays.

        Raises:
            FactError: an argument is invalid.
            NotFoundError: the project sees no such image, or there is no
                such pool.
            QuotaError: another process used up the quota meanwhile.
        """
        _records.check_text("name", name)
        _records.check_project(project_id)
        _records.check_gigabytes("size", size)
        store = self._store
        pool = pool or best_pool(store, image_id)
        store.pool_path(pool)
        ports = self._ports(project_id, pool, observer)
        volume = Volume(
            id=ports.volumes.new_id(),
            project_id=project_id,
            size=size,
            status="creating",
            host=_records.host(pool),
            created_at=datetime.datetime.now(datetime.UTC),
        )
        operation = Operation(store, self._journal, ports, policy, observer)
        return _operations.create_volume(operation, image_id, volume, name)

    def upload_volume(  # noqa: PLR0913 - one for each field of an image
        self,
        volume_id: str,
        *,
        name: str,
        project_id: str,
        disk_format: str = "raw",
        container_format: str = "bare",
        visibility: str = "private",
        force: bool = False,
        policy: Policy = SAFE,
        observer: Observer | None = None,
    ) -> Uploaded:
        """Make an image of a project's volume.

        If this raises, even KeyboardInterrupt, no image without data stays,
        and the volume has its previous status.

        Raises:
            FactError: an argument is invalid.
            NotFoundError: the project has no such volume.
            ConflictError: the volume is being uploaded already.
        """
        _records.check_text("name", name)
        _records.check_project(project_id)
        row = self._store.catalogue.volume_row(volume_id)
        if row["project_id"] != project_id:
            message = f"project {project_id} has no volume {volume_id}"
            raise NotFoundError(message)
        image = _records.new_image(
            project_id, disk_format, container_format, visibility
        )
        self._store.pool_path(row["pool"])
        ports = self._ports(project_id, row["pool"], observer)
        operation = Operation(
            self._store, self._journal, ports, policy, observer
        )
        return _operations.upload_volume(
            operation, row, name, image, force=force
        )
