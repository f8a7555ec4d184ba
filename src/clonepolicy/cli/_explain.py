"""``clonepolicy explain``: explain a reason or a stored decision."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

import clonepolicy
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import (
    examples,
    flag,
    json_option,
    read_input,
)
from clonepolicy._terminal.render import Json, emit, pairs, say, show
from clonepolicy._text import shown
from clonepolicy.cli._rules import rule_rows, rule_to_dict


@click.command(
    "explain",
    epilog=examples(
        "clonepolicy explain owner-mismatch",
        "clonepolicy explain IMAGE_NOT_ACTIVE --json",
        "clonepolicy explain decision.json --what-would-it-take",
        "clonepolicy explain decision.json --tenant",
    ),
)
@click.argument("subject", metavar="REASON|DECISION.json")
@flag("--tenant", help="Show only what a tenant may know.")
@flag(
    "--what-would-it-take",
    "unblock",
    help="Show what would open an efficient route.",
)
@json_option
def explain_command(
    subject: str, *, tenant: bool, unblock: bool, as_json: bool
) -> None:
    """Explain a reason, or a decision that is stored as JSON.

    The request in DECISION.json is decided again; - reads standard input.
    If the result is not the stored decision, that is an error.
    """
    wanted = subject.lower().replace("_", "-")
    reason = next(
        (reason for reason in clonepolicy.Reason if reason == wanted), None
    )
    if reason is None:
        decision = _decision(subject)
        _explain_decision(
            decision, tenant=tenant, unblock=unblock, as_json=as_json
        )
        return
    if tenant or unblock:
        raise click.UsageError(
            "--tenant and --what-would-it-take need a decision, "
            f"but {reason} is a reason"
        )
    if as_json:
        from clonepolicy import wire

        emit(
            {
                "kind": "reason",
                "name": reason.name,
                **wire.reason_to_dict(reason),
                "rules": _rules_of(reason),
            }
        )
    else:
        _show_reason(reason)


def _decision(name: str) -> clonepolicy.Decision:
    if name != "-" and not Path(name).exists():
        close = difflib.get_close_matches(
            name.lower(), list(clonepolicy.Reason), 1
        )
        remedy = (
            f"did you mean {close[0]}?"
            if close
            else "run clonepolicy rules to list the reasons"
        )
        raise CliError(
            Exit.NOT_FOUND, f"{name}: not a reason, and not a file", remedy
        )
    from clonepolicy import wire

    remedy = "use a file that clonepolicy decide --json wrote"
    return read_input(name, "a decision", wire.loads_decision, remedy)


def _explain_decision(
    decision: clonepolicy.Decision,
    *,
    tenant: bool,
    unblock: bool,
    as_json: bool,
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
    if not as_json:
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
    emit(fields)


def _show_unblocks(unblocks: tuple[clonepolicy.Unblock, ...]) -> None:
    if not unblocks:
        say("  nothing: the efficient route is open")
    for unblock in unblocks:
        named = unblock.candidate
        source = "" if named is None else f" from {shown(named)}"
        say(f"  {unblock.route}{source}:")
        for each in unblock.remedies:
            say(f"    {each} [{each.reason}]")


def _rules_of(reason: clonepolicy.Reason) -> list[Json]:
    return [
        {"policy": policy.name, "table": table, **rule_to_dict(rule)}
        for policy in clonepolicy.POLICIES.values()
        for table, rules in policy.tables()
        for rule in rules
        if rule.reason is reason
    ]


def _show_reason(reason: clonepolicy.Reason) -> None:
    say(f"{reason}: {reason.meaning}\n")
    show(pairs([("subject", reason.subject)]))
    found = _rules_of(reason)
    for name in dict.fromkeys(entry["rule"] for entry in found):
        entries = [entry for entry in found if entry["rule"] == name]
        homes: dict[str, list[str]] = {}
        for entry in entries:
            homes.setdefault(entry["policy"], []).append(entry["table"])
        rule = entries[0]
        say(f"\nrule {name}: {rule['requirement']}")
        show(pairs([*homes.items(), *rule_rows(rule)]))
