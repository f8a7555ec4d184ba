"""Misconfigurations that cinder.conf and glance-api.conf show, as data."""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use
from clonepolicy.adapters.lint._check import (
    Check,
    CloudView,
    Estate,
    Level,
    Need,
    Spot,
)
from clonepolicy.adapters.lint._run import (
    CHECKS,
    Finding,
    NotChecked,
    Report,
    run,
)

if TYPE_CHECKING:
    from clonepolicy.adapters.lint._running import RunningCloud
else:
    # openstacksdk is another extra
    __getattr__, __dir__ = on_first_use(__name__, "_running")

__all__ = [
    "CHECKS",
    "Check",
    "CloudView",
    "Estate",
    "Finding",
    "Level",
    "Need",
    "NotChecked",
    "Report",
    "RunningCloud",
    "Spot",
    "run",
]
