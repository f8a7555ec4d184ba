"""cinder.conf and glance-api.conf, read without Cinder and Glance.

The extra ``lint`` installs what this needs.
"""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use

if TYPE_CHECKING:
    from clonepolicy.adapters.conf._cinder import CinderConf, config_from_file
    from clonepolicy.adapters.conf._glance import (
        GlanceConf,
        glance_config_from_file,
    )
    from clonepolicy.adapters.conf._options import (
        CINDER,
        GLANCE,
        RELEASES,
        Kind,
        Option,
    )
    from clonepolicy.adapters.conf._read import Assignment, Value, files_of
else:
    # the table of options needs no oslo.config
    __getattr__, __dir__ = on_first_use(
        __name__, "_options", "_read", "_glance", "_cinder"
    )

__all__ = [
    "CINDER",
    "GLANCE",
    "RELEASES",
    "Assignment",
    "CinderConf",
    "GlanceConf",
    "Kind",
    "Option",
    "Value",
    "config_from_file",
    "files_of",
    "glance_config_from_file",
]
