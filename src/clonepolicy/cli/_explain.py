"""The command that explains a reason or a stored decision."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from clonepolicy import (
    POLICIES,
    Decision,
    Reason,
    Way,
    explain,
    explain_to_tenant,
    tables,
    what_would_it_take,
    wire,
)
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, json_option, read_text
from clonepolicy._terminal.render import Json, emit, pairs, say, show


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
    "--tenant", is_flag=True, help="Tell only what a tenant may know."
)
@click.option(
    "--what-would-it-take",
    "ways_too",
    is_flag=True,
    help="Tell what would open the efficient path.",
)
@json_option
def explain_command(
    subject: str, *, tenant: bool, ways_too: bool, as_json: bool
) -> None:
    """Explain a reason, or a decision that was stored as JSON.

    A decision is made anew from its request; one that does not come out
    as it is written is an error.
    """
    reason = _reason(subject)
    if reason is None:
        decision = _decision(subject)
        _explain_decision(
            decision, tenant=tenant, ways_too=ways_too, as_json=as_json
        )
        return
    if tenant or ways_too:
        raise click.UsageError(
            "--tenant and --what-would-it-take are about decisions, "
            f"and {reason} is a reason"
        )
    if as_json:
        emit(_reason_to_dict(reason))
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
            else "clonepolicy rules lists the reasons"
        )
        raise CliError(
            Exit.NOT_FOUND, f"{name}: neither a reason nor a file", remedy
        )
    text = read_text(name, "a decision")
    try:
        return wire.loads_decision(text)
    except ValueError as error:
        remedy = "clonepolicy decide --json writes decisions"
        raise CliError(Exit.USAGE, f"{name}: {error}", remedy) from None


def _explain_decision(
    decision: Decision, *, tenant: bool, ways_too: bool, as_json: bool
) -> None:
    text = explain_to_tenant(decision) if tenant else explain(decision)
    ways = (
        what_would_it_take(decision.request, decision.policy)
        if ways_too
        else ()
    )
    if tenant and ways_too:
        raise click.UsageError(
            "--what-would-it-take tells what a tenant may not know; "
            "leave --tenant out"
        )
    if not as_json:
        say(text)
        if ways_too:
            say("\nwhat it would take:")
            say(ways_text(ways))
        return
    told: Json = {"kind": "decision", "explanation": text}
    if not tenant:
        told["decision"] = wire.to_dict(decision)
    if ways_too:
        told["what_would_it_take"] = [_way_to_dict(way) for way in ways]
    emit(told)


def ways_text(ways: tuple[Way, ...]) -> str:
    """Write the changes that open an efficient path."""
    if not ways:
        return "  nothing: the efficient path is open"
    lines = []
    for way in ways:
        source = "" if way.candidate is None else f" from {way.candidate}"
        lines.append(f"  {way.path}{source}:")
        for change in way.changes:
            wait = ", or wait" if change.waiting_helps else ""
            lines.append(
                f"    {change.who}: {change.remedy}{wait} [{change.reason}]"
            )
    return "\n".join(lines)


def _way_to_dict(way: Way) -> Json:
    return {
        "path": str(way.path),
        "candidate": way.candidate,
        "changes": [
            {
                "reason": str(change.reason),
                "who": str(change.who),
                "remedy": change.remedy,
                "waiting_helps": change.waiting_helps,
            }
            for change in way.changes
        ],
    }


def _givers(reason: Reason) -> list[Json]:
    return [
        {
            "policy": policy.name,
            "table": table,
            "rule": rule.name,
            "requirement": rule.requirement,
            "reads": list(rule.reads),
            "sources": [str(source) for source in rule.sources],
            "differs": rule.differs or None,
        }
        for policy in POLICIES.values()
        for table, rules in tables(policy)
        for rule in rules
        if rule.reason is reason
    ]


def _reason_to_dict(reason: Reason) -> Json:
    about = reason.about
    return {
        "kind": "reason",
        "reason": str(reason),
        "name": reason.name,
        "subject": str(about.subject),
        "meaning": about.meaning,
        "who": str(about.who),
        "remedy": about.remedy,
        "waiting_helps": about.waiting_helps,
        "rules": _givers(reason),
    }


def _show_reason(reason: Reason) -> None:
    about = reason.about
    wait = "may help" if about.waiting_helps else "does not help"
    say(f"{reason}: {about.meaning}\n")
    show(
        pairs(
            [
                ("about", about.subject),
                ("who", about.who),
                ("remedy", about.remedy),
                ("waiting", wait),
            ]
        )
    )
    givers = _givers(reason)
    for rule in dict.fromkeys(giver["rule"] for giver in givers):
        given = [giver for giver in givers if giver["rule"] == rule]
        first = given[0]
        say(f"\nrule {rule}: {first['requirement']}")
        policies = dict.fromkeys(giver["policy"] for giver in given)
        rows: list[tuple[str, object]] = [
            (
                policy,
                ", ".join(g["table"] for g in given if g["policy"] == policy),
            )
            for policy in policies
        ]
        rows.append(("reads", ", ".join(first["reads"])))
        rows.append(("sources", "; ".join(first["sources"])))
        if first["differs"]:
            rows.append(("Cinder", first["differs"]))
        show(pairs(rows))
