"""A bench for the array of qcow2 files, with QEMU's own tools."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from harness_reflink import add_image, remove_image

from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.testing.conformance import ArrayHarness

OWN = frozenset({".array-id", ".lock", ".flatten"})
"""Files that are there for the array, and for no volume."""

_BREAKING = """#!/bin/sh
# begins what is to be made, and fails; what is there it does not touch
case "$1" in
create | convert) {qemu_img} "$@" ;;
esac
echo "qemu-img: broken" >&2
exit 1
"""


def make_harness(directory: Path, other: Path) -> ArrayHarness:
    """Make an array and its images in one new directory, one in another."""
    volumes, images = directory / "volumes", directory / "images"
    for path in (volumes, images, other):
        path.mkdir(parents=True)
    array = Qcow2Array(volumes, images=[images])

    return ArrayHarness(
        array=array,
        other=Qcow2Array(other),
        reopen=partial(Qcow2Array, volumes, images=[images]),
        overwrite=lambda volume_id, offset, data: overwrite(
            array.path(volume_id), offset, data
        ),
        size_of=lambda volume_id: size_of(array.path(volume_id)),
        holds=lambda: holds(volumes),
        exclusive=lambda volume_id: exclusive(array.path(volume_id)),
        add_image=lambda pieces: add_image(images, pieces),
        remove_image=remove_image,
        breaking=breaking,
    )


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Write into a volume, as a guest would."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        write = f"write -s {file.name} {offset} {len(data)}"
        _tell("qemu-io", "-f", "qcow2", "-c", write, str(path))


def size_of(path: Path) -> int | None:
    """Give a volume's virtual size; None: it is not there."""
    return chain(path)[0]["virtual-size"] if path.exists() else None


def chain(path: Path) -> list[dict[str, Any]]:
    """Give what qemu-img says of a volume's file and of all it rests on."""
    command = ("info", "-f", "qcow2", "--backing-chain", "--output=json")
    found: list[dict[str, Any]] = json.loads(
        _tell("qemu-img", *command, str(path))
    )
    return found


def holds(directory: Path) -> Collection[str]:
    """Name the volumes, and all files on which none of them rests."""
    volumes = set(directory.glob("volume-*"))
    rests = {
        Path(file["filename"]).name for path in volumes for file in chain(path)
    }
    names = {path.name for path in directory.iterdir()}
    return {path.name for path in volumes} | (names - rests - OWN)


def exclusive(path: Path) -> int:
    """Give the bytes of data that lie in a volume's own file."""
    command = ("map", "-f", "qcow2", "--output=json", str(path))
    return sum(
        extent["length"]
        for extent in json.loads(_tell("qemu-img", *command))
        if extent["depth"] == 0 and extent["data"]
    )


@contextlib.contextmanager
def breaking() -> Iterator[None]:
    """Put a qemu-img first that fails."""
    qemu_img = shutil.which("qemu-img")
    with tempfile.TemporaryDirectory() as place:
        broken = Path(place) / "qemu-img"
        broken.write_text(_BREAKING.format(qemu_img=qemu_img))
        broken.chmod(0o755)
        path = os.pathsep.join((place, os.environ["PATH"]))
        with mock.patch.dict(os.environ, PATH=path):
            yield


def _tell(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout
