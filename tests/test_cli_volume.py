"""`clonepolicy volume`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import MIB, run, run_json
from clonepolicy import Route, UnavailableError
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.plan import Attempt

cloud = cli_support.cloud


def _head(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(5000)


def test_a_volume_goes_from_download_to_register_to_clone(
    cloud: Path,
) -> None:
    """An uploaded volume is the source of the next clone."""
    root = ("--root", str(cloud))
    create = ("volume", "create", "--size", "1")

    first = run_json(*create, "--image", "base", "--name", "first", *root)
    golden = run_json("volume", "upload", "first", "--name", "golden", *root)
    second = run_json(*create, "--image", "golden", "--name", "second", *root)

    assert [
        step["decision"]["decision"] for step in (first, golden, second)
    ] == ["download", "register", "clone"]
    assert [step["bytes_moved"] for step in (first, golden, second)] == [
        2 * MIB,
        0,
        0,
    ]
    assert second["volume"]["name"] == "second"
    assert [golden["image"]["status"]] == ["active"]
    assert _head(first["volume"]["path"]) == _head(second["volume"]["path"])


def test_create_shows_verdict_reasons_and_cost(cloud: Path) -> None:
    """``--explain`` adds the findings and the plan."""
    args = ("volume", "create", "--image", "base", "--size", "1")
    root = ("--root", str(cloud))

    short = run(*args, *root)
    long = run(*args, "--explain", *root)

    assert short.stdout.startswith("download image ")
    assert (
        "no-locations: no location that Glance shows names a volume"
        in short.stdout
    )
    assert "done by download: " in short.stdout
    assert "plan:" not in short.stdout
    assert "plan:" in long.stdout


def test_upload_shows_the_image(cloud: Path) -> None:
    """The verdict comes first."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)

    result = run("volume", "upload", "base", "--name", "golden", *root)

    assert result.exit_code == 0
    assert result.stdout.startswith("register a clone of volume ")
    assert "cinder://" in result.stdout


@pytest.mark.parametrize("attempt", [Attempt(Route.UPLOAD, None, ()), None])
def test_an_unsettled_outcome_is_reported(
    attempt: Attempt | None, cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a note after a success, and in the error after a failure."""
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


def test_a_refused_volume_exits_with_3_and_names_the_responsible(
    cloud: Path,
) -> None:
    """No volume is made."""
    root = ("--root", str(cloud))
    args = ("volume", "create", "--image", "base", "--size", "0", *root)

    human, machine = run(*args), run(*args, "--json")

    assert [human.exit_code, machine.exit_code] == [3, 3]
    assert "requester: " in human.stdout
    shown = json.loads(machine.stdout)
    assert (shown["volume"], shown["outcome"]) == (None, None)
    assert run_json("volume", "list", *root) == {"volumes": []}


def test_a_failed_operation_exits_with_1(cloud: Path) -> None:
    """Both streams report it, and the volume does not change."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    upload = ("volume", "upload", "base", "--name", "x", *root)

    human = run(*upload, "--disk-format", "qcow2")
    machine = run(*upload, "--disk-format", "qcow2", "--json")

    assert [human.exit_code, machine.exit_code] == [1, 1]
    assert "UploadImage failed" in human.stdout
    assert human.stderr.startswith("error: the image could not be made: ")
    shown = json.loads(machine.stdout)
    assert (shown["image"], shown["outcome"]["attempt"]) == (None, None)
    (volume,) = run_json("volume", "list", *root)["volumes"]
    assert volume["status"] == "available"


def test_a_volume_that_cannot_be_made_exits_with_1(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays with status error, as in Cinder."""

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
