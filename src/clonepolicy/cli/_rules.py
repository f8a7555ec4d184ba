"""The commands that show and compare the policies' tables."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import click

from clonepolicy import Policy, Rule, tables, wire
from clonepolicy._terminal.options import (
    PolicyName,
    examples,
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
@click.option(
    "--long",
    "details",
    is_flag=True,
    help="Tell also what each rule reads, its sources and its remedy.",
)
@json_option
@click.pass_context
def rules(
    context: click.Context, policy: Policy, *, details: bool, as_json: bool
) -> None:
    """Show a policy's rules, or compare two policies."""
    if context.invoked_subcommand is not None:
        if as_json or details:
            raise click.UsageError(
                f"put options behind {context.invoked_subcommand}"
            )
        return
    if as_json:
        emit(
            {
                "policy": {"name": policy.name, "version": policy.version},
                "tables": [
                    {"table": name, "rules": [_to_dict(r) for r in those]}
                    for name, those in tables(policy)
                ],
            }
        )
        return
    say(f"policy {policy}")
    for name, those in tables(policy):
        if not those:
            continue
        say(f"\n{name}")
        if details:
            for rule in those:
                _show_rule(rule)
        else:
            _show_rules(those)
    if not details:
        say(
            "\nclonepolicy explain REASON tells more about one, "
            "--long about all."
        )


def _to_dict(rule: Rule[Any]) -> Json:
    about = rule.reason.about
    return {
        "rule": rule.name,
        "requirement": rule.requirement,
        "reason": str(rule.reason),
        "reads": list(rule.reads),
        "sources": [str(source) for source in rule.sources],
        "differs": rule.differs or None,
        "subject": str(about.subject),
        "meaning": about.meaning,
        "who": str(about.who),
        "remedy": about.remedy,
        "waiting_helps": about.waiting_helps,
    }


def _show_rules(those: Iterable[Rule[Any]]) -> None:
    wide = console().width >= _WIDE
    show(
        table(
            ("rule: reason", "requirement", "who"),
            (
                (
                    f"{r.name}: {r.reason}"
                    if wide
                    else f"{r.name}:\n  {r.reason}",
                    r.requirement,
                    r.reason.about.who,
                )
                for r in those
            ),
            whole=("rule: reason",),
        )
    )


def _show_rule(rule: Rule[Any]) -> None:
    about = rule.reason.about
    say(f"  {rule.name}: {rule.requirement}")
    rows: list[tuple[str, object]] = [
        ("    reason", f"{rule.reason}: {about.meaning}"),
        ("    reads", ", ".join(rule.reads)),
        ("    sources", "; ".join(map(str, rule.sources))),
        ("    remedy", f"{about.who}: {about.remedy}"),
    ]
    if rule.differs:
        rows.append(("    Cinder", rule.differs))
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
    """Show every rule in which policies A and B differ, with a witness.

    The witness is a request that the two decide differently, or for other
    reasons; --json writes it in full, ready for clonepolicy decide.
    """
    # it makes thousands of decisions: only who asks for it waits for it
    from clonepolicy.testing.combinations import (  # noqa: PLC0415
        differences,
    )

    found = differences(a, b)
    if as_json:
        emit(
            {
                "a": str(a),
                "b": str(b),
                "differences": [
                    {
                        "rule": d.rule,
                        "table": d.table,
                        "reason": str(d.reason),
                        "only_in": d.only_in,
                        "verdict_a": d.verdict_a,
                        "verdict_b": d.verdict_b,
                        "why": d.why,
                        "request": wire.to_dict(d.request),
                    }
                    for d in found
                ],
            }
        )
        return
    if not found:
        say(f"{a} and {b} hold the same rules in the same tables.")
        return
    for (only_in, name), group in groupby(
        found, key=lambda d: (d.only_in, d.table)
    ):
        say(f"{name}, only in {only_in}")
        show(
            table(
                ("rule", a.name, b.name, "why"),
                ((d.rule, d.verdict_a, d.verdict_b, d.why) for d in group),
                whole=("rule",),
            )
        )
        say()
    say(f"{len(found)} differences; --json gives each one's request.")
