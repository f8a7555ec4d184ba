"""A small real cloud in a directory (extra ``local``).

Images and volumes are sparse files; SQLite holds their records.  A pool on a
file system with reflinks clones without copying; any other pool copies, and
says so.  Several processes may use one directory at once, and each may be
killed at any instant: the next process that opens the cloud repairs it.
"""

from clonepolicy.adapters.local._cloud import LocalCloud
from clonepolicy.adapters.local._records import (
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
