"""The disk image of the demo: make it, convert it, hash it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy.cli._progress import Tick

_PIECE = 1 << 20
_SIZE, _DATA_EVERY = 256 * _PIECE, 3


def make_disk(path: Path) -> None:
    """Make a disk image of random data with holes in it."""
    with path.open("wb") as file:
        for at in range(0, _SIZE, _DATA_EVERY * _PIECE):
            file.seek(at)
            file.write(os.urandom(_PIECE))
        file.truncate(_SIZE)


def raw_copy(source: Path, disk_format: str, target: Path) -> Path:
    """Return ``source`` if it is raw, or else convert it to ``target``.

    Raises:
        CliError: qemu-img is not installed, or cannot convert the image.
    """
    if disk_format in {"raw", "iso"}:
        return source
    qemu_img = shutil.which("qemu-img") or "qemu-img"
    kind = {"vhd": "vpc"}.get(disk_format, disk_format)
    command = [qemu_img, "convert", "-f", kind, "-O", "raw"]
    try:
        subprocess.run(  # noqa: S603 - paths are absolute
            [*command, str(source.resolve()), str(target)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"{source}: qemu-img cannot convert it: {error}"
        raise CliError(
            Exit.FAILED, message, "use a raw or qcow2 image"
        ) from None
    return target


def sha256(path: Path, length: int, tick: Tick) -> str:
    """Hash the first ``length`` bytes of a file."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while length and (piece := file.read(min(length, _PIECE))):
            made.update(piece)
            length -= len(piece)
            tick(len(piece))
    return made.hexdigest()
