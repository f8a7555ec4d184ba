"""``clonepolicy image``: the images of a local cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from oslo_utils.imageutils import format_inspector

from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples
from clonepolicy._terminal.render import answer, pairs, size
from clonepolicy.cli._cloud import (
    add_listing,
    cloud_options,
    opened,
    to_dict,
    visibility_option,
)
from clonepolicy.cli._report import measured

_FORMATS = ("raw", "qcow2", "iso", "vdi", "vhd", "vhdx", "vmdk")


def detect_format(path: Path) -> str:
    """Detect the format of a disk image, by Glance's name for it.

    Raises:
        OSError: the file cannot be read.
    """
    name = str(format_inspector.detect_file_format(str(path)))
    # a raw disk with a partition table is detected as gpt
    return name if name in {*_FORMATS, "qed"} else "raw"


@click.group(
    epilog=examples(
        "clonepolicy image add disk.raw --name base",
        "clonepolicy image list",
    )
)
def image() -> None:
    """Manage the images of a local cloud."""


@image.command(
    "add",
    epilog=examples(
        "clonepolicy image add disk.raw --name base",
        "clonepolicy image add disk.qcow2 --visibility public --json",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the image.  [default: FILE's]")
@click.option(
    "--disk-format",
    type=click.Choice(_FORMATS),
    help="Format of FILE.  [default: detected]",
)
@visibility_option
@click.option(
    "--min-disk",
    type=click.IntRange(min=0),
    default=0,
    metavar="GIB",
    help="Size of the smallest volume that can be made from it.",
)
@cloud_options
def add(  # noqa: PLR0913 - one for each option
    *,
    file: Path,
    name: str | None,
    disk_format: str | None,
    root: Path,
    project: str,
    as_json: bool,
    **facts: Any,  # noqa: ANN401 - the cloud has these parameters
) -> None:
    """Copy the disk image FILE into the image store."""
    if not file.is_file():
        why = "not a file" if file.exists() else "no such file"
        raise CliError(Exit.USAGE, f"{file}: {why}", "name a disk image")
    kind = disk_format or detect_format(file)
    total = file.stat().st_size
    with (
        opened(root) as cloud,
        measured(f"adding {file.name}", total) as meter,
    ):
        made = cloud.add_image(
            file,
            name=file.stem if name is None else name,
            project_id=project,
            disk_format=kind,
            progress=meter.moved_so_far,
            **facts,
        )
        row = cloud.find_image(made.id, project)
    fields = to_dict(row)
    answer({"image": fields}, pairs(fields.items()), as_json=as_json)


add_listing(
    image,
    "base",
    (
        "List the images that the project can see.",
        "Show an image.",
        "Delete an image, and the volume that stores its data.",
    ),
    {
        "format": lambda row: row["disk_format"],
        "size": lambda row: None if row["size"] is None else size(row["size"]),
        "stored in": lambda row: "a volume" if row["locations"] else "a file",
    },
)
