"""``clonepolicy pool``, ``option`` and ``quota``: how a local cloud is set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clonepolicy._lazy import TYPE_CHECKING
from clonepolicy._terminal.options import examples, flag, json_option
from clonepolicy._terminal.render import (
    Json,
    answer,
    pairs,
    plain,
    say,
    show,
    size,
    table,
)
from clonepolicy.adapters import local
from clonepolicy.cli._cloud import F, cloud_options, opened, root_option

if TYPE_CHECKING:
    from clonepolicy import Quota


@click.group(epilog=examples("clonepolicy pool list"))
def pool() -> None:
    """Show the pools of a local cloud."""


@pool.command("list", epilog=examples("clonepolicy pool list"))
@flag("--long", "in_full", help="Show every field.")
@root_option
@json_option
def list_pools(root: Path, *, in_full: bool, as_json: bool) -> None:
    """List the pools, and say how each of them clones.

    In a pool with reflinks, a clone is copy-on-write: it shares all data of
    its source. Pools of one array clone each other's volumes. In any other
    pool, a clone is a full copy.
    """
    with opened(root) as cloud:
        rows = [
            *map(_pool_to_dict, cloud.pools),
            *(
                {"name": name, "problem": problem}
                for name, problem in cloud.absent_pools.items()
            ),
        ]
    if in_full and not as_json:
        for at, row in enumerate(rows):
            if at:
                say()
            free = {"free": size(row["free"])} if "free" in row else {}
            show(pairs({**row, **free}.items()))
        return
    columns = {
        "pool": "name",
        "clones are": "clone_kind",
        "free": "free",
        "array": "array_id",
        "path": "path",
        "problem": "problem",
    }
    cells = (
        [
            size(row[key]) if key == "free" and key in row else row.get(key)
            for key in columns.values()
        ]
        for row in rows
    )
    heads = [*columns]
    if not cloud.absent_pools:
        heads.remove("problem")
        cells = (row[:-1] for row in cells)
    shown = table(
        heads,
        cells,
        right=("free",),
        whole=("pool", "clones are", "free"),
        spare=("path", "array"),
    )
    answer({"pools": rows}, shown, as_json=as_json)


def _pool_to_dict(each: local.Pool) -> Json:
    return {
        "name": each.name,
        "clone_kind": str(each.backend.clone_kind),
        "free": each.free,
        "array_id": each.backend.array_id,
        "path": str(each.path),
        "problem": None,
    }


_PARSED: dict[object, Callable[[str], object]] = {
    bool: click.BOOL,
    int: click.INT,
}


def _types() -> dict[str, object]:
    """Return the type of each option by its name."""
    import attrs

    from clonepolicy import Config

    fields = attrs.fields(attrs.resolve_types(Config))
    return {field.name: field.type for field in fields}


def _complete_option(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    return [name for name in _types() if name.startswith(incomplete)]


@click.group(
    epilog=examples(
        "clonepolicy option list",
        "clonepolicy option set image_upload_use_cinder_backend false",
    )
)
def option() -> None:
    """Show or change the options of a local cloud.

    They are named as in cinder.conf, which the local cloud does not read.
    """


@option.command("list", epilog=examples("clonepolicy option list"))
@root_option
@json_option
def list_options(root: Path, *, as_json: bool) -> None:
    """List the options and their values."""
    with opened(root) as cloud:
        values = plain(cloud.config)
    answer({"options": values}, pairs(values.items()), as_json=as_json)


@option.command(
    "set",
    epilog=examples(
        "clonepolicy option set image_upload_use_cinder_backend false",
        "clonepolicy option set trusted_projects glance-store,images",
    ),
)
@click.argument("name", shell_complete=_complete_option)
@click.argument("value")
@root_option
@json_option
def set_option(name: str, value: str, root: Path, *, as_json: bool) -> None:
    """Change an option, for every process that uses the cloud.

    VALUE is true or false, a number, a text, or several texts with commas
    between them; an empty VALUE unsets the option.
    """
    import attrs

    types = _types()
    if name not in types:
        raise click.BadParameter(f"{name!r} is not one of {', '.join(types)}")
    try:
        made = _read(value, types[name])
    except click.BadParameter as error:
        raise click.BadParameter(f"{name}: {error.message}") from None
    with opened(root) as cloud:
        changes: dict[str, Any] = {name: made}
        cloud.set_config(attrs.evolve(cloud.config, **changes))
        now = plain(cloud.config)[name]
    shown = pairs([(name, now)])
    answer({"options": {name: now}}, shown, as_json=as_json)


def _read(text: str, kind: object) -> object:
    if kind in _PARSED:
        return _PARSED[kind](text)
    if kind == frozenset[str]:
        return frozenset(filter(None, map(str.strip, text.split(","))))
    return text or None


@click.group(
    epilog=examples(
        "clonepolicy quota show",
        "clonepolicy quota set --volumes 10 --gigabytes 100",
    )
)
def quota() -> None:
    """Show or change what a project may have in a local cloud."""


@quota.command("show", epilog=examples("clonepolicy quota show"))
@cloud_options
def show_quota(root: Path, project: str, *, as_json: bool) -> None:
    """Show what the quota of the project has left; a dash: no limit."""
    with opened(root) as cloud:
        left = cloud.quota_left(project)
    _answer_quota(left, project, as_json=as_json)


def _limit(name: str, text: str) -> Callable[[F], F]:
    return click.option(
        name,
        type=click.IntRange(min=0),
        metavar="N",
        help=f"{text}  [default: no limit]",
    )


@quota.command(
    "set",
    epilog=examples(
        "clonepolicy quota set --volumes 10 --gigabytes 100",
        "clonepolicy quota set --project cinder-internal",
    ),
)
@_limit("--volumes", "Most volumes.")
@_limit("--gigabytes", "Most GiB of all volumes.")
@_limit("--per-volume-gigabytes", "Most GiB of one volume.")
@cloud_options
def set_quota(
    root: Path,
    project: str,
    *,
    as_json: bool,
    **limits: Any,  # noqa: ANN401 - the quota has these fields
) -> None:
    """Limit the volumes of the project, in place of its previous limits."""
    from clonepolicy import Quota

    with opened(root) as cloud:
        cloud.set_quota(project, Quota(**limits))
        left = cloud.quota_left(project)
    _answer_quota(left, project, as_json=as_json)


def _answer_quota(left: Quota, project: str, *, as_json: bool) -> None:
    names = ("volumes", "gigabytes", "per_volume_gigabytes")
    values = {name: getattr(left, name) for name in names}
    units = ("volumes", "GiB", "GiB of one volume")
    shown = pairs(zip(units, values.values(), strict=True))
    fields = {"project": project, "quota_left": values}
    answer(fields, shown, as_json=as_json)
