"""A small real cloud in a directory (extra ``local``).

Images and volumes are sparse files; SQLite holds their records.  A pool on a
file system with reflinks clones without copying; any other pool copies, and
says so.  Several processes may use one directory at once, and each may be
killed at any instant: the next process that opens the cloud repairs it.
Repair removes no data that might be the only copy.
"""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use

if TYPE_CHECKING:
    from clonepolicy.adapters.local._check import Problem
    from clonepolicy.adapters.local._cloud import LocalCloud
    from clonepolicy.adapters.local._records import (
        Created,
        ImageRow,
        Pool,
        Uploaded,
        VolumeRow,
    )
else:
    # SQLite and the image formats take long to import
    __getattr__, __dir__ = on_first_use(
        __name__, "_records", "_check", "_cloud"
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
