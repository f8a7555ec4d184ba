"""`PolicyVolumeManager` and `PolicyDriverMixin`, named in cinder.conf."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from cinder import exception
from cinder.db import api as db
from cinder.image import glance
from cinder.volume import manager
from cinder.volume.flows.manager import create_volume
from oslo_config import cfg
from oslo_log import log
from oslo_service import periodic_task

from clonepolicy import Config, Operation, Route
from clonepolicy._text import printable
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.create import (
    CreateCall,
    CreateFromImage,
    CreateTask,
)
from clonepolicy.adapters.cinder._drop_in.journal import Work, WorkJournal
from clonepolicy.adapters.cinder._drop_in.metrics import Measure, measured
from clonepolicy.adapters.cinder._drop_in.note import CLONING, COPYING
from clonepolicy.adapters.cinder._drop_in.recovery import (
    recover_again,
    recover_work,
)
from clonepolicy.adapters.cinder._drop_in.reports import register_messages
from clonepolicy.adapters.cinder._drop_in.start import log_start
from clonepolicy.adapters.cinder._drop_in.supported_cinder import check_cinder
from clonepolicy.adapters.cinder._drop_in.upload import UploadToImage
from clonepolicy.adapters.cinder._errors import traced, translated
from clonepolicy.adapters.cinder._images import ReadLocations
from clonepolicy.adapters.conf._own import (
    settings_from,
)

LOG = log.getLogger(__name__)
_ARGUMENTS = tuple(attrs.fields_dict(CreateCall))


class PolicyVolumeManager(manager.VolumeManager):
    """Cinder's volume manager, with clones and copies decided by a policy.

    ``[DEFAULT] volume_manager`` names it, and it serves every backend.

    Raises:
        IncompatibleCinderError: the installed Cinder is not supported.
        FactError: an option of ``[clonepolicy]`` has an invalid value.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Check Cinder and the options, then start as Cinder does."""
        settings = settings_from(cfg.CONF)
        check_cinder(allow_unverified=settings.allow_unverified_cinder)
        self._uploads: dict[str, UploadToImage] = {}
        self._creates: dict[str, contextlib.ExitStack] = {}
        super().__init__(*args, **kwargs)
        self.backend = DriverBackend(
            driver=self.driver,
            settings=settings,
            extra=self.extra_capabilities,
        )
        self.journal = WorkJournal.of(self.host)
        register_messages()
        _decide_in_flow()
        if self.backend.enforces:
            service = glance.GlanceImageService
            _replace(service, "get_location", _get_location)

    def init_host(self, *args: Any, **kwargs: Any) -> None:
        """Initialize the backend, then log what is in force."""
        super().init_host(*args, **kwargs)
        if self.driver.initialized:
            log_start(self.backend)

    def create_volume(
        self, context: Any, volume: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Create a volume; the note of its clone lasts until the end."""
        with contextlib.ExitStack() as notes:
            self._creates[volume.id] = notes
            try:
                return super().create_volume(context, volume, *args, **kwargs)
            finally:
                del self._creates[volume.id]

    def note_create(self, call: CreateCall, source: str | None) -> Work | None:
        """Note a clone until `create_volume` ends; None: it cannot be."""
        volume_id = call.volume.id
        noted = self.journal.noted(volume_id, call.image_id, CLONING, source)
        return self._creates[volume_id].enter_context(noted)

    def copy_volume_to_image(
        self, context: Any, volume_id: str, image_meta: dict[str, Any]
    ) -> None:
        """Decide, then call Cinder's method, which calls back to register."""
        image_id = image_meta["id"]
        settings = self.backend.settings
        with measured(Operation.UPLOAD, settings) as measure:
            if not self.backend.enforces:
                self._upload(context, volume_id, image_meta, None, measure)
                return
            with self.journal.noted(volume_id, image_id, COPYING) as work:
                self._upload(context, volume_id, image_meta, work, measure)

    def _upload(
        self,
        context: Any,
        volume_id: str,
        image_meta: dict[str, Any],
        work: Work | None,
        measure: Measure,
    ) -> None:
        image_id = image_meta["id"]
        upload = UploadToImage(
            self.backend, self, context, volume_id, image_id, work, measure
        )
        # on an error, do what Cinder does when an upload fails
        try:
            try:
                _ = upload.decision
            except exception.ImageUnacceptable:
                service, _ = glance.get_remote_image_service(context, image_id)
                self._delete_image(context, image_id, service)
                raise
        except BaseException:
            db.volume_update_status_based_on_attachment(context, volume_id)
            raise
        self._uploads[image_id] = upload
        try:
            with self.backend.watch(
                upload.decision, upload.able, upload.named
            ) as deed:
                super().copy_volume_to_image(context, volume_id, image_meta)
                deed.did = upload.done()
        finally:
            self._uploads.pop(image_id, None)

    def _clone_image_volume_and_add_location(
        self,
        ctx: Any,
        volume: Any,
        image_service: Any,
        image_meta: dict[str, Any],
    ) -> bool:
        """Register if that is the decision; after False Cinder uploads."""
        known = self._uploads.get(image_meta.get("id", ""))
        done: bool
        if self.backend.enforces:
            done = known is not None and known.register()
        else:
            done = super()._clone_image_volume_and_add_location(
                ctx, volume, image_service, image_meta
            )
        if known is not None and done:
            known.measure.took(Route.REGISTER)
        return done

    def update_service_capabilities(
        self, capabilities: Mapping[str, Any]
    ) -> None:
        """Also report to the scheduler what `CloneWeigher` needs."""
        super().update_service_capabilities(
            self.backend.reported(capabilities)
        )

    def do_cleanup(self, context: Any, cleanup_request: Any) -> None:
        """End the work that a service left, then clean up as Cinder does.

        Cinder calls this when the service starts, and in a cluster if an
        administrator asks for the cleanup of a service that is down.
        """
        recover_work(self, cleanup_request.service_id)
        super().do_cleanup(context, cleanup_request)

    @periodic_task.periodic_task(spacing=60)  # type: ignore[untyped-decorator] # oslo.service's
    def _recover_again(self, context: Any) -> None:
        """End what could not be ended before, for example without Glance."""
        del context
        recover_again(self)


