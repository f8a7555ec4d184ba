"""A real Cinder that takes one request after another.

Real are the database (sqlite, made by Cinder's own migrations), the objects,
the quotas, the API's checks, the flow's tasks, the manager, the image cache
and the image service, and the code by which the RBD driver accepts images.
Fakes replace Glance, Ceph, the message bus, locks between services, qemu-img
and the data: see `cinder_patches`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import attrs
import pytest
import sqlalchemy
from cinder import context as cinder_context
from cinder import objects
from cinder.api import microversions
from cinder.api.contrib import volume_actions
from cinder.api.openstack import api_version_request
from cinder.exception import GlanceMetadataNotFound
from cinder.image import glance
from cinder.volume import api as volume_api
from cinder.volume import configuration, manager, volume_types
from cinder.volume import driver as volume_driver
from cinder.volume.drivers import rbd
from cinder.volume.flows.api import create_volume as api_flow
from cinder.volume.flows.manager import create_volume
from cinder_patches import (
    BACKEND,
    BACKEND_OPTIONS,
    COMMON_OPTIONS,
    CONF,
    patched_for,
    prepared_cinder,
)
from cinder_tables import CinderDatabase
from fake_glance_client import UNREAD, OneImage
from installed import db, models
from observed import Observed
from recording_driver import RecordingDriver, RecordingTask

from clonepolicy import (
    ArrayImage,
    CacheEntry,
    Config,
    CreateRequest,
    Image,
    ImageVolume,
    Route,
    UploadRequest,
)


class RealCinder:
    """One Cinder, with everything that does not depend on a request."""

    def __init__(self) -> None:
        """Build driver, manager and API."""
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
        # with the cache, as Cinder makes it when it starts
        CONF.set_override(
            "image_volume_cache_enabled", override=True, group=BACKEND
        )
        with mock.patch.object(
            manager.importutils, "import_object", return_value=self.driver
        ):
            self.manager = manager.VolumeManager(volume_driver="recording")
        self.manager.image_volume_cache.volume_api = self.api
        self.manager.stats = {"pools": {}}
        self.images = OneImage(Image(id="none", status="queued"), ())
        # what fills the cache is no part of a decision
        self.filler = mock.Mock()
        self.keys = mock.Mock(**{"store.return_value": "key"})
        self.database = CinderDatabase()
        self.encryptions = itertools.count()

    def _reset(self, config: Config) -> None:
        self.database.empty()
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

    # -- creating -----------------------------------------------------------

    def run_create(
        self,
        request: CreateRequest,
        *,
        before: Callable[[RealCinder], object] | None = None,
    ) -> Observed:
        """Have Cinder create the volume from the image.

        ``before`` may change this Cinder after all facts were written.
        """
        self._reset(request.config)
        self.database.put_volume(request.volume)
        held: tuple[ImageVolume | CacheEntry, ...]
        held = (*request.image_volumes, *request.cache_entries)
        for candidate in held:
            if candidate.source is not None:
                self.database.put_volume(candidate.source)
        self.database.put_cache_entries(request)
        self.database.put_quota(
            request.volume.project_id,
            request.quota,
            request.volume.volume_type,
        )
        located: tuple[ArrayImage | ImageVolume, ...]
        located = (*request.array_images, *request.image_volumes)
        locations = tuple(str(candidate.location) for candidate in located)
        self.images = OneImage(request.image, locations)
        direct = request.image.direct_url
        self.images.show_multiple_locations = (
            request.glance.show_multiple_locations or {direct} != {*locations}
        )
        backend, driver = request.backend, self.driver
        driver.fsid = backend.array_id or "not known"
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
        self.database.commit()
        context = _context(request.volume.project_id)
        free = request.conversion_free
        with patched_for(self.images, request.image, free):
            try:
                self._api_create(context, request)
            except Exception as error:  # noqa: BLE001 - any is a refusal
                return _refused(error)
            self.images.unread = request.image.locations_from in UNREAD
            return self._manager_create(context, request)

    def _api_create(self, context: Any, request: CreateRequest) -> None:
        """Run the API's code between a request and the scheduler."""
        volume = request.volume
        type_id = self.database.put_type(volume.volume_type)
        if volume.multiattach:
            self.database.put_extra_spec(type_id, "multiattach", "<is> True")
        if volume.encryption_key_id is not None:
            self.database.insert(
                models.Encryption,
                encryption_id=f"encryption-{next(self.encryptions)}",
                volume_type_id=type_id,
                provider="luks",
                control_location="front-end",
                cipher="aes-xts-plain64",
                key_size=256,
            )
        self.database.commit()
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
        """Run the tasks of the manager's flow."""
        cache = (
            self.manager.image_volume_cache
            if request.config.image_volume_cache_enabled
            else None
        )
        elevated = context.elevated()
        task = RecordingTask(
            self.filler, db, self.driver, image_volume_cache=cache
        )
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
            route = {
                "clone_image": Route.ARRAY_IMAGE,
                "create_cloned_volume": task.routes.get(at),
            }.get(what)
            if route is not None:
                return Observed(
                    verdict="clone",
                    route=route,
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
        before: Callable[[RealCinder], object] | None = None,
    ) -> Observed:
        """Have Cinder upload the volume to the image.

        ``before`` may change this Cinder after all facts were written.
        """
        self._reset(request.config)
        volume = request.volume
        status = (
            volume.previous_status
            if volume.status == "uploading"
            else volume.status
        )
        self.database.put_volume(
            attrs.evolve(volume, status=status or "unknown")
        )
        self.database.put_quota(
            request.clone_project, request.clone_quota, volume.volume_type
        )
        self.images = OneImage(attrs.evolve(request.image, visible=True), ())
        if request.backend.can_clone is not True:
            self.driver.failure = NotImplementedError()
        if before is not None:
            before(self)
        self.database.commit()
        context = _context(
            request.project_id,
            is_admin=request.project_id != volume.project_id,
        )
        error: Exception | None = None
        with patched_for(self.images, request.image, None):
            try:
                self._api_upload(context, request)
                ((context, sent, meta),) = self.sent
                self.manager.copy_volume_to_image(context, sent.id, meta)
            except Exception as raised:  # noqa: BLE001 - any is a refusal
                error = raised
        return self._uploaded(request, error)

    def _api_upload(self, context: Any, request: UploadRequest) -> None:
        """Run the API's code, without its schema of the body."""
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
        clone = self.database.execute(
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


def _context(project_id: str, *, is_admin: bool = False) -> Any:
    return cinder_context.RequestContext(
        "user",
        project_id,
        is_admin=is_admin,
        auth_token="token",  # noqa: S106 - a word
        roles=["member", "reader"],
    )


def _refused(error: BaseException) -> Observed:
    # while it cleans up, Cinder replaces the error that made it do so
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


@pytest.fixture(scope="module")
def real_cinder() -> Iterator[RealCinder]:
    """Return a real Cinder for the tests of one module."""
    with prepared_cinder():
        cinder = RealCinder()
        yield cinder
        cinder.database.connection.close()
