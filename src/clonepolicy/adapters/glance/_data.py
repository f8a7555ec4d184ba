"""An image's data on its way: checked as it comes, counted as it goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Self

from clonepolicy import (
    Image,
    IntegrityError,
    NotFoundError,
    UnsupportedError,
)
from clonepolicy.adapters.glance._errors import told_as_adapter_error

_PIECE = 1024 * 1024
"""Bytes of one piece of a download: what is held in memory."""


def checked(image: Image, response: Any) -> Iterator[bytes]:  # noqa: ANN401 - requests carries no types here
    """Give an open response's data; close it, whatever happens.

    Raises:
        IntegrityError: the data is not what the image's record says.
        NotFoundError: there is none.
        UnsupportedError: the record's hash cannot be computed here.
        AdapterError: reading broke off.
    """
    what = f"downloading image {image.id}"
    try:
        if response.status_code == HTTPStatus.NO_CONTENT:
            message = f"{what}: Glance's store has no data for it"
            raise NotFoundError(message)
        seen = _hash(image)
        with told_as_adapter_error(what):
            pieces = iter(response.iter_content(_PIECE))
        size = 0
        while True:
            with told_as_adapter_error(what):
                piece = next(pieces, None)
            if piece is None:
                break
            size += len(piece)
            if image.size is not None and size > image.size:
                message = f"{what}: more than the {image.size} bytes recorded"
                raise IntegrityError(message)
            if seen is not None:
                seen.update(piece)
            yield piece
        if image.size not in {None, size}:
            message = f"{what}: {size} of the {image.size} bytes recorded"
            raise IntegrityError(message)
        if seen is not None and seen.hexdigest() != image.os_hash_value:
            message = f"{what}: its {image.os_hash_algo} is another"
            raise IntegrityError(message)
    finally:
        response.close()


def _hash(image: Image) -> hashlib._Hash | None:
    if image.os_hash_algo is None or image.os_hash_value is None:
        return None
    try:
        return hashlib.new(image.os_hash_algo)
    except ValueError:
        message = (
            f"image {image.id} is hashed by {image.os_hash_algo}, which is "
            "not known here"
        )
        raise UnsupportedError(message) from None


class Source:
    """The file that glanceclient wants, over pieces of data.

    Leaving it raises what the pieces' own iterator raised, which the client
    takes for an error of the connection.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Read nothing yet."""
        self._pieces = iter(pieces)
        self.size = 0
        """Bytes given so far."""
        self.ended = False
        """All was given."""
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Raise what the pieces' iterator raised, if it did."""
        if self._error is not None:
            raise self._error from None

    def read(self, _size: int) -> bytes:
        """Give the next piece, of whatever length; nothing at the end."""
        try:
            for piece in self._pieces:
                if piece:
                    self.size += len(piece)
                    return piece
        except Exception as error:
            self._error = error
            raise
        self.ended = True
        return b""
