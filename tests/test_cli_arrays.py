"""`clonepolicy arrays`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import array_dists
from array_dists import PROBLEMS
from cli_support import assert_error, run, run_json
from clonepolicy import ports
from clonepolicy.adapters._qemu import confine
from clonepolicy.adapters._qemu import run as qemu

strangers = array_dists.strangers


@pytest.mark.usefixtures("strangers")
def test_arrays_are_listed_with_their_problems() -> None:
    """Broken backends are in the list, and the command succeeds."""
    result = run("arrays")

    assert (0, "") == (result.exit_code, result.stderr)
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    words = " ".join(lines["good"].split())
    assert words == (
        "good x 1.0 1 copy-on-write, at most 255 of a source depends on the "
        "array file, rbd -"
    )
    assert "bad x 1.0 1 no yes - -" == " ".join(lines["bad"].split())
    assert "yes, method varies" in lines["reflink"]
    for name, problem in PROBLEMS.items():
        assert problem in lines[name]


@pytest.mark.parametrize(
    ("version", "wrap", "told"),
    [
        (7, (), "Landlock, version 7"),
        (0, ("bwrap",), "bubblewrap"),
        (0, (), "none (there is neither Landlock nor a working bubblewrap)"),
    ],
)
def test_the_sandbox_is_told(
    version: int,
    wrap: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list ends with what confines qemu-img on this machine."""
    monkeypatch.setattr(confine, "landlock", lambda: version)
    monkeypatch.setattr(qemu, "bubblewrap", lambda: wrap)
    last = run("arrays").stdout.splitlines()[-1]
    assert f"sandbox of qemu-img: {told}" == last
    assert told == run_json("arrays")["sandbox"]


@pytest.mark.usefixtures("strangers")
def test_json_has_all_fields_of_all_arrays() -> None:
    """It has also the versions of the port that are supported."""
    listed = run_json("arrays")

    assert (1, 1) == (listed["api_version"], listed["oldest_api_version"])
    arrays = {array["name"]: array for array in listed["arrays"]}
    good = arrays["good"]
    assert ("stranger:Good", "x 1.0") == (good["target"], good["distribution"])
    assert 255 == good["capabilities"]["clone_limit"]
    assert ["file", "rbd"] == good["capabilities"]["image_schemes"]
    assert None is arrays["raises"]["capabilities"]
    assert PROBLEMS["raises"] in arrays["raises"]["problem"]


@pytest.mark.usefixtures("strangers")
def test_one_array_is_shown_with_all_its_fields() -> None:
    """Each field is a line; a field that is not set has a dash."""
    result = run("arrays", "good")

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
    """The problem is on standard output, and the exit code is 1."""
    result = run("arrays", name, *option)

    assert 1 == result.exit_code
    assert json.dumps(PROBLEMS[name])[1:-1] in result.stdout


def test_asking_for_an_array_that_is_not_installed_fails() -> None:
    """The message says how to list the installed ones."""
    result = run("arrays", "nope")

    assert result.stdout == ""
    assert_error(4, "no array backend 'nope' is installed; run ", result)


def test_no_installed_array_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As text, and as an empty list in JSON."""
    monkeypatch.setattr(ports, "installed_arrays", lambda _: ())

    assert "no array backend is installed\n" == run("arrays").stdout
    assert [] == run_json("arrays")["arrays"]
