"""Requests put into a real Cinder 29, and what it then does.

Real are the database (sqlite, made by Cinder's own migrations), the objects,
the quotas, the API's checks, the flow's tasks, the manager, the image cache,
the image service over a fake glanceclient, and the acceptance of images by
the RBD driver.  Not real are Glance, Ceph, message bus, locks between
services, qemu-img and the bytes: `stand_ins` names every one.

A `CinderWorld` is made once for a test module and takes one request after
another.
"""

from __future__ import annotations

import contextlib
import datetime
import inspect
import itertools
import json
import logging
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import attrs
import glanceclient.exc
import pytest
import sqlalchemy
from cinder import context as cinder_context
from cinder import objects
from cinder.exception import GlanceMetadataNotFound
from clonepolicy.testing.worlds import Request
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import imageutils

from clonepolicy import (
    CINDER_29,
    ArrayImage,
    CacheEntry,
    Clone,
    Config,
    CreateRequest,
    Host,
    Image,
    ImageVolume,
    LocationsFrom,
    Mechanism,
    Quota,
    RbdLocation,
    Register,
    UploadRequest,
    Volume,
    VolumeType,
    decide_create,
    decide_upload,
)

objects.register_all()  # the create flow looks them up when imported

from cinder.api import microversions  # noqa: E402 - as all that follow
from cinder.api.contrib import volume_actions  # noqa: E402 - the same
from cinder.api.openstack import api_version_request  # noqa: E402 - the same
from cinder.db import api as db  # noqa: E402 - the same
from cinder.db import migration, models  # noqa: E402 - the same
from cinder.image import accelerator, glance, image_utils  # noqa: E402 - the same
from cinder.image import cache as image_cache  # noqa: E402 - the same
from cinder.volume import api as volume_api  # noqa: E402 - the same
from cinder.volume import (  # noqa: E402 - the same
    configuration,
    manager,
    volume_types,
    volume_utils,
)
from cinder.volume import driver as volume_driver  # noqa: E402 - the same
from cinder.volume.drivers import rbd  # noqa: E402 - the same
from cinder.volume.flows.api import create_volume as api_flow  # noqa: E402 - the same
from cinder.volume.flows.manager import create_volume  # noqa: E402 - the same

CONF = cfg.CONF
BACKEND = configuration.SHARED_CONF_GROUP
DEFAULT_TYPE = "__DEFAULT__"
UNLIMITED = -1
COMMON_OPTIONS = (
    "verify_glance_signatures",
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
    "image_conversion_disable",
    "allow_compression_on_image_upload",
    "enable_force_upload",
)
BACKEND_OPTIONS = (
    "image_upload_use_cinder_backend",
    "image_upload_use_internal_tenant",
    "image_volume_cache_enabled",
)
OPTIONS = (
    *((name, BACKEND) for name in BACKEND_OPTIONS),
    *((name, None) for name in COMMON_OPTIONS),
    ("allowed_direct_url_schemes", None),
    ("image_conversion_dir", None),
    ("state_path", None),
    ("glance_api_servers", None),
    ("auth_strategy", None),
    ("default_volume_type", None),
)
"""Every option that is set here, to be set back at the end."""
EMPTIED = (
    models.Encryption,
    models.ImageVolumeCacheEntry,
    models.Message,
    models.QuotaUsage,
    models.Quota,
    models.Reservation,
    models.VolumeAdminMetadata,
    models.VolumeGlanceMetadata,
    models.VolumeMetadata,
    models.Volume,
    models.VolumeTypeExtraSpecs,
)
NEVER = datetime.datetime.fromtimestamp(0, datetime.UTC)
BASE_PROPERTIES = frozenset(
    {
        *("id", "name", "status", "owner", "disk_format", "container_format"),
        *("size", "virtual_size", "min_disk", "min_ram", "visibility"),
        *("protected", "os_hidden", "checksum", "os_hash_algo"),
        *("os_hash_value", "created_at", "updated_at", "tags", "schema"),
        *("direct_url", "locations"),
    }
)
GZIP = b"\x1f\x8b"


@attrs.frozen(kw_only=True)
class Observed:
    """What Cinder set about first, and whether an exception came of it.

    A clone that was asked for counts as one, whatever came of it; bytes
    count only if they arrived.
    """

    verdict: str
    mechanism: Mechanism | None = None
    source: str | None = None
    """The source volume's id, or the stored image as ``pool/image@snap``."""
    project_id: str | None = None
    """Of an image volume that was made for an upload."""
    error: str | None = None
    """The class of the exception that ended it."""
    asked: tuple[str, ...] = ()
    """Everything that the driver was asked for, in order."""


def expected(request: Request) -> Observed:
    """Say what CINDER_29 expects, in the words of what is observed."""
    if isinstance(request, UploadRequest):
        decided = decide_upload(request, CINDER_29)
        return Observed(
            verdict=type(decided).__name__.lower(),
            project_id=decided.project_id
            if isinstance(decided, Register)
            else None,
        )
    decision = decide_create(request, CINDER_29)
    if not isinstance(decision, Clone):
        return Observed(verdict=type(decision).__name__.lower())
    location = getattr(decision.source, "location", None)
    source = getattr(decision.source.source, "id", None)
    if isinstance(location, RbdLocation):
        source = f"{location.pool}/{location.image}@{location.snapshot}"
    return Observed(
        verdict="clone", mechanism=decision.mechanism, source=source
    )


# -- what stands in for Glance ----------------------------------------------


class _GlanceImage(dict[str, Any]):
    """An image as glanceclient gives it: keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class GlanceImages:
    """The ``images`` of a glanceclient that knows one image."""

    def __init__(self, image: Image, locations: tuple[str, ...]) -> None:
        """Know one image and its locations."""
        self.image = image
        self.locations = locations
        self.uploaded: list[str] = []
        self.added: list[str] = []
        self.show_multiple_locations = True
        self.refused_location: Exception | None = None
        self.partly_signed = False

    def get(self, image_id: str) -> _GlanceImage:
        """Show the image."""
        image = self.image
        if not image.visible or image_id != image.id:
            raise glanceclient.exc.HTTPNotFound
        shown = _GlanceImage(
            id=image.id,
            name="an image",
            status=image.status,
            owner=image.owner,
            disk_format=image.disk_format,
            container_format=image.container_format,
            size=image.size,
            virtual_size=image.virtual_size,
            min_disk=image.min_disk,
            min_ram=0,
            visibility=image.visibility,
            updated_at=_iso(image.updated_at),
        )
        if image.encryption_key_id is not None:
            shown["cinder_encryption_key_id"] = image.encryption_key_id
        if image.signed:
            shown["img_signature"] = "signature"
            if not self.partly_signed:
                shown["img_signature_hash_method"] = "SHA-256"
                shown["img_signature_certificate_uuid"] = "certificate"
                shown["img_signature_key_type"] = "RSA-PSS"
        if image.locations_from is not LocationsFrom.LOCATIONS_API:
            if self.show_multiple_locations:
                shown["locations"] = self._told()
            if image.direct_url is not None:
                shown["direct_url"] = image.direct_url
        return shown

    def _told(self) -> list[dict[str, Any]]:
        return [{"url": url, "metadata": {}} for url in self.locations]

    def get_image_locations(self, image_id: str) -> list[dict[str, Any]]:
        """Tell the locations, if this is the interface that tells them."""
        match self.image.locations_from:
            case LocationsFrom.UNREADABLE:
                raise glanceclient.exc.HTTPInternalServerError
            case LocationsFrom.IMAGE:
                raise glanceclient.exc.HTTPNotImplemented
            case LocationsFrom.LOCATIONS_API:
                pass
        if image_id != self.image.id:
            raise glanceclient.exc.HTTPNotFound
        return self._told()

    def data(self, _image_id: str) -> Iterator[bytes]:
        """Give some bytes; none of them matter but the first two."""
        if not self.image.downloadable:
            raise glanceclient.exc.HTTPForbidden
        compressed = self.image.container_format == "compressed"
        return iter((GZIP if compressed else b"data",))

    def create(self, **_fields: object) -> _GlanceImage:
        """Make the image's record, which is here already."""
        return self.get(self.image.id)

    def upload(self, image_id: str, _data: object) -> None:
        """Take the image's bytes."""
        self.uploaded.append(image_id)

    def add_image_location(
        self, image_id: str, url: str, _validation_data: Mapping[str, str]
    ) -> dict[str, str]:
        """Take a location, or refuse it."""
        if self.refused_location is not None:
            raise self.refused_location
        self.added.append(url)
        return {"id": image_id}

    def delete(self, image_id: str) -> None:
        """Delete the image."""


