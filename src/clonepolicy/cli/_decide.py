"""``clonepolicy decide``: decide a request that is stored as JSON."""

from __future__ import annotations

from functools import partial

import click

from clonepolicy import (
    CreateRequest,
    Decision,
    Refuse,
    UploadRequest,
    decide,
    explain,
    wire,
)
from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.options import (
    examples,
    json_option,
    policy_option,
    read_input,
)
from clonepolicy._terminal.render import emit, say
from clonepolicy.policy import Policy

_REMEDY = "run clonepolicy schema for the schema of requests"


@click.group(
    "decide",
    epilog=examples(
        "clonepolicy decide create request.json",
        "clonepolicy decide upload upload.json --policy CINDER_29",
    ),
)
def decide_command() -> None:
    """Decide a request, without carrying the decision out."""


def _answer(decision: Decision, *, as_json: bool) -> None:
    if as_json:
        emit(wire.to_dict(decision))
    else:
        say(explain(decision))
    if isinstance(decision, Refuse):
        click.get_current_context().exit(Exit.REFUSED)


@decide_command.command(
    "create",
    epilog=examples(
        "clonepolicy decide create request.json",
        "clonepolicy decide create request.json --policy LIBERTY --json",
        "clonepolicy schema --example create | clonepolicy decide create -",
    ),
)
@click.argument("request", metavar="REQUEST.json")
@policy_option
@json_option
def create(request: str, policy: Policy, *, as_json: bool) -> None:
    """Decide how to create a volume from an image.

    The verdict is clone, download or refuse. REQUEST.json is a file that
    holds a create request; - reads standard input. The exit code is 3 if
    the policy refuses.
    """
    parse = partial(wire.loads, CreateRequest)
    read = read_input(request, "a create request", parse, _REMEDY)
    _answer(decide(read, policy), as_json=as_json)


@decide_command.command(
    "upload",
    epilog=examples(
        "clonepolicy decide upload upload.json",
        "clonepolicy schema --example upload | clonepolicy decide upload -",
    ),
)
@click.argument("request", metavar="REQUEST.json")
@policy_option
@json_option
def upload(request: str, policy: Policy, *, as_json: bool) -> None:
    """Decide how to make an image from a volume.

    The verdict is register, upload or refuse. REQUEST.json is a file that
    holds an upload request; - reads standard input. The exit code is 3 if
    the policy refuses.
    """
    parse = partial(wire.loads, UploadRequest)
    read = read_input(request, "an upload request", parse, _REMEDY)
    _answer(decide(read, policy), as_json=as_json)
