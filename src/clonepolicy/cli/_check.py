"""``clonepolicy check`` and ``discard``: what does not fit in a cloud."""

from __future__ import annotations

from pathlib import Path

import click

from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import answer, plain
from clonepolicy._text import printable
from clonepolicy.adapters import local
from clonepolicy.cli._cloud import root_option


@click.command(
    epilog=examples("clonepolicy check", "clonepolicy check --json")
)
@root_option
@json_option
@click.pass_context
def check(context: click.Context, root: Path, *, as_json: bool) -> None:
    """Name all that does not fit in a local cloud, and its remedy.

    A damaged record, a file without a record, and a file that does not fit
    its record stay until a command takes them back or removes them. If there
    are any, the exit code is 1.
    """
    with local.LocalCloud(root) as cloud:
        found = cloud.check()
    text = "\n".join(printable(str(problem)) for problem in found)
    answer(
        {"problems": [plain(problem) for problem in found]},
        text or "everything fits",
        as_json=as_json,
    )
    if found:
        context.exit(Exit.FAILED)


@click.command(
    epilog=examples(
        "clonepolicy discard"
        " cloud/images/8a0b1c1e-5f3c-4a38-9d0c-0a4f5c2b7e11",
        "clonepolicy discard journal/7 --json",
    )
)
@click.argument("where")
@root_option
@json_option
def discard(where: str, root: Path, *, as_json: bool) -> None:
    """Remove a file without a record, or a damaged record.

    WHERE is a path or a record for which `clonepolicy check` names this
    command. Nothing else is removed.
    """
    with local.LocalCloud(root) as cloud:
        cloud.discard(where)
    answer({"discarded": where}, f"discarded {where}", as_json=as_json)
