"""cinder.conf and glance-api.conf, read without Cinder and Glance.

The extra ``lint`` installs what this needs.
"""

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
