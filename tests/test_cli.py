"""The command line: every command, every exit code, every bad input."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner, Result

from clonepolicy import (
    POLICIES,
    AdapterError,
    ConflictError,
    ForbiddenError,
    Reason,
    UnavailableError,
    tables,
    wire,
)
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.cli._main import program
from clonepolicy.testing.worlds import CLONEABLE, REGISTERABLE

PROGRAM = (sys.executable, "-m", "clonepolicy.cli")
MIB = 1 << 20
LARGE = 1536 * MIB
"""Bytes of an image that takes seconds to hash."""

PATIENCE = 120
"""Seconds that a loaded machine is given before a test fails."""

CREATE = next(iter(CLONEABLE.values()))


def run(*args: str, stdin: str | bytes | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(
        program, args, input=stdin, prog_name="clonepolicy"
    )


def run_json(*args: str) -> Any:  # noqa: ANN401 - any JSON
    """Run a command that succeeds, and read its JSON."""
    result = run(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def run_process(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, with more environment."""
    return subprocess.run(
        [*PROGRAM, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, **more},
    )


def complains(code: int, text: str, result: Result) -> bool:
    """Check for one line on standard error that holds a text."""
    one_line = result.stderr.count("\n") == 1
    told = result.stderr.startswith("error: ") and text in result.stderr
    ended = result.exception is None or isinstance(
        result.exception, SystemExit
    )
    assert (code, True, True, True) == (
        result.exit_code,
        one_line,
        told,
        ended,
    ), result.stderr
    return True


def make_disk(path: Path, size: int = 2 * MIB) -> Path:
    """Make a small disk image with data and a hole."""
    with path.open("wb") as file:
        file.write(b"\x01data" * 1000)
        file.truncate(size)
    return path


def head(path: str) -> bytes:
    """Read the beginning of a volume's file."""
    with Path(path).open("rb") as file:
        return file.read(5000)


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing outside say how wide the output is."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """A cloud with an image, base."""
    root = tmp_path / "cloud"
    with LocalCloud.init(root) as made:
        made.add_image(
            make_disk(tmp_path / "disk.raw"), name="base", project_id="demo"
        )
    return root


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    """A create request that is cloned."""
    path = tmp_path / "request.json"
    path.write_text(wire.dumps(CREATE))
    return path


# -- deciding ---------------------------------------------------------------


def test_decide_create_explains_the_verdict(request_file: Path) -> None:
    """A clone is said to be one, with its plan, and is a success."""
    result = run("decide", "create", str(request_file))

    assert result.exit_code == 0
    assert result.stdout.startswith("clone volume ")
    assert "plan:" in result.stdout


def test_decide_writes_what_wire_writes(request_file: Path) -> None:
    """The JSON of a decision is the library's own."""
    written = run_json("decide", "create", str(request_file))

    decision = wire.loads_decision(json.dumps(written))
    assert wire.to_dict(decision) == written


def test_decide_reads_standard_input() -> None:
    """A dash stands for standard input."""
    result = run("decide", "upload", "-", stdin=wire.dumps(REGISTERABLE))

    assert result.exit_code == 0
    assert result.stdout.startswith("register ")


def test_decide_takes_a_policy_in_any_case(request_file: Path) -> None:
    """The policy that is asked for decides."""
    decided = run_json(
        "decide", "create", str(request_file), "--policy", "cinder_29"
    )

    assert decided["policy"]["name"] == "CINDER_29"


def test_decide_exits_with_3_when_it_refuses(tmp_path: Path) -> None:
    """A refusal is an answer: on standard output, and told by the code."""
    refused = wire.to_dict(CREATE)
    refused["image"]["status"] = "queued"
    path = tmp_path / "refused.json"
    path.write_text(json.dumps(refused))

    result = run("decide", "create", str(path))

    assert (result.exit_code, result.stderr) == (3, "")
    assert "image-not-active" in result.stdout


# -- explaining -------------------------------------------------------------


@pytest.mark.parametrize("name", ["owner-mismatch", "OWNER_MISMATCH"])
def test_explain_takes_a_reason_by_value_or_name(name: str) -> None:
    """Both tell its meaning, who can remedy it, and each policy's rules."""
    result = run("explain", name)

    about = Reason.OWNER_MISMATCH.about
    assert result.exit_code == 0
    for text in (about.meaning, about.who, about.remedy, *POLICIES):
        assert text in result.stdout


