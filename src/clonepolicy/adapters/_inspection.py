"""Inspect the start of a disk, as a download inspects a raw image."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from clonepolicy import Image, IntegrityError
from clonepolicy.adapters import _formats
from clonepolicy.ports import Inspection

HEAD = 1 << 20
"""Bytes that are inspected: more than any format needs to be recognized."""

_RAW = Image(
    id="any", status="active", disk_format="raw", container_format="bare"
)


def inspect(read: Callable[[int, int], bytes], size: int) -> Inspection:
    """Inspect a disk of ``size`` bytes; ``read`` takes offset and length."""
    inspector = _formats.Inspector(_RAW)
    head = read(0, min(HEAD, size))
    try:
        deque(inspector.watch([head]), maxlen=0)
        inspector.finish()
    except IntegrityError:
        return Inspection.REFUSED
    return Inspection.PASSED


def inspect_file(fd: int) -> Inspection:
    """Inspect an open file."""
    size = os.fstat(fd).st_size
    return inspect(lambda at, length: os.pread(fd, length, at), size)
