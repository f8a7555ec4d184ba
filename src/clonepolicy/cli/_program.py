"""The program ``clonepolicy``: all commands, the exit codes, completion."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from clonepolicy._terminal.command import CleanExitCommand, version_option
from clonepolicy._terminal.errors import Exit, exit_codes
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import emit
from clonepolicy.cli._arrays import arrays
from clonepolicy.cli._check import check, discard
from clonepolicy.cli._cloud import init
from clonepolicy.cli._decide import decide_command, schema_command
from clonepolicy.cli._demo_command import demo
from clonepolicy.cli._explain import explain_command
from clonepolicy.cli._lint import lint
from clonepolicy.cli._rules import rules
from clonepolicy.cli._settings import option, pool, quota
from clonepolicy.cli._storage import image, volume
from clonepolicy.cli._why import why

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog=examples(
        "clonepolicy completion bash > clonepolicy-completion.bash",
        "clonepolicy completion fish",
    )
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
        context.find_root().command, {}, "clonepolicy", "_CLONEPOLICY_COMPLETE"
    )
    script = made.source().strip()
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)


class _Program(  # pyright: ignore[reportIncompatibleMethodOverride] - as its base
    CleanExitCommand, click.Group
):
    """A group of commands that ends as a single command does."""


@click.group(
    cls=_Program,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 79,
    },
    epilog=examples(
        "clonepolicy demo",
        "clonepolicy explain owner-mismatch",
        "clonepolicy schema --example create | clonepolicy decide create -",
    )
    + exit_codes((code, code.meaning) for code in Exit),
)
@version_option
def program() -> None:
    """Decide between clone and download, and between register and upload.

    Start with the demo. It makes a small cloud in a temporary directory and
    shows when a volume is cloned, when it is not, and why.
    """


for command in (
    demo,
    init,
    image,
    volume,
    pool,
    option,
    quota,
    check,
    discard,
    decide_command,
    why,
    lint,
    explain_command,
    rules,
    schema_command,
    arrays,
    completion,
):
    program.add_command(command)
