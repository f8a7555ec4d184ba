"""``clonepolicy explain``: explain a name or a stored decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

import clonepolicy
from clonepolicy import policy as policies
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import (
    PolicyName,
    examples,
    flag,
    json_option,
    read_input,
    yaml_option,
)
from clonepolicy._terminal.render import Json, emit, emit_yaml, say
from clonepolicy._text import shown
from clonepolicy.cli._body_options import body_options, is_given, request_of


def _complete(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete a name in any case, or leave files to the shell."""
    from clonepolicy.cli._subjects import names

    wanted = incomplete.casefold()
    found = [n for n in names() if n.casefold().startswith(wanted)]
    if not found:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in found]


@click.command(
    "explain",
    epilog=examples(
        "clonepolicy explain owner-mismatch",
        "clonepolicy explain IMAGE_NOT_ACTIVE --json",
        "clonepolicy explain image_on_same_array",
        "clonepolicy explain X4",
        "clonepolicy explain trusted_projects",
        "clonepolicy explain decision.json --what-would-it-take",
        "clonepolicy explain decision.json --tenant",
    ),
)
@click.argument(
    "subject",
    metavar="[REASON|RULE|X-NUMBER|OPTION|DECISION.json]",
    required=False,
    shell_complete=_complete,
)
@flag("--tenant", help="Show only what a tenant may know.")
@flag(
    "--what-would-it-take",
    "unblock",
    help="Show what would open an efficient route.",
)
@click.option(
    "--operation",
    type=click.Choice(("create", "upload")),
    default="create",
    show_default=True,
    help="What the answers and rows are about.",
)
@body_options
@click.option(
    "--policy",
    type=PolicyName(),
    default="SAFE",
    show_default=True,
    # without this, the help imports the policies to name them
    metavar="POLICY",
    help="The policy that decides about the answers and rows.",
)
@json_option
@yaml_option
def explain_command(  # noqa: PLR0913 - one for each option
    subject: str | None,
    *,
    bodies: Json,
    operation: str,
    policy: policies.Policy,
    tenant: bool,
    unblock: bool,
    as_json: bool,
    as_yaml: bool,
) -> None:
    """Explain a reason, a rule, an option, or a decision.

    An X-number is that of a misconfiguration in the documentation. The request
    in DECISION.json is decided again; - reads standard input. If the result is
    not the stored decision, that is an error. Answers of Glance and Cinder, or
    rows of their databases, are decided by --policy, as clonepolicy decide
    does, which has examples.
    """
    write = emit if as_json else emit_yaml if as_yaml else None
    if subject is None or is_given(bodies):
        if subject is not None or not is_given(bodies):
            raise click.UsageError(
                "name one thing to explain, or give --image and --volume"
            )
        request = request_of(operation, None, bodies)
        _explain_decision(
            clonepolicy.decide(request, policy),
            tenant=tenant,
            unblock=unblock,
            write=write,
        )
        return
    from clonepolicy.cli._explain_subject import explain_subject
    from clonepolicy.cli._subjects import find_subject

    named = find_subject(subject)
    if named is None:
        decision = _decision(subject)
        _explain_decision(
            decision, tenant=tenant, unblock=unblock, write=write
        )
        return
    if tenant or unblock:
        raise click.UsageError(
            "--tenant and --what-would-it-take need a decision, "
            f"but {subject} is the name of something else"
        )
    explain_subject(named, write)


def _decision(name: str) -> clonepolicy.Decision:
    if name != "-" and not Path(name).exists():
        from clonepolicy.cli._subjects import close_names

        close = close_names(name)
        remedy = (
            f"did you mean {close[0]}?"
            if close
            else "run clonepolicy rules to list the rules and reasons"
        )
        raise CliError(
            Exit.NOT_FOUND,
            f"{name}: not a reason, rule, X-number or option, and not a file",
            remedy,
        )
    from clonepolicy import wire
    from clonepolicy.cli._documents import parse

    def read(text: str) -> clonepolicy.Decision:
        return wire.loads_decision(json.dumps(parse(name, text)))

    remedy = "use a file that clonepolicy decide --json wrote"
    return read_input(name, "a decision", read, remedy)


def _explain_decision(
    decision: clonepolicy.Decision,
    *,
    tenant: bool,
    unblock: bool,
    write: Callable[[Json], None] | None,
) -> None:
    if tenant and unblock:
        raise click.UsageError(
            "--what-would-it-take shows what a tenant may not know; "
            "leave --tenant out"
        )
    from clonepolicy import explain, explain_to_tenant, wire

    text = explain_to_tenant(decision) if tenant else explain(decision)
    unblocks: tuple[clonepolicy.Unblock, ...] = ()
    if unblock:
        unblocks = clonepolicy.what_would_it_take(
            decision.request, decision.policy
        )
    if write is None:
        say(text)
        if unblock:
            say("\nwhat it would take:")
            _show_unblocks(unblocks)
        return
    fields: Json = {"kind": "decision", "explanation": text}
    if not tenant:
        fields["decision"] = wire.to_dict(decision)
    if unblock:
        fields["what_would_it_take"] = [
            {
                "route": str(way.route),
                "candidate": way.candidate,
                "cost": str(way.cost),
                "remedies": [wire.remedy_to_dict(r) for r in way.remedies],
            }
            for way in unblocks
        ]
    write(fields)


def _show_unblocks(unblocks: tuple[clonepolicy.Unblock, ...]) -> None:
    if not unblocks:
        say("  nothing: the efficient route is open")
    for unblock in unblocks:
        named = unblock.candidate
        source = "" if named is None else f" from {shown(named)}"
        say(f"  {unblock.route}{source}:")
        for each in unblock.remedies:
            say(f"    {each} [{each.reason}]")
