"""What librados and librbd say, as errors of our own."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)

_FORBIDDEN = (
    ForbiddenError,
    "Ceph does not permit it; check the capabilities of rbd_user",
)
_FULL = (
    UnavailableError,
    "no space left; delete something or use another pool",
)
_SILENT = (
    UnavailableError,
    "the cluster does not answer; check it, and try again",
)
_UNABLE = (UnsupportedError, "the cluster cannot do this")
_KINDS: Mapping[int, tuple[type[AdapterError], str]] = {
    errno.ENOENT: (NotFoundError, "it is not there"),
    errno.EEXIST: (ConflictError, "there is data already; discard it first"),
    errno.ENOTEMPTY: (
        ConflictError,
        "it has snapshots of somebody else's; remove them first",
    ),
    errno.EBUSY: (
        UnavailableError,
        "it is open elsewhere, or was a moment ago; close it there, or wait",
    ),
    errno.EPERM: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ETIMEDOUT: _SILENT,
    errno.ENOTCONN: _SILENT,
    errno.ESHUTDOWN: (
        UnavailableError,
        "the cluster has shut this client out; open the array again",
    ),
    errno.EOPNOTSUPP: _UNABLE,
    errno.ENOSYS: _UNABLE,
}


def adapt(what: str, error: Exception) -> AdapterError:
    """Make an error of librados or librbd our own; name what was done."""
    number = getattr(error, "errno", None)
    kind, why = _KINDS.get(
        number or 0, (UnavailableError, "the cluster does not do it")
    )
    return kind(f"{what}: {why} ({error})")
