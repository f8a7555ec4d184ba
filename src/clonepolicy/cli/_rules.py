"""``clonepolicy rules`` and ``explain``: rules, reasons and decisions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs
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
from clonepolicy._terminal.options import (
    PolicyName,
    examples,
    flag,
    json_option,
    policy_option,
    read_input,
)
from clonepolicy._terminal.render import (
    Json,
    console,
    emit,
    pairs,
    plain,
    say,
    show,
    table,
)
from clonepolicy.policy import Policy, Rule

_WIDE = 110


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "clonepolicy rules",
        "clonepolicy rules --policy CINDER_29 --long",
        "clonepolicy rules diff SAFE CINDER_29",
    ),
)
@policy_option
@flag(
    "--long",
    "details",
    help="Show also the facts, citations and remedy of each rule.",
)
@json_option
@click.pass_context
def rules(
    context: click.Context, policy: Policy, *, details: bool, as_json: bool
) -> None:
    """Show the rules of a policy, or compare two policies."""
    if context.invoked_subcommand is not None:
        if as_json or details:
            raise click.UsageError(
                f"write the options after {context.invoked_subcommand}"
            )
        return
    if as_json:
        listed = [
            {
                "table": name,
                "rules": [
                    _rule_to_dict(rule) | wire.reason_to_dict(rule.reason)
                    for rule in those
                ],
            }
            for name, those in policy.tables()
        ]
        named = {"name": policy.name, "version": policy.version}
        emit({"policy": named, "tables": listed})
        return
    say(f"policy {policy}")
    for name, those in policy.tables():
        if not those:
            continue
        say(f"\n{name}")
        if details:
            for rule in those:
                _show_rule(rule)
        else:
            _show_rules(those)
    if not details:
        say("\nFor details, run clonepolicy explain REASON, or use --long.")


def _rule_to_dict(rule: Rule[Any]) -> Json:
    """Convert a rule to JSON types, without its reason."""
    return {
        "rule": rule.name,
        "requirement": rule.requirement,
        "reads": list(rule.reads),
        "citations": [str(citation) for citation in rule.citations],
        "differs": rule.differs or None,
    }


def _rule_rows(rule: Json) -> list[tuple[str, object]]:
    """Give the facts and citations of a rule as names and values."""
    rows = [
        ("reads", rule["reads"]),
        ("citations", "; ".join(rule["citations"])),
    ]
    return [*rows, ("Cinder", rule["differs"])] if rule["differs"] else rows


def _show_rules(those: Iterable[Rule[Any]]) -> None:
    gap = ": " if console().width >= _WIDE else ":\n  "
    rows = (
        (f"{r.name}{gap}{r.reason}", r.requirement, r.reason.responsible)
        for r in those
    )
    heads = ("rule: reason", "requirement", "responsible")
    show(table(heads, rows, whole=heads[:1]))


def _show_rule(rule: Rule[Any]) -> None:
    reason = rule.reason
    say(f"\nrule {rule.name}: {rule.requirement}")
    rows = [
        ("reason", f"{reason}: {reason.meaning}"),
        ("remedy", f"{reason.responsible}: {reason.remedy}"),
        *_rule_rows(_rule_to_dict(rule)),
    ]
    show(pairs(rows))


@rules.command(
    "diff",
    epilog=examples(
        "clonepolicy rules diff SAFE CINDER_29",
        "clonepolicy rules diff LIBERTY SAFE --json",
    ),
)
@click.argument("a", type=PolicyName())
@click.argument("b", type=PolicyName())
@json_option
def diff(a: Policy, b: Policy, *, as_json: bool) -> None:
    """Show every rule that only one of the policies A and B has.

    Each rule comes with the verdicts of both policies on a request that
    breaks the rule. --json writes these requests in full; clonepolicy decide
    reads them.
    """
    # this import takes long, and the other commands do not need it
    from clonepolicy.scenarios import differences  # noqa: PLC0415

    found = differences(a, b)
    if as_json:
        listed = [
            attrs.asdict(difference, recurse=False)
            | {"request": wire.to_dict(difference.request)}
            for difference in found
        ]
        emit({"a": str(a), "b": str(b), "differences": listed})
        return
    if not found:
        say(f"{a} and {b} have the same rules in the same tables.")
        return
    for (only_in, name), group in groupby(
        found, key=lambda d: (d.only_in, d.table)
    ):
        say(f"{name}, only in {only_in}")
        rows = ((d.rule, d.verdict_a, d.verdict_b, d.why) for d in group)
        heads = ("rule", a.name, b.name, "why")
        show(table(heads, rows, whole=heads[:1]))
        say()
    say(f"{len(found)} differences; use --json to see the requests.")


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
    wanted = subject.lower().replace("_", "-")
    reason = next((reason for reason in Reason if reason == wanted), None)
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
            _show_ways(ways)
        return
    fields: Json = {"kind": "decision", "explanation": text}
    if not tenant:
        fields["decision"] = wire.to_dict(decision)
    if unblock:
        fields["what_would_it_take"] = [plain(way) for way in ways]
    emit(fields)


def _show_ways(ways: tuple[Unblock, ...]) -> None:
    if not ways:
        say("  nothing: the efficient path is open")
    for way in ways:
        source = "" if way.candidate is None else f" from {way.candidate}"
        say(f"  {way.route}{source}:")
        for each in way.remedies:
            wait = ", or wait" if each.waiting_helps else ""
            what = f"{each.remedy}{wait} [{each.reason}]"
            say(f"    {each.responsible}: {what}")


def _rules_of(reason: Reason) -> list[Json]:
    return [
        {"policy": policy.name, "table": table, **_rule_to_dict(rule)}
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
        show(pairs([*homes.items(), *_rule_rows(rule)]))