def _iso(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _naive(moment: datetime.datetime | None) -> datetime.datetime | None:
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


# -- what stands in for the array -------------------------------------------


class _RbdError(Exception):
    """What librbd raises."""


class RecordingDriver(rbd.RBDDriver):  # type: ignore[misc] # untyped
    """Cinder's RBD driver over a Ceph that is a set of names.

    It decides as the real one which stored image it clones.
    """

    def __init__(self, settings: Any) -> None:
        """Skip the real one's, which wants librbd."""
        self.configuration = settings
        self.db = db
        self.host = "h1@b1"
        self._initialized = True
        self.rbd = SimpleNamespace(Image=self._open, Error=_RbdError)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.capabilities: dict[str, object] = {}
        self.fsid: str | None = None
        self.clones_images = True
        self.failure: Exception | None = None
        self.stored: set[tuple[str, str, str]] = set()
        self.asked: list[tuple[str, str, str]] = []

    def _ask(self, what: str, volume: Any, source: str = "") -> None:
        self.asked.append((what, volume.id, source))

    def _open(
        self, ioctx: str, name: str, *, snapshot: str, read_only: bool
    ) -> Any:
        assert read_only
        if (ioctx, name, snapshot) not in self.stored:
            raise _RbdError
        return mock.Mock()

    def _connect_to_rados(
        self, pool: str | None = None, *_: object
    ) -> tuple[Any, str]:
        cluster = SimpleNamespace(
            get_fsid=lambda: self.fsid, conf_get=lambda _name: "1"
        )
        return cluster, pool or "volumes"

    def _disconnect_from_rados(self, *_: object) -> None:
        pass

    def clone_image(
        self,
        context: object,
        volume: object,
        image_location: object,
        image_meta: object,
        image_service: object,
    ) -> Any:
        """Clone as RBD does, or as the many that cannot."""
        args = (context, volume, image_location, image_meta, image_service)
        if not self.clones_images:
            return volume_driver.VolumeDriver.clone_image(self, *args)
        return super().clone_image(*args)

    def _clone(
        self, volume: object, pool: str, image: str, snapshot: str
    ) -> dict[str, Any]:
        self._ask("clone_image", volume, f"{pool}/{image}@{snapshot}")
        return {}

    def _resize(self, volume: object, **_: object) -> None:
        self._ask("resize", volume)

    def create_cloned_volume(self, volume: object, source: Any) -> None:
        """Record a clone, and make it if that is in the array's power."""
        self._ask("create_cloned_volume", volume, source.id)
        if self.failure is not None:
            raise self.failure

    def create_volume(self, volume: object) -> None:
        """Record an empty volume."""
        self._ask("create_volume", volume)

    def delete_volume(self, volume: object) -> None:
        """Record a deletion."""
        self._ask("delete_volume", volume)

    def extend_volume(self, volume: object, _size: int) -> None:
        """Record an extension."""
        self._ask("extend_volume", volume)

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: object,
        image_id: str,
        *,
        disable_sparse: bool = False,
    ) -> None:
        """Fetch the image as drivers do."""
        with tempfile.NamedTemporaryFile() as device:
            image_utils.fetch_to_raw(
                context,
                image_service,
                image_id,
                device.name,
                "1M",
                size=volume.size,
                disable_sparse=disable_sparse,
            )
        self._ask("copy_image_to_volume", volume)

    copy_image_to_encrypted_volume = copy_image_to_volume

    def copy_volume_to_image(
        self,
        context: object,
        volume: object,
        image_service: object,
        image_meta: object,
    ) -> None:
        """Send the volume as drivers do."""
        with tempfile.NamedTemporaryFile(prefix="device_") as device:
            volume_utils.upload_volume(
                context, image_service, image_meta, device.name, volume
            )
        self._ask("copy_volume_to_image", volume)


