"""One backend of Cinder as the drop-ins see it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import attrs
from cinder import context as cinder_context
from cinder import exception, objects
from cinder.common import constants
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log

from clonepolicy import CINDER_29, Config, Decision
from clonepolicy.adapters.cinder._array import CinderArray
from clonepolicy.adapters.cinder._backend import backend_from_driver
from clonepolicy.adapters.cinder._config import Mode, Settings, config_from
from clonepolicy.adapters.cinder._errors import told_as_adapter_error
from clonepolicy.adapters.cinder._report import (
    count_decision,
    log_decision,
    write_message,
)
from clonepolicy.adapters.cinder._volumes import CinderVolumes

LOG = log.getLogger(__name__)


@attrs.frozen(kw_only=True, slots=False)
class Service:
    """A driver, its backend's options, and who is told of decisions."""

    driver: Any
    settings: Settings
    extra: Mapping[str, Any]

    @property
    def acts(self) -> bool:
        """Whether decisions are carried out here, or Cinder goes its way.

        CINDER_29 is what Cinder does, so that Cinder itself does it.
        """
        return (
            self.settings.mode is Mode.ENFORCE
            and self.settings.policy is not CINDER_29
        )

    def config(self) -> Config:
        """Read the options of cinder.conf as they are now."""
        return config_from(cfg.CONF, self.driver.configuration)

    def volumes(self, context: Any) -> CinderVolumes:
        """Give Cinder's volumes as this request sees them.

        Of other services' arrays nothing is known.
        """
        return CinderVolumes(
            context=context,
            array_ids={self.driver.host: self._array_id},
            internal_user_id=cfg.CONF.cinder_internal_tenant_user_id,
        )

    def array(
        self,
        volumes: CinderVolumes,
        kind: type[CinderArray] = CinderArray,
        **more: Any,
    ) -> CinderArray:
        """Give this backend's array; ``more`` are fields of that kind."""
        return kind(
            driver=self.driver,
            volumes=volumes,
            extra={"array_id": self._array_id, **self.extra},
            frozen=_is_frozen(self.driver.host),
            **more,
        )

    @functools.cached_property
    def _array_id(self) -> str:
        """The array's identity; all pools of one service are one array."""
        with told_as_adapter_error("driver's capabilities"):
            told = backend_from_driver(self.driver, extra=self.extra).array_id
        return told or f"service:{self.driver.host}"

    def tell(self, context: Any, decision: Decision) -> None:
        """Tell log, counters and user; a failure here stops nothing."""
        try:
            log_decision(decision, self.settings)
            count_decision(decision)
            if self.settings.user_messages and self.acts:
                write_message(context, decision)
        except Exception:
            LOG.warning("clonepolicy could not tell", exc_info=True)


def _is_frozen(host: str) -> bool:
    try:
        service = objects.Service.get_by_args(
            cinder_context.get_admin_context(),
            volume_utils.extract_host(host, "backend"),
            constants.VOLUME_BINARY,
        )
    except exception.ServiceNotFound:
        return False
    return bool(service.frozen)
