"""One backend of Cinder: its driver, its options, and its reports."""

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
from clonepolicy.adapters.cinder._driver_array import CinderArray
from clonepolicy.adapters.cinder._driver_backend import backend_from_driver
from clonepolicy.adapters.cinder._drop_in.reports import (
    count_decision,
    log_decision,
    write_message,
)
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._options import Mode, Settings, config_from
from clonepolicy.adapters.cinder._services import CinderVolumes

LOG = log.getLogger(__name__)


@attrs.frozen(kw_only=True, slots=False)
class DriverBackend:
    """A driver with the options of its backend.

    ``extra`` is the backend's ``extra_capabilities``.
    """

    driver: Any
    settings: Settings
    extra: Mapping[str, Any]

    @property
    def enforces(self) -> bool:
        """Whether decisions are carried out here.

        Cinder itself carries out CINDER_29, which describes it.
        """
        return (
            self.settings.mode is Mode.ENFORCE
            and self.settings.policy is not CINDER_29
        )

    def config(self) -> Config:
        """Read the current options of cinder.conf."""
        return config_from(cfg.CONF, self.driver.configuration)

    def volumes(self, context: Any) -> CinderVolumes:
        """Return the volume service of a request.

        It knows this backend's array only, not those of other services.
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
        """Return this backend's array; ``more`` are fields of ``kind``."""
        return kind(
            driver=self.driver,
            volumes=volumes,
            extra={"array_id": self._array_id, **self.extra},
            frozen=_is_frozen(self.driver.host),
            **more,
        )

    @functools.cached_property
    def _array_id(self) -> str:
        """The array's id; without one, a service's pools are one array."""
        with translate_errors("reading the driver's capabilities"):
            backend = backend_from_driver(self.driver, extra=self.extra)
        return backend.array_id or f"service:{self.driver.host}"

    def report(self, context: Any, decision: Decision) -> None:
        """Log and count a decision, and write a user message.

        An error is logged, and does not stop the operation.
        """
        try:
            log_decision(decision, self.settings)
            count_decision(decision)
            if self.settings.user_messages and self.enforces:
                write_message(context, decision)
        except Exception:
            LOG.warning(
                "clonepolicy could not report a decision", exc_info=True
            )


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