class _Task(create_volume.CreateVolumeFromSpecTask):  # type: ignore[misc] # untyped
    """The flow's task, noting by which of its ways it reached the driver."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.ways: dict[int, Mechanism] = {}

    def _note(
        self, way: Mechanism, call: Callable[..., Any], *args: object
    ) -> Any:
        self.ways[len(self.driver.asked)] = way
        return call(*args)

    def _clone_image_volume(self, *args: object) -> Any:
        return self._note(
            Mechanism.IMAGE_VOLUME, super()._clone_image_volume, *args
        )

    def _create_from_source_volume(self, *args: object) -> Any:
        return self._note(
            Mechanism.CACHE_ENTRY, super()._create_from_source_volume, *args
        )


# -- the world --------------------------------------------------------------


class CinderWorld:
    """One real Cinder, which takes one request after another."""

    def __init__(self) -> None:
        """Build what does not depend on a request."""
        settings = configuration.Configuration(
            volume_driver.volume_opts, config_group=BACKEND
        )
        settings.append_config_values(volume_driver.image_opts)
        self.driver = RecordingDriver(settings)
        self.api = volume_api.API()
        self.sent: list[Any] = []
        self.api.volume_rpcapi = SimpleNamespace(
            delete_volume=lambda *_: None,
            copy_volume_to_image=lambda *args: self.sent.append(args),
        )
        self.api.key_manager = mock.Mock()
        with mock.patch.object(
            manager.importutils, "import_object", return_value=self.driver
        ):
            self.manager = manager.VolumeManager(volume_driver="recording")
        self.manager.stats = {"pools": {}}
        self.images = GlanceImages(Image(id="none", status="queued"), ())
        # a new entry of the cache is nobody's decision
        self.filler = mock.Mock()
        self.keys = mock.Mock(**{"store.return_value": "key"})
        self.connection = db.get_engine().connect()
        self.known: set[str] = set()
        self.default_type = str(volume_types.get_default_volume_type()["id"])
        self.cards = itertools.count()

    # -- the facts ----------------------------------------------------------

    def _reset(self, config: Config) -> None:
        for model in EMPTIED:
            self._sql(model.__table__.delete())
        kinds = models.VolumeType.__table__
        self._sql(kinds.delete().where(kinds.c.id != self.default_type))
        self.known.clear()
        self.driver.reset()
        self.filler.reset_mock()
        self.keys.reset_mock()
        self.sent.clear()
        for name in COMMON_OPTIONS:
            CONF.set_override(name, getattr(config, name))
        for name in BACKEND_OPTIONS:
            CONF.set_override(name, getattr(config, name), group=BACKEND)
        schemes = sorted(config.allowed_direct_url_schemes)
        CONF.set_override("allowed_direct_url_schemes", schemes)

    def _sql(self, statement: Any) -> Any:
        return self.connection.execute(statement)

    def _insert(self, model: Any, **values: object) -> None:
        self._sql(model.__table__.insert().values(deleted=False, **values))

    def _put_type(self, kind: VolumeType | None) -> str:
        if kind is None:
            return self.default_type
        # what is no UUID is taken for a name
        type_id = str(uuid.uuid5(uuid.NAMESPACE_OID, kind.id))
        if type_id in self.known:
            return type_id
        self.known.add(type_id)
        name = kind.name or kind.id
        self._insert(models.VolumeType, id=type_id, name=name, is_public=True)
        for key, value in (
            ("provisioning:min_vol_size", kind.min_vol_size),
            ("provisioning:max_vol_size", kind.max_vol_size),
            ("volume_backend_name", kind.volume_backend_name),
            ("image_service:store_id", kind.store_id),
        ):
            if value is not None:
                self._put_spec(type_id, key, str(value))
        return type_id

    def _put_spec(self, type_id: str, key: str, value: str) -> None:
        self._insert(
            models.VolumeTypeExtraSpecs,
            volume_type_id=type_id,
            key=key,
            value=value,
        )

    def _put_volume(self, volume: Volume) -> None:
        if volume.id in self.known:
            return
        self.known.add(volume.id)
        self._insert(
            models.Volume,
            id=volume.id,
            project_id=volume.project_id,
            user_id="user",
            size=volume.size,
            status=volume.status,
            previous_status=volume.previous_status,
            attach_status="detached",
            host=_text(volume.host),
            cluster_name=_text(volume.cluster_name),
            encryption_key_id=volume.encryption_key_id,
            volume_type_id=self._put_type(volume.volume_type),
            multiattach=volume.multiattach,
            migration_status=volume.migration_status,
            created_at=_naive(volume.created_at),
            use_quota=True,
            bootable=False,
            replication_status="not-capable",
        )
        for key, value in (
            ("image_owner", volume.image_owner),
            ("glance_image_id", volume.glance_image_id),
        ):
            if value is not None:
                self._insert(
                    models.VolumeMetadata,
                    volume_id=volume.id,
                    key=key,
                    value=value,
                )

    def _put_quota(self, project_id: str, quota: Quota) -> None:
        for resource in ("volumes", "gigabytes", "per_volume_gigabytes"):
            left = getattr(quota, resource)
            self._insert(
                models.Quota,
                project_id=project_id,
                resource=resource,
                hard_limit=UNLIMITED if left is None else left,
            )
        for resource in ("volumes", "gigabytes"):
            self._insert(
                models.QuotaUsage,
                project_id=project_id,
                resource=resource,
                in_use=0,
                reserved=0,
            )

    # -- creating -----------------------------------------------------------

    def run_create(
        self,
        request: CreateRequest,
        *,
        before: Callable[[CinderWorld], object] | None = None,
    ) -> Observed:
        """Have Cinder make the volume of the image.

        ``before`` may change the world when all facts are in it.
        """
        self._reset(request.config)
        self._put_volume(request.volume)
        held: tuple[ImageVolume | CacheEntry, ...]
        held = (*request.image_volumes, *request.cache_entries)
        for candidate in held:
            if candidate.source is not None:
                self._put_volume(candidate.source)
        self._put_cache(request)
        self._put_quota(request.volume.project_id, request.quota)
        located: tuple[ArrayImage | ImageVolume, ...]
        located = (*request.array_images, *request.image_volumes)
        locations = tuple(str(candidate.location) for candidate in located)
        self.images = GlanceImages(request.image, locations)
        direct = request.image.direct_url
        self.images.show_multiple_locations = (
            request.glance.show_multiple_locations or {direct} != {*locations}
        )
        backend, driver = request.backend, self.driver
        driver.fsid = backend.array_id
        driver.clones_images = "rbd" in backend.image_schemes
        if backend.can_clone is not True:
            driver.failure = NotImplementedError()
        driver.stored = set(filter(None, map(_stored, request.array_images)))
        if backend.clone_across_pools is not None:
            driver.capabilities["clone_across_pools"] = (
                backend.clone_across_pools
            )
        if before is not None:
            before(self)
        self.connection.commit()
        context = _context(request.volume.project_id)
        free = request.conversion_free
        with stand_ins(self, request.image, free):
            try:
                self._api_create(context, request)
            except Exception as error:  # noqa: BLE001 - any is a refusal
                return _refused(error)
            return self._manager_create(context, request)

    def _put_cache(self, request: CreateRequest) -> None:
        for at, entry in enumerate(request.cache_entries):
            source = request.volume if entry.source is None else entry.source
            missing = f"00000000-0000-4000-8000-{at:012}"
            self._sql(
                models.ImageVolumeCacheEntry.__table__.insert().values(
                    host=_text(source.host) or "",
                    cluster_name=_text(source.cluster_name),
                    image_id=entry.image_id,
                    image_updated_at=_naive(entry.image_updated_at),
                    volume_id=missing if entry.source is None else source.id,
                    size=source.size,
                    last_used=_naive(entry.last_used or NEVER),
                )
            )

    def _api_create(self, context: Any, request: CreateRequest) -> None:
        """Do what the API does between a request and the scheduler."""
        volume = request.volume
        type_id = self._put_type(volume.volume_type)
        if volume.multiattach:
            self._put_spec(type_id, "multiattach", "<is> True")
        if volume.encryption_key_id is not None:
            self._insert(
                models.Encryption,
                encryption_id=f"encryption-{next(self.cards)}",
                volume_type_id=type_id,
                provider="luks",
                control_location="front-end",
                cipher="aes-xts-plain64",
                key_size=256,
            )
        self.connection.commit()
        kind = objects.VolumeType.get_by_id(context, type_id)
        volume_types.provision_filter_on_size(context, kind, volume.size)
        found = api_flow.ExtractVolumeRequestTask(
            glance.get_default_image_service(), ("nova",)
        ).execute(
            context,
            size=volume.size,
            snapshot=None,
            image_id=request.image.id,
            source_volume=None,
            availability_zone="nova",
            volume_type=kind,
            metadata={},
            key_manager=self.keys,
            consistencygroup=None,
            cgsnapshot=None,
            group=None,
            group_snapshot=None,
            backup=None,
        )
        api_flow.QuotaReserveTask().execute(
            context,
            found["size"],
            found["volume_type_id"],
            None,
            {"is_quota_committed": False},
        )

    def _manager_create(
        self,
        context: Any,
        request: CreateRequest,
    ) -> Observed:
        """Do what the manager's flow does, as it does it."""
        cache = (
            image_cache.ImageVolumeCache(db, self.api)
            if request.config.image_volume_cache_enabled
            else None
        )
        elevated = context.elevated()
        task = _Task(self.filler, db, self.driver, image_volume_cache=cache)
        error: Exception | None = None
        try:
            volume = objects.Volume.get_by_id(elevated, request.volume.id)
            spec = create_volume.ExtractVolumeSpecTask(db).execute(
                elevated, volume, {"image_id": request.image.id}
            )
            task.execute(elevated, volume, spec)
        except Exception as raised:  # noqa: BLE001 - any is a refusal
            error = raised
        asked = tuple(what for what, _, _ in self.driver.asked)
        for at, (what, volume_id, source) in enumerate(self.driver.asked):
            if volume_id != request.volume.id:
                continue
            mechanism = {
                "clone_image": Mechanism.ARRAY_IMAGE,
                "create_cloned_volume": task.ways.get(at),
            }.get(what)
            if mechanism is not None:
                return Observed(
                    verdict="clone",
                    mechanism=mechanism,
                    source=source,
                    error=None if error is None else type(error).__name__,
                    asked=asked,
                )
        if error is not None:
            return attrs.evolve(_refused(error), asked=asked)
        assert "copy_image_to_volume" in asked
        return Observed(verdict="download", asked=asked)

    # -- uploading ----------------------------------------------------------

    def run_upload(
        self,
        request: UploadRequest,
        *,
        before: Callable[[CinderWorld], object] | None = None,
    ) -> Observed:
        """Have Cinder make the image of the volume.

        ``before`` may change the world when all facts are in it.
        """
        self._reset(request.config)
        volume = request.volume
        status = (
            volume.previous_status
            if volume.status == "uploading"
            else volume.status
        )
        self._put_volume(attrs.evolve(volume, status=status or "unknown"))
        self._put_quota(request.clone_project, request.clone_quota)
        self.images = GlanceImages(
            attrs.evolve(request.image, visible=True), ()
        )
        if request.backend.can_clone is not True:
            self.driver.failure = NotImplementedError()
        if before is not None:
            before(self)
        self.connection.commit()
        context = _context(
            request.project_id,
            is_admin=request.project_id != volume.project_id,
        )
        error: Exception | None = None
        with stand_ins(self, request.image, None):
            try:
                self._api_upload(context, request)
                ((context, sent, meta),) = self.sent
                self.manager.copy_volume_to_image(context, sent.id, meta)
            except Exception as raised:  # noqa: BLE001 - any is a refusal
                error = raised
        return self._uploaded(request, error)

    def _api_upload(self, context: Any, request: UploadRequest) -> None:
        """Do what the API does, but for its schema of the body."""
        controller = object.__new__(volume_actions.VolumeActionsController)
        controller.volume_api = self.api
        controller._key_mgr = self.keys
        upload = inspect.unwrap(type(controller)._volume_upload_image)
        call = SimpleNamespace(
            environ={"cinder.context": context},
            api_version_request=api_version_request.APIVersionRequest(
                microversions.BASE_VERSION
            ),
        )
        body = {
            "force": str(request.force),
            "image_name": "an image",
            "disk_format": request.image.disk_format,
            "container_format": request.image.container_format,
        }
        upload(
            controller,
            call,
            request.volume.id,
            body={"os-volume_upload_image": body},
        )

    def _uploaded(
        self, request: UploadRequest, error: Exception | None
    ) -> Observed:
        asked = tuple(what for what, _, _ in self.driver.asked)
        rows = models.Volume.__table__
        clone = self._sql(
            sqlalchemy.select(rows.c.project_id).where(
                rows.c.display_name == f"image-{request.image.id}"
            )
        ).fetchone()
        name = None if error is None else type(error).__name__
        if "create_cloned_volume" in asked:
            assert clone is not None
            return Observed(
                verdict="register",
                project_id=clone[0],
                error=name,
                asked=asked,
            )
        if error is not None:
            return attrs.evolve(_refused(error), asked=asked)
        assert self.images.uploaded == [request.image.id]
        return Observed(verdict="upload", asked=asked)


