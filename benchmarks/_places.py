"""Where what moves or shares data is timed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_SIZE = 40 << 30


@contextlib.contextmanager
def place(below: Path | None) -> Iterator[tuple[Path, list[str]]]:
    """Give an empty directory, on an XFS with reflinks where possible."""
    with tempfile.TemporaryDirectory(dir=below) as made:
        directory = Path(made)
        device, mount = directory / "xfs.img", directory / "xfs"
        mount.mkdir()
        why = _mount(device, mount)
        if why is not None:
            yield mount, [f"NO XFS OF ITS OWN ({why}): on {below or made}"]
            return
        try:
            yield mount, ["on an XFS mounted from a sparse file"]
        finally:
            _run("umount", "--lazy", str(mount))


def _mount(device: Path, mount: Path) -> str | None:
    if os.geteuid() != 0:
        return "mounting takes root"
    if shutil.which("mkfs.xfs") is None or shutil.which("mount") is None:
        return "mkfs.xfs or mount is not installed"
    with device.open("wb") as file:
        file.truncate(_SIZE)
    return _run("mkfs.xfs", "-q", "-m", "reflink=1", str(device)) or _run(
        "mount", "-o", "loop", str(device), str(mount)
    )


def _run(*command: str) -> str | None:
    done = subprocess.run(  # noqa: S603 - commands named here
        command, check=False, capture_output=True, text=True
    )
    return (done.stderr.strip() or "failed") if done.returncode else None


def settle(directory: Path, pause: float = 0) -> None:
    """Let the file system finish what earlier turns left to it.

    A pause lets the next turn come as a request does, out of the blue;
    without one it comes while everything is still warm.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)
    time.sleep(pause)
