"""``clonepolicy explain``: explain a reason or a stored decision."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from clonepolicy import (
    POLICIES,
    Decision,
    Reason,
    Unblock,
    explain,
    explain_to_tenant,
    what_would_it_take,
    wire,
)
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, json_option, read_input
from clonepolicy._terminal.render import Json, emit, pairs, plain, say, show
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
@click.option(
    "--tenant", is_flag=True, help="Show only what a tenant may know."
)
@click.option(
    "--what-would-it-take",
    "unblock",
    is_flag=True,
    help="Show what would open an efficient path.",
)
@json_option
def explain_command(
    subject: str, *, tenant: bool, unblock: bool, as_json: bool
) -> None:
    """Explain a reason, or a decision that is stored as JSON.

    The request in DECISION.json is decided again; - reads standard input.
    If the result is not the stored decision, that is an error.
    """
    reason = _reason(subject)
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


def _reason(text: str) -> Reason | None:
    wanted = text.lower().replace("_", "-")
    return next((reason for reason in Reason if reason == wanted), None)


def _decision(name: str) -> Decision:
    if name != "-" and not Path(name).exists():
        close = difflib.get_close_matches(name.lower(), list(Reason), 1)
        remedy = (
            f"did you mean {close[0]}?"
            if close
            else "run clonepolicy rules to list the reasons"
        )
        raise CliError(
            Exit.NOT_FOUND, f"{name}: not a reason, and not a file", remedy
        )
    remedy = "use a file that clonepolicy decide --json wrote"
    return read_input(name, "a decision", wire.loads_decision, remedy)


def _explain_decision(
    decision: Decision, *, tenant: bool, unblock: bool, as_json: bool
) -> None:
    if tenant and unblock:
        raise click.UsageError(
            "--what-would-it-take shows what a tenant may not know; "
            "leave --tenant out"
        )
    text = explain_to_tenant(decision) if tenant else explain(decision)
    ways: tuple[Unblock, ...] = ()
    if unblock:
        ways = what_would_it_take(decision.request, decision.policy)
    if not as_json:
        say(text)
        if unblock:
            say("\nwhat it would take:")
            say(_ways_text(ways))
        return
    fields: Json = {"kind": "decision", "explanation": text}
    if not tenant:
        fields["decision"] = wire.to_dict(decision)
    if unblock:
        fields["what_would_it_take"] = [plain(way) for way in ways]
    emit(fields)


def _ways_text(ways: tuple[Unblock, ...]) -> str:
    if not ways:
        return "  nothing: the efficient path is open"
    lines = []
    for way in ways:
        source = "" if way.candidate is None else f" from {way.candidate}"
        lines.append(f"  {way.route}{source}:")
        for each in way.remedies:
            wait = ", or wait" if each.waiting_helps else ""
            lines.append(
                f"    {each.responsible}: {each.remedy}{wait} [{each.reason}]"
            )
    return "\n".join(lines)


def _rules_of(reason: Reason) -> list[Json]:
    return [
        {"policy": policy.name, "table": table, **rule_to_dict(rule)}
        for policy in POLICIES.values()
        for table, rules in policy.tables()
        for rule in rules
        if rule.reason is reason
    ]


def _show_reason(reason: Reason) -> None:
    wait = "may help" if reason.waiting_helps else "does not help"
    say(f"{reason}: {reason.meaning}\n")
    rows = [
        ("subject", reason.subject),
        ("responsible", reason.responsible),
        ("remedy", reason.remedy),
        ("waiting", wait),
    ]
    show(pairs(rows))
    found = _rules_of(reason)
    for name in dict.fromkeys(entry["rule"] for entry in found):
        entries = [entry for entry in found if entry["rule"] == name]
        homes: dict[str, list[str]] = {}
        for entry in entries:
            homes.setdefault(entry["policy"], []).append(entry["table"])
        rule = entries[0]
        say(f"\nrule {name}: {rule['requirement']}")
        show(pairs([*homes.items(), *rule_rows(rule)]))
