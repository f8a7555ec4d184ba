"""``clonepolicy schema``: the JSON schema of requests, and examples."""

from __future__ import annotations

from collections.abc import Mapping

import click

from clonepolicy import CreateRequest, Route, UploadRequest, wire
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import emit
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE
from clonepolicy.schema import schema

_EXAMPLES: Mapping[str, CreateRequest | UploadRequest] = {
    "create": CLONEABLE[Route.IMAGE_VOLUME],
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
