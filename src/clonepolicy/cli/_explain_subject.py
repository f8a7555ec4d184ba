"""Explain a reason, a rule, a misconfiguration or an option."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

import clonepolicy
from clonepolicy._terminal.render import Json, pairs, say, show
from clonepolicy.adapters import conf
from clonepolicy.cli._misconfigurations import (
    Misconfiguration,
    misconfigurations,
)
from clonepolicy.cli._rules import rule_rows, rule_to_dict
from clonepolicy.cli._subjects import (
    Fact,
    Number,
    Place,
    RuleName,
    Subject,
    places,
)


def explain_subject(
    subject: Subject, write: Callable[[Json], None] | None
) -> None:
    """Write all that is known of what a name stands for.

    ``write`` writes it as JSON types; None: for people.
    """
    if write is not None:
        write(_to_dict(subject))
        return
    match subject:
        case clonepolicy.Reason():
            say(f"{subject}: {subject.meaning}\n")
            show(pairs([("subject", subject.subject)]))
            _show_rules(_with_reason(subject))
            _show_rows(_rows_about([subject]))
        case RuleName():
            reasons = sorted({place.rule.reason for place in subject.places})
            for reason in reasons:
                say(f"{reason}: {reason.meaning}")
            _show_rules(subject.places)
            _show_rows(_rows_about(reasons))
        case Number():
            say(f"misconfiguration {subject.name}")
            for row in subject.rows:
                _show_row(row)
        case Fact():
            facts = ", ".join(subject.facts)
            say(
                f"{subject.kind} {subject.name}" + (f": {facts}" * bool(facts))
            )
            show(pairs(map(_option, subject.options)))
            _show_readers(subject.places)
            _show_rows(subject.rows)
        case _:
            assert_never(subject)


def _to_dict(subject: Subject) -> Json:
    match subject:
        case clonepolicy.Reason():
            # cattrs takes long to import
            from clonepolicy import wire

            return {
                "kind": "reason",
                "name": subject.name,
                **wire.reason_to_dict(subject),
                "rules": [*map(_place_to_dict, _with_reason(subject))],
                "misconfigurations": _to_dicts(_rows_about([subject])),
            }
        case RuleName():
            reasons = {place.rule.reason for place in subject.places}
            return {
                "kind": "rule",
                "name": subject.name,
                "rules": [*map(_place_to_dict, subject.places)],
                "misconfigurations": _to_dicts(_rows_about(reasons)),
            }
        case Number():
            return {
                "kind": "misconfiguration",
                "name": subject.name,
                "misconfigurations": _to_dicts(subject.rows),
            }
        case Fact():
            return {
                "kind": subject.kind,
                "name": subject.name,
                "facts": list(subject.facts),
                "options": [
                    {
                        "file": file,
                        "group": option.group,
                        "type": str(option.kind),
                        "default": option.default,
                        "since": option.since,
                    }
                    for file, option in subject.options
                ],
                "rules": [*map(_place_to_dict, subject.places)],
                "misconfigurations": _to_dicts(subject.rows),
            }
        case _:
            assert_never(subject)


def _place_to_dict(place: Place) -> Json:
    return {
        "policy": place.policy,
        "table": place.table,
        "reason": str(place.rule.reason),
        **rule_to_dict(place.rule),
    }


def _to_dicts(rows: Iterable[Misconfiguration]) -> list[Json]:
    return [
        {
            "symptom": row.symptom,
            "reason": row.reason,
            "cause": row.cause,
            "remedy": row.remedy,
            "numbers": list(row.numbers),
        }
        for row in rows
    ]


def _option(found: tuple[str, conf.Option]) -> tuple[str, str]:
    """Say where an option is, what it takes, and what it is if not set."""
    file, option = found
    default = option.default
    if isinstance(default, tuple):
        default = ", ".join(default) or None
    shown = "none" if default is None else default
    return file, (
        f"[{option.group}], {option.kind}, default: {shown}, since "
        f"{option.since}"
    )


def _with_reason(reason: clonepolicy.Reason) -> list[Place]:
    return [place for place in places() if place.rule.reason is reason]


def _rows_about(
    reasons: Iterable[clonepolicy.Reason],
) -> list[Misconfiguration]:
    wanted = {*reasons}
    return [row for row in misconfigurations() if wanted & {*row.code}]


def _by_rule(found: Iterable[Place]) -> dict[str, list[Place]]:
    rules: dict[str, list[Place]] = {}
    for place in found:
        rules.setdefault(place.rule.name, []).append(place)
    return rules


def _show_rules(found: Iterable[Place]) -> None:
    for name, those in _by_rule(found).items():
        homes: dict[str, list[str]] = {}
        for place in those:
            homes.setdefault(place.policy, []).append(place.table)
        rule = rule_to_dict(those[0].rule)
        say(f"\nrule {name}: {rule['requirement']}")
        show(pairs([*homes.items(), *rule_rows(rule)]))


def _show_readers(found: Iterable[Place]) -> None:
    for at, (name, those) in enumerate(_by_rule(found).items()):
        if not at:
            say("\nrules that read it:")
        rule = those[0].rule
        policies = ", ".join(dict.fromkeys(place.policy for place in those))
        say(f"  {name}: {rule.requirement} [{rule.reason}; {policies}]")


def _show_rows(rows: Iterable[Misconfiguration]) -> None:
    for at, row in enumerate(rows):
        if not at:
            say("\nmisconfigurations that name it:")
        _show_row(row)


def _show_row(row: Misconfiguration) -> None:
    say(f"\n{row.symptom}")
    shown = [
        ("number", ", ".join(row.numbers) or None),
        ("reason", row.reason),
        ("cause", row.cause),
        ("remedy", row.remedy),
    ]
    show(pairs(shown))