def test_explain_knows_every_reason() -> None:
    """Each reason comes with every rule that gives it."""
    for reason in Reason:
        told = run_json("explain", reason)
        rules = {
            rule.name
            for policy in POLICIES.values()
            for _, those in tables(policy)
            for rule in those
            if rule.reason is reason
        }
        assert (reason, rules) == (
            told["reason"],
            {rule["rule"] for rule in told["rules"]},
        )


def test_explain_replays_a_stored_decision(
    request_file: Path, tmp_path: Path
) -> None:
    """What decide wrote is explained in the same words."""
    decide = run("decide", "create", str(request_file))
    stored = tmp_path / "decision.json"
    stored.write_text(
        run("decide", "create", str(request_file), "--json").stdout
    )

    assert decide.stdout == run("explain", str(stored)).stdout
    assert (
        decide.stdout.strip()
        == (run_json("explain", str(stored))["explanation"])
    )


def test_explain_tells_a_tenant_nothing_of_the_source(
    request_file: Path, tmp_path: Path
) -> None:
    """Neither text nor JSON names the volume that is cloned."""
    stored = tmp_path / "decision.json"
    stored.write_text(
        run("decide", "create", str(request_file), "--json").stdout
    )

    for json_too in ((), ("--json",)):
        told = run("explain", str(stored), "--tenant", *json_too).stdout
        assert "by clone or by copy" in told
        assert "rbd://" not in told


def test_explain_tells_what_it_would_take(tmp_path: Path) -> None:
    """For a download it names the changes and whose they are."""
    request = wire.to_dict(CREATE)
    request["image"]["disk_format"] = "qcow2"
    path, stored = tmp_path / "request.json", tmp_path / "decision.json"
    path.write_text(json.dumps(request))
    stored.write_text(run("decide", "create", str(path), "--json").stdout)

    human = run("explain", str(stored), "--what-would-it-take")
    told = run_json("explain", str(stored), "--what-would-it-take")

    assert "what it would take:" in human.stdout
    reasons = {
        change["reason"]
        for way in told["what_would_it_take"]
        for change in way["changes"]
    }
    assert "disk-format-not-raw" in reasons


def test_explain_says_when_nothing_is_needed(
    request_file: Path, tmp_path: Path
) -> None:
    """A clone takes no change."""
    stored = tmp_path / "decision.json"
    stored.write_text(
        run("decide", "create", str(request_file), "--json").stdout
    )

    result = run("explain", str(stored), "--what-would-it-take")

    assert "nothing: the efficient path is open" in result.stdout


def test_explain_refuses_a_decision_that_lies(
    request_file: Path, tmp_path: Path
) -> None:
    """A stored decision that does not come out as written is bad input."""
    stored = tmp_path / "decision.json"
    written = run("decide", "create", str(request_file), "--json").stdout
    stored.write_text(
        written.replace('"decision": "clone"', '"decision": "download"')
    )

    assert complains(2, "as SAFE/1 decides", run("explain", str(stored)))


def test_explain_suggests_a_reason_that_is_close() -> None:
    """A typing error is met with a suggestion."""
    assert complains(
        4, "did you mean owner-mismatch?", run("explain", "owner-mismach")
    )


@pytest.mark.parametrize(
    "args",
    [
        ("owner-mismatch", "--tenant"),
        ("owner-mismatch", "--what-would-it-take"),
    ],
)
def test_explain_rejects_what_is_about_decisions(
    args: tuple[str, ...],
) -> None:
    """A reason has no tenant and takes nothing."""
    assert complains(2, "are about decisions", run("explain", *args))


def test_explain_does_not_tell_a_tenant_what_it_would_take(
    request_file: Path, tmp_path: Path
) -> None:
    """The changes depend on what tenants may not know."""
    stored = tmp_path / "decision.json"
    stored.write_text(
        run("decide", "create", str(request_file), "--json").stdout
    )

    result = run("explain", str(stored), "--tenant", "--what-would-it-take")

    assert complains(2, "leave --tenant out", result)


# -- rules and schema -------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("options", [(), ("--long",)])
def test_rules_shows_every_rule_of_a_policy(
    policy: str, options: tuple[str, ...]
) -> None:
    """Name, reason and requirement of each, unbroken when piped."""
    result = run("rules", "--policy", policy, *options)

    for _, rules in tables(POLICIES[policy]):
        for rule in rules:
            for text in (rule.name, rule.reason, rule.requirement):
                assert text in result.stdout


def test_rules_json_documents_every_rule() -> None:
    """Each table with each rule's reads and sources."""
    told = run_json("rules", "--policy", "LIBERTY")

    expected = {
        name: [rule.name for rule in rules]
        for name, rules in tables(POLICIES["LIBERTY"])
    }
    assert expected == {
        table["table"]: [rule["rule"] for rule in table["rules"]]
        for table in told["tables"]
    }
    assert all(
        rule["reads"] and rule["sources"]
        for table in told["tables"]
        for rule in table["rules"]
    )


def test_rules_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wider than what COLUMNS says, and no name is broken."""
    monkeypatch.setenv("COLUMNS", "80")

    lines = run("rules").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert any(line.startswith("multiattach_unencrypted:") for line in lines)


def test_rules_diff_gives_a_witness_for_each_difference() -> None:
    """The witness decides as the difference says."""
    told = run_json("rules", "diff", "SAFE", "CINDER_29")

    first = told["differences"][0]
    decided = run(
        "decide", "create", "-", "--json", stdin=json.dumps(first["request"])
    )
    assert first["verdict_a"] == json.loads(decided.stdout)["decision"]
    human = run("rules", "diff", "SAFE", "cinder_29").stdout
    assert f"{len(told['differences'])} differences" in human


def test_a_policy_does_not_differ_from_itself() -> None:
    """There is nothing to show."""
    result = run("rules", "diff", "SAFE", "SAFE")

    assert "the same rules" in result.stdout


def test_schema_is_one_json_document() -> None:
    """With --json and without."""
    assert run_json("schema") == json.loads(run("schema").stdout)


@pytest.mark.parametrize(
    ("kind", "verdict"), [("create", "clone"), ("upload", "register")]
)
def test_schema_examples_take_the_efficient_path(
    kind: str, verdict: str
) -> None:
    """An example can be decided as it is."""
    example = run("schema", "--example", kind).stdout

    decided = run("decide", kind, "-", "--json", stdin=example)

    assert verdict == json.loads(decided.stdout)["decision"]


# -- the local cloud --------------------------------------------------------


def test_init_makes_pools_inside_and_elsewhere(tmp_path: Path) -> None:
    """Each pool is told with its place and how it clones."""
    elsewhere = tmp_path / "elsewhere"

    told = run_json(
        "init",
        str(tmp_path / "cloud"),
        *("--pool", "fast", "--pool", f"big={elsewhere}"),
    )

    assert [pool["name"] for pool in told["pools"]] == ["fast", "big"]
    assert str(elsewhere) == told["pools"][1]["path"]


def test_init_tells_people_how_clones_are_made(tmp_path: Path) -> None:
    """By reflink or by full copy."""
    result = run("init", str(tmp_path / "cloud"))

    assert result.exit_code == 0
    assert re.search("copy-on-write|full-copy", result.stdout)


def test_a_volume_goes_from_download_to_register_to_clone(
    cloud: Path,
) -> None:
    """The whole circle, by its JSON."""
    root = ("--root", str(cloud))
    create = ("volume", "create", "--size", "1")

    first = run_json(*create, "--image", "base", "--name", "first", *root)
    golden = run_json("volume", "upload", "first", "--name", "golden", *root)
    second = run_json(*create, "--image", "golden", "--name", "second", *root)

    assert [
        told["decision"]["decision"] for told in (first, golden, second)
    ] == ["download", "register", "clone"]
    assert [told["bytes_moved"] for told in (first, golden, second)] == [
        2 * MIB,
        0,
        0,
    ]
    assert second["volume"]["name"] == "second"
    assert [golden["image"]["status"]] == ["active"]
    assert head(first["volume"]["path"]) == head(second["volume"]["path"])


def test_people_are_told_verdict_reasons_and_cost(cloud: Path) -> None:
    """In few lines; --explain gives all of them."""
    args = ("volume", "create", "--image", "base", "--size", "1")
    root = ("--root", str(cloud))

    short = run(*args, *root)
    long = run(*args, "--explain", *root)

    assert short.stdout.startswith("download image ")
    assert "no-locations: no location names a volume" in short.stdout
    assert "done by download: " in short.stdout
    assert "plan:" not in short.stdout
    assert "plan:" in long.stdout


def test_people_are_told_of_an_upload(cloud: Path) -> None:
    """With the image that it made."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)

    result = run("volume", "upload", "base", "--name", "golden", *root)

    assert result.exit_code == 0
    assert result.stdout.startswith("register a clone of volume ")
    assert "cinder://" in result.stdout


def test_people_see_locations_as_text(cloud: Path, tmp_path: Path) -> None:
    """Of an upload as of an image; without any there is a dash."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)

    upload = run("volume", "upload", "base", "--name", "made", *root)
    added = run("image", "add", str(tmp_path / "disk.raw"), *root)

    told = run("image", "show", "made", *root).stdout
    (line,) = [x for x in told.splitlines() if x.startswith("locations")]
    assert "cinder://" in line
    assert line in upload.stdout.splitlines()
    assert re.search(r"^locations +-$", added.stdout, re.MULTILINE)


@pytest.mark.parametrize("attempt", ["upload", None])
def test_what_is_not_settled_is_said(
    attempt: str | None, cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note beside a success, one line for a failure."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    really = LocalCloud.upload_volume

    def upload(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
        made = really(*args, **named)
        assert made.outcome is not None
        outcome = attrs.evolve(made.outcome, attempt=attempt, settled=False)
        return attrs.evolve(made, outcome=outcome)

    monkeypatch.setattr(LocalCloud, "upload_volume", upload)

    result = run("volume", "upload", "base", "--name", "x", *root)

    assert result.exit_code == (0 if attempt else 1)
    assert result.stderr.startswith("note: " if attempt else "error: ")
    assert result.stderr.count("the next command that opens this cloud") == 1
    assert result.stderr.count("\n") == 1


def test_a_damaged_catalogue_and_a_missing_cloud_have_one_remedy(
    cloud: Path,
) -> None:
    """Not init in the same place for what is damaged."""
    listing = ("volume", "list", "--root", str(cloud))
    (cloud / "catalogue.sqlite").write_bytes(b"no" * 5000)

    damaged = run(*listing)
    (cloud / "catalogue.sqlite").unlink()
    missing = run(*listing)

    assert complains(1, "catalogue.sqlite, the cloud's catalogue", damaged)
    assert complains(4, f"clonepolicy init {cloud}", missing)
    assert [1, 1] == [r.stderr.count("; ") for r in (damaged, missing)]


def test_a_refused_volume_exits_with_3_and_says_who_can_help(
    cloud: Path,
) -> None:
    """Nothing is made."""
    root = ("--root", str(cloud))
    args = ("volume", "create", "--image", "base", "--size", "0", *root)

    human, machine = run(*args), run(*args, "--json")

    assert [human.exit_code, machine.exit_code] == [3, 3]
    assert "requester: " in human.stdout
    told = json.loads(machine.stdout)
    assert (told["volume"], told["outcome"]) == (None, None)
    assert run_json("volume", "list", *root) == {"volumes": []}


def test_lists_and_shows_agree(cloud: Path) -> None:
    """Images and volumes, for people and programs."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)

    for noun in ("image", "volume"):
        (row,) = run_json(noun, "list", *root)[f"{noun}s"]
        assert row == run_json(noun, "show", "base", *root)[noun]
        for args in ((noun, "list"), (noun, "show", row["id"])):
            assert row["id"] in run(*args, *root).stdout


def test_delete_deletes(cloud: Path) -> None:
    """A volume, then the image that it came from."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    (volume,) = run_json("volume", "list", *root)["volumes"]

    gone = run_json("volume", "delete", "base", *root)
    result = run("image", "delete", "base", *root)

    assert {"deleted": volume["id"]} == gone
    assert result.stdout.startswith("deleted image ")
    assert run_json("image", "list", *root) == {"images": []}


def test_people_are_told_what_was_deleted(cloud: Path) -> None:
    """And programs which image."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    (image,) = run_json("image", "list", *root)["images"]

    volume = run("volume", "delete", "base", *root)

    assert volume.stdout.startswith("deleted volume ")
    assert {"deleted": image["id"]} == run_json(
        "image", "delete", "base", *root
    )


def test_image_add_finds_the_format_out(cloud: Path, tmp_path: Path) -> None:
    """A qcow2 image is known by its content, whatever its name."""
    qemu_img = shutil.which("qemu-img")
    if qemu_img is None:
        pytest.skip("no qemu-img")
    file = tmp_path / "misnamed.raw"
    subprocess.run(
        [qemu_img, "create", "-q", "-f", "qcow2", str(file), "8M"], check=True
    )

    told = run_json("image", "add", str(file), "--root", str(cloud))

    assert (
        told["image"]["name"],
        told["image"]["disk_format"],
    ) == ("misnamed", "qcow2")


def test_projects_do_not_see_each_other(cloud: Path) -> None:
    """Unless the operator asks with --all."""
    root = ("--root", str(cloud), "--project", "other")

    assert run_json("image", "list", *root) == {"images": []}
    assert len(run_json("image", "list", "--all", *root)["images"]) == 1
    assert complains(4, "base", run("image", "show", "base", *root))


def test_another_projects_public_image_stays(
    cloud: Path, tmp_path: Path
) -> None:
    """To see an image is not to be allowed to delete it."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    run("image", "add", file, "--name", "all", "--visibility", "public", *root)

    result = run("image", "delete", "all", *root, "--project", "other")

    assert complains(3, "belongs to project demo", result)


def test_environment_variables_name_root_and_project(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the options do."""
    monkeypatch.setenv("CLONEPOLICY_ROOT", str(cloud))
    monkeypatch.setenv("CLONEPOLICY_PROJECT", "other")

    assert run_json("image", "list") == {"images": []}


def test_a_failed_operation_exits_with_1(cloud: Path) -> None:
    """Every attempt failed: told on both streams, and the volume is as was."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    upload = ("volume", "upload", "base", "--name", "x", *root)

    human = run(*upload, "--disk-format", "qcow2")
    machine = run(*upload, "--disk-format", "qcow2", "--json")

    assert [human.exit_code, machine.exit_code] == [1, 1]
    assert "UploadImage failed" in human.stdout
    assert human.stderr.startswith("error: the image could not be made: ")
    told = json.loads(machine.stdout)
    assert (told["image"], told["outcome"]["attempt"]) == (None, None)
    (volume,) = run_json("volume", "list", *root)["volumes"]
    assert volume["status"] == "available"


def test_a_volume_that_cannot_be_made_exits_with_1(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays with status error, as in Cinder, and is told."""

    def fail(*_args: object) -> None:
        message = "out of order"
        raise UnavailableError(message)

    monkeypatch.setattr(LocalArray, "write", fail)
    create = ("volume", "create", "--image", "base", "--size", "1")

    result = run(*create, "--root", str(cloud))

    assert result.exit_code == 1
    assert (
        result.stderr == "error: the volume could not be made: out of order\n"
    )
    assert "error" in result.stdout


def test_a_refused_upload_exits_with_3(cloud: Path) -> None:
    """No image is made."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    upload = ("volume", "upload", "base", "--name", "x", *root)

    result = run(*upload, "--container-format", "compressed")

    assert (result.exit_code, result.stderr) == (3, "")
    assert "compression-disabled" in result.stdout
    assert len(run_json("image", "list", *root)["images"]) == 1


# -- bad input --------------------------------------------------------------

BAD_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda _path: None,
    "directory": Path.mkdir,
    "empty": Path.touch,
    "not JSON": lambda path: path.write_text("{"),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "bad UTF-8": lambda path: path.write_bytes(b'{"a": "\xff"}'),
    "deep": lambda path: path.write_text("[" * 100_000),
    "deep but closed": lambda path: path.write_text("[" * 500 + "]" * 500),
    "huge": lambda path: path.write_bytes(b" " * (17 * MIB)),
    "long number": lambda path: path.write_text("1" * 5000),
    "NaN": lambda path: path.write_text('{"image": NaN}'),
    "a list": lambda path: path.write_text("[]"),
    "a field twice": lambda path: path.write_text('{"a\\nb": 1, "a\\nb": 2}'),
    "a lone surrogate": lambda path: path.write_text('"\\ud800"'),
    "a control character": lambda path: path.write_text('{"\\u001b[31m": 1}'),
    "another shape": lambda path: path.write_text('{"image": {"id": 1}}'),
}


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize(
    "command", [("decide", "create"), ("decide", "upload"), ("explain",)]
)
def test_a_bad_file_is_one_line_and_no_traceback(
    kind: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    """It names the file; no byte of it reaches the terminal as it is."""
    path = tmp_path / "bad.json"
    BAD_FILES[kind](path)

    result = run(*command, str(path))

    missing = kind == "missing" and command == ("explain",)
    assert complains(4 if missing else 2, "bad.json", result)
    assert "\x1b" not in result.stderr


_CREATE = ("volume", "create", "--root", "cloud", "--image", "base")
_ADD = ("image", "add", "disk.raw", "--root", "cloud")


@pytest.mark.parametrize(
    ("code", "text", "args"),
    [
        (2, "No such command 'nope'", ("nope",)),
        (2, "No such option", ("schema", "--nope")),
        (2, "Missing argument", ("decide", "create")),
        (2, "is not one of SAFE", ("rules", "--policy", "nope")),
        (2, "is not one of SAFE", ("rules", "diff", "SAFE", "nope")),
        (2, "behind diff", ("rules", "--long", "diff", "SAFE", "SAFE")),
        (2, "is not NAME", ("init", "x", "--pool", "a=")),
        (2, "named twice", ("init", "x", "--pool", "a", "--pool", "a")),
        (2, "pools", ("init", "x", "--pool", "a/b")),
        (2, "no such file", ("image", "add", "nope")),
        (2, "not a file", ("image", "add", ".")),
        (2, "--size", ("volume", "create", "--image", "i", "--size", "-1")),
        (2, "--size", ("volume", "create", "--image", "i", "--size", "x")),
        (2, "size: expected", (*_CREATE, "--size", "9" * 20)),
        (2, "size: expected", (*_CREATE, "--size", "9000000000")),
        (2, "min_disk: expected", (*_ADD, "--min-disk", "9" * 30)),
        (2, "name: expected", (*_ADD, "--name", "x\udcff")),
        (2, "name: expected", (*_ADD, "--name", "a\nb")),
        (2, "name: expected", (*_ADD, "--name", "")),
        (2, "name: expected", (*_CREATE, "--size", "1", "--name", "\x1b")),
        (2, "project_id: expected", (*_ADD, "--project", "x\udcff")),
        (1, "/proc/x cannot be made", ("init", "/proc/x")),
        (2, "no such file", ("demo", "--image", "nope")),
        (4, "not a cloud", ("volume", "list", "--root", "nope")),
        (4, "clonepolicy init", ("image", "list")),
        (4, "no image nope", ("image", "show", "nope", "--root", "cloud")),
        (4, "no volume nope", ("volume", "show", "nope", "--root", "cloud")),
        (4, "no volume nope", ("volume", "delete", "nope", "--root", "cloud")),
        (5, "cloud already", ("init", "cloud")),
        (5, "not empty", ("init", ".")),
        (5, "cloud already", ("demo", "--root", "cloud")),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_bad_usage_is_one_line_with_its_exit_code(
    code: int,
    text: str,
    args: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As text, and with --json as one JSON line."""
    monkeypatch.chdir(tmp_path)

    assert complains(code, text, run(*args))
    machine = run(*args, "--json")
    assert (code, "", 1) == (
        machine.exit_code,
        machine.stdout,
        machine.stderr.count("\n"),
    )
    assert code == json.loads(machine.stderr)["error"]["code"]


