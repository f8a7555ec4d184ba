"""`CloneWeigher`, a weigher of Cinder's scheduler.

Every cinder-scheduler imports this module when it starts, whether it uses
the weigher or not.  What decides is therefore imported by the first request,
so that no error of this package stops the scheduler or a create.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from cinder.scheduler import weights
from oslo_log import log

from clonepolicy import AdapterError, FactError
from clonepolicy._text import log_fields

LOG = log.getLogger(__name__)
_DECIDES = "clonepolicy.adapters.cinder._placing"
_ANSWERS = (
    "check what Glance and the database answer to cinder-scheduler, and "
    "[glance] in its cinder.conf"
)
_PACKAGE = (
    "install the clonepolicy of this Cinder's release, or remove CloneWeigher "
    "from scheduler_default_weighers"
)
_REMEDIES = (
    (FactError, "correct the value in cinder.conf"),
    (AdapterError, _ANSWERS),
    (Exception, _PACKAGE),
)


class CloneWeigher(weights.BaseHostWeigher):
    """Prefers pools where the policy would clone the image.

    Named in ``[DEFAULT] scheduler_default_weighers``.  If it cannot decide,
    all pools have the weight 0.
    """

    # without them, weights of 0 and 0.75 would be normalized to 0 and 1
    minval, maxval = 0.0, 1.0

    def __init__(self) -> None:
        """Weigh nothing yet."""
        self._weights: Mapping[str, float] = {}
        self._multiplier = 0.0

    def weight_multiplier(self) -> float:
        """Return ``[clonepolicy] clone_weight_multiplier``; 0 if unused."""
        return self._multiplier

    def weigh_objects(
        self, weighed_obj_list: list[Any], weight_properties: dict[str, Any]
    ) -> list[float]:
        """Return the weight of each pool."""
        pools = [weighed.obj for weighed in weighed_obj_list]
        try:
            decides = importlib.import_module(_DECIDES)
            self._weights, self._multiplier = decides.weigh(
                pools, weight_properties
            )
        except Exception as error:  # noqa: BLE001 - the create goes on
            _log(error, weight_properties)
        found: list[float] = super().weigh_objects(
            weighed_obj_list, weight_properties
        )
        return found

    def _weigh_object(
        self,
        host_state: Any,  # noqa: ANN401 - what comes from Cinder has no types
        weight_properties: dict[str, Any],
    ) -> float:
        del weight_properties
        return self._weights.get(host_state.host, 0.0)


def _log(error: Exception, properties: Mapping[str, Any]) -> None:
    spec = properties.get("request_spec") or {}
    remedy = next(text for kind, text in _REMEDIES if isinstance(error, kind))
    fields = {
        "operation": "place",
        "volume": str(spec.get("volume_id")),
        "unreadable": f"{type(error).__name__}: {error}",
        "remedy": remedy,
    }
    LOG.warning("clonepolicy %s", log_fields(fields))
