"""The pages of all rules and of all reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from _pages.examples import bases, example
from _pages.markdown import EVERY, code, table, to_reason, to_rule
from clonepolicy import Reason
from clonepolicy.policy import Rule, Subject


def places() -> dict[Rule[Any], str]:
    """Give each rule with the tables that it stands in."""
    found: dict[Rule[Any], dict[str, list[str]]] = {}
    for policy in EVERY:
        for name, members in policy.tables():
            for rule in members:
                by_policy = found.setdefault(rule, {})
                by_policy.setdefault(policy.name, []).append(name)
    return {
        rule: "; ".join(f"{name}: {code(t)}" for name, t in by_policy.items())
        for rule, by_policy in found.items()
    }


def rules() -> Iterator[str]:
    """Write the tables of each policy, the base requests, and each rule."""
    yield "# Rules"
    yield (
        "A policy is a set of tables, and a table is a list of rules. "
        "If a rule of a table fails, the table's route is closed; a source "
        "rule closes it for its candidate only. "
        "Rules in tables of notes close nothing. "
        "This page lists the tables of each policy, and then "
        "[each rule](#each-rule) with its documentation and an example. "
        "[](../explanation/concepts.md) explains the words."
    )
    for policy in EVERY:
        yield f"## {policy.name}"
        for name, members in policy.tables():
            yield f"### {policy.name} {name}"
            rows = (
                (to_rule(r.name), r.requirement, to_reason(r.reason))
                for r in members
            )
            heads = ("rule", "what must hold", "reason if it does not")
            yield table(heads, rows) if members else "No rules."
    yield from bases()
    yield "## Each rule"
    yield (
        "Each example changes as few facts of a [base request]"
        "(#base-requests) as it takes to make this rule fail, and no other "
        "rule of the same table. If rules of other tables fail too, the "
        "example names their reasons."
    )
    for rule, where in places().items():
        reason = rule.reason
        yield f"### {rule.name}"
        yield rule.requirement
        lines = [
            f"- reason: {to_reason(reason)}",
            f"- facts it reads: {code(rule.reads)}",
            f"- documented by: {'; '.join(map(str, rule.citations))}",
            f"- Cinder differs: {rule.differs}",
            f"- Cinder differs for an upload: {rule.upload_differs}",
            f"- if it does not hold: {rule.meaning}",
            *(f"- remedy of the {cure}" for cure in rule.cures),
            f"- tables: {where}",
        ]
        yield "\n".join(line for line in lines if not line.endswith(": "))
        yield from example(rule)


def reasons() -> Iterator[str]:
    """Write each reason, by its subject."""
    yield "# Reasons"
    yield (
        "The closed list of reasons, by subject. The values are part of the "
        "public contract: you can search logs for them. A reason blocks "
        "nothing if only rules in tables of notes give it."
    )
    for subject in Subject:
        yield f"## Subject: {subject}"
        for reason in (r for r in Reason if r.subject is subject):
            yield f"### {reason}"
            yield f"{reason.meaning[0].upper()}{reason.meaning[1:]}."
            given = {r: w for r, w in places().items() if r.reason is reason}
            lines: list[str] = []
            for rule, where in given.items():
                lines += (
                    f"- given by {to_rule(rule.name)} in {where}",
                    *(f"    - remedy of the {cure}" for cure in rule.cures),
                )
            yield "\n".join(lines)
