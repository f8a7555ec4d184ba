"""What tenants write never reaches the terminal as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_support import run
from clonepolicy import CreateRequest, Route, parse_location, wire
from clonepolicy._terminal.errors import CliError, Exit, line
from clonepolicy._terminal.render import pairs, say, show, table
from clonepolicy.ports import Missing
from clonepolicy.scenarios import CLONEABLE, with_facts

ESCAPES = "\x1b[2J\r\x07\x9b31m\u2028\u202e"
FORGED = f"x\nclone{ESCAPES}"
SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]


def hostile() -> CreateRequest:
    """Make a request with hostile ids, status and location."""
    (candidate,) = SCENARIO.image_volumes
    location = parse_location(f"cinder://{FORGED}")
    request = with_facts(
        SCENARIO,
        dict.fromkeys(("image.id", "image.status", "volume.id"), FORGED),
    )
    found = attrs.evolve(
        candidate, location=location, source=None, missing=Missing.ABSENT
    )
    return attrs.evolve(request, image_volumes=(found,))


@pytest.mark.parametrize(
    "options", [(), ("--tenant",), ("--what-would-it-take",), ("--json",)]
)
def test_what_tenants_write_is_escaped(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """By ``decide`` and by ``explain``; no line is forged."""
    path, stored = tmp_path / "request.json", tmp_path / "decision.json"
    path.write_text(wire.dumps(hostile()))
    decided = run("decide", "create", str(path), "--json")
    stored.write_text(decided.stdout)
    for result in (
        decided,
        run("decide", "create", str(path)),
        run("explain", str(stored), *options),
    ):
        assert result.stdout.replace("\n", "").isprintable()
        assert "\nclone" not in result.stdout


@pytest.mark.parametrize(
    "options", [(), ("--tenant",), ("--what-would-it-take",), ("--json",)]
)
def test_no_command_shows_a_users_key(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """What ``decide --json`` writes has no key either, and can be read."""
    url = "s3+https://user:s3cr3t@host/b/o?X-Amz-Signature=s3cr3t"
    body = wire.to_dict(CLONEABLE[Route.ARRAY_IMAGE])
    body["array_images"][0]["location"] = url
    body["image"]["direct_url"] = url
    path, stored = tmp_path / "request.json", tmp_path / "decision.json"
    path.write_text(json.dumps(body))
    decided = run("decide", "create", str(path), "--json")
    assert "s3+https://***@host/b/o?***" in decided.stdout
    stored.write_text(decided.stdout)
    path.write_text(json.dumps({**body, "image": url}))
    for result in (
        decided,
        run("explain", str(stored), *options),
        run("decide", "create", str(path)),
        run("decide", "create", str(path), "--json"),
        run("decide", "create", url, "--json"),
    ):
        assert result.exit_code in {Exit.DONE, Exit.USAGE}
        assert "s3cr3t" not in result.output


def test_an_error_of_a_file_is_escaped(tmp_path: Path) -> None:
    """Also the names of unknown and of repeated keys."""
    path = tmp_path / "request.json"
    body = wire.to_dict(SCENARIO)
    key = json.dumps(FORGED)
    for text in (
        json.dumps({**body, FORGED: 1}),
        json.dumps({**body, "image": {**body["image"], "status": [FORGED]}}),
        f"{{{key}: 1, {key}: 2}}",
    ):
        path.write_text(text)
        result = run("decide", "create", str(path))
        assert result.exit_code == Exit.USAGE
        assert result.stderr.count("\n") == 1
        assert result.stderr.rstrip("\n").isprintable()


def test_texts_tables_and_errors_are_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A cell is one line; `say` keeps the lines that it is given."""
    show(table(("name",), [(FORGED,), ([FORGED],)]))
    show(pairs([(FORGED, FORGED)]))
    say(f"one\ntwo{ESCAPES}")
    written = capsys.readouterr().out
    assert written.replace("\n", "").isprintable()
    assert "\nclone" not in written
    assert "\ntwo" in written
    error = CliError(Exit.FAILED, FORGED, FORGED)
    for as_json in (False, True):
        assert line(error, as_json=as_json).isprintable()
