"""``clonepolicy arrays``: show the installed array backends."""

from __future__ import annotations

import click

import clonepolicy
from clonepolicy import ports
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import emit, pairs, plain, say, show, table

_ANSWERS = {True: "yes", False: "no", None: "depends on the array"}


def _row(array: ports.InstalledArray) -> tuple[object, ...]:
    can = array.capabilities
    known: tuple[object, ...] = (None, None, None)
    if can is not None:
        images = sorted(can.image_schemes)
        known = (_clones(can), _ANSWERS[can.can_extend], images)
    return (
        array.name,
        array.distribution,
        array.api_version,
        *known,
        array.problem or array.warning,
    )


def _clones(can: clonepolicy.Backend) -> str:
    if can.can_clone and can.clone_kind is not None:
        limit = can.clone_limit
        most = "" if limit is None else f", at most {limit} of a source"
        return f"{can.clone_kind}{most}"
    return "yes, method varies" if can.can_clone else _ANSWERS[can.can_clone]


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
    """Show the installed array backends, or all fields of one.

    A backend that cannot be used is shown with its problem. If you ask for
    it by NAME, the exit code is 1; if no backend has that NAME, it is 4.
    """
    from clonepolicy.adapters.sandbox import sandbox

    found = ports.installed_arrays(name)
    if name is not None and not found:
        raise CliError(
            Exit.NOT_FOUND,
            f"no array backend {name!r} is installed",
            "run clonepolicy arrays to list the installed ones",
        )
    if as_json:
        emit(
            {
                "api_version": ports.API_VERSION,
                "oldest_api_version": ports.OLDEST_API_VERSION,
                "sandbox": sandbox(),
                "arrays": [plain(array) for array in found],
            }
        )
    elif name is not None:
        for array in found:
            fields = plain(array)
            capabilities = fields.pop("capabilities") or {}
            show(pairs((fields | capabilities).items()))
    elif found:
        names = ("name", "package", "API", "clones", "extends")
        heads = (*names, "images", "problem")
        rows = map(_row, found)
        show(table(heads, rows, right=("API",), whole=("name",)))
        say(f"sandbox of qemu-img: {sandbox()}")
    else:
        say("no array backend is installed")
    if name is not None and any(array.problem for array in found):
        context.exit(Exit.FAILED)
