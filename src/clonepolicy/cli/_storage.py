"""``clonepolicy image`` and ``volume``: what a local cloud stores."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import click

import clonepolicy
from clonepolicy import IntegrityError
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, flag, policy_option
from clonepolicy._terminal.render import answer, pairs, size
from clonepolicy.cli._cloud import (
    F,
    add_listing,
    cloud_options,
    completing,
    name_argument,
    opened,
    to_dict,
    to_rows,
    visibility_option,
)

_FORMATS = ("raw", "qcow2", "iso", "vdi", "vhd", "vhdx", "vmdk")


def detect_format(path: Path) -> str:
    """Detect the format of a disk image, by Glance's name for it.

    Raises:
        OSError: the file cannot be read.
        IntegrityError: it is in several formats at once.
    """
    from oslo_utils.imageutils import format_inspector

    try:
        name = str(format_inspector.detect_file_format(str(path)))
    except format_inspector.ImageFormatError as error:
        raise IntegrityError(f"{path.name}: {error}") from error
    # a raw disk with a partition table is detected as gpt
    return name if name in {*_FORMATS, "qed"} else "raw"


@click.group(
    epilog=examples(
        "clonepolicy image add disk.raw --name base", "clonepolicy image list"
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
    from clonepolicy.cli._report import measured

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
    answer({"image": fields}, pairs(to_rows(fields)), as_json=as_json)


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
    ("stored in", "format"),
)


@click.group(
    epilog=examples(
        "clonepolicy volume create --image base --size 1 --name work",
        "clonepolicy volume upload work --name golden",
        "clonepolicy volume list",
    )
)
def volume() -> None:
    """Manage the volumes of a local cloud."""


def _decision_options(function: F) -> F:
    in_full = flag("--explain", "in_full", help="Show every finding and step.")
    return policy_option(in_full(cloud_options(function)))


@volume.command(
    "create",
    epilog=examples(
        "clonepolicy volume create --image base --size 1 --name work",
        "clonepolicy volume create --image base --size 1 --explain",
        "clonepolicy volume create --image base --size 1 --json",
    ),
)
@click.option(
    "--image",
    required=True,
    metavar="ID|NAME",
    shell_complete=completing("image"),
    help="Image whose data the volume gets.",
)
@click.option(
    "--size",
    required=True,
    type=click.IntRange(min=0),
    metavar="GIB",
    help="Size of the volume.",
)
@click.option("--name", help="Name of the volume.  [default: the image's]")
@click.option(
    "--pool",
    shell_complete=completing("pool"),
    help="Pool of the volume.  [default: where it is a reflink of its source, "
    "or else the pool of its source; without a source, one with reflinks, or "
    "else the one with the most free space]",
)
@_decision_options
def create(  # noqa: PLR0913 - one for each option
    *,
    image: str,
    name: str | None,
    root: Path,
    project: str,
    in_full: bool,
    as_json: bool,
    **facts: Any,  # noqa: ANN401 - the cloud has these parameters
) -> None:
    """Create a volume from an image: clone it, or else download it."""
    from clonepolicy.cli._report import measured, report

    with opened(root) as cloud:
        row = cloud.find_image(image, project)
        title = f"creating from {row.name or row.image.id}"
        with measured(title, row.image.size) as meter:
            made = cloud.create_volume(
                row.image.id,
                name=row.name if name is None else name,
                project_id=project,
                observer=meter,
                **facts,
            )
    report(made, meter, in_full=in_full, as_json=as_json)


@volume.command(
    "upload",
    epilog=examples(
        "clonepolicy volume upload work --name golden",
        "clonepolicy volume upload work --name archive --disk-format raw"
        " --json",
    ),
)
@name_argument("volume")
@click.option("--name", required=True, help="Name of the image.")
@click.option(
    "--disk-format",
    default="raw",
    show_default=True,
    help="Disk format of the image.",
)
@click.option(
    "--container-format",
    default="bare",
    show_default=True,
    help="Container format of the image.",
)
@visibility_option
@flag("--force", help="Upload the volume even if it is in use.")
@_decision_options
def upload(
    *,
    wanted: str,
    root: Path,
    project: str,
    in_full: bool,
    as_json: bool,
    **facts: Any,  # noqa: ANN401 - the cloud has these parameters
) -> None:
    """Make an image from a volume: register a clone, or else upload it."""
    from clonepolicy.cli._report import measured, report

    with opened(root) as cloud:
        row = cloud.find_volume(wanted, project)
        title = f"uploading {row.name or row.volume.id}"
        with measured(title, row.volume.size * clonepolicy.GiB) as meter:
            made = cloud.upload_volume(
                row.volume.id, project_id=project, observer=meter, **facts
            )
    report(made, meter, in_full=in_full, as_json=as_json)


@volume.command(
    "adopt",
    epilog=examples(
        "clonepolicy volume adopt 0a4f5c2b-1c1e-4f3c-8a38-9d0c8a0b7e11",
        "clonepolicy volume adopt 0a4f5c2b-1c1e-4f3c-8a38-9d0c8a0b7e11"
        " --name old --json",
    ),
)
@click.argument("volume_id", metavar="ID", type=click.UUID)
@click.option(
    "--name",
    default="adopted",
    show_default=True,
    help="Name of a volume without a valid record.",
)
@cloud_options
def adopt(
    volume_id: uuid.UUID, name: str, root: Path, project: str, *, as_json: bool
) -> None:
    """Take a volume's file as it is, and make its record fit.

    ID is the whole id, as `clonepolicy check` shows it. Zeros are added up to
    the recorded size, or to a whole GiB. A file without a valid record becomes
    a volume of the project.
    """
    with opened(root) as cloud:
        row = cloud.adopt_volume(str(volume_id), name=name, project_id=project)
    fields = to_dict(row)
    answer({"volume": fields}, pairs(to_rows(fields)), as_json=as_json)


add_listing(
    volume,
    "work",
    (
        "List the volumes of the project.",
        "Show a volume.",
        "Delete a volume, unless it stores the data of an image.",
    ),
    {
        "GiB": lambda row: row["size"],
        "on disk": lambda row: size(row["bytes_on_disk"]),
        "host": lambda row: row["host"],
    },
    ("host", "on disk"),
)
