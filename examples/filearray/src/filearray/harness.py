"""The harness with which the kit inspects the array from outside."""

from __future__ import annotations

import errno
import os
import tempfile
from functools import partial
from pathlib import Path
from unittest import mock

from clonepolicy.testing.conformance import ArrayHarness
from filearray import FileArray


def make_harness() -> ArrayHarness:
    """Make two arrays in a temporary directory."""
    place = tempfile.TemporaryDirectory()
    here, there = Path(place.name, "here"), Path(place.name, "there")
    here.mkdir()
    there.mkdir()

    def file(volume_id: str) -> Path:
        return here / f"volume-{volume_id}"

    def overwrite(volume_id: str, offset: int, data: bytes) -> None:
        with file(volume_id).open("r+b") as volume:
            volume.seek(offset)
            volume.write(data)

    def size_of(volume_id: str) -> int | None:
        path = file(volume_id)
        return path.stat().st_size if path.exists() else None

    return ArrayHarness(
        array=FileArray(here),
        other=FileArray(there),
        reopen=partial(FileArray, here),
        overwrite=overwrite,
        size_of=size_of,
        holds=lambda: [path.name for path in here.iterdir()],
        exclusive=lambda volume_id: file(volume_id).stat().st_blocks * 512,
        breaking=lambda: mock.patch.object(
            os, "fsync", side_effect=OSError(errno.EIO, "the disk is broken")
        ),
        close=place.cleanup,
    )