def backend_of(task: Any) -> DriverBackend | None:
    """Return the backend of a task; None under Cinder's own manager."""
    decides = isinstance(task.manager, PolicyVolumeManager)
    return task.manager.backend if decides else None


def _decide_in_flow() -> None:
    """Replace the task's create from an image, once in a process.

    A subclass of the task cannot replace it, because its methods call
    ``super()`` with the class's name.
    """
    _replace(
        create_volume.CreateVolumeFromSpecTask,
        "_create_from_image",
        _create_from_image,
    )


def _create_from_image(
    stock: Callable[..., Any], task: Any, *args: Any, **kwargs: Any
) -> Any:
    backend = backend_of(task)
    if backend is None:
        return stock(task, *args, **kwargs)
    used = {name: kwargs[name] for name in _ARGUMENTS if name in kwargs}
    call = CreateCall(*args, **used)
    with measured(Operation.CREATE, backend.settings) as measure:
        return CreateTask(backend, task, stock, call, measure).run()


def _get_location(
    stock: Callable[..., Any], service: Any, context: Any, image_id: str
) -> Any:
    """Let a create continue if it cannot read the locations of its image.

    Directly afterwards Cinder reads the image itself, and fails if it cannot.
    """
    try:
        found = stock(service, context, image_id)
        return ReadLocations.of(found, time.monotonic())
    except Exception as error:  # noqa: BLE001 - Cinder reads the image next
        LOG.warning(
            "clonepolicy cannot read the locations of image %s\n%s",
            printable(image_id),
            traced(error),
        )
        action = f"reading the locations of image {image_id}"
        return ReadLocations.unread(
            translated(action, error), time.monotonic()
        )


