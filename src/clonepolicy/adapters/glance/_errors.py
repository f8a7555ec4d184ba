"""Translate the errors of a Glance client into `AdapterError`."""

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
# OSError: the base of every error of the requests library
_NO_ANSWER = (
    exc.CommunicationError,
    exc.InvalidEndpoint,
    keystone.ConnectionError,
    OSError,
)


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise every error of a Glance client as an `AdapterError`.

    The message contains only the error's class or the HTTP status, and the
    original error is not chained: Glance's answers and the client's
    connection errors contain URLs with credentials.
    """
    try:
        yield
    except FactError as error:
        message = f"{action}: {error.field} is not {error.expected}"
        raise AdapterError(message) from None
    except ClonePolicyError:
        raise
    except Exception as error:  # noqa: BLE001 - a client may raise anything
        raise _translated(action, error) from None


def _translated(action: str, error: Exception) -> AdapterError:
    # some of these are ValueErrors too: the answer came and is not readable
    if isinstance(error, _NO_ANSWER) and not isinstance(error, ValueError):
        return UnavailableError(f"{action}: {type(error).__name__}")
    if isinstance(error, exc.HTTPException):
        status: object = error.code
    elif isinstance(error, keystone.HttpError):
        status = error.http_status
    else:
        return AdapterError(f"{action}: {type(error).__name__}")
    return _KINDS.get(status, AdapterError)(f"{action}: HTTP {status}")
