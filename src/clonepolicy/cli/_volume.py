"""``clonepolicy volume``: the volumes of a local cloud."""

from __future__ import annotations

from pathlib import Path

import click

from clonepolicy import GiB
from clonepolicy._terminal.options import examples, policy_option
from clonepolicy._terminal.render import (
    Json,
    emit,
    pairs,
    say,
    show,
    size,
    table,
)
from clonepolicy.adapters.local import VolumeRow
from clonepolicy.cli._cloud_options import (
    all_option,
    cloud_options,
    opened,
    visibility_option,
)
from clonepolicy.cli._image import image_to_dict
from clonepolicy.cli._progress import measured
from clonepolicy.cli._report import report
from clonepolicy.policy import Policy

_explain = click.option(
    "--explain", "in_full", is_flag=True, help="Show every finding and step."
)


def _to_dict(row: VolumeRow) -> Json:
    volume = row.volume
    return {
        "id": volume.id,
        "name": row.name,
        "project_id": volume.project_id,
        "size": volume.size,
        "status": volume.status,
        "host": None if volume.host is None else str(volume.host),
        "image_owner": volume.image_owner,
        "glance_image_id": volume.glance_image_id,
        "bytes_on_disk": row.bytes_on_disk,
        "path": str(row.path),
    }


@click.group(
    epilog=examples(
        "clonepolicy volume create --image base --size 1 --name work",
        "clonepolicy volume upload work --name golden",
        "clonepolicy volume list",
    )
)
def volume() -> None:
    """Manage the volumes of a local cloud."""


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
    help="Image whose data the volume gets.",
)
@click.option(
    "--size",
    "gigabytes",
    required=True,
    type=click.IntRange(min=0),
    metavar="GIB",
    help="Size of the volume.",
)
@click.option("--name", help="Name of the volume.  [default: the image's]")
@click.option(
    "--pool",
    help="Pool of the volume.  [default: that of its source, or else the one "
    "with the most free space]",
)
@policy_option
@_explain
@cloud_options
def create(  # noqa: PLR0913 - one for each option
    *,
    image: str,
    gigabytes: int,
    name: str | None,
    pool: str | None,
    policy: Policy,
    root: Path,
    project: str,
    in_full: bool,
    as_json: bool,
) -> None:
    """Create a volume from an image: clone it, or else download it."""
    with opened(root) as cloud:
        row = cloud.find_image(image, project)
        title = f"creating from {row.name or row.image.id}"
        with measured(title, row.image.size) as meter:
            made = cloud.create_volume(
                row.image.id,
                name=row.name if name is None else name,
                project_id=project,
                size=gigabytes,
                pool=pool,
                policy=policy,
                observer=meter,
            )
    shown = None if made.volume is None else _to_dict(made.volume)
    report("volume", made, shown, meter, in_full=in_full, as_json=as_json)


@volume.command(
    "upload",
    epilog=examples(
        "clonepolicy volume upload work --name golden",
        "clonepolicy volume upload work --name archive --disk-format raw"
        " --json",
    ),
)
@click.argument("name_or_id", metavar="ID|NAME")
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
@click.option(
    "--force", is_flag=True, help="Upload the volume even if it is in use."
)
@policy_option
@_explain
@cloud_options
def upload(  # noqa: PLR0913 - one for each option
    *,
    name_or_id: str,
    name: str,
    disk_format: str,
    container_format: str,
    visibility: str,
    policy: Policy,
    root: Path,
    project: str,
    force: bool,
    in_full: bool,
    as_json: bool,
) -> None:
    """Make an image from a volume: register a clone, or else upload it."""
    with opened(root) as cloud:
        row = cloud.find_volume(name_or_id, project)
        title = f"uploading {row.name or row.volume.id}"
        with measured(title, row.volume.size * GiB) as meter:
            made = cloud.upload_volume(
                row.volume.id,
                name=name,
                project_id=project,
                disk_format=disk_format,
                container_format=container_format,
                visibility=visibility,
                force=force,
                policy=policy,
                observer=meter,
            )
    shown = None if made.image is None else image_to_dict(made.image)
    report("image", made, shown, meter, in_full=in_full, as_json=as_json)


@volume.command("list", epilog=examples("clonepolicy volume list"))
@all_option
@cloud_options
def list_volumes(
    root: Path, project: str, *, everything: bool, as_json: bool
) -> None:
    """List the volumes of the project."""
    with opened(root) as cloud:
        rows = cloud.list_volumes(None if everything else project)
    if as_json:
        emit({"volumes": [_to_dict(row) for row in rows]})
        return
    show(
        table(
            ("id", "name", "status", "GiB", "on disk", "host"),
            (
                (
                    row.volume.id,
                    row.name,
                    row.volume.status,
                    row.volume.size,
                    size(row.bytes_on_disk),
                    row.volume.host,
                )
                for row in rows
            ),
            right=("GiB", "on disk"),
            whole=("id",),
        )
    )


@volume.command("show", epilog=examples("clonepolicy volume show work"))
@click.argument("name", metavar="ID|NAME")
@cloud_options
def show_volume(name: str, root: Path, project: str, *, as_json: bool) -> None:
    """Show a volume."""
    with opened(root) as cloud:
        row = cloud.find_volume(name, project)
    if as_json:
        emit({"volume": _to_dict(row)})
    else:
        show(pairs(_to_dict(row).items()))


@volume.command("delete", epilog=examples("clonepolicy volume delete work"))
@click.argument("name", metavar="ID|NAME")
@cloud_options
def delete_volume(
    name: str, root: Path, project: str, *, as_json: bool
) -> None:
    """Delete a volume, unless it stores the data of an image."""
    with opened(root) as cloud:
        volume_id = cloud.find_volume(name, project).volume.id
        cloud.delete_volume(volume_id)
    if as_json:
        emit({"deleted": volume_id})
    else:
        say(f"deleted volume {volume_id}")
