"""The program: its commands, and how it ends."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from clonepolicy._terminal.command import CleanExitCommand, version
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import emit
from clonepolicy.cli._arrays import arrays
from clonepolicy.cli._cloud import image, init
from clonepolicy.cli._decide import decide, schema_command
from clonepolicy.cli._demo import demo
from clonepolicy.cli._explain import explain_command
from clonepolicy.cli._rules import rules
from clonepolicy.cli._volume import volume


class _Program(CleanExitCommand, click.Group):
    """Holds the commands."""


_CODES = """\b
Exit codes:
  0    done
  1    the operation failed: every attempt that was open did
  2    bad usage, or input that cannot be read
  3    refused by the policy, or forbidden to the project
  4    no such thing
  5    a conflict: the thing's state, or a name that is not unique
  130  interrupted; nothing is left half made
"""


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
    + "\n\n"
    + _CODES,
)
@click.version_option(version())
def program() -> None:
    """Clone or download, register or upload: decide, explain, carry out.

    Start with the demo: it makes a small cloud in a temporary directory
    and shows there when a volume is cloned and when it is not, and why.
    """


_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@program.command(
    "completion",
    epilog=examples(
        "clonepolicy completion bash > clonepolicy-completion.bash",
        "clonepolicy completion fish",
    ),
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@json_option
def completion(shell: str, *, as_json: bool) -> None:
    """Write the completion script of a shell."""
    made = _SHELLS[shell](program, {}, "clonepolicy", "_CLONEPOLICY_COMPLETE")
    script = made.source().strip()
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)


for command in (
    demo,
    init,
    image,
    volume,
    decide,
    explain_command,
    rules,
    schema_command,
    arrays,
):
    program.add_command(command)
