"""``clonepolicy init``: make a local cloud."""

from __future__ import annotations

from pathlib import Path

import click

from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import emit, say, show, table
from clonepolicy.adapters.local import LocalCloud


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
    with LocalCloud.init(directory, pools=pools or None) as cloud:
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
