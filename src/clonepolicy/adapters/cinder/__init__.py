"""Cinder 29: its objects as records, its drivers as arrays, the drop-in.

Records, options and adapters are for who patches Cinder itself, too, so
that importing this package does not import the modules that would be
patched: the volume manager and its flows.
"""

import importlib
from typing import Any

from clonepolicy.adapters.cinder._array import CinderArray
from clonepolicy.adapters.cinder._backend import backend_from_driver
from clonepolicy.adapters.cinder._config import (
    Mode,
    Notes,
    Settings,
    config_from,
    config_from_files,
    list_opts,
    register_opts,
    settings_from,
)
from clonepolicy.adapters.cinder._errors import IncompatibleCinderError
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._records import (
    image_from_meta,
    locations_from_tuple,
    volume_from_api,
    volume_from_model,
    volume_from_object,
)
from clonepolicy.adapters.cinder._report import register_messages
from clonepolicy.adapters.cinder._volumes import CinderVolumes

__all__ = [
    "CinderArray",
    "CinderImages",
    "CinderVolumes",
    "IncompatibleCinderError",
    "Mode",
    "Notes",
    "PolicyDriverMixin",
    "PolicyVolumeManager",
    "Settings",
    "backend_from_driver",
    "config_from",
    "config_from_files",
    "image_from_meta",
    "list_opts",
    "locations_from_tuple",
    "register_messages",
    "register_opts",
    "settings_from",
    "volume_from_api",
    "volume_from_model",
    "volume_from_object",
]


_DROP_INS = {
    "PolicyDriverMixin": "clonepolicy.adapters.cinder._mixin",
    "PolicyVolumeManager": "clonepolicy.adapters.cinder._manager",
}


def __getattr__(name: str) -> Any:
    """Import a drop-in when it is asked for: it imports Cinder's manager."""
    if name not in _DROP_INS:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(_DROP_INS[name]), name)
