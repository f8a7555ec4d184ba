"""Sizes: GiB in records, bytes in files, and the checks between them."""

from __future__ import annotations

from clonepolicy import ConflictError, GiB, IntegrityError, Volume


def to_bytes(size: int) -> int:
    """Convert GiB to bytes."""
    return size * GiB


def to_gib(count: int) -> int:
    """Convert bytes to GiB, rounded up."""
    return -(-count // GiB)


def check_recorded(volume: Volume, actual: int) -> None:
    """Raise `IntegrityError` if stored bytes differ from the record's size."""
    if actual != to_bytes(volume.size):
        raise IntegrityError(
            f"volume {volume.id} has {actual} bytes, but its record says "
            f"{volume.size} GiB; correct the record"
        )


def check_not_larger(volume_id: str, actual: int, size: int) -> None:
    """Raise `ConflictError` if extending to ``size`` GiB would shrink."""
    if actual > to_bytes(size):
        raise ConflictError(
            f"volume {volume_id} has {actual} bytes, more than {size} GiB; "
            "extend it to a larger size"
        )
