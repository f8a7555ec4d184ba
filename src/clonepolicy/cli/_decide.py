"""``clonepolicy decide`` and ``schema``: requests that are stored as JSON."""

from __future__ import annotations

import click

import clonepolicy
from clonepolicy import policy as policies
from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.options import (
    examples,
    json_option,
    policy_option,
    yaml_option,
)
from clonepolicy._terminal.render import Json, answer, emit, emit_yaml
from clonepolicy.cli._body_options import body_options, is_given, request_of

_KINDS = ("create", "upload")


def _example(
    kind: str,
) -> clonepolicy.CreateRequest | clonepolicy.UploadRequest:
    """Return an example of a kind of request."""
    from clonepolicy.scenarios import CLONEABLE, REGISTERABLE

    if kind == "upload":
        return REGISTERABLE
    return CLONEABLE[clonepolicy.Route.IMAGE_VOLUME]


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
    what = f"{'an' if kind == 'upload' else 'a'} {kind} request"

    @decide_command.command(
        kind,
        help=f"""Decide how to {how}.

        The verdict is {verdicts}. REQUEST.json is a file that holds {what}, in
        YAML if its name ends in .yaml; - reads standard input. The options
        take answers of Glance and Cinder, or rows of their databases, as
        JSON or YAML. What they say replaces what the request says; without a
        request, what they do not say is not known. The exit code is 3 if the
        policy refuses.
        """,
        epilog=examples(
            *lines,
            f"clonepolicy schema --example {kind} | "
            f"clonepolicy decide {kind} -",
        ),
    )
    @click.argument("request", metavar="[REQUEST.json]", required=False)
    @body_options
    @policy_option
    @json_option
    @yaml_option
    def command(
        request: str | None,
        policy: policies.Policy,
        *,
        bodies: Json,
        as_json: bool,
        as_yaml: bool,
    ) -> None:
        from clonepolicy import wire

        if request is None and not is_given(bodies):
            raise click.UsageError(
                f"name a file that holds {what}, or give --image and --volume"
            )
        given = request_of(kind, request, bodies)
        decision = clonepolicy.decide(given, policy)
        if as_yaml:
            emit_yaml(wire.to_dict(decision))
        else:
            shown = clonepolicy.explain(decision)
            answer(wire.to_dict(decision), shown, as_json=as_json)
        if isinstance(decision, clonepolicy.Refuse):
            click.get_current_context().exit(Exit.REFUSED)


_add(
    "create",
    "create a volume from an image",
    "clone, download or refuse",
    "clonepolicy decide create request.json",
    "clonepolicy decide create request.json --policy LIBERTY --json",
    "clonepolicy decide create request.json --image image.json",
    "clonepolicy decide create --image image.json --size 1 --project demo",
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
    type=click.Choice(_KINDS),
    help="Write an example of a request instead.",
)
@json_option
def schema_command(example: str | None, *, as_json: bool) -> None:
    """Write the JSON schema of requests, or an example.

    SAFE clones the create example and registers the upload example. The
    output is JSON with and without --json.
    """
    from clonepolicy import schema, wire

    del as_json
    made = schema.schema() if example is None else None
    emit(made or wire.to_dict(_example(str(example))))
