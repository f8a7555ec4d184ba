"""``clonepolicy init``, and what the commands on a local cloud share."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import click
from click.shell_completion import CompletionItem

import clonepolicy
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, flag, json_option
from clonepolicy._terminal.render import (
    Json,
    answer,
    emit,
    pairs,
    say,
    show,
    size,
    table,
)
from clonepolicy._text import printable
from clonepolicy.adapters import local

F = TypeVar("F", bound=Callable[..., object])

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="CLONEPOLICY_ROOT",
    default=Path(),
    help="Directory of the cloud.  [env CLONEPOLICY_ROOT; default: .]",
)
_project = click.option(
    "--project",
    envvar="CLONEPOLICY_PROJECT",
    default="demo",
    help="Project of the request.  [env CLONEPOLICY_PROJECT; default: demo]",
)
visibility_option = click.option(
    "--visibility",
    type=click.Choice(("private", "shared", "community", "public")),
    default="private",
    show_default=True,
    help="Projects that can use the image.",
)
_OF_AN_IMAGE = (
    *("status", "owner", "disk_format", "container_format", "size"),
    *("virtual_size", "min_disk", "visibility"),
    *("os_hash_algo", "os_hash_value"),
)
_TOLD = 3
"""How many problems each command shows; ``clonepolicy check`` shows all."""
_SILENT = logging.NullHandler()
_PLAIN_WORD = re.compile(r"\w[\w.+-]*")
"""What a shell takes as one word and as nothing else."""


Complete: TypeAlias = Callable[
    [click.Context, click.Parameter, str], list[CompletionItem]
]


def completing(noun: str) -> Complete:
    """Return what completes the ids and names of images, volumes or pools.

    A name that has a meaning for the shell is shown beside the id only:
    another project may have chosen it.
    """

    def complete(
        context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        given = context.params
        root = given.get("root") or Path()
        try:
            with local.LocalCloud(root, repair=False) as cloud:
                if noun == "pool":
                    found = [(pool.name, "") for pool in cloud.pools]
                else:
                    rows = getattr(cloud, f"list_{noun}s")(given["project"])
                    ids = short([getattr(row, noun).id for row in rows])
                    names = [row.name for row in rows]
                    found = [*zip(names, ids, strict=True)]
                    found += zip(ids, names, strict=True)
        except clonepolicy.ClonePolicyError:
            return []
        return [
            CompletionItem(word, help=printable(other))
            for word, other in found
            if word.startswith(incomplete) and _PLAIN_WORD.fullmatch(word)
        ]

    return complete


def name_argument(noun: str) -> Callable[[F], F]:
    """Add the id or the name of an image or a volume to a command."""
    return click.argument(
        "wanted", metavar="ID|NAME", shell_complete=completing(noun)
    )


def cloud_options(function: F) -> F:
    """Add ``--root``, ``--project`` and ``--json`` to a command."""
    return root_option(_project(json_option(function)))


@contextlib.contextmanager
def opened(root: Path) -> Iterator[local.LocalCloud]:
    """Open a cloud; report what it recovered, and what does not fit."""
    # what oslo.utils logs of an image is in the error, too
    logging.getLogger("oslo_utils").addHandler(_SILENT)
    with local.LocalCloud(root) as cloud:
        if cloud.recovered:
            count = len(cloud.recovered)
            noun = "operation" if count == 1 else "operations"
            note = f"note: cleaned up {count} interrupted {noun}"
            click.echo(note, err=True)
        found = cloud.check()
        for problem in found[:_TOLD]:
            text = f"warning: {problem.where}: {problem.message}"
            click.echo(f"{printable(text)}; see clonepolicy check", err=True)
        if len(found) > _TOLD:
            note = f"warning: {len(found)} problems; see clonepolicy check"
            click.echo(note, err=True)
        yield cloud


def to_dict(row: local.ImageRow | local.VolumeRow) -> Json:
    """Convert an image or a volume to JSON types."""
    if isinstance(row, local.ImageRow):
        return {
            "id": row.image.id,
            "name": row.name,
            **{field: getattr(row.image, field) for field in _OF_AN_IMAGE},
            "locations": list(row.locations),
            "bytes_on_disk": row.bytes_on_disk,
        }
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


_BYTES = ("virtual_size", "bytes_on_disk")


def to_rows(fields: Json) -> list[tuple[str, object]]:
    """Return the fields of an image or a volume with units, for people."""
    is_volume = "project_id" in fields
    rows: list[tuple[str, object]] = []
    for name, value in fields.items():
        shown = value
        if value is None:
            pass
        elif name in _BYTES or (name == "size" and not is_volume):
            shown = f"{value} bytes ({size(value)})"
        elif name in {"size", "min_disk"}:
            shown = f"{value} GiB"
        rows.append((name, shown))
    return rows


def short(ids: Sequence[str]) -> list[str]:
    """Shorten ids to as many characters as tell them apart, 8 or more.

    The cloud finds an image or a volume by 8 characters of its id.
    """
    length = 8
    while len({each[:length] for each in ids}) < len({*ids}):
        length += 1
    return [each[:length] for each in ids]


def add_listing(
    group: click.Group,
    example: str,
    helps: tuple[str, str, str],
    columns: Mapping[str, Callable[[Json], object]],
    spare: Sequence[str],
) -> None:
    """Add the commands ``list``, ``show`` and ``delete`` to a group.

    Args:
        group: the commands of images or of volumes.
        example: the name that the examples give.
        helps: the help texts of the three commands.
        columns: what a list shows after id, name and status, by its head.
        spare: the columns that a narrow list leaves out, first ones first.
    """
    noun = group.name or ""

    def command(
        name: str, text: str, *words: str
    ) -> Callable[[Callable[..., object]], click.Command]:
        line = " ".join(("clonepolicy", noun, name, *words))
        return group.command(name, help=text, epilog=examples(line))

    @command("list", helps[0])
    @flag("--all", "everything", help="List those of all projects.")
    @flag("--long", "in_full", help="Show every field, and ids in full.")
    @cloud_options
    def list_rows(
        root: Path,
        project: str,
        *,
        everything: bool,
        in_full: bool,
        as_json: bool,
    ) -> None:
        with opened(root) as cloud:
            # list_images or list_volumes
            found = getattr(cloud, f"list_{noun}s")
            rows = [*map(to_dict, found(None if everything else project))]
        if in_full and not as_json:
            for at, row in enumerate(rows):
                if at:
                    say()
                show(pairs(to_rows(row)))
            return
        ids = short([row["id"] for row in rows])
        cells = (
            (
                *(short_id, row["name"], row["status"]),
                *(of(row) for of in columns.values()),
            )
            for short_id, row in zip(ids, rows, strict=True)
        )
        heads = ("id", "name", "status", *columns)
        whole = [head for head in heads if head not in spare]
        right = ("size", "GiB", "on disk")
        shown = table(
            heads,
            cells,
            right=right,
            whole=("id", *whole),
            spare=(*spare, "id"),
        )
        answer({f"{noun}s": rows}, shown, as_json=as_json)

    @command("show", helps[1], example)
    @name_argument(noun)
    @cloud_options
    def show_row(
        wanted: str, root: Path, project: str, *, as_json: bool
    ) -> None:
        with opened(root) as cloud:
            fields = to_dict(getattr(cloud, f"find_{noun}")(wanted, project))
        answer({noun: fields}, pairs(to_rows(fields)), as_json=as_json)

    @command("delete", helps[2], example)
    @name_argument(noun)
    @cloud_options
    def delete_row(
        wanted: str, root: Path, project: str, *, as_json: bool
    ) -> None:
        with opened(root) as cloud:
            fields = to_dict(getattr(cloud, f"find_{noun}")(wanted, project))
            owner = fields.get("owner", project)
            if owner != project:
                raise CliError(
                    Exit.REFUSED,
                    f"{noun} {fields['id']} belongs to project {owner}",
                    f"use --project {owner}",
                )
            getattr(cloud, f"delete_{noun}")(fields["id"])
        text = f"deleted {noun} {fields['id']}"
        answer({"deleted": fields["id"]}, text, as_json=as_json)


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
    help="Pool of volumes, inside DIR or at PATH; repeat it for several.",
)
@json_option
def init(
    directory: Path, *, pools: dict[str, Path | None], as_json: bool
) -> None:
    """Make a local cloud in DIR (default: the current directory)."""
    with local.LocalCloud.init(directory, pools=pools or None) as cloud:
        made = [
            {
                "name": pool.name,
                "path": str(pool.path),
                "array_id": pool.backend.array_id,
                "clone_kind": str(pool.backend.clone_kind),
            }
            for pool in cloud.pools
        ]
    if as_json:
        emit({"root": str(directory), "pools": made})
        return
    say(f"made a cloud in {directory}")
    show(
        table(
            ("pool", "clones are", "path"),
            ((p["name"], p["clone_kind"], p["path"]) for p in made),
        )
    )
