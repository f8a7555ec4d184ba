"""Inspect the start of a disk, as a download does."""

from __future__ import annotations

import os
from collections.abc import Callable

from clonepolicy.adapters._formats import HEAD, foreign_format
from clonepolicy.ports import Inspection


def inspect(read: Callable[[int, int], bytes], size: int) -> Inspection:
    """Inspect a disk of ``size`` bytes; ``read`` takes offset and length."""
    if foreign_format(read(0, min(HEAD, size))) is None:
        return Inspection.PASSED
    return Inspection.REFUSED


def inspect_file(fd: int) -> Inspection:
    """Inspect an open file."""
    size = os.fstat(fd).st_size
    return inspect(lambda at, length: os.pread(fd, length, at), size)
