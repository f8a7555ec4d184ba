"""What Cinder raises, told as the ports tell it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

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

# the first that fits; Cinder's own classes are not a tree of kinds
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
}
"""What the RBD driver lets out of librbd, which need not be there."""


class IncompatibleCinderError(ClonePolicyError):
    """The installed Cinder is not the one that this adapter was made for."""


@contextlib.contextmanager
def told_as_adapter_error(what: str) -> Iterator[None]:
    """Turn whatever Cinder or a driver raises into an `AdapterError`.

    A driver may raise anything, and whatever it is, the plan has to go on.
    Where it tells every failure as one error of its own, what that was
    raised for says the kind.  The text names the class only: a driver's own
    may hold credentials.  Of a fact that cannot be it says what was found.
    """
    try:
        yield
    except AdapterError:
        raise
    except Exception as error:
        known = filter(None, map(_kind_of, _causes(error)))
        kind = next(known, AdapterError)
        fact = isinstance(error, FactError)
        message = f"{what}: {error if fact else type(error).__name__}"
        raise kind(message) from error


def _kind_of(error: BaseException) -> type[AdapterError] | None:
    if type(error).__module__ == "rbd":
        return _LIBRBD.get(type(error).__name__)
    fitting = (kind for kinds, kind in _KINDS if isinstance(error, kinds))
    return next(fitting, None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
