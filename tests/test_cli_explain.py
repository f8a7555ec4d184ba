"""`clonepolicy explain`."""

from __future__ import annotations

import json
import re
import sys
from importlib import resources
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import CREATE, assert_error, run, run_json
from clonepolicy import POLICIES, Reason, wire
from clonepolicy.cli._misconfigurations import misconfigurations
from clonepolicy.cli._subjects import Place, RuleName, find_subject, names

request_file = cli_support.request_file


@pytest.fixture
def stored(request_file: Path, tmp_path: Path) -> Path:
    """A file with a decision to clone."""
    path = tmp_path / "decision.json"
    decided = run("decide", "create", str(request_file), "--json")
    path.write_text(decided.stdout)
    return path


@pytest.mark.parametrize("name", ["owner-mismatch", "OWNER_MISMATCH"])
def test_explain_takes_a_reason_by_value_or_name(name: str) -> None:
    """The output is the reason with the rules of each policy."""
    result = run("explain", name)

    reason = Reason.OWNER_MISMATCH
    assert result.exit_code == 0
    for text in (reason.meaning, "remedy", *POLICIES):
        assert text in result.stdout


def test_explain_knows_every_reason() -> None:
    """Each reason comes with every rule that reports it."""
    for reason in Reason:
        shown = run_json("explain", reason)
        rules = {
            rule.name
            for policy in POLICIES.values()
            for _, those in policy.tables()
            for rule in those
            if rule.reason is reason
        }
        assert (reason, rules) == (
            shown["reason"],
            {rule["rule"] for rule in shown["rules"]},
        )


def test_explain_knows_every_rule() -> None:
    """Each rule comes with each table that has it, and with its reason."""
    for policy in POLICIES.values():
        for table, rules in policy.tables():
            for rule in rules:
                found = find_subject(rule.name.upper())
                if found is rule.reason:  # conversion_space is both
                    continue
                assert isinstance(found, RuleName)
                assert Place(policy.name, table, rule) in found.places

    shown = run_json("explain", "image_on_same_array")
    assert ("rule", ["SAFE"]) == (
        shown["kind"],
        [rule["policy"] for rule in shown["rules"]],
    )
    assert Reason.DIFFERENT_ARRAY == shown["rules"][0]["reason"]


PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "misconfiguration.md"


@pytest.mark.skipif(not PAGE.exists(), reason="no documents here")
def test_explain_reads_the_page_of_misconfigurations() -> None:
    """The package carries the page as it is in the documents."""
    carried = resources.files("clonepolicy.cli") / "misconfiguration.md"

    assert PAGE.read_text("utf-8") == carried.read_text("utf-8")


def test_explain_knows_every_number_of_the_page() -> None:
    """Every row of each table has its cells, and no number is left out."""
    text = (
        resources.files("clonepolicy.cli") / "misconfiguration.md"
    ).read_text("utf-8")
    page = text.partition("## Try it")[0]
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    heads = sum(line.startswith("| reason") for line in rows)
    rules = sum(line.startswith("| ---") for line in rows)
    numbers = {*re.findall(r"\bX[0-9]+", page)}

    assert len(misconfigurations()) == len(rows) - heads - rules
    assert {f"X{at}" for at in range(1, 27)} <= numbers
    for number in numbers:
        shown = run_json("explain", number.lower())
        assert shown["misconfigurations"]
        for row in shown["misconfigurations"]:
            assert number in row["numbers"]
            assert all(row[key] for key in ("symptom", "reason", "cause"))
            assert "`" not in json.dumps(row)


@pytest.mark.parametrize(
    "name", ["trusted_projects", "config.trusted_projects"]
)
def test_explain_knows_options(name: str) -> None:
    """An option comes with the rules that read it and its faults."""
    shown = run_json("explain", name)

    assert ("option", ["config.trusted_projects"]) == (
        shown["kind"],
        shown["facts"],
    )
    assert "owner-mismatch" in {rule["reason"] for rule in shown["rules"]}
    assert {"X11", "X12"} == {
        number
        for row in shown["misconfigurations"]
        for number in row["numbers"]
    }
    assert "rules that read it:" in run("explain", name).stdout


def test_explain_knows_every_option_that_a_policy_reads() -> None:
    """So that a finding's values can be looked up as they are shown."""
    read = {
        fact
        for policy in POLICIES.values()
        for _, rules in policy.tables()
        for rule in rules
        for fact in rule.reads
        if fact.startswith("config.")
    }
    assert dict.fromkeys(read, "option") == {
        fact: getattr(find_subject(fact), "kind", None) for fact in read
    }


