"""A harness for the array of qcow2 files, with QEMU's own tools."""

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
"""Files of the array itself, which belong to no volume."""

_BREAKING = """#!/bin/sh
# makes new files and then fails; does not change existing files
case "$1" in
create | convert) {qemu_img} "$@" ;;
esac
echo "qemu-img: broken" >&2
exit 1
"""


def make_harness(directory: Path, other: Path) -> ArrayHarness:
    """Make an array with images in one new directory, another in a second."""
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
        _output("qemu-io", "-f", "qcow2", "-c", write, str(path))


def size_of(path: Path) -> int | None:
    """Return a volume's virtual size in bytes; None: there is no volume."""
    return chain(path)[0]["virtual-size"] if path.exists() else None


def chain(path: Path) -> list[dict[str, Any]]:
    """Return what qemu-img reports of a volume's file and its layers."""
    command = ("info", "-f", "qcow2", "--backing-chain", "--output=json")
    found: list[dict[str, Any]] = json.loads(
        _output("qemu-img", *command, str(path))
    )
    return found


def holds(directory: Path) -> Collection[str]:
    """Name the volumes, and all files that are no volume's layer."""
    volumes = set(directory.glob("volume-*"))
    layers = {
        Path(file["filename"]).name for path in volumes for file in chain(path)
    }
    names = {path.name for path in directory.iterdir()}
    return {path.name for path in volumes} | (names - layers - OWN)


def exclusive(path: Path) -> int:
    """Return the bytes of data in a volume's own file."""
    command = ("map", "-f", "qcow2", "--output=json", str(path))
    return sum(
        extent["length"]
        for extent in json.loads(_output("qemu-img", *command))
        if extent["depth"] == 0 and extent["data"]
    )


@contextlib.contextmanager
def breaking() -> Iterator[None]:
    """Put a failing qemu-img first in PATH."""
    qemu_img = shutil.which("qemu-img")
    with tempfile.TemporaryDirectory() as place:
        broken = Path(place) / "qemu-img"
        broken.write_text(_BREAKING.format(qemu_img=qemu_img))
        broken.chmod(0o755)
        path = os.pathsep.join((place, os.environ["PATH"]))
        with mock.patch.dict(os.environ, PATH=path):
            yield


def _output(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout
