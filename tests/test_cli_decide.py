"""`clonepolicy decide` and `clonepolicy schema`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import CREATE, run, run_json
from clonepolicy import wire
from clonepolicy.scenarios import REGISTERABLE

request_file = cli_support.request_file


def test_decide_create_explains_the_verdict(request_file: Path) -> None:
    """The verdict comes first, and the plan follows."""
    result = run("decide", "create", str(request_file))

    assert result.exit_code == 0
    assert result.stdout.startswith("clone volume ")
    assert "plan:" in result.stdout


def test_decide_writes_what_wire_writes(request_file: Path) -> None:
    """The JSON of a decision is that of the library."""
    written = run_json("decide", "create", str(request_file))

    decision = wire.loads_decision(json.dumps(written))
    assert wire.to_dict(decision) == written


def test_decide_reads_standard_input() -> None:
    """The file name - means standard input."""
    result = run("decide", "upload", "-", stdin=wire.dumps(REGISTERABLE))

    assert result.exit_code == 0
    assert result.stdout.startswith("register ")


def test_decide_takes_a_policy_in_any_case(request_file: Path) -> None:
    """``cinder_29`` names the policy CINDER_29."""
    decided = run_json(
        "decide", "create", str(request_file), "--policy", "cinder_29"
    )

    assert decided["policy"]["name"] == "CINDER_29"


def test_decide_exits_with_3_when_it_refuses(tmp_path: Path) -> None:
    """The reasons are on standard output: a refusal is no error."""
    refused = wire.to_dict(CREATE)
    refused["image"]["status"] = "queued"
    path = tmp_path / "refused.json"
    path.write_text(json.dumps(refused))

    result = run("decide", "create", str(path))

    assert (result.exit_code, result.stderr) == (3, "")
    assert "image-not-active" in result.stdout


def test_schema_is_one_json_document() -> None:
    """``--json`` does not change the output."""
    assert run_json("schema") == json.loads(run("schema").stdout)


@pytest.mark.parametrize(
    ("kind", "verdict"), [("create", "clone"), ("upload", "register")]
)
def test_schema_examples_take_the_efficient_path(
    kind: str, verdict: str
) -> None:
    """SAFE clones one and registers the other."""
    example = run("schema", "--example", kind).stdout

    decided = run("decide", kind, "-", "--json", stdin=example)

    assert verdict == json.loads(decided.stdout)["decision"]
