"""The volume manager that decides, for ``volume_manager`` in cinder.conf."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

from cinder import exception
from cinder.db import api as db
from cinder.image import glance
from cinder.volume import manager
from cinder.volume.flows.manager import create_volume
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    Refuse,
    UploadDecision,
    explain_to_tenant,
)
from clonepolicy.adapters.cinder._config import (
    register_opts,
    settings_from,
)
from clonepolicy.adapters.cinder._flow import Run
from clonepolicy.adapters.cinder._images import UNREADABLE
from clonepolicy.adapters.cinder._installed import check_installed_cinder
from clonepolicy.adapters.cinder._report import register_messages
from clonepolicy.adapters.cinder._service import Service
from clonepolicy.adapters.cinder._upload import Uploading

LOG = log.getLogger(__name__)


class PolicyVolumeManager(manager.VolumeManager):
    """Cinder's volume manager, with every clone or copy decided by policy.

    Named as ``[DEFAULT] volume_manager`` it serves every backend.

    Raises:
        IncompatibleCinderError: Cinder is not the one this was made for.
        FactError: an option of ``[clonepolicy]`` cannot be.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Check Cinder and the options first, then start as Cinder does."""
        check_installed_cinder()
        register_opts(cfg.CONF)
        settings = settings_from(cfg.CONF)
        self._uploads: dict[str, tuple[Uploading, UploadDecision | None]] = {}
        super().__init__(*args, **kwargs)
        self.service = Service(
            driver=self.driver,
            settings=settings,
            extra=self.extra_capabilities,
        )
        register_messages()
        _decide_in_flow()
        if self.service.acts:
            _survive_unreadable_locations()

    def copy_volume_to_image(
        self,
        context: Any,
        volume_id: str,
        image_meta: dict[str, Any],
    ) -> None:
        """Decide, then go Cinder's way, which asks for the decision."""
        image_id = image_meta["id"]
        uploading = Uploading(
            manager=self,
            context=context,
            volume_id=volume_id,
            image_id=image_id,
        )
        try:
            decision = uploading.decide()
            if self.service.acts and isinstance(decision, Refuse):
                self._refuse(context, image_id, decision)
        except BaseException:
            # as Cinder leaves a volume whose upload failed
            db.volume_update_status_based_on_attachment(context, volume_id)
            raise
        self._uploads[image_id] = (uploading, decision)
        try:
            super().copy_volume_to_image(context, volume_id, image_meta)
        finally:
            self._uploads.pop(image_id, None)

    def _refuse(
        self,
        context: Any,
        image_id: str,
        decision: Refuse,
    ) -> NoReturn:
        """Leave the image as Cinder leaves one whose upload failed."""
        service, _ = glance.get_remote_image_service(context, image_id)
        self._delete_image(context, image_id, service)
        raise exception.ImageUnacceptable(
            image_id=image_id, reason=explain_to_tenant(decision)
        )

    def _clone_image_volume_and_add_location(
        self,
        ctx: Any,
        volume: Any,
        image_service: Any,
        image_meta: dict[str, Any],
    ) -> bool:
        """Register if that was decided; False has Cinder send the bytes."""
        if not self.service.acts:
            done: bool = super()._clone_image_volume_and_add_location(
                ctx, volume, image_service, image_meta
            )
            return done
        known = self._uploads.get(image_meta.get("id", ""))
        return known is not None and known[0].register(known[1])


def service_of(task: Any) -> Service | None:
    """Give the service of a task whose manager decides; None if not so."""
    ours = isinstance(task.manager, PolicyVolumeManager)
    return task.manager.service if ours else None


def _decide_in_flow() -> None:
    """Put the decision before Cinder's own create from an image, once.

    The class cannot be replaced: its methods name it to ``super()``.
    """
    kind = create_volume.CreateVolumeFromSpecTask
    stock = kind._create_from_image
    if hasattr(stock, "clonepolicy"):
        return

    @functools.wraps(stock)
    def create_from_image(  # noqa: PLR0913, PLR0917 - Cinder's parameters
        self: Any,
        context: Any,
        volume: Any,
        image_location: Any,
        image_id: str,
        image_meta: dict[str, Any],
        image_service: Any,
        **kwargs: Any,
    ) -> Any:
        arguments = (
            context,
            volume,
            image_location,
            image_id,
            image_meta,
            image_service,
        )
        service = service_of(self)
        if service is None:
            return stock(self, *arguments, **kwargs)
        return Run(service, self, stock, *arguments).create()

    create_from_image.clonepolicy = True  # type: ignore[attr-defined] # a mark
    kind._create_from_image = create_from_image


def _survive_unreadable_locations() -> None:
    """Let a create go on whose image's locations cannot be read.

    That the image itself can be read is asked right after.
    """
    kind = glance.GlanceImageService
    stock = kind.get_location
    if hasattr(stock, "clonepolicy"):
        return

    @functools.wraps(stock)
    def get_location(self: Any, context: Any, image_id: str) -> Any:
        try:
            return stock(self, context, image_id)
        except Exception:
            LOG.warning(
                "clonepolicy locations of image %s cannot be read",
                image_id,
                exc_info=True,
            )
            return UNREADABLE

    get_location.clonepolicy = True  # type: ignore[attr-defined] # a mark
    kind.get_location = get_location
