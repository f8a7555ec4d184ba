"""Cinder 24 to 29: records, options and adapters, and the drop-in.

The package does not import Cinder's volume manager or its flows, so that a
patch of these modules can import it.
"""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use
from clonepolicy.adapters.cinder._driver import backend_from_driver
from clonepolicy.adapters.cinder._driver_array import CinderArray
from clonepolicy.adapters.cinder._drop_in.reports import register_messages
from clonepolicy.adapters.cinder._errors import IncompatibleCinderError
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._options import config_from
from clonepolicy.adapters.cinder._records import (
    image_from_meta,
    locations_from_tuple,
    volume_from_model,
    volume_from_object,
)
from clonepolicy.adapters.cinder._volumes import CinderVolumes
from clonepolicy.adapters.conf._own import (
    Mode,
    Notes,
    Settings,
    list_opts,
    register_opts,
    settings_from,
)

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
    "image_from_meta",
    "list_opts",
    "locations_from_tuple",
    "register_messages",
    "register_opts",
    "settings_from",
    "volume_from_model",
    "volume_from_object",
]


if TYPE_CHECKING:
    from clonepolicy.adapters.cinder._drop_in.entry_points import (
        PolicyDriverMixin,
        PolicyVolumeManager,
    )
else:
    # Cinder's volume manager comes with the drop-in
    __getattr__, __dir__ = on_first_use(__name__, "_drop_in.entry_points")