def test_explain_knows_options_that_no_rule_reads() -> None:
    """The page names them, one of them as one of several."""
    for name in ("do_secure_hash", "cinder_store_password"):
        shown = run_json("explain", name)
        assert ("option", []) == (shown["kind"], shown["facts"])
        assert shown["misconfigurations"]


def test_explain_says_where_an_option_is() -> None:
    """With its type and default, from the table that lint checks."""
    shown = run_json("explain", "image_volume_cache_enabled")
    human = run("explain", "show_multiple_locations").stdout

    assert [
        {
            "file": "cinder.conf",
            "group": "<backend>",
            "type": "bool",
            "default": False,
            "since": "2024.1",
        }
    ] == shown["options"]
    assert "glance-api.conf  [DEFAULT], bool, default: False" in human
    assert "option" == run_json("explain", "rbd_max_clone_depth")["kind"]


def test_explain_does_not_call_other_facts_options() -> None:
    """Nobody configures the hash of an image."""
    assert "fact" == run_json("explain", "image.os_hash_value")["kind"]


def test_explain_knows_every_name_that_it_completes() -> None:
    """Reasons, rules, numbers and options, each once."""
    listed = [*names()]

    assert len({*listed}) == len(listed)
    assert {"cache-miss", "image_owned", "X26", "do_secure_hash"} <= {*listed}
    assert all(find_subject(name) is not None for name in listed)


@pytest.mark.parametrize(
    "name",
    ["owner-mismatch", "image_owned", "X4", "trusted_projects", "status"],
)
def test_explanations_fit_a_narrow_terminal(name: str) -> None:
    """No line is longer than 80 columns."""
    lines = run("explain", name, columns=80).stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert len(lines) > 3


def test_explain_replays_a_stored_decision(
    request_file: Path, stored: Path
) -> None:
    """The explanation is the one that ``decide`` shows."""
    decide = run("decide", "create", str(request_file))

    assert decide.stdout == run("explain", str(stored)).stdout
    assert (
        decide.stdout.strip()
        == (run_json("explain", str(stored))["explanation"])
    )


def test_explain_hides_the_source_from_a_tenant(stored: Path) -> None:
    """Neither text nor JSON names the source of the clone."""
    for json_too in ((), ("--json",)):
        shown = run("explain", str(stored), "--tenant", *json_too).stdout
        assert "by clone or by copy" in shown
        assert "rbd://" not in shown


def test_explain_shows_what_it_would_take(tmp_path: Path) -> None:
    """For a download it lists the remedies."""
    request = wire.to_dict(CREATE)
    request["image"]["disk_format"] = "qcow2"
    path, stored = tmp_path / "request.json", tmp_path / "decision.json"
    path.write_text(json.dumps(request))
    stored.write_text(run("decide", "create", str(path), "--json").stdout)

    human = run("explain", str(stored), "--what-would-it-take")
    shown = run_json("explain", str(stored), "--what-would-it-take")

    assert "what it would take:" in human.stdout
    remedies = {
        (remedy["reason"], remedy["responsible"])
        for way in shown["what_would_it_take"]
        for remedy in way["remedies"]
    }
    reason = Reason.DISK_FORMAT_NOT_RAW
    assert (reason, "image owner") in remedies


def test_explain_says_when_nothing_is_needed(stored: Path) -> None:
    """A clone needs no remedy."""
    result = run("explain", str(stored), "--what-would-it-take")

    assert "nothing: the efficient route is open" in result.stdout


def test_explain_rejects_a_decision_that_its_request_does_not_lead_to(
    stored: Path,
) -> None:
    """The policy decides the stored request again."""
    stored.write_text(
        stored.read_text().replace(
            '"decision": "clone"', '"decision": "download"'
        )
    )

    assert_error(2, "as SAFE/2 decides", run("explain", str(stored)))


def test_explain_suggests_a_reason_that_is_close() -> None:
    """A misspelt reason is not found."""
    assert_error(
        4, "did you mean owner-mismatch?", run("explain", "owner-mismach")
    )


@pytest.mark.parametrize(
    "args",
    [
        ("owner-mismatch", "--tenant"),
        ("owner-mismatch", "--what-would-it-take"),
    ],
)
def test_explain_rejects_options_that_a_reason_does_not_have(
    args: tuple[str, ...],
) -> None:
    """Only a decision can be shown to a tenant, or unblocked."""
    assert_error(2, "need a decision", run("explain", *args))


def test_explain_does_not_show_a_tenant_what_it_would_take(
    stored: Path,
) -> None:
    """Remedies depend on facts that a tenant may not know."""
    result = run("explain", str(stored), "--tenant", "--what-would-it-take")

    assert_error(2, "leave --tenant out", result)
