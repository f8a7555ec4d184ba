"""The reserve: space that is given up so that things can be deleted.

Deleting writes to the catalogue first.  On a full file system there is room
for that only if some was kept.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from clonepolicy.adapters._files import paths

_SIZE = 1 << 20
NAME = "reserve"


def keep(root: Path) -> None:
    """Allocate the reserve, all that is missing, if there is ample space."""
    if paths.free(root) < 2 * _SIZE:
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    # without it everything works but deleting on a full file system
    with (
        contextlib.suppress(OSError),
        paths.closing(os.open(root / NAME, flags, 0o600)) as fd,
    ):
        os.posix_fallocate(fd, 0, _SIZE)


def release(root: Path) -> None:
    """Free the reserve, if there is hardly any other space."""
    if paths.free(root) < _SIZE:
        paths.remove(root / NAME)
