"""Errors of librados and librbd, translated into `AdapterError`."""

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
    "Ceph does not permit this; check the capabilities of rbd_user",
)
_FULL = (
    UnavailableError,
    "no space left; delete something or use another pool",
)
_SILENT = (
    UnavailableError,
    "the cluster does not answer; check it, and try again",
)
_UNABLE = (UnsupportedError, "the cluster does not support this")
_KINDS: Mapping[int, tuple[type[AdapterError], str]] = {
    errno.ENOENT: (NotFoundError, "it does not exist"),
    errno.EEXIST: (ConflictError, "data exists already; discard it first"),
    errno.ENOTEMPTY: (
        ConflictError,
        "it has snapshots that others took; remove them first",
    ),
    errno.EBUSY: (
        UnavailableError,
        "a client has it open, or had a moment ago; close it there, or wait",
    ),
    errno.EPERM: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ETIMEDOUT: _SILENT,
    errno.ENOTCONN: _SILENT,
    errno.ESHUTDOWN: (
        UnavailableError,
        "the cluster has blocked this client; open the array again",
    ),
    errno.EOPNOTSUPP: _UNABLE,
    errno.ENOSYS: _UNABLE,
}


def translate(action: str, error: Exception) -> AdapterError:
    """Translate an error of librados or librbd that ended an action."""
    number = getattr(error, "errno", None)
    kind, why = _KINDS.get(
        number or 0, (UnavailableError, "the cluster failed")
    )
    return kind(f"{action}: {why} ({error})")
