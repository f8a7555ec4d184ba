"""A harness for arrays of files, which are measured with filefrag."""

from __future__ import annotations

import errno
import os
import subprocess
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

from clonepolicy import FileLocation, Location
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.testing.conformance import ArrayHarness


def make_harness(place: Path, elsewhere: Path | None = None) -> ArrayHarness:
    """Make arrays in new directories; ``elsewhere`` is another file system."""
    volumes, images = place / "volumes", place / "images"
    for path in (volumes, images):
        path.mkdir(parents=True)
    array = ReflinkArray(volumes, images=[images])
    other = None
    if elsewhere is not None:
        elsewhere.mkdir(parents=True)
        other = ReflinkArray(elsewhere)

    def overwrite(volume_id: str, offset: int, data: bytes) -> None:
        with array.path(volume_id).open("r+b") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def size_of(volume_id: str) -> int | None:
        path = volumes / f"volume-{volume_id}"
        return path.stat().st_size if path.exists() else None

    return ArrayHarness(
        array=array,
        other=other,
        reopen=partial(ReflinkArray, volumes, images=[images]),
        overwrite=overwrite,
        size_of=size_of,
        holds=lambda: [path.name for path in volumes.iterdir()],
        exclusive=lambda volume_id: exclusive(array.path(volume_id)),
        add_image=lambda pieces: add_image(images, pieces),
        remove_image=remove_image,
        breaking=lambda: mock.patch.object(
            os, "fsync", side_effect=OSError(errno.EIO, "I/O error")
        ),
    )


def add_image(images: Path, pieces: Iterator[bytes]) -> Location:
    """Store raw data as a sparse file in a directory of images."""
    path = images / str(uuid.uuid4())
    with path.open("wb") as file:
        for piece in pieces:
            if piece.count(0) == len(piece):
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    return FileLocation(str(path))


def remove_image(location: Location) -> None:
    """Remove such a file."""
    Path(str(location).removeprefix("file://")).unlink(missing_ok=True)


def exclusive(path: Path) -> int:
    """Return the bytes of a file's extents that no other file shares."""
    output = subprocess.run(
        ["filefrag", "-s", "-b1", "-v", str(path)],  # noqa: S607 - e2fsprogs
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # a line for each extent: number, logical, physical, length, flags
    rows = [line.split(":") for line in output.splitlines()]
    extents = [row for row in rows if row[0].strip().isdigit()]
    return sum(
        int(row[3])
        for row in extents
        if not {"shared", "unwritten"} & set(row[-1].strip().split(","))
    )
