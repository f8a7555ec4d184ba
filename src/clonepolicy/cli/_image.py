"""``clonepolicy image``: the images of a local cloud."""

from __future__ import annotations

from pathlib import Path

import click
from oslo_utils.imageutils import format_inspector

from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples
from clonepolicy._terminal.render import (
    Json,
    emit,
    pairs,
    say,
    show,
    size,
    table,
)
from clonepolicy.adapters.local import ImageRow
from clonepolicy.cli._cloud_options import (
    all_option,
    cloud_options,
    opened,
    visibility_option,
)
from clonepolicy.cli._progress import measured

_FORMATS = ("raw", "qcow2", "iso", "vdi", "vhd", "vhdx", "vmdk")


def detect_format(path: Path) -> str:
    """Detect the format of a disk image, by Glance's name for it.

    Raises:
        OSError: the file cannot be read.
    """
    name = str(format_inspector.detect_file_format(str(path)))
    # a raw disk with a partition table is detected as gpt
    return name if name in {*_FORMATS, "qed"} else "raw"


def image_to_dict(row: ImageRow) -> Json:
    """Convert an image to JSON types."""
    image = row.image
    return {
        "id": image.id,
        "name": row.name,
        "status": image.status,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "min_disk": image.min_disk,
        "visibility": image.visibility,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "locations": list(row.locations),
        "bytes_on_disk": row.bytes_on_disk,
    }


def _answer(row: ImageRow, *, as_json: bool) -> None:
    fields = image_to_dict(row)
    if as_json:
        emit({"image": fields})
    else:
        show(pairs(fields.items()))


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
    visibility: str,
    min_disk: int,
    root: Path,
    project: str,
    as_json: bool,
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
            visibility=visibility,
            min_disk=min_disk,
            progress=meter.moved_so_far,
        )
        row = cloud.find_image(made.id, project)
    _answer(row, as_json=as_json)


@image.command("list", epilog=examples("clonepolicy image list"))
@all_option
@cloud_options
def list_images(
    root: Path, project: str, *, everything: bool, as_json: bool
) -> None:
    """List the images that the project can see."""
    with opened(root) as cloud:
        rows = cloud.list_images(None if everything else project)
    if as_json:
        emit({"images": [image_to_dict(row) for row in rows]})
        return
    show(
        table(
            ("id", "name", "status", "format", "size", "stored in"),
            (
                (
                    row.image.id,
                    row.name,
                    row.image.status,
                    row.image.disk_format,
                    None if row.image.size is None else size(row.image.size),
                    "a volume" if row.locations else "a file",
                )
                for row in rows
            ),
            right=("size",),
            whole=("id",),
        )
    )


@image.command("show", epilog=examples("clonepolicy image show base"))
@click.argument("name", metavar="ID|NAME")
@cloud_options
def show_image(name: str, root: Path, project: str, *, as_json: bool) -> None:
    """Show an image."""
    with opened(root) as cloud:
        row = cloud.find_image(name, project)
    _answer(row, as_json=as_json)


@image.command("delete", epilog=examples("clonepolicy image delete base"))
@click.argument("name", metavar="ID|NAME")
@cloud_options
def delete_image(
    name: str, root: Path, project: str, *, as_json: bool
) -> None:
    """Delete an image, and the volume that stores its data."""
    with opened(root) as cloud:
        image = cloud.find_image(name, project).image
        if image.owner != project:
            raise CliError(
                Exit.REFUSED,
                f"image {image.id} belongs to project {image.owner}",
                f"use --project {image.owner}",
            )
        cloud.delete_image(image.id)
    if as_json:
        emit({"deleted": image.id})
    else:
        say(f"deleted image {image.id}")
