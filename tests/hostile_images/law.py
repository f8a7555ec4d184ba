"""The law: refused, or the volume's bytes come from the image alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from clonepolicy import AdapterError, Image
from hostile_images.canaries import Member, plant

TOKENS = (b"canary of host A", b"other of host B!")
Fill = Callable[[Image, bytes], Iterable[bytes]]
"""Fill a volume from an image's data, and yield the volume's."""


def record(member: Member) -> Image:
    """Describe a member as Glance would."""
    return Image(
        id=member.name.replace(" ", "-"),
        status="active",
        disk_format=member.disk_format,
        container_format="bare",
        size=len(member.data),
    )


def outcome(fill: Fill, member: Member) -> str | None:
    """Return a hash of the volume; None: the image is refused.

    The canaries must not be in the volume.
    """
    digest, before, hole = hashlib.sha256(), b"", b""
    try:
        for piece in fill(record(member), member.data):
            # a hole of a file is the same object each time
            if piece is hole or piece == bytes(len(piece)):
                hole = piece
                continue
            digest.update(piece)
            for token in TOKENS:
                assert token not in before + piece, member.name
            before = piece[-len(TOKENS[0]) :]
    except AdapterError:
        return None
    return digest.hexdigest()


def accepted(
    fill: Fill, members: Iterable[Member], canaries: Path
) -> set[str]:
    """Check the law; return the names of what was accepted.

    Each image is filled in twice, on hosts whose canaries differ.  The
    canaries must lie in the current directory.
    """
    members = tuple(members)
    found = []
    for token in TOKENS:
        plant(canaries, token)
        found.append({each.name: outcome(fill, each) for each in members})
    assert found[0] == found[1]
    return {name for name, digest in found[0].items() if digest is not None}
