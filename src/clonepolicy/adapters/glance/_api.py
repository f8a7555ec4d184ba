"""The Image API by a glanceclient: errors, retries, requests and data."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

import attrs
import tenacity
from glanceclient import exc
from keystoneauth1 import exceptions as keystone

from clonepolicy import (
    AdapterError,
    ClonePolicyError,
    ConflictError,
    FactError,
    ForbiddenError,
    Image,
    IntegrityError,
    NotFoundError,
    QuotaError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.records import has_location_api

T = TypeVar("T")
_UNAVAILABLE = tenacity.retry_if_exception_type(UnavailableError)
_GROWTH = 1.1
"""How much longer each pause between two looks is, so that the last one, in
which the task ends, is about a tenth of the whole wait."""
_CHUNK = 1024 * 1024
"""Bytes of a download that are in memory at once."""
_PATCH = "application/openstack-images-v2.1-json-patch"
_KINDS: dict[object, type[AdapterError]] = {
    **dict.fromkeys((401, 403), ForbiddenError),
    404: NotFoundError,
    **dict.fromkeys((405, 501), UnsupportedError),
    409: ConflictError,
    413: QuotaError,
    **dict.fromkeys((500, 502, 503, 504), UnavailableError),
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


def _positive(
    _instance: object, attribute: attrs.Attribute[Any], value: float
) -> None:
    if type(value) not in {int, float} or not value > 0:
        field = f"Patience.{attribute.name}"
        raise FactError(field, value, "a number > 0")


@attrs.frozen(kw_only=True)
class Patience:
    """How long to wait for Glance.

    The pauses before a request is repeated grow exponentially, with jitter;
    those between two looks at a background task each by a tenth.  The client
    itself sets the timeout of a single request.
    """

    attempts: int = attrs.field(default=3, validator=_positive)
    """How often a request that may be repeated is sent, the first included."""
    first: float = attrs.field(default=0.5, validator=_positive)
    """Upper bound of the first pause before a repetition, in seconds."""
    look: float = attrs.field(default=0.05, validator=_positive)
    """The first pause between two looks, in seconds."""
    longest: float = attrs.field(default=10.0, validator=_positive)
    """Upper bound of every pause, in seconds."""
    total: float = attrs.field(default=300.0, validator=_positive)
    """How long to wait for a background task of Glance, in seconds."""
    grace: float = attrs.field(default=5.0, validator=_positive)
    """How long a request without an answer may still arrive, in seconds."""

    def repeat(self, call: Callable[[], T]) -> T:
        """Send a request, and again while the service is unavailable.

        Raises:
            AdapterError: the error of the last attempt.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_random_exponential(self.first, self.longest),
            retry=_UNAVAILABLE,
            reraise=True,
        )
        result: T = retrying(call)
        return result

    def wait_until(self, action: str, is_done: Callable[[], bool]) -> None:
        """Ask until ``is_done`` returns true; outages are waited out.

        Raises:
            UnavailableError: it did not return true within ``total``.
            AdapterError: any other error of ``is_done``, at once.
        """
        not_done = tenacity.retry_if_result(lambda done: not done)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self.total),
            wait=tenacity.wait_exponential(
                self.look, self.longest, exp_base=_GROWTH
            ),
            retry=not_done | _UNAVAILABLE,
            reraise=True,
        )
        try:
            retrying(is_done)
        except tenacity.RetryError:
            message = f"{action}: not done after {self.total} s"
            raise UnavailableError(message) from None


def verified_data(image: Image, response: Any) -> Iterator[bytes]:  # noqa: ANN401 - requests carries no types here
    """Yield an open response's data, and close the response at the end.

    Raises:
        IntegrityError: size or hash differ from the image's record.
        NotFoundError: Glance's store has no data.
        UnsupportedError: this machine cannot compute the recorded hash.
        AdapterError: the connection failed.
    """
    action = f"downloading image {image.id}"
    try:
        if response.status_code == HTTPStatus.NO_CONTENT:
            raise NotFoundError(f"{action}: Glance's store has no data for it")
        digest = _new_hash(image)
        with translate_errors(action):
            chunks = iter(response.iter_content(_CHUNK))
        size = 0
        while True:
            with translate_errors(action):
                chunk = next(chunks, None)
            if chunk is None:
                break
            size += len(chunk)
            if image.size is not None and size > image.size:
                raise IntegrityError(
                    f"{action}: more than the {image.size} bytes recorded"
                )
            if digest is not None:
                digest.update(chunk)
            yield chunk
        if image.size not in {None, size}:
            message = f"{action}: {size} of the {image.size} bytes recorded"
            raise IntegrityError(message)
        if digest is not None and digest.hexdigest() != image.os_hash_value:
            message = f"{action}: {image.os_hash_algo} differs from the record"
            raise IntegrityError(message)
    finally:
        response.close()


def _new_hash(image: Image) -> hashlib._Hash | None:
    if image.os_hash_algo is None or image.os_hash_value is None:
        return None
    try:
        return hashlib.new(image.os_hash_algo)
    except ValueError:
        raise UnsupportedError(
            f"image {image.id}: this machine cannot compute its hash, "
            f"{image.os_hash_algo}"
        ) from None


