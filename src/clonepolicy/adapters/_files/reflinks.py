"""Reflinks: which files can share data, and sharing it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from clonepolicy import UnsupportedError
from clonepolicy.adapters._files import paths

# from linux/fs.h and linux/btrfs.h
_FICLONE = 0x40049409
_FS_IOC_GETFSUUID = 0x80111500
_BTRFS_IOC_FS_INFO = 0x8400941F

_BLOCK = bytes(1 << 16)
_CANNOT_SHARE = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS}
)


def file_system_id(directory: Path) -> str:
    """Identify the file system that a directory is on.

    Btrfs gives each subvolume its own device number but shares data between
    subvolumes, so only its UUID counts.  Elsewhere two copies of a file
    system may be mounted at once, and the device number tells them apart.
    """
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    flags = os.O_RDONLY | os.O_DIRECTORY
    with paths.closing(os.open(directory, flags)) as fd:
        info = bytearray(1024)
        if _answers(fd, _BTRFS_IOC_FS_INFO, info):
            return f"btrfs-{info[16:32].hex()}"
        uuid = bytearray(17)
        if _answers(fd, _FS_IOC_GETFSUUID, uuid) and any(uuid[1:]):
            return f"fs-{uuid[1:].hex()}-{number}"
    return f"dev-{number}"


def _answers(fd: int, request: int, answer: bytearray) -> bool:
    try:
        fcntl.ioctl(fd, request, answer)
    except OSError:
        return False
    return True


def can_reflink(directory: Path) -> bool:
    """Try whether files of a directory can share data, on unnamed files."""
    with paths.unnamed(directory) as source, paths.unnamed(directory) as new:
        os.write(source, _BLOCK)
        try:
            reflink(source, new)
        except UnsupportedError:
            return False
    return True


def reflink(source: int, target: int) -> None:
    """Let an empty open file share all data of another.

    Raises:
        UnsupportedError: these files cannot share data.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT_SHARE:
            message = (
                "these two files cannot share data; they must be on one file "
                "system, with the same attributes"
            )
            raise UnsupportedError(message) from error
        raise
