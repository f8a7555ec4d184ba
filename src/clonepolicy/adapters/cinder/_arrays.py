"""The arrays of other services, as far as this service can tell."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from cinder import context as cinder_context
from cinder.scheduler import rpcapi
from cinder.volume import configuration
from oslo_config import cfg
from oslo_log import log

from clonepolicy.adapters.cinder._errors import traced
from clonepolicy.adapters.records._pools import reported_array

LOG = log.getLogger(__name__)
_HOST = cfg.StrOpt("backend_host")
_EXTRA = cfg.StrOpt("extra_capabilities", default="{}")
KEPT = 60.0
"""Seconds for which an answer of the scheduler is kept: as long as a service
takes to report itself anew (``backend_stats_polling_interval``)."""


def declared_array(service: str) -> str | None:
    """Return the ``array_id`` that cinder.conf declares for a service.

    None: ``host@backend`` is not one of this file's ``enabled_backends``, or
    its ``extra_capabilities`` declare none.
    """
    host, _, group = service.partition("@")
    enabled = cfg.CONF.enabled_backends
    if not group or (enabled and group not in enabled):
        return None
    with contextlib.suppress(cfg.DuplicateOptError):
        cfg.CONF.register_opt(_HOST, group=group)
    configured = cfg.CONF[group].backend_host or cfg.CONF.host
    if configured.partition("@")[0] != host:
        return None
    options = configuration.Configuration([_EXTRA], config_group=group)
    return _array_in(options.safe_get(_EXTRA.name))


def _array_in(extra: str | None) -> str | None:
    try:
        found = json.loads(extra or "{}")
    except ValueError:
        return None  # Cinder starts the service without them
    array_id = found.get("array_id") if isinstance(found, dict) else None
    return array_id if isinstance(array_id, str) else None


def _pools() -> Sequence[Mapping[str, Any]]:
    """Ask Cinder's scheduler for all pools: one call by RPC."""
    admin = cinder_context.get_admin_context()
    found: Sequence[Mapping[str, Any]] = rpcapi.SchedulerAPI().get_pools(admin)
    return found


@attrs.define
class ReportedArrays:
    """The arrays that services report to Cinder's scheduler.

    The scheduler is asked at most once in `KEPT` seconds, and only for a
    service that cinder.conf does not describe.  If it does not answer,
    nothing is known.
    """

    ask: Callable[[], Sequence[Mapping[str, Any]]] = _pools
    now: Callable[[], float] = time.monotonic
    _known: Mapping[str, str] = attrs.field(factory=dict)
    _until: float | None = None
    _asking: Any = attrs.field(factory=threading.Lock, init=False)

    def get(self, service: str) -> str | None:
        """Return the array of ``host@backend``; None: it is not known."""
        with self._asking:  # requests that come together wait for one answer
            if self._until is None or self.now() >= self._until:
                self._known = self._read()
                self._until = self.now() + KEPT
            return self._known.get(service)

    def _read(self) -> Mapping[str, str]:
        try:
            pools = self.ask()
        except Exception as error:  # noqa: BLE001 - the create goes on
            LOG.warning(
                "clonepolicy cannot ask the scheduler for pools\n%s",
                traced(error),
            )
            return {}
        found: dict[str, set[str | None]] = {}
        for pool in pools:
            service = str(pool.get("name")).partition("#")[0]
            array_id = reported_array(pool.get("capabilities") or {})
            found.setdefault(service, set()).add(array_id)
        # the pools of one service may be on several arrays
        return {
            service: only
            for service, (only, *others) in found.items()
            if only is not None and not others
        }
