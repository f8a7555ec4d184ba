"""The commands that take a request and need no cloud: decide, schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import click

from clonepolicy import (
    CreateRequest,
    Decision,
    Mechanism,
    Policy,
    Refuse,
    UploadRequest,
    decide_create,
    decide_upload,
    explain,
    wire,
)
from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.options import (
    examples,
    in_file,
    json_option,
    policy_option,
    read_text,
)
from clonepolicy._terminal.render import emit, say
from clonepolicy.schema import schema
from clonepolicy.testing.worlds import CLONEABLE, REGISTERABLE

T = TypeVar("T")


@click.group(
    epilog=examples(
        "clonepolicy decide create request.json",
        "clonepolicy decide upload upload.json --policy CINDER_29",
    )
)
def decide() -> None:
    """Decide a request; nothing is carried out."""


def _answer(decision: Decision, *, as_json: bool) -> None:
    if as_json:
        emit(wire.to_dict(decision))
    else:
        say(explain(decision))
    if isinstance(decision, Refuse):
        click.get_current_context().exit(Exit.REFUSED)


def _read(kind: type[T], path: str, what: str) -> T:
    """Read a request from a file; what is wrong with it names the file."""
    text = read_text(path, what)
    try:
        return wire.loads(kind, text)
    except ValueError as error:
        raise in_file(path, error) from None


@decide.command(
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
def decide_create_command(
    request: str, policy: Policy, *, as_json: bool
) -> None:
    """Clone, download or refuse: decide how a volume gets an image's data.

    REQUEST.json is a create request; - reads standard input.
    Exits with 3 when the policy refuses.
    """
    read = _read(CreateRequest, request, "a create request")
    _answer(decide_create(read, policy), as_json=as_json)


@decide.command(
    "upload",
    epilog=examples(
        "clonepolicy decide upload upload.json",
        "clonepolicy schema --example upload | clonepolicy decide upload -",
    ),
)
@click.argument("request", metavar="REQUEST.json")
@policy_option
@json_option
def decide_upload_command(
    request: str, policy: Policy, *, as_json: bool
) -> None:
    """Register, upload or refuse: decide how an image gets a volume's data.

    REQUEST.json is an upload request; - reads standard input.
    Exits with 3 when the policy refuses.
    """
    read = _read(UploadRequest, request, "an upload request")
    _answer(decide_upload(read, policy), as_json=as_json)


_EXAMPLES: Mapping[str, CreateRequest | UploadRequest] = {
    "create": CLONEABLE[Mechanism.IMAGE_VOLUME],
    "upload": REGISTERABLE,
}


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
    help="Write a request that is cloned, or registered, instead.",
)
@json_option
def schema_command(example: str | None, *, as_json: bool) -> None:
    """Write the JSON schema of requests, or an example of one.

    Both are JSON in any case; --json changes nothing.
    """
    del as_json
    emit(schema() if example is None else wire.to_dict(_EXAMPLES[example]))
