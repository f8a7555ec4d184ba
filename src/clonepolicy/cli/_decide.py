"""``clonepolicy decide`` and ``schema``: requests that are stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import click

from clonepolicy import (
    CreateRequest,
    Refuse,
    Route,
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
from clonepolicy._terminal.render import answer, emit
from clonepolicy.policy import Policy
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE
from clonepolicy.schema import schema

_EXAMPLES: Mapping[str, CreateRequest | UploadRequest] = {
    "create": CLONEABLE[Route.IMAGE_VOLUME],
    "upload": REGISTERABLE,
}
"""An example of each kind of request."""
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


def _add(kind: str, how: str, verdicts: str, *lines: str) -> None:
    """Add the command that decides one kind of request."""
    record = type(_EXAMPLES[kind])
    what = f"{'an' if kind == 'upload' else 'a'} {kind} request"

    @decide_command.command(
        kind,
        help=f"""Decide how to {how}.

        The verdict is {verdicts}. REQUEST.json is a file that holds {what}; -
        reads standard input. The exit code is 3 if the policy refuses.
        """,
        epilog=examples(
            *lines,
            f"clonepolicy schema --example {kind} | "
            f"clonepolicy decide {kind} -",
        ),
    )
    @click.argument("request", metavar="REQUEST.json")
    @policy_option
    @json_option
    def command(request: str, policy: Policy, *, as_json: bool) -> None:
        parse = partial(wire.loads, record)
        decision = decide(read_input(request, what, parse, _REMEDY), policy)
        answer(wire.to_dict(decision), explain(decision), as_json=as_json)
        if isinstance(decision, Refuse):
            click.get_current_context().exit(Exit.REFUSED)


_add(
    "create",
    "create a volume from an image",
    "clone, download or refuse",
    "clonepolicy decide create request.json",
    "clonepolicy decide create request.json --policy LIBERTY --json",
)
_add(
    "upload",
    "make an image from a volume",
    "register, upload or refuse",
    "clonepolicy decide upload upload.json",
)


@click.command(
    "schema",
    epilog=examples(
        "clonepolicy schema",
        "clonepolicy schema --example create",
        "clonepolicy schema --example upload | clonepolicy decide upload -",
    ),
)
@click.option(
    "--example",
    type=click.Choice(list(_EXAMPLES)),
    help="Write an example of a request instead.",
)
@json_option
def schema_command(example: str | None, *, as_json: bool) -> None:
    """Write the JSON schema of requests, or an example.

    SAFE clones the create example and registers the upload example. The
    output is JSON with and without --json.
    """
    del as_json
    emit(schema() if example is None else wire.to_dict(_EXAMPLES[example]))
