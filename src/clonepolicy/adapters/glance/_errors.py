"""What glanceclient raises, told as the ports tell it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from glanceclient import exc
from keystoneauth1 import exceptions as keystone

from clonepolicy import (
    AdapterError,
    ClonePolicyError,
    ConflictError,
    FactError,
    ForbiddenError,
    NotFoundError,
    QuotaError,
    UnavailableError,
    UnsupportedError,
)

_KINDS: dict[object, type[AdapterError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    405: UnsupportedError,
    409: ConflictError,
    413: QuotaError,
    500: UnavailableError,
    501: UnsupportedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
# OSError: all of requests' errors are
_UNANSWERED = (
    exc.CommunicationError,
    exc.InvalidEndpoint,
    keystone.ConnectionError,
    OSError,
)


@contextlib.contextmanager
def told_as_adapter_error(what: str) -> Iterator[None]:
    """Turn whatever a client of Glance raises into an `AdapterError`.

    The text names the kind or the HTTP status only: Glance's answers, and
    what its client says of connections, hold URLs with credentials.  For
    the same reason nothing is chained.
    """
    try:
        yield
    except FactError as error:
        message = f"{what}: {error.field} is not {error.expected}"
        raise AdapterError(message) from None
    except ClonePolicyError:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised as another
        raise _told(what, error) from None


def _told(what: str, error: Exception) -> AdapterError:
    unintelligible = isinstance(error, ValueError)
    if isinstance(error, _UNANSWERED) and not unintelligible:
        return UnavailableError(f"{what}: {type(error).__name__}")
    if isinstance(error, exc.HTTPException):
        status: object = error.code
    elif isinstance(error, keystone.HttpError):
        status = error.http_status
    else:
        return AdapterError(f"{what}: {type(error).__name__}")
    return _KINDS.get(status, AdapterError)(f"{what}: HTTP {status}")