def _text(host: Host | None) -> str | None:
    return None if host is None else str(host)


def _context(project_id: str, *, is_admin: bool = False) -> Any:
    return cinder_context.RequestContext(
        "user",
        project_id,
        is_admin=is_admin,
        auth_token="token",  # noqa: S106 - a word
        roles=["member", "reader"],
    )


def _refused(error: BaseException) -> Observed:
    # Cinder, cleaning up, loses the error that made it do so
    while isinstance(error, GlanceMetadataNotFound) and error.__context__:
        error = error.__context__
    return Observed(verdict="refuse", error=type(error).__name__)


def _stored(candidate: ArrayImage) -> tuple[str, str, str] | None:
    if candidate.source is None:
        return None
    try:
        parts = rbd.RBDDriver._parse_location(str(candidate.location))
    except Exception:  # noqa: BLE001 - not an RBD image
        return None
    return (parts[1], parts[2], parts[3])


# -- what stands in for the rest --------------------------------------------


@contextlib.contextmanager
def stand_ins(
    world: CinderWorld, image: Image, free: int | None
) -> Iterator[None]:
    """Put a stand-in at each boundary that a request decides about."""
    client = SimpleNamespace(
        images=world.images,
        schemas=SimpleNamespace(
            get=lambda schema_name: SimpleNamespace(  # noqa: ARG005 - Cinder's
                is_base_property=BASE_PROPERTIES.__contains__
            )
        ),
        http_client=SimpleNamespace(),
    )

    def info(path: str, **_: object) -> Any:
        """Find the data to be what the image says it is."""
        name = Path(path).name
        declared = image_utils.fixup_disk_format(image.disk_format)
        told = {
            "format": "raw" if name.startswith("device_") else declared,
            "virtual-size": image.virtual_size or image.size or 0,
            "actual-size": 0,
            "format-specific": {"type": declared, "data": {}},
        }
        found = imageutils.QemuImgInfo(json.dumps(told), format="json")
        if declared is None and not name.startswith("vol_upload_"):
            found.file_format = "raw"
        return found

    room = SimpleNamespace(free=1 << 60 if free is None else free)
    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (glance, "_create_glance_client", lambda *_: client),
            (image_utils.shutil, "disk_usage", lambda _: room),
            (image_utils, "qemu_img_info", info),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        yield