def test_an_ambiguous_name_is_a_conflict(cloud: Path, tmp_path: Path) -> None:
    """It is told which ids it may mean."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    twin = run_json("image", "add", file, "--name", "base", *root)

    result = run("image", "show", "base", *root)

    assert complains(5, twin["image"]["id"], result)


def test_a_mislabelled_image_fails_and_leaves_nothing(
    cloud: Path, tmp_path: Path
) -> None:
    """Content that is not what it claims to be is not taken."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    before = run_json("image", "list", *root)

    result = run("image", "add", file, "--disk-format", "qcow2", *root)

    assert complains(1, "qcow2", result)
    assert before == run_json("image", "list", *root)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device", "/x"), 1),
        (PermissionError(13, "Permission denied", "/x"), 2),
        (ConflictError("busy"), 5),
        (ForbiddenError("no"), 3),
        (AdapterError(), 1),
    ],
)
def test_what_the_cloud_raises_is_one_line(
    error: Exception,
    code: int,
    cloud: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each kind of error has its exit code."""

    def fail(*_args: object, **_settings: object) -> None:
        raise error

    monkeypatch.setattr(LocalCloud, "list_volumes", fail)

    assert complains(code, "", run("volume", "list", "--root", str(cloud)))


def test_a_defect_is_not_hidden(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected keeps its traceback."""

    def fail(*_args: object, **_settings: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(LocalCloud, "list_volumes", fail)

    result = run("volume", "list", "--root", str(cloud))

    assert isinstance(result.exception, ZeroDivisionError)


# -- the program itself -----------------------------------------------------


def test_the_program_tells_its_help_and_version() -> None:
    """With the exit codes, and an example for a start."""
    done = run_process("--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit codes:" in done.stdout
    assert run("--version").stdout.startswith("clonepolicy, version ")


def test_a_missing_extra_is_named() -> None:
    """Without click there is one line, which says what to install."""
    code = (
        "import sys; sys.modules['click'] = None; "
        "import clonepolicy.cli as cli; cli.main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    told = "error: there is no module click; install clonepolicy[cli]\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_an_interruption_while_loading_is_no_traceback() -> None:
    """Ctrl-C may come before anything was done."""
    code = """
import sys

class Interrupting:
    def find_spec(name, path=None, target=None):
        if name == "click":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting)
import clonepolicy.cli
clonepolicy.cli.main()
"""

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stderr) == (130, "")


def test_without_a_command_the_program_shows_its_help() -> None:
    """On standard error: nothing was done."""
    result = run()

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: clonepolicy ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_writes_a_script(shell: str) -> None:
    """For each shell, as text and as JSON."""
    told = run_json("completion", shell)

    assert "_CLONEPOLICY_COMPLETE" in told["script"]
    assert told["script"] == run("completion", shell).stdout.rstrip("\n")


def test_completion_completes_policies() -> None:
    """By the protocol that the scripts speak."""
    done = run_process(
        _CLONEPOLICY_COMPLETE="bash_complete",
        COMP_WORDS="clonepolicy rules --policy cin",
        COMP_CWORD="3",
    )

    assert done.stdout == "plain,CINDER_29\n"


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    """A closed pipe ends the program in silence."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*PROGRAM, "rules", "--long"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_disk_under_the_output_is_one_line() -> None:
    """What could not be written is not a success."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    assert done.returncode == 1
    assert done.stderr == "error: No space left on device; free some space\n"


def test_a_terminal_sees_progress_and_pipes_do_not(
    cloud: Path, tmp_path: Path
) -> None:
    """The bar is drawn on standard error only."""
    disk = make_disk(tmp_path / "large.raw", 64 * MIB)
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [*PROGRAM, "image", "add", str(disk), "--root", str(cloud)],
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        drawn = os.read(controller, 4096).decode()
    finally:
        os.close(controller)
        os.close(terminal)

    assert done.returncode == 0
    assert "adding large.raw" in drawn
    assert "\x1b" not in done.stdout


def test_closed_standard_streams_do_no_harm() -> None:
    """The program runs without any."""
    command = " ".join([*PROGRAM, "decide", "create", "-"])

    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} <&- >&- 2>&-"],
        check=False,
        timeout=PATIENCE,
    )

    assert done.returncode == 2


def test_output_fits_any_encoding(cloud: Path, tmp_path: Path) -> None:
    """A name that the terminal cannot write is escaped."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    run("image", "add", file, "--name", "caf\u00e9", *root)
    # as an earlier release took it
    with sqlite3.connect(cloud / "catalogue.sqlite") as db:
        db.execute("UPDATE image SET name = name || '\x1b[31m'")
    db.close()

    done = run_process("image", "list", *root, PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert "caf\\xe9\\x1b[31m" in done.stdout


def test_piped_tables_break_no_id_and_end_without_blanks(cloud: Path) -> None:
    """Each image is one line, whatever the width."""
    done = run_process("image", "list", "--root", str(cloud))

    _head, _rule, *rows = done.stdout.splitlines()
    assert len(rows) == 1
    assert "\x1b" not in done.stdout
    assert all(row == row.rstrip() for row in done.stdout.splitlines())


# -- interruption -----------------------------------------------------------


def _interrupt(args: tuple[str, ...], begun: Callable[[], bool]) -> str:
    """Send SIGINT once something has begun; give standard error."""
    # a test run in the background ignores SIGINT, and so would its children
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*PROGRAM, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + PATIENCE
    while not begun() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    return told


def _files(directory: Path) -> list[Path]:
    # a pool's own mark begins with a dot
    found = directory.rglob("[!.]*")
    return [path for path in found if path.is_file()]


def test_an_interrupted_image_add_leaves_nothing(tmp_path: Path) -> None:
    """Neither a record nor a file."""
    root, images = tmp_path / "cloud", tmp_path / "cloud" / "images"
    LocalCloud.init(root).close()
    disk = make_disk(tmp_path / "disk.raw", LARGE)

    told = _interrupt(
        ("image", "add", str(disk), "--root", str(root)),
        lambda: bool(_files(images)),
    )

    assert "Traceback" not in told
    assert _files(images) == []
    assert run_json("image", "list", "--root", str(root)) == {"images": []}


def test_an_interrupted_volume_create_leaves_nothing(tmp_path: Path) -> None:
    """No volume in any state, and no file in the pool."""
    root, pools = tmp_path / "cloud", tmp_path / "cloud" / "pools"
    with LocalCloud.init(root) as made:
        made.add_image(
            make_disk(tmp_path / "disk.raw", LARGE),
            name="base",
            project_id="demo",
        )
    create = ("volume", "create", "--image", "base", "--size", "2")

    told = _interrupt(
        (*create, "--root", str(root)), lambda: bool(_files(pools))
    )

    assert "Traceback" not in told
    assert _files(pools) == []
    assert run_json("volume", "list", "--root", str(root)) == {"volumes": []}


def test_what_a_kill_left_is_cleared_up_and_said(tmp_path: Path) -> None:
    """The next command that opens the cloud does it."""
    root, pools = tmp_path / "cloud", tmp_path / "cloud" / "pools"
    with LocalCloud.init(root) as made:
        made.add_image(
            make_disk(tmp_path / "disk.raw", LARGE),
            name="base",
            project_id="demo",
        )
    process = subprocess.Popen(
        [
            *(*PROGRAM, "volume", "create", "--image", "base"),
            *("--size", "2", "--root", str(root)),
        ],
    )
    while not _files(pools):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait(timeout=PATIENCE)

    result = run("volume", "list", "--root", str(root))

    assert result.exit_code == 0
    assert result.stderr == "note: cleared up 1 interrupted operation\n"
    assert _files(pools) == []


# -- the help's examples ----------------------------------------------------


def _examples(
    command: click.Command = program, path: str = "clonepolicy"
) -> Iterator[tuple[str, str]]:
    epilog = command.epilog or ""
    for line in epilog.splitlines():
        if line.startswith("  clonepolicy"):
            yield path, line.strip()
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _examples(below, f"{path} {name}")


EXAMPLES = tuple(
    dict.fromkeys(
        example for _, example in _examples() if " demo" not in example
    )
)
"""Those of the demo are its own tests' business: they take seconds."""


def test_every_command_has_an_example() -> None:
    """In its own help, unbroken."""
    with_examples = {path for path, _ in _examples()}

    def walk(command: click.Command, path: str) -> Iterator[str]:
        yield path
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                yield from walk(below, f"{path} {name}")

    for path in walk(program, "clonepolicy"):
        assert path in with_examples
        told = run(*path.split()[1:], "--help").stdout
        for where, example in _examples():
            if where == path:
                assert f"{example}\n" in told


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_help_runs(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the files and names are that it speaks of."""
    if "qcow2" in example and shutil.which("qemu-img") is None:
        pytest.skip("no qemu-img")
    monkeypatch.chdir(tmp_path)
    make_disk(tmp_path / "disk.raw")
    if "qcow2" in example:
        command = ["qemu-img", "create", "-q", "-f", "qcow2"]
        subprocess.run([*command, "disk.qcow2", "8M"], check=True)
    Path("request.json").write_text(wire.dumps(CREATE))
    Path("upload.json").write_text(wire.dumps(REGISTERABLE))
    if "decision.json" in example:
        decided = run("decide", "create", "request.json", "--json").stdout
        Path("decision.json").write_text(decided)
    if example.split()[1] in {"image", "volume"}:
        root = tmp_path / "cloud"
        monkeypatch.setenv("CLONEPOLICY_ROOT", str(root))
        with LocalCloud.init(root) as made:
            image = made.add_image(
                tmp_path / "disk.raw", name="base", project_id="demo"
            )
            made.create_volume(
                image.id, name="work", project_id="demo", size=1
            )
    if not re.search("[|>]", example):
        assert run(*example.split()[1:]).exit_code == 0
        return
    shim = tmp_path / "clonepolicy"
    shim.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    shim.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", example],
        env={**os.environ, "PATH": path},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
