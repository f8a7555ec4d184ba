"""`PolicyDriverMixin`, for one backend under Cinder's own manager."""

from __future__ import annotations

import json
from typing import Any

import attrs
from cinder import exception
from oslo_config import cfg

from clonepolicy import Config
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.create import (
    CreateCall,
    CreateFromImage,
)
from clonepolicy.adapters.cinder._drop_in.messages import register_messages
from clonepolicy.adapters.cinder._drop_in.supported_cinder import check_cinder
from clonepolicy.adapters.cinder._options import settings_from

_SCHEMES = "allowed_direct_url_schemes"
_CACHE = "image_volume_cache_enabled"


class _CloningBackend(DriverBackend):
    """A backend that may clone image volumes, whatever cinder.conf says."""

    def config(self) -> Config:
        """Read the options, and add ``cinder`` to the schemes."""
        config = super().config()
        schemes = config.allowed_direct_url_schemes | {"cinder"}
        return attrs.evolve(config, allowed_direct_url_schemes=schemes)


class PolicyDriverMixin:
    """Decides in the driver about volumes from images.

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
        check_cinder()
        settings = settings_from(cfg.CONF)
        this: Any = self
        if "cinder" in cfg.CONF.allowed_direct_url_schemes:
            raise exception.InvalidConfigurationValue(
                option=_SCHEMES, value="cinder"
            )
        if this.configuration.safe_get(_CACHE):
            raise exception.InvalidConfigurationValue(
                option=_CACHE, value="True"
            )
        extra = this.configuration.safe_get("extra_capabilities") or "{}"
        self._clonepolicy_backend = _CloningBackend(
            driver=self, settings=settings, extra=json.loads(extra)
        )
        register_messages()
        super().do_setup(context)  # type: ignore[misc] # the driver's

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
            decision = create.decide()
            if self._clonepolicy_backend.enforces:
                outcome = create.clone(decision)
                return {}, outcome is not None and outcome.attempt is not None
        done: tuple[dict[str, Any], bool] = super().clone_image(  # type: ignore[misc] # the driver's
            context, volume, image_location, image_meta, image_service
        )
        return done
