"""The commands that make a local cloud and fill its image store."""

from __future__ import annotations

from pathlib import Path

import click
from oslo_utils.imageutils import format_inspector

from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import Json, emit, say, show, size, table
from clonepolicy.adapters.local import LocalCloud, Pool
from clonepolicy.cli._open import cloud_options, opened
from clonepolicy.cli._watch import bar, image_to_dict, tell_image

_FORMATS = ("raw", "qcow2", "iso", "vdi", "vhd", "vhdx", "vmdk")
_VISIBILITIES = ("private", "shared", "community", "public")


def detect_format(path: Path) -> str:
    """Say what a disk image is, in Glance's terms.

    Raises:
        OSError: it cannot be read.
    """
    name = str(format_inspector.detect_file_format(str(path)))
    # a partitioned disk is one of the many things that are raw
    return name if name in {*_FORMATS, "qed"} else "raw"


def _pools(
    _context: click.Context,
    _parameter: click.Parameter,
    values: tuple[str, ...],
) -> dict[str, Path | None]:
    pools: dict[str, Path | None] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not name or (equals and not path):
            raise click.BadParameter(f"{value!r} is not NAME or NAME=PATH")
        if name in pools:
            raise click.BadParameter(f"pool {name} is named twice")
        pools[name] = Path(path) if path else None
    return pools


def _pool_to_dict(pool: Pool) -> Json:
    return {
        "name": pool.name,
        "path": str(pool.path),
        "array_id": pool.backend.array_id,
        "clone_kind": str(pool.backend.clone_kind),
    }


@click.command(
    epilog=examples(
        "clonepolicy init cloud",
        "clonepolicy init cloud2 --pool fast --pool big=disks/big",
    )
)
@click.argument(
    "directory",
    metavar="[DIR]",
    default=Path(),
    type=click.Path(path_type=Path),
)
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="NAME[=PATH]",
    callback=_pools,
    help="A pool of volumes, inside DIR or at PATH; may be repeated.",
)
@json_option
def init(
    directory: Path, *, pools: dict[str, Path | None], as_json: bool
) -> None:
    """Make a local cloud in DIR (default: the current directory)."""
    with LocalCloud.init(directory, pools=pools or None) as cloud:
        made = cloud.pools
    if as_json:
        emit(
            {
                "root": str(directory),
                "pools": [_pool_to_dict(pool) for pool in made],
            }
        )
        return
    say(f"made a cloud in {directory}")
    show(
        table(
            ("pool", "clones are", "path"),
            ((p.name, p.backend.clone_kind, p.path) for p in made),
        )
    )


@click.group(
    epilog=examples(
        "clonepolicy image add disk.raw --name base",
        "clonepolicy image list",
    )
)
def image() -> None:
    """Work on the images of a local cloud."""


@image.command(
    "add",
    epilog=examples(
        "clonepolicy image add disk.raw --name base",
        "clonepolicy image add disk.qcow2 --visibility public --json",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The image's name.  [default: FILE's]")
@click.option(
    "--disk-format",
    type=click.Choice(_FORMATS),
    help="What FILE is.  [default: found out]",
)
@click.option(
    "--visibility",
    type=click.Choice(_VISIBILITIES),
    default="private",
    show_default=True,
    help="Who sees the image.",
)
@click.option(
    "--min-disk",
    type=click.IntRange(min=0),
    default=0,
    metavar="GIB",
    help="The smallest volume that may be made of it.",
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
    """Copy FILE, a disk image, into the image store."""
    if not file.is_file():
        why = "not a file" if file.exists() else "no such file"
        raise CliError(Exit.USAGE, f"{file}: {why}", "name a disk image")
    kind = disk_format or detect_format(file)
    done = 0
    total = file.stat().st_size
    with opened(root) as cloud, bar(f"adding {file.name}", total) as tick:

        def progress(so_far: int, _total: int) -> None:
            nonlocal done
            tick(so_far - done)
            done = so_far

        made = cloud.add_image(
            file,
            name=file.stem if name is None else name,
            project_id=project,
            disk_format=kind,
            visibility=visibility,
            min_disk=min_disk,
            progress=progress,
        )
        row = cloud.find_image(made.id, project)
    if as_json:
        emit({"image": image_to_dict(row)})
    else:
        tell_image(row)


@image.command("list", epilog=examples("clonepolicy image list"))
@click.option(
    "--all", "everything", is_flag=True, help="Of all projects, as operator."
)
@cloud_options
def list_images(
    root: Path, project: str, *, everything: bool, as_json: bool
) -> None:
    """List the images that the project sees."""
    with opened(root) as cloud:
        rows = cloud.list_images(None if everything else project)
    if as_json:
        emit({"images": [image_to_dict(row) for row in rows]})
        return
    show(
        table(
            ("id", "name", "status", "format", "size", "data is"),
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
    if as_json:
        emit({"image": image_to_dict(row)})
        return
    tell_image(row)


@image.command("delete", epilog=examples("clonepolicy image delete base"))
@click.argument("name", metavar="ID|NAME")
@cloud_options
def delete_image(
    name: str, root: Path, project: str, *, as_json: bool
) -> None:
    """Delete an image, and the volume behind it."""
    with opened(root) as cloud:
        image = cloud.find_image(name, project).image
        if image.owner != project:
            raise CliError(
                Exit.REFUSED,
                f"image {image.id} belongs to project {image.owner}",
                "use --project of its owner",
            )
        cloud.delete_image(image.id)
    if as_json:
        emit({"deleted": image.id})
    else:
        say(f"deleted image {image.id}")
