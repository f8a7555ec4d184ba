"""The reserve: space that is given up so that things can be deleted.

Deleting writes to the catalogue first.  On a full file system there is room
for that only if some was kept.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from clonepolicy import UnavailableError
from clonepolicy.adapters._files import paths

_SIZE = 1 << 20
NAME = "reserve"


def keep(root: Path) -> None:
    """Allocate the reserve, if it is missing; call it before adding data.

    Raises:
        UnavailableError: it is missing, and there is no space for it.
    """
    path = root / NAME
    if paths.bytes_on_disk(path) >= _SIZE:
        return
    if paths.free(root) < 2 * _SIZE:
        raise UnavailableError(f"no space left in {root}; delete something")
    _allocate(path)


def restore(root: Path) -> None:
    """Allocate what there is space for; call it after removing data."""
    with contextlib.suppress(OSError):
        _allocate(root / NAME)


def _allocate(path: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with paths.closing(os.open(path, flags, 0o600)) as fd:
        os.posix_fallocate(fd, 0, _SIZE)


def release(root: Path) -> None:
    """Free the reserve, if there is hardly any other space.

    Call it before anything that removes data, so that this can be recorded.
    """
    with contextlib.suppress(OSError):  # the next write reports it
        if paths.free(root) < _SIZE:
            paths.remove(root / NAME)