def _no_lock(*_: object) -> mock.MagicMock:
    lock = mock.MagicMock()
    lock.name = "lock"
    return lock


def _direct(call: Callable[..., Any], *args: object, **kw: object) -> Any:
    return call(*args, **kw)


def _everywhere(stack: contextlib.ExitStack) -> None:
    """Put in the stand-ins that no request decides about."""
    worker = "cinder.objects.cleanable.CinderCleanableObject"
    for target, value in (
        ("cinder.rpc.get_client", mock.Mock()),
        ("cinder.rpc.get_notifier", mock.Mock()),
        ("cinder.utils.notifications_enabled", lambda _conf: False),
        ("cinder.coordination.Coordinator.get_lock", _no_lock),
        (f"{worker}.create_worker", lambda *_: None),
        (f"{worker}.set_worker", lambda *_: None),
        (f"{worker}.unset_worker", lambda *_: None),
        ("cinder.utils.tpool_wrap", lambda target: target),
        ("cinder.utils.api_clean_volume_file_locks", lambda *_: None),
        (
            "cinder.image.image_utils.tpool",
            SimpleNamespace(Proxy=lambda file: file, execute=_direct),
        ),
        ("cinder.image.image_utils._convert_image", lambda *_, **__: None),
        (
            "cinder.image.image_utils.signature_utils.get_verifier",
            lambda **_: mock.Mock(),
        ),
        (f"{accelerator.__name__}.ImageAccel", mock.Mock()),
        ("cinder.volume.volume_utils.delete_encryption_key", mock.Mock()),
        (
            f"{create_volume.__name__}.CreateVolumeFromSpecTask._rekey_volume",
            lambda *_: {},
        ),
    ):
        stack.enter_context(mock.patch(target, value))