class UploadStream:
    """A file object over chunks of data, as glanceclient reads it.

    glanceclient reports an error of the chunks' iterator as an error of the
    connection.  Leaving the context raises the original error instead.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Take the data; nothing is read yet."""
        self._chunks = iter(chunks)
        self.size = 0
        """Bytes read so far."""
        self.exhausted = False
        """Whether all data was read."""
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        """Enter the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Raise the error of the chunks' iterator, if there was one."""
        if self._error is not None:
            raise self._error from None

    def read(self, _size: int) -> bytes:
        """Return the next chunk, of any length; ``b""`` at the end."""
        try:
            for chunk in self._chunks:
                if chunk:
                    self.size += len(chunk)
                    return chunk
        except Exception as error:
            self._error = error
            raise
        self.exhausted = True
        return b""


def _path(image_id: str, below: str = "") -> str:
    return f"/v2/images/{quote(image_id, safe='', errors='replace')}{below}"


def _endpoint_of(client: Any) -> str | None:  # noqa: ANN401 - glanceclient has no types
    """Return a client's endpoint; None if only its catalog says it."""
    http = client.http_client
    found = getattr(http, "endpoint_override", None)
    return found or getattr(http, "endpoint", None)


@attrs.frozen
class GlanceApi:
    """The Image API as one glanceclient reaches it.

    The methods use the client's ``http_client``.  glanceclient's own methods
    send several requests each, and do not report which one failed.  GET
    requests are repeated as `Patience` allows; all errors are
    `AdapterError`.
    """

    _client: Any = attrs.field(repr=False)
    _patience: Patience
    _endpoints: set[str] = attrs.field(factory=set, repr=False)
    """Those that have had the locations API, which no later release removes.

    A caller with many clients may keep the set.
    """

    def _get(self, action: str, path: str) -> tuple[Any, Any]:
        def call() -> tuple[Any, Any]:
            with translate_errors(action):
                response, body = self._client.http_client.get(path)
                return response, body

        return self._patience.repeat(call)

    def has_location_api(self) -> bool:
        """Return whether Glance has POST and GET ``…/locations``."""
        action = "reading Glance's versions"
        with translate_errors(action):
            endpoint = _endpoint_of(self._client)
        if endpoint in self._endpoints:
            return True
        _, body = self._get(action, "/versions")
        with translate_errors(action):
            found = has_location_api(body)
        if found and endpoint is not None:
            self._endpoints.add(endpoint)
        return found

    def _require_location_api(self) -> None:
        if not self.has_location_api():
            message = "Glance does not have API version v2.17"
            raise UnsupportedError(message)

    def image(self, image_id: str) -> Mapping[str, Any]:
        """Read an image; ``status`` is the only field that is checked."""
        action = f"reading image {image_id}"
        _, body = self._get(action, _path(image_id))
        with translate_errors(action):
            if not isinstance(body, Mapping):
                raise FactError("Image", body, "a mapping of fields")
            if not isinstance(body.get("status"), str):
                raise FactError("Image.status", body.get("status"), "text")
        return body

    def status(self, image_id: str) -> str:
        """Read an image's status."""
        return str(self.image(image_id)["status"])

    def locations(self, image_id: str) -> Sequence[Mapping[str, Any]]:
        """Read an image's locations by the locations API."""
        self._require_location_api()
        _, body = self._get(
            f"reading locations of image {image_id}",
            _path(image_id, "/locations"),
        )
        locations: Sequence[Mapping[str, Any]] = body
        return locations

    def import_tasks(self, image_id: str) -> list[tuple[str, str]]:
        """Read Glance's tasks that register a location: URL and status.

        404 means that there are none: the service user does not see the
        image, and so registered nothing, or Glance has no such tasks.
        """
        action = f"reading tasks of image {image_id}"
        try:
            _, body = self._get(action, _path(image_id, "/tasks"))
        except NotFoundError:
            return []
        with translate_errors(action):
            return [
                (str(task["input"]["loc_url"]), str(task["status"]))
                for task in body["tasks"]
                if task["type"] == "location_import"
            ]

    def post_location(self, image_id: str, url: str) -> None:
        """Have Glance register a location in a background task.

        No validation data is sent.  Glance would either trust it without a
        check, or hash the image before the image becomes active.
        """
        self._require_location_api()
        with translate_errors(f"registering {url} on image {image_id}"):
            self._client.http_client.post(
                _path(image_id, "/locations"), data={"url": url}
            )

    def patch_location(self, image_id: str, url: str) -> None:
        """Have Glance register a location at once.

        Glance allows this with ``show_multiple_locations`` only.
        """
        value = {"url": url, "metadata": {}}
        change = [{"op": "add", "path": "/locations/-", "value": value}]
        with translate_errors(f"registering {url} on image {image_id}"):
            self._client.http_client.patch(
                _path(image_id),
                headers={"Content-Type": _PATCH},
                data=json.dumps(change),
            )

    def open_data(self, image_id: str) -> Any:  # noqa: ANN401 - requests carries no types here
        """Start to download an image's data; return the open response."""
        response, _ = self._get(
            f"opening the data of image {image_id}", _path(image_id, "/file")
        )
        return response

    def put_data(self, image_id: str, data: UploadStream) -> None:
        """Upload an image's data."""
        with translate_errors(f"uploading to image {image_id}"):
            self._client.http_client.put(
                _path(image_id, "/file"),
                headers={"Content-Type": "application/octet-stream"},
                data=data,
            )

    def delete(self, image_id: str) -> None:
        """Delete an image and all its data."""
        with translate_errors(f"deleting image {image_id}"):
            self._client.http_client.delete(_path(image_id))
