"""The commands on a local cloud's volumes."""

from __future__ import annotations

from pathlib import Path

import click

from clonepolicy import GiB, Policy
from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.options import examples, policy_option
from clonepolicy._terminal.render import emit, pairs, say, show, size, table
from clonepolicy.cli._open import cloud_options, opened
from clonepolicy.cli._watch import (
    failed,
    image_to_dict,
    note_unsettled,
    result_to_dict,
    tell,
    tell_image,
    volume_to_dict,
    watching,
)

_explain = click.option(
    "--explain", "in_full", is_flag=True, help="Tell every finding and step."
)


@click.group(
    epilog=examples(
        "clonepolicy volume create --image base --size 1 --name work",
        "clonepolicy volume upload work --name golden",
        "clonepolicy volume list",
    )
)
def volume() -> None:
    """Work on the volumes of a local cloud."""


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
    help="The image that fills the volume.",
)
@click.option(
    "--size",
    "gigabytes",
    required=True,
    type=click.IntRange(min=0),
    metavar="GIB",
    help="The volume's size.",
)
@click.option("--name", help="The volume's name.  [default: the image's]")
@click.option(
    "--pool",
    help="Where it is to lie.  [default: with its source, or where most "
    "room is]",
)
@policy_option
@_explain
@cloud_options
@click.pass_context
def create(  # noqa: PLR0913 - one for each option
    context: click.Context,
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
    """Make a volume from an image: by clone, or else by download."""
    with opened(root) as cloud:
        row = cloud.find_image(image, project)
        title = f"creating from {row.name or row.image.id}"
        with watching(title, row.image.size) as watch:
            made = cloud.create_volume(
                row.image.id,
                name=row.name if name is None else name,
                project_id=project,
                size=gigabytes,
                pool=pool,
                policy=policy,
                observer=watch,
            )
    if as_json:
        told = result_to_dict(made.decision, made.outcome, watch)
        told["volume"] = made.volume and volume_to_dict(made.volume)
        emit(told)
    else:
        tell(made.decision, made.outcome, watch, in_full=in_full)
        if made.volume is not None:
            say()
            show(pairs(volume_to_dict(made.volume).items()))
    if made.outcome is None:
        context.exit(Exit.REFUSED)
    if made.outcome.attempt is None:
        raise failed("the volume could not be made", made.outcome)
    note_unsettled(made.outcome)


@volume.command(
    "upload",
    epilog=examples(
        "clonepolicy volume upload work --name golden",
        "clonepolicy volume upload work --name archive --disk-format raw"
        " --json",
    ),
)
@click.argument("name_or_id", metavar="ID|NAME")
@click.option("--name", required=True, help="The image's name.")
@click.option("--disk-format", default="raw", show_default=True)
@click.option("--container-format", default="bare", show_default=True)
@click.option(
    "--visibility",
    type=click.Choice(["private", "shared", "community", "public"]),
    default="private",
    show_default=True,
    help="Who sees the image.",
)
@click.option("--force", is_flag=True, help="Even if the volume is in use.")
@policy_option
@_explain
@cloud_options
@click.pass_context
def upload(  # noqa: PLR0913 - one for each option
    context: click.Context,
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
    """Make an image of a volume: by registering a clone, or by upload."""
    with opened(root) as cloud:
        row = cloud.find_volume(name_or_id, project)
        title = f"uploading {row.name or row.volume.id}"
        with watching(title, row.volume.size * GiB) as watch:
            made = cloud.upload_volume(
                row.volume.id,
                name=name,
                project_id=project,
                disk_format=disk_format,
                container_format=container_format,
                visibility=visibility,
                force=force,
                policy=policy,
                observer=watch,
            )
    if as_json:
        told = result_to_dict(made.decision, made.outcome, watch)
        told["image"] = made.image and image_to_dict(made.image)
        emit(told)
    else:
        tell(made.decision, made.outcome, watch, in_full=in_full)
        if made.image is not None:
            say()
            tell_image(made.image)
    if made.outcome is None:
        context.exit(Exit.REFUSED)
    if made.outcome.attempt is None:
        raise failed("the image could not be made", made.outcome)
    note_unsettled(made.outcome)


@volume.command("list", epilog=examples("clonepolicy volume list"))
@click.option(
    "--all", "everything", is_flag=True, help="Of all projects, as operator."
)
@cloud_options
def list_volumes(
    root: Path, project: str, *, everything: bool, as_json: bool
) -> None:
    """List the project's volumes."""
    with opened(root) as cloud:
        rows = cloud.list_volumes(None if everything else project)
    if as_json:
        emit({"volumes": [volume_to_dict(row) for row in rows]})
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
        emit({"volume": volume_to_dict(row)})
    else:
        show(pairs(volume_to_dict(row).items()))


@volume.command("delete", epilog=examples("clonepolicy volume delete work"))
@click.argument("name", metavar="ID|NAME")
@cloud_options
def delete_volume(
    name: str, root: Path, project: str, *, as_json: bool
) -> None:
    """Delete a volume; one that is an image's data stays."""
    with opened(root) as cloud:
        volume_id = cloud.find_volume(name, project).volume.id
        cloud.delete_volume(volume_id)
    if as_json:
        emit({"deleted": volume_id})
    else:
        say(f"deleted volume {volume_id}")
