"""The bytes that a volume should hold: a few islands of data, and zeros."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import attrs

from clonepolicy.testing.conformance._check import fail, require_equal

_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


@attrs.define
class Content:
    """The bytes of a volume, most of them zero."""

    size: int
    """Bytes."""
    islands: list[tuple[int, bytes]] = attrs.field(factory=list)
    """Offsets and data; a later island overwrites earlier ones."""

    @classmethod
    def make(cls, size: int, data: int, seed: str) -> Content:
        """Put random data at the beginning, in the middle and at the end."""
        chance = random.Random(seed)  # noqa: S311 - any bytes will do
        part = data // 4
        return cls(
            size,
            [
                (0, chance.randbytes(2 * part)),
                (size // 2, chance.randbytes(part)),
                (size - part, chance.randbytes(part)),
            ],
        )

    def copy(self, size: int | None = None) -> Content:
        """Return a copy, of another size if one is given."""
        return Content(self.size if size is None else size, list(self.islands))

    def put(self, offset: int, data: bytes) -> None:
        """Overwrite bytes at an offset."""
        self.islands.append((offset, data))

    def pieces(self) -> Iterator[bytes]:
        """Return all bytes, in pieces."""
        for at in range(0, self.size, _PIECE):
            yield self._piece(at, min(_PIECE, self.size - at))

    def _piece(self, at: int, length: int) -> bytes:
        end = at + length
        hits = [
            (offset, data)
            for offset, data in self.islands
            if offset < end and offset + len(data) > at
        ]
        if not hits:
            return _ZEROS if length == _PIECE else bytes(length)
        made = bytearray(length)
        for offset, data in hits:
            first = max(at, offset)
            last = min(end, offset + len(data))
            made[first - at : last - at] = data[first - offset : last - offset]
        return bytes(made)

    def compare(self, pieces: Iterable[bytes], what: str) -> None:
        """Fail unless the pieces are exactly these bytes."""
        at = 0
        for piece in pieces:
            if at + len(piece) > self.size:
                fail(f"{what}: has more than {self.size} bytes")
            for part in range(0, len(piece), _PIECE):
                got = piece[part : part + _PIECE]
                if got != self._piece(at + part, len(got)):
                    fail(f"{what}: wrong bytes from offset {at + part}")
            at += len(piece)
        require_equal(at, self.size, f"{what}: size in bytes")
