"""``clonepolicy completion``: completion scripts for shells."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import emit

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog=examples(
        "clonepolicy completion bash > clonepolicy-completion.bash",
        "clonepolicy completion fish",
    ),
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, *, as_json: bool) -> None:
    """Write the completion script of a shell.

    To complete commands, options and policies with the Tab key, source the
    script in the startup file of the shell.
    """
    made = _SHELLS[shell](
        context.find_root().command,
        {},
        "clonepolicy",
        "_CLONEPOLICY_COMPLETE",
    )
    script = made.source().strip()
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)