def _replace(kind: Any, name: str, replacement: Callable[..., Any]) -> None:
    """Replace a method of Cinder, once in a process.

    The replacement is called with Cinder's own function and its arguments.
    """
    stock = getattr(kind, name)
    if hasattr(stock, "clonepolicy"):
        return

    @functools.wraps(stock)
    def method(*args: Any, **kwargs: Any) -> Any:
        return replacement(stock, *args, **kwargs)

    setattr(kind, name, method)
    vars(method)["clonepolicy"] = True


class _CloningBackend(DriverBackend):
    """A backend that may clone image volumes without ``cinder`` in schemes."""

    def config(self) -> Config:
        """Read the options, and add ``cinder`` to the schemes."""
        config = super().config()
        schemes = config.allowed_direct_url_schemes | {"cinder"}
        return attrs.evolve(config, allowed_direct_url_schemes=schemes)


class PolicyDriverMixin:
    """A mixin for drivers, which decides how a volume from an image is made.

    Write ``class Driver(PolicyDriverMixin, RBDDriver)`` and name that class
    in the backend's ``volume_driver``.  Cinder calls a driver's
    ``clone_image`` first.  Afterwards Cinder would clone image volumes and
    cache entries without a decision, so that both must be disabled: using
    the mixin takes the place of ``cinder`` in
    ``allowed_direct_url_schemes``.  Cinder does not call ``clone_image`` for
    uploads and for encrypted volumes.
    """

    def do_setup(self, context: Any) -> None:
        """Check Cinder and the options, then set up the driver.

        Raises:
            IncompatibleCinderError: the installed Cinder is not supported.
            FactError: an option of ``[clonepolicy]`` has an invalid value.
            cinder.exception.InvalidConfigurationValue: Cinder would clone
                without a decision.
        """
        settings = settings_from(cfg.CONF)
        check_cinder(allow_unverified=settings.allow_unverified_cinder)
        this: Any = self
        if "cinder" in cfg.CONF.allowed_direct_url_schemes:
            raise exception.InvalidConfigurationValue(
                option="allowed_direct_url_schemes", value="cinder"
            )
        if this.configuration.safe_get("image_volume_cache_enabled"):
            raise exception.InvalidConfigurationValue(
                option="image_volume_cache_enabled", value="True"
            )
        extra = this.configuration.safe_get("extra_capabilities") or "{}"
        self._clonepolicy_backend = _CloningBackend(
            driver=self, settings=settings, extra=json.loads(extra)
        )
        register_messages()
        super().do_setup(context)  # type: ignore[misc] # the driver's
        log_start(self._clonepolicy_backend)

    def clone_image(
        self,
        context: Any,
        volume: Any,
        image_location: Any,
        image_meta: dict[str, Any],
        image_service: Any,
    ) -> tuple[dict[str, Any], bool]:
        """Clone if that is the decision; if not, Cinder downloads."""
        # without an image service the plan itself asks for this clone
        if image_service is not None:
            call = CreateCall(
                context,
                volume,
                image_location,
                image_meta["id"],
                image_meta,
                image_service,
            )
            create = CreateFromImage(
                self._clonepolicy_backend, call, lambda _: None
            )
            if self._clonepolicy_backend.enforces:
                outcome = create.clone(create.decide())
                return {}, outcome is not None and outcome.attempt is not None
            with create.shadow(super()) as watched:
                shadowed: tuple[dict[str, Any], bool] = watched.clone_image(
                    context, volume, image_location, image_meta, image_service
                )
                return shadowed
        done: tuple[dict[str, Any], bool] = super().clone_image(  # type: ignore[misc] # the driver's
            context, volume, image_location, image_meta, image_service
        )
        return done
