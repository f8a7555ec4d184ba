"""Errors of SQLite and of files, translated into `AdapterError`."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from clonepolicy import AdapterError, ConflictError, UnavailableError
from clonepolicy.adapters._files import errors

_DAMAGED = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)
_FORBIDDEN = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise an error of SQLite or a file as an `AdapterError`.

    The message begins with ``action``.
    """
    with errors.translate_errors(action):
        try:
            yield
        except sqlite3.Error as error:
            raise _translate(action, error) from error


def damaged(action: str, why: str) -> UnavailableError:
    """Return the error of a damaged catalogue."""
    return UnavailableError(
        f"{action}: catalogue.sqlite, the cloud's catalogue, is damaged: "
        f"{why}; restore it from a backup, or init another cloud elsewhere"
    )


def _translate(action: str, error: sqlite3.Error) -> AdapterError:
    if isinstance(error, sqlite3.IntegrityError):
        return ConflictError(f"{action}: the catalogue forbids it: {error}")
    # the higher bits hold the extended code
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
    if code in _DAMAGED:
        return damaged(action, str(error))
    if code in _FORBIDDEN:
        message = (
            f"{action}: the cloud's catalogue cannot be used: {error}; check "
            "who may read and write catalogue.sqlite and its directory"
        )
    elif code == sqlite3.SQLITE_FULL:
        message = (
            f"{action}: no space left for the catalogue; delete something"
        )
    else:
        message = (
            f"{action}: the catalogue cannot be used now: {error}; try again"
        )
    return UnavailableError(message)
