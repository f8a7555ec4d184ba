"""The decision in a driver, for who cannot change the volume manager."""

from __future__ import annotations

import json
from typing import Any

import attrs
from cinder import exception
from oslo_config import cfg

from clonepolicy import Config
from clonepolicy.adapters.cinder._config import register_opts, settings_from
from clonepolicy.adapters.cinder._create import Creation
from clonepolicy.adapters.cinder._installed import check_installed_cinder
from clonepolicy.adapters.cinder._report import register_messages
from clonepolicy.adapters.cinder._service import Service

_SCHEMES = "allowed_direct_url_schemes"
_CACHE = "image_volume_cache_enabled"


class _Consenting(Service):
    """A service whose driver was chosen for cloning image volumes."""

    def config(self) -> Config:
        """Read the options, the consent among them."""
        config = super().config()
        schemes = config.allowed_direct_url_schemes | {"cinder"}
        return attrs.evolve(config, allowed_direct_url_schemes=schemes)


class PolicyDriverMixin:
    """Put before a Cinder driver, decides its creates from images.

    ``class Driver(PolicyDriverMixin, RBDDriver)`` and its path as the
    backend's ``volume_driver`` are all that it takes.  Cinder asks a
    driver's ``clone_image`` first; after it, Cinder would clone image
    volumes and cache entries unasked, so that both have to be off: naming
    the mixin stands for ``cinder`` in ``allowed_direct_url_schemes``.
    Uploads, and creates of encrypted volumes, do not come by here.
    """

    def do_setup(self, context: Any) -> None:
        """Check Cinder and the options, then set the driver up.

        Raises:
            IncompatibleCinderError: Cinder is not the one this was made for.
            FactError: an option of ``[clonepolicy]`` cannot be.
            cinder.exception.InvalidConfigurationValue: Cinder would clone
                what was not decided.
        """
        check_installed_cinder()
        register_opts(cfg.CONF)
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
        self._service = _Consenting(
            driver=self,
            settings=settings_from(cfg.CONF),
            extra=json.loads(extra),
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
        """Clone if that is the decision; else have Cinder download."""
        # without an image service it is the plan that asks for this clone
        if image_service is not None:
            creation = Creation(
                service=self._service,
                context=context,
                volume=volume,
                image_location=image_location,
                image_id=image_meta["id"],
                image_service=image_service,
                cloned=lambda _: None,
            )
            decision = creation.decide()
            if self._service.acts:
                outcome = creation.clone(decision)
                return {}, outcome is not None and outcome.attempt is not None
        done: tuple[dict[str, Any], bool] = super().clone_image(  # type: ignore[misc] # the driver's
            context, volume, image_location, image_meta, image_service
        )
        return done
