"""The cloud: what users of a directory call."""

from __future__ import annotations

import datetime
import os
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from clonepolicy import (
    SAFE,
    Config,
    ConflictError,
    FactError,
    Image,
    Journal,
    NotFoundError,
    Observer,
    Outcome,
    Policy,
    Ports,
    Quota,
    UnavailableError,
    Volume,
)
from clonepolicy.adapters._files import Adapted
from clonepolicy.adapters.local import _listing, _work
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.adapters.local._catalogue import Catalogue, host
from clonepolicy.adapters.local._checks import (
    check_count,
    check_gigabytes,
    check_project,
    check_text,
)
from clonepolicy.adapters.local._images import LocalImages
from clonepolicy.adapters.local._journal import LocalJournal
from clonepolicy.adapters.local._order import put_in_order
from clonepolicy.adapters.local._owners import Owner
from clonepolicy.adapters.local._places import (
    MARK,
    check_mark,
    make_empty,
)
from clonepolicy.adapters.local._rows import (
    Created,
    ImageRow,
    Pool,
    Uploaded,
    VolumeRow,
)
from clonepolicy.adapters.local._store import Store
from clonepolicy.adapters.local._volumes import LocalVolumes

_CATALOGUE = "catalogue.sqlite"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VISIBILITIES = ("private", "shared", "community", "public")
_DEFAULTS = Config(
    allowed_direct_url_schemes=frozenset({"cinder"}),
    cinder_internal_tenant_project_id="cinder-internal",
    cinder_internal_tenant_user_id="cinder-internal",
    image_upload_use_cinder_backend=True,
    image_upload_use_internal_tenant=True,
)


