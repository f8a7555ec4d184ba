"""`clonepolicy rules`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_support import run, run_json
from clonepolicy import POLICIES


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("options", [(), ("--long",)])
def test_rules_shows_every_rule_of_a_policy(
    policy: str, options: tuple[str, ...]
) -> None:
    """Name, reason and requirement are on one line when piped."""
    result = run("rules", "--policy", policy, *options)

    for _, rules in POLICIES[policy].tables():
        for rule in rules:
            for text in (rule.name, rule.reason, rule.requirement):
                assert text in result.stdout


def test_rules_json_documents_every_rule() -> None:
    """Each table has its rules, with their facts and citations."""
    shown = run_json("rules", "--policy", "LIBERTY")

    expected = {
        name: [rule.name for rule in rules]
        for name, rules in POLICIES["LIBERTY"].tables()
    }
    assert expected == {
        table["table"]: [rule["rule"] for rule in table["rules"]]
        for table in shown["tables"]
    }
    assert all(
        rule["reads"] and rule["citations"]
        for table in shown["tables"]
        for rule in table["rules"]
    )


def test_rules_fits_a_narrow_terminal() -> None:
    """No line is longer than COLUMNS, and no name is wrapped."""
    lines = run("rules", columns=80).stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert any(line.startswith("multiattach_unencrypted:") for line in lines)


def test_rules_diff_gives_a_request_for_each_difference() -> None:
    """SAFE decides the request as the difference says."""
    shown = run_json("rules", "diff", "SAFE", "CINDER_29")

    first = shown["differences"][0]
    decided = run(
        "decide", "create", "-", "--json", stdin=json.dumps(first["request"])
    )
    assert first["verdict_a"] == json.loads(decided.stdout)["decision"]
    human = run("rules", "diff", "SAFE", "cinder_29").stdout
    assert f"{len(shown['differences'])} differences" in human


def test_rules_diff_shows_first_what_changes_a_verdict() -> None:
    """``--verdicts`` shows nothing else, and the counts say how many."""
    every = run_json("rules", "diff", "SAFE", "CINDER_29")["differences"]
    only = run_json("rules", "diff", "SAFE", "CINDER_29", "--verdicts")
    changes = [each["changes_verdict"] for each in every]

    assert changes == sorted(changes, reverse=True)
    assert 0 < changes.count(True) < len(changes)
    assert only["differences"] == every[: changes.count(True)]
    human = run("rules", "diff", "SAFE", "CINDER_29", columns=80).stdout
    first, _, second = human.partition("the reasons, not the verdict")
    assert every[0]["rule"] in first
    assert every[-1]["rule"] in second
    assert f"{changes.count(True)} of them change a verdict" in human
    assert max(map(len, human.splitlines())) <= 80
    assert "the reasons" not in (
        run("rules", "diff", "SAFE", "CINDER_29", "--verdicts").stdout
    )


def test_rules_diff_says_who_requires_what() -> None:
    """What Cinder does is told only if the other policy is Cinder's."""
    for a, b in (("SAFE", "CINDER_29"), ("LIBERTY", "SAFE")):
        for each in run_json("rules", "diff", a, b)["differences"]:
            only_in, instead = each["only_in"], each["instead"]
            assert each["why"].startswith(f"{only_in} requires: ")
            other = b if only_in == a else a
            assert not instead or other == "CINDER_29"
    shown = run("rules", "diff", "SAFE", "CINDER_29").stdout
    assert "create.refuse: required by SAFE only" in shown
    assert "Cinder clones without asking Glance" in shown


def test_a_policy_does_not_differ_from_itself() -> None:
    """The output says that the rules are the same."""
    result = run("rules", "diff", "SAFE", "SAFE")

    assert "the same rules" in result.stdout
