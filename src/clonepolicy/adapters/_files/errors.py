"""Errors of the operating system, translated into `AdapterError`."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator

from clonepolicy import (
    AdapterError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PERMISSION = "permission denied; check who may read and write there"
_REMEDIES = {
    errno.EFBIG: (
        "the file system cannot store a file that large; make it smaller or "
        "use another pool"
    ),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "the file system is read-only; remount it read-write",
    errno.EIO: "I/O error; check the disk and the system's log",
}
_MARK = "_clonepolicy_passthrough"
"""The attribute that `passthrough` sets on an error."""


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise an `OSError` of a block as an `AdapterError`.

    The message begins with ``action``.  Errors that `passthrough` marked
    are raised unchanged.
    """
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        if _MARK in vars(error):
            raise
        raise _translate(action, error) from error


def passthrough(data: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a caller's data; `translate_errors` leaves its errors alone."""
    try:
        yield from data
    except (OSError, UnicodeEncodeError) as error:
        vars(error)[_MARK] = True
        raise


def _translate(
    action: str, error: OSError | UnicodeEncodeError
) -> AdapterError:
    if isinstance(error, UnicodeEncodeError):
        message = f"{action}: no file or record can have such a name"
        return NotFoundError(message)
    if isinstance(error, FileNotFoundError):
        missing = error.filename or "the data"
        return NotFoundError(f"{action}: {missing} does not exist")
    if isinstance(error, FileExistsError):
        message = f"{action}: data exists already; discard it first"
        return ConflictError(message)
    if error.errno in _FULL:
        return UnavailableError(
            f"{action}: no space left; delete something or use another pool"
        )
    why = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return UnavailableError(f"{action}: {why}")
