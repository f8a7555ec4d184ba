"""Files of the host, and the ways in which an image names them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hostile_images import qcow2, vmdk

NAMES = ("canary.raw", "canary.qcow2", "canary.vmdk")
CID = 0x1234ABCD
"""Of the canary that is a VMDK."""


class Member(NamedTuple):
    """An image of the corpus."""

    name: str
    disk_format: str
    data: bytes


def plant(directory: Path, token: bytes) -> None:
    """Write the host's files, filled with a token of 16 bytes."""
    block = token * 4096
    made = (
        block,
        qcow2.image(data=block[: qcow2.CLUSTER]),
        vmdk.sparse(vmdk.descriptor(cid=CID), data=block),
    )
    for name, data in zip(NAMES, made, strict=True):
        (directory / name).write_bytes(data)


def references(directory: Path, name: str) -> dict[str, str]:
    """Name a file in every way that QEMU follows; the directory is current."""
    path = directory / name
    return {
        "absolute": str(path),
        "relative": name,
        "up": f"../cwd/{name}",  # images are opened in /proc/self/fd
        "proc": f"/proc/self/cwd/{name}",
        "protocol": f"file:{path}",
    }
