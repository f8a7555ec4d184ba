"""``clonepolicy rules``: show a policy's rules, or compare policies."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import click

from clonepolicy import policy as policies
from clonepolicy._terminal.options import (
    PolicyName,
    examples,
    flag,
    json_option,
    policy_option,
)
from clonepolicy._terminal.render import (
    Json,
    console,
    emit,
    pairs,
    say,
    show,
    table,
)

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
    context: click.Context,
    policy: policies.Policy,
    *,
    details: bool,
    as_json: bool,
) -> None:
    """Show the rules of a policy, or compare two policies."""
    if context.invoked_subcommand is not None:
        if as_json or details:
            raise click.UsageError(
                f"write the options after {context.invoked_subcommand}"
            )
        return
    if as_json:
        from clonepolicy import wire

        listed = [
            {
                "table": name,
                "rules": [
                    wire.reason_to_dict(rule.reason) | rule_to_dict(rule)
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


def rule_to_dict(rule: policies.Rule[Any]) -> Json:
    """Convert a rule to JSON types, without its reason."""
    return {
        "rule": rule.name,
        "meaning": rule.meaning,
        "requirement": rule.requirement,
        "reads": list(rule.reads),
        "citations": [str(citation) for citation in rule.citations],
        "differs": rule.differs or None,
        "upload_differs": rule.upload_differs or None,
        "remedies": [str(cure) for cure in rule.cures],
    }


def rule_rows(rule: Json) -> list[tuple[str, object]]:
    """Give the facts and citations of a rule as names and values."""
    return [
        *(("remedy", remedy) for remedy in rule["remedies"]),
        ("reads", rule["reads"]),
        ("citations", "; ".join(rule["citations"])),
        *(
            (name, rule[key])
            for name, key in (
                ("Cinder", "differs"),
                ("Cinder, uploading", "upload_differs"),
            )
            if rule[key]
        ),
    ]


def _show_rules(those: Iterable[policies.Rule[Any]]) -> None:
    gap = ": " if console().width >= _WIDE else ":\n  "
    rows = (
        (f"{r.name}{gap}{r.reason}", r.requirement, _who(r)) for r in those
    )
    heads = ("rule: reason", "requirement", "responsible")
    show(table(heads, rows, whole=heads[:1]))


def _who(rule: policies.Rule[Any]) -> str:
    return ", ".join(dict.fromkeys(c.responsible for c in rule.cures))


def _show_rule(rule: policies.Rule[Any]) -> None:
    say(f"\nrule {rule.name}: {rule.requirement}")
    rows = [
        ("reason", f"{rule.reason}: {rule.meaning}"),
        *rule_rows(rule_to_dict(rule)),
    ]
    show(pairs(rows))


@rules.command(
    "diff",
    epilog=examples(
        "clonepolicy rules diff SAFE CINDER_29",
        "clonepolicy rules diff SAFE CINDER_29 --verdicts",
        "clonepolicy rules diff LIBERTY SAFE --json",
    ),
)
@click.argument("a", type=PolicyName())
@click.argument("b", type=PolicyName())
@flag("--verdicts", help="Show only the rules that change a verdict.")
@json_option
def diff(
    a: policies.Policy, b: policies.Policy, *, verdicts: bool, as_json: bool
) -> None:
    """Show every rule that only one of the policies A and B has.

    Each rule comes with the verdicts of both policies on a request that
    breaks the rule. Rules that change a verdict come first. --json writes the
    requests in full; clonepolicy decide reads them.
    """
    import attrs

    from clonepolicy import wire
    from clonepolicy.scenarios import differences

    every = sorted(differences(a, b), key=lambda d: not d.changes_verdict)
    found = [d for d in every if d.changes_verdict or not verdicts]
    if as_json:
        listed = [
            attrs.asdict(difference, recurse=False)
            | {
                "why": difference.why,
                "changes_verdict": difference.changes_verdict,
                "request": wire.to_dict(difference.request),
            }
            for difference in found
        ]
        emit({"a": str(a), "b": str(b), "differences": listed})
        return
    if not every:
        say(f"{a} and {b} have the same rules in the same tables.")
        return
    for changes, rest in groupby(found, key=lambda d: d.changes_verdict):
        what = "the verdict" if changes else "the reasons, not the verdict"
        say(f"Rules that change {what}:\n")
        for (only_in, name), group in groupby(
            rest, key=lambda d: (d.only_in, d.table)
        ):
            say(f"{name}: required by {only_in} only")
            rows = ((d.rule, d.verdict_a, d.verdict_b, d.told) for d in group)
            heads = ("rule", a.name, b.name, "what is required")
            show(table(heads, rows, whole=heads[:-1]))
            say()
    changing = sum(d.changes_verdict for d in every)
    say(
        f"{len(every)} differences, {changing} of them change a verdict; use "
        "--json to see the requests."
    )
