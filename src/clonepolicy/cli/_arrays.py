"""The command that shows which kinds of array are installed."""

from __future__ import annotations

import click

from clonepolicy import (
    API_VERSION,
    OLDEST_API_VERSION,
    Backend,
    InstalledArray,
    installed_arrays,
)
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import (
    Json,
    emit,
    pairs,
    plain,
    say,
    show,
    table,
)


def _to_dict(array: InstalledArray) -> Json:
    written = plain(array)
    if array.capabilities is not None:
        written["capabilities"] = plain(array.capabilities)
    return written


_CAN = {True: "yes", False: "no", None: "depends on the array"}


def _row(array: InstalledArray) -> tuple[object, ...]:
    can = array.capabilities
    known: tuple[object, ...] = (None, None, None)
    if can is not None:
        images = ", ".join(sorted(can.image_schemes))
        known = (_clones(can), _CAN[can.can_extend], images or None)
    return (
        array.name,
        array.distribution,
        array.api_version,
        *known,
        array.problem or array.warning,
    )


def _clones(can: Backend) -> str:
    if can.can_clone and can.clone_kind is not None:
        limit = can.clone_limit
        most = "" if limit is None else f", {limit} of a source"
        return f"{can.clone_kind}{most}"
    return "yes, as it can" if can.can_clone else _CAN[can.can_clone]


@click.command(
    epilog=examples(
        "clonepolicy arrays",
        "clonepolicy arrays reflink",
        "clonepolicy arrays --json",
    )
)
@click.argument("name", required=False)
@json_option
@click.pass_context
def arrays(context: click.Context, name: str | None, *, as_json: bool) -> None:
    """Show the kinds of array that are installed, or all about one.

    One that cannot be used is shown with what is wrong.  Given its NAME,
    the exit code is 1 then, and 4 if there is none of that name.
    """
    found = installed_arrays(name)
    if name is not None and not found:
        raise CliError(
            Exit.NOT_FOUND,
            f"no array backend {name!r} is installed",
            "clonepolicy arrays lists those that are",
        )
    if as_json:
        emit(
            {
                "api_version": API_VERSION,
                "oldest_api_version": OLDEST_API_VERSION,
                "arrays": [_to_dict(array) for array in found],
            }
        )
    elif name is not None:
        for array in found:
            fields = _to_dict(array)
            told = fields.pop("capabilities") or {}
            told["image_schemes"] = (
                ", ".join(told.get("image_schemes", ())) or None
            )
            show(pairs((fields | told).items()))
    elif found:
        columns = ("name", "offered by", "version", "clones", "grows")
        show(
            table(
                (*columns, "images", "problem"),
                map(_row, found),
                right=("version",),
                whole=("name",),
            )
        )
    else:
        say("no array backend is installed")
    if name is not None and any(array.problem for array in found):
        context.exit(Exit.FAILED)
