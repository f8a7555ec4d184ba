"""Translate the errors of Cinder and its drivers into `AdapterError`."""

from __future__ import annotations

import contextlib
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from cinder import exception
from oslo_db import exception as db_exception

from clonepolicy import (
    AdapterError,
    CloneLimitError,
    ClonePolicyError,
    ConflictError,
    FactError,
    ForbiddenError,
    IntegrityError,
    NotFoundError,
    QuotaError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy._text import printable_lines

# the first match counts: a class of Cinder may belong to several kinds
_KINDS: tuple[tuple[tuple[type[Exception], ...], type[AdapterError]], ...] = (
    ((exception.SnapshotLimitReached,), CloneLimitError),
    ((exception.QuotaError, exception.OverQuota), QuotaError),
    ((NotImplementedError,), UnsupportedError),
    ((exception.NotAuthorized, exception.ImageNotAuthorized), ForbiddenError),
    ((exception.ImageUnacceptable, exception.ImageTooBig), IntegrityError),
    ((exception.NotFound,), NotFoundError),
    ((exception.VolumeIsBusy, exception.Invalid), ConflictError),
    ((db_exception.DBDuplicateEntry,), ConflictError),
    (
        (exception.GlanceConnectionFailed, db_exception.DBError, OSError),
        UnavailableError,
    ),
)

_LIBRBD: Mapping[str, type[AdapterError]] = {
    "ImageExists": ConflictError,
    "ImageNotFound": NotFoundError,
    "ImageBusy": ConflictError,
    "ImageHasSnapshots": ConflictError,
    "PermissionError": ForbiddenError,
    "PermissionDeniedError": ForbiddenError,
    "TimedOut": UnavailableError,
    "Timeout": UnavailableError,
    "InterruptedOrTimeoutError": UnavailableError,
    "ConnectionShutdown": UnavailableError,
}
"""Errors of librbd and librados, by name: they need not be installed.

librados calls a missing key an ``ObjectNotFound``, which is no answer.
"""


class IncompatibleCinderError(ClonePolicyError):
    """The installed Cinder is not the release that this adapter supports."""


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise every error of Cinder or a driver as an `AdapterError`.

    A driver may raise anything, and the plan has to continue.  The kind is
    that of the error or of the first of its causes that has one.  The
    message contains the error's class only, because a driver's own text may
    contain credentials; a `FactError` is quoted in full.
    """
    try:
        yield
    except AdapterError:
        raise
    except Exception as error:
        raise translated(action, error) from error


def translated(action: str, error: Exception) -> AdapterError:
    """Return an error of Cinder or a driver as an `AdapterError`."""
    known = filter(None, map(_kind_of, _with_causes(error)))
    kind = next(known, AdapterError)
    quoted = isinstance(error, FactError)
    return kind(f"{action}: {error if quoted else type(error).__name__}")


@contextlib.contextmanager
def surviving(logger: Any, failure: str) -> Iterator[None]:
    """Log what the block raises as a warning, and go on.

    What Cinder does must not fail because something beside it does.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        logger.warning("clonepolicy %s\n%s", failure, traced(error))


def traced(error: BaseException) -> str:
    """Write a traceback in lines that are printable and indented.

    Errors of Cinder, of Glance and of drivers quote what tenants write, and
    so may hold a text that looks like a line of a log.
    """
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    return textwrap.indent(printable_lines(text), "  ", lambda _: True)


def _kind_of(error: BaseException) -> type[AdapterError] | None:
    if type(error).__module__ in {"rbd", "rados"}:
        return _LIBRBD.get(type(error).__name__)
    matching = (kind for kinds, kind in _KINDS if isinstance(error, kinds))
    return next(matching, None)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