class LocalCloud:
    """An open cloud; opening it puts in order what died before.

    Raises:
        NotFoundError: the directory is no cloud.
        UnavailableError: a pool's file system is not mounted, or the
            directory cannot be written.
    """

    recovered: tuple[Outcome, ...]
    """How the plans of dead processes were brought to an end."""

    def __init__(self, root: Path) -> None:
        """Open a cloud, and finish or undo what dead processes began."""
        root = root.absolute()
        with Adapted(f"opening the cloud in {root}"):
            _check_usable(root)
        catalogue = Catalogue(root / _CATALOGUE)
        try:
            with Adapted("opening the cloud"):
                owner = Owner.enter(root / "run")
        except BaseException:
            catalogue.close()
            raise
        self._store = Store(root, catalogue, owner, {})
        try:
            pools = "SELECT * FROM pool ORDER BY rowid"
            for row in catalogue.rows("reading the pools", pools):
                path = root / row["path"]
                check_mark(row["name"], path, row["mark"])
                self._store.pools[row["name"]] = path
            self._journal = LocalJournal(catalogue, owner)
            self.recovered = put_in_order(
                self._store, self._journal, self._ports(None)
            )
        except BaseException:
            self.close()
            raise

    @classmethod
    def init(
        cls,
        root: Path,
        *,
        pools: Mapping[str, Path | None] | None = None,
        config: Config = _DEFAULTS,
    ) -> LocalCloud:
        """Make a cloud in a new or empty directory, and open it.

        ``pools`` gives each pool's directory, new or empty; None is one
        below ``root``.

        Raises:
            ConflictError: a directory is not empty.
            FactError: a pool has no name, or there is no pool.
            UnavailableError: a directory cannot be made.
        """
        root = root.absolute()
        if (root / _CATALOGUE).exists():
            message = f"{root} is a cloud already; open it"
            raise ConflictError(message)
        named = {"pool1": None} if pools is None else dict(pools)
        if not named or not all(map(_NAME.fullmatch, named)):
            raise FactError("pools", named, "names of letters, digits, _.-")
        places = {
            name: Path("pools") / name if path is None else path.absolute()
            for name, path in named.items()
        }
        if not all(map(_is_text, places.values())):
            raise FactError("pools", named, "paths that are text")
        with Adapted(f"making a cloud in {root}"):
            make_empty(root)
            # those outside first: if one cannot be, the root stays empty
            outside = [path for path in places.values() if path.is_absolute()]
            inside = [Path("images"), Path("run"), *places.values()]
            for place in dict.fromkeys((*outside, *inside)):
                make_empty(root / place)
            marked = []
            for name, place in places.items():
                marked.append((name, str(place), str(uuid.uuid4())))
                (root / place / MARK).write_text(marked[-1][-1])
            draft = root / "catalogue.draft"
            Catalogue.make(draft, marked, config)
            draft.rename(root / _CATALOGUE)
        return cls(root)

    def close(self) -> None:
        """Close the cloud."""
        self._store.catalogue.close()
        self._store.owner.leave()

    def __enter__(self) -> Self:
        """Give the cloud, to be closed in the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the cloud."""
        self.close()

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The pools, and what each one's file system can do."""
        store = self._store
        return tuple(
            Pool(name, path, store.backend(name))
            for name, path in store.pools.items()
        )

    @property
    def config(self) -> Config:
        """The options, as they are now."""
        return self._store.catalogue.config()

    def set_config(self, config: Config) -> None:
        """Change the options, for every process."""
        self._store.catalogue.set_config(config)

    def set_quota(self, project_id: str, quota: Quota) -> None:
        """Limit what a project may have in all.

        Raises:
            FactError: a number is larger than the catalogue can keep.
        """
        check_project(project_id)
        for field, limit in attrs.asdict(quota).items():
            check_count(field, limit)
        what = f"setting the quota of {project_id}"
        with self._store.catalogue.transaction(what) as db:
            db.execute(
                "INSERT OR REPLACE INTO quota VALUES (?, ?, ?, ?)",
                (
                    project_id,
                    quota.volumes,
                    quota.gigabytes,
                    quota.per_volume_gigabytes,
                ),
            )

    @property
    def journal(self) -> Journal:
        """The journal of plans on their way."""
        return self._journal

    def ports(self, project_id: str, pool: str) -> Ports:
        """Give the ports of a requester, for volumes in a pool."""
        self._store.pool_path(pool)
        return self._ports(project_id, pool)

    def _ports(self, project_id: str | None, pool: str | None = None) -> Ports:
        store = self._store
        return Ports(
            images=LocalImages(store, project_id),
            volumes=LocalVolumes(store),
            array=LocalArray(store, pool or next(iter(store.pools))),
        )

    def add_image(  # noqa: PLR0913 - what an image has
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
        """Take a file as an image's data, if it is what it claims to be.

        ``progress`` hears how many bytes of how many are done.

        Raises:
            FactError: a text or a number cannot be.
            IntegrityError: the content is not of that format, or not safe.
            UnsupportedError: the format is not one that is known here.
        """
        check_text("name", name)
        image = _new_image(
            project_id, disk_format, container_format, visibility, min_disk
        )
        _work.add_image(self._store, source, name, image, progress)
        return self.find_image(image.id, project_id).image

    def list_images(
        self, project_id: str | None = None
    ) -> tuple[ImageRow, ...]:
        """Give the images that a project sees; None is all."""
        check_project(project_id)
        return _listing.list_images(self._store, project_id)

    def find_image(self, id_or_name: str, project_id: str | None) -> ImageRow:
        """Find an image by id, the first 8 or more of it, or name.

        Raises:
            NotFoundError: there is none that the project sees.
            ConflictError: there are several.
        """
        check_project(project_id)
        return _listing.find_image(self._store, id_or_name, project_id)

    def delete_image(self, image_id: str) -> None:
        """Delete an image, with the internal volume that is its data.

        Raises:
            NotFoundError: there is no such image.
            ConflictError: it is being stored.
        """
        _work.delete_image(self._store, image_id)

    def list_volumes(
        self, project_id: str | None = None
    ) -> tuple[VolumeRow, ...]:
        """Give a project's volumes; None is all."""
        check_project(project_id)
        return _listing.list_volumes(self._store, project_id)

    def find_volume(
        self, id_or_name: str, project_id: str | None
    ) -> VolumeRow:
        """Find a volume by id, the first 8 or more of it, or name.

        Raises:
            NotFoundError: the project has none.
            ConflictError: there are several.
        """
        check_project(project_id)
        return _listing.find_volume(self._store, id_or_name, project_id)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume.

        Raises:
            NotFoundError: there is no such volume.
            ConflictError: it is the data of an image, or in use.
        """
        _work.delete_volume(self._store, volume_id)

    def create_volume(  # noqa: PLR0913 - what a volume has
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
        """Make a volume of ``size`` GiB from an image.

        Without ``pool`` it goes where a volume is that the image is made
        of, else where most space is free.  If this raises, KeyboardInterrupt
        included, no volume stays.

        Raises:
            FactError: a text or a number cannot be.
            NotFoundError: the project sees no such image, or there is no
                such pool.
            QuotaError: another process took what was left meanwhile.
        """
        check_text("name", name)
        check_project(project_id)
        check_gigabytes("size", size)
        place = pool or _work.choose_pool(self._store, image_id)
        work = _work.Work(
            store=self._store,
            journal=self._journal,
            ports=self.ports(project_id, place),
            policy=policy,
            observer=observer,
        )
        volume = Volume(
            id=work.ports.volumes.new_id(),
            project_id=project_id,
            size=size,
            status="creating",
            host=host(place),
            created_at=datetime.datetime.now(datetime.UTC),
        )
        return _work.create_volume(work, image_id, volume, name)

    def upload_volume(  # noqa: PLR0913 - what an image has
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

        If this raises, KeyboardInterrupt included, no image without data
        stays and the volume is as it was.

        Raises:
            FactError: a text cannot be.
            NotFoundError: the project has no such volume.
            ConflictError: it is being uploaded already.
        """
        check_text("name", name)
        check_project(project_id)
        row = self._store.catalogue.volume_row(volume_id)
        if row["project_id"] != project_id:
            message = f"project {project_id} has no volume {volume_id}"
            raise NotFoundError(message)
        image = _new_image(
            project_id, disk_format, container_format, visibility
        )
        work = _work.Work(
            store=self._store,
            journal=self._journal,
            ports=self.ports(project_id, row["pool"]),
            policy=policy,
            observer=observer,
        )
        return _work.upload_volume(work, row, name, image, force=force)


def _check_usable(root: Path) -> None:
    """See that there is a cloud, and that it can be put in order."""
    if not (root / _CATALOGUE).is_file():
        message = (
            f"{root} is not a cloud; make one with LocalCloud.init, or "
            f"clonepolicy init {root}"
        )
        raise NotFoundError(message)
    for place in (root, root / "run"):
        if place.is_dir() and not os.access(
            place, os.W_OK | os.X_OK, effective_ids=True
        ):
            message = (
                f"{place} cannot be written, and opening a cloud takes that "
                "even for reading; make it writable for this user, or open a "
                "copy of the cloud"
            )
            raise UnavailableError(message)


def _is_text(path: Path) -> bool:
    """Say whether a path can be kept in the catalogue."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _new_image(
    project_id: str,
    disk_format: str,
    container_format: str,
    visibility: str,
    min_disk: int = 0,
) -> Image:
    check_project(project_id)
    check_text("disk_format", disk_format)
    check_text("container_format", container_format)
    check_gigabytes("min_disk", min_disk)
    if visibility not in _VISIBILITIES:
        expected = "one of " + ", ".join(_VISIBILITIES)
        raise FactError("visibility", visibility, expected)
    return Image(
        id=str(uuid.uuid4()),
        status="queued",
        owner=project_id,
        disk_format=disk_format,
        container_format=container_format,
        visibility=visibility,
        min_disk=min_disk,
    )
