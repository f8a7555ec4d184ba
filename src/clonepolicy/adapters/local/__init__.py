"""A small real cloud in a directory (extra ``local``).

Images and volumes are sparse files; SQLite holds their records.  A pool on a
file system with reflinks clones without copying; any other pool copies, and
says so.  Several processes may use one directory at once, and each may be
killed at any instant: the next process that opens the cloud repairs it.
Repair removes no data that might be the only copy.
"""

from clonepolicy.adapters.local._check import Problem
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
    "Problem",
    "Uploaded",
    "VolumeRow",
]
