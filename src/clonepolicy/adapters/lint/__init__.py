"""Misconfigurations that cinder.conf and glance-api.conf show, as data."""

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
    "Spot",
    "run",
]