def _overridden(name: str, group: str | None) -> Any:
    return CONF._get_opt_info(name, group).get("override", ...)


def _restore(name: str, group: str | None, value: object) -> None:
    if value is ...:
        CONF.clear_override(name, group)
    else:
        CONF.set_override(name, value, group)


@contextlib.contextmanager
def real_cinder() -> Iterator[CinderWorld]:
    """Make Cinder's database and options, and take them back at the end."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        try:
            CONF.find_file("cinder.conf")
        except cfg.NotInitializedError:
            CONF([], project="cinder", default_config_files=[])
        for option in OPTIONS:
            stack.callback(_restore, *option, _overridden(*option))
        for name, value in (
            ("image_conversion_dir", f"{folder}/conversion"),
            ("state_path", folder),
            ("glance_api_servers", ["http://glance.example"]),
            ("auth_strategy", "noauth"),
            ("default_volume_type", DEFAULT_TYPE),
        ):
            CONF.set_override(name, value)
        ours = enginefacade.transaction_context()
        ours.configure(
            connection="sqlite://", sqlite_fk=False, thread_checkin=False
        )
        stack.callback(db.main_context_manager.patch_factory(ours))
        migration.db_sync()
        _everywhere(stack)
        world = CinderWorld()
        stack.callback(world.connection.close)
        yield world


@pytest.fixture(scope="module")
def cinder() -> Iterator[CinderWorld]:
    """A real Cinder for the tests of one module."""
    with real_cinder() as world:
        yield world
