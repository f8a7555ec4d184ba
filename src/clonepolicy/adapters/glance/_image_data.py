"""Image data: verified while it is downloaded, counted while uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Self

from clonepolicy import Image, IntegrityError, NotFoundError, UnsupportedError
from clonepolicy.adapters.glance._errors import translate_errors

_CHUNK = 1024 * 1024
"""Bytes of a download that are in memory at once."""


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
            message = f"{action}: Glance's store has no data for it"
            raise NotFoundError(message)
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
                message = (
                    f"{action}: more than the {image.size} bytes recorded"
                )
                raise IntegrityError(message)
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
        message = (
            f"image {image.id}: this machine cannot compute its hash, "
            f"{image.os_hash_algo}"
        )
        raise UnsupportedError(message) from None


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
