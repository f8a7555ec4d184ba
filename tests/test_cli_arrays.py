"""The command that shows which kinds of array are installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))

import array_dists
from array_dists import PROBLEMS
from clonepolicy.cli import _arrays
from clonepolicy.cli._main import program

strangers = array_dists.strangers


def run(*args: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(
        program, ["arrays", *args], prog_name="clonepolicy"
    )


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing outside say how wide the output is."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.mark.usefixtures("strangers")
def test_arrays_are_listed_in_words_with_what_is_wrong() -> None:
    """Broken ones are lines among others, and no failure of the command."""
    result = run()

    assert (0, "") == (result.exit_code, result.stderr)
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    words = " ".join(lines["good"].split())
    assert words == (
        "good x 1.0 1 copy-on-write, 255 of a source depends on the array "
        "file, rbd -"
    )
    assert "bad x 1.0 1 no yes - -" == " ".join(lines["bad"].split())
    assert "yes, as it can" in lines["reflink"]
    for name, problem in PROBLEMS.items():
        assert problem in lines[name]


@pytest.mark.usefixtures("strangers")
def test_json_has_everything_about_all() -> None:
    """The fields as they are, and the versions that are called."""
    result = run("--json")

    assert 0 == result.exit_code
    told = json.loads(result.stdout)
    assert (1, 1) == (told["api_version"], told["oldest_api_version"])
    arrays = {array["name"]: array for array in told["arrays"]}
    good = arrays["good"]
    assert ("stranger:Good", "x 1.0") == (good["target"], good["distribution"])
    assert 255 == good["capabilities"]["clone_limit"]
    assert ["file", "rbd"] == good["capabilities"]["image_schemes"]
    assert None is arrays["raises"]["capabilities"]
    assert PROBLEMS["raises"] in arrays["raises"]["problem"]


@pytest.mark.usefixtures("strangers")
def test_one_array_is_shown_with_all_its_fields() -> None:
    """One on each line, those that are not set too."""
    result = run("good")

    assert 0 == result.exit_code
    fields = dict(
        line.split(maxsplit=1) for line in result.stdout.split("\n")[:-1]
    )
    assert "stranger:Good" == fields["target"]
    assert "255" == fields["clone_limit"]
    assert "file, rbd" == fields["image_schemes"]
    assert "-" == fields["problem"] == fields["array_id"]


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_asking_for_a_broken_array_fails(
    name: str, option: tuple[str, ...]
) -> None:
    """What is wrong is shown, and the exit code is 1."""
    result = run(name, *option)

    assert 1 == result.exit_code
    assert json.dumps(PROBLEMS[name])[1:-1] in result.stdout


def test_asking_for_an_array_that_is_not_there_fails() -> None:
    """With one line, and the exit code of what is not found."""
    result = run("nope")

    assert (4, "") == (result.exit_code, result.stdout)
    assert result.stderr == (
        "error: no array backend 'nope' is installed; clonepolicy arrays "
        "lists those that are\n"
    )


def test_no_array_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, and as an empty list."""
    monkeypatch.setattr(_arrays, "installed_arrays", lambda _: ())

    assert "no array backend is installed\n" == run().stdout
    assert [] == json.loads(run("--json").stdout)["arrays"]
