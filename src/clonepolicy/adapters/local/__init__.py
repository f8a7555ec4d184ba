"""A small real cloud in a directory (extra ``local``).

Images and volumes are sparse files, catalogued in SQLite; a pool on a file
system with reflinks clones in no time and says so, any other copies and
says that.  Several processes may use one directory at once, and each may
be killed at any instant: whoever opens the cloud next puts it in order.
"""

from clonepolicy.adapters.local._cloud import LocalCloud
from clonepolicy.adapters.local._rows import (
    Created,
    ImageRow,
    Pool,
    Uploaded,
    VolumeRow,
)

__all__ = [
    "Created",
    "ImageRow",
    "LocalCloud",
    "Pool",
    "Uploaded",
    "VolumeRow",
]
