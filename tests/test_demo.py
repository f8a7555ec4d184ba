"""The demo: it tells a true story, or fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clonepolicy import UnsupportedError
from clonepolicy.adapters.local import Created, LocalCloud
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.cli._main import program

MIB = 1 << 20
PROGRAM = (sys.executable, "-m", "clonepolicy.cli")


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing outside say how wide the output is."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk image of a few MiB with data and a hole."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(os.urandom(MIB))
        file.truncate(4 * MIB)
    return path


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which temporary ones are made."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def run(*args: str) -> Result:
    """Run the demo in this process."""
    return CliRunner().invoke(
        program, ("demo", *args), prog_name="clonepolicy"
    )


def run_json(*args: str) -> Any:  # noqa: ANN401 - any JSON
    """Run a demo that succeeds, and read its JSON."""
    result = run(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_demo_takes_every_path(disk: Path) -> None:
    """Download, register, clone twice, refuse, in this order."""
    told = run_json("--image", str(disk))

    assert [step["path"] for step in told["steps"]] == [
        "download",
        "register",
        "clone",
        "clone",
        "refuse",
    ]
    assert [step["decision"]["decision"] for step in told["steps"]] == [
        step["path"] for step in told["steps"]
    ]
    assert [step["bytes_moved"] for step in told["steps"]] == [
        4 * MIB,
        0,
        0,
        0,
        0,
    ]
    assert told["steps"][3]["decision"]["extend_to"] == 3


def test_the_demo_compares_the_bytes(disk: Path) -> None:
    """One digest for the image and each of the three volumes."""
    told = run_json("--image", str(disk))

    assert list(told["sha256"]) == ["base", "first", "second", "larger"]
    assert len(set(told["sha256"].values())) == 1


def test_the_demo_tells_operator_and_tenant_apart(disk: Path) -> None:
    """The tenant does not learn which volume was cloned."""
    renderings = run_json("--image", str(disk))["renderings"]

    assert "cinder://" in renderings["operator"]
    assert "cinder://" not in renderings["tenant"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_demo_fits_the_terminal(
    width: int, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All acts are told, in lines that fit."""
    monkeypatch.setenv("COLUMNS", str(width))

    result = run("--image", str(disk))

    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    told = [line for line in lines if not line.startswith("Pool ")]
    assert max(map(len, told)) <= width
    for act in range(1, 7):
        assert any(line.startswith(f"{act}. ") for line in lines)
    assert lines[-1] == "Everything went as told."


def test_the_demo_says_how_this_file_system_clones(disk: Path) -> None:
    """Reflinks or full copies, as the pool was probed."""
    kind = run_json("--image", str(disk))["clone_kind"]

    word = {"copy-on-write": "reflinks", "full-copy": "full copies"}[kind]
    assert f"Clones  {word}: " in run("--image", str(disk)).stdout


def test_the_demo_takes_a_qcow2_image(disk: Path, tmp_path: Path) -> None:
    """It is downloaded and converted; the bytes are its disk's."""
    qemu_img = shutil.which("qemu-img")
    if qemu_img is None:
        pytest.skip("no qemu-img")
    file = tmp_path / "disk.qcow2"
    convert = [qemu_img, "convert", "-O", "qcow2", str(disk), str(file)]
    subprocess.run(convert, check=True)

    raw = run_json("--image", str(disk))
    converted = run_json("--image", str(file), "--size", "1")

    assert "disk-format-not-raw" in converted["steps"][0]["reasons"]
    assert raw["sha256"] == converted["sha256"]


def test_the_demo_makes_an_image_and_leaves_nothing(temporary: Path) -> None:
    """Without options it needs nothing and cleans up."""
    result = run()

    assert (result.exit_code, result.stderr) == (0, "")
    assert "256.0 MiB" in result.stdout
    assert list(temporary.iterdir()) == []


def test_the_demo_keeps_the_cloud_where_it_is_told(
    disk: Path, tmp_path: Path
) -> None:
    """With --root the volumes can be looked at afterwards."""
    root = tmp_path / "cloud"

    result = run("--image", str(disk), "--root", str(root))

    assert f"clonepolicy volume list --root {root}\n" in result.stdout
    with LocalCloud(root) as cloud:
        names = [row.name for row in cloud.list_volumes("demo")]
    assert names == ["first", "second", "larger"]


def _failing(result: Result, text: str) -> None:
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("error: the demo did not go as told: ")
    assert text in result.stderr


def test_a_clone_that_falls_back_fails_the_demo(
    disk: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision to clone that became a download is not told as a clone."""
    real, calls = LocalArray.clone_volume, []

    def clone_volume(self: LocalArray, *args: Any) -> None:  # noqa: ANN401
        calls.append(args)
        if len(calls) > 1:
            message = "out of order"
            raise UnsupportedError(message)
        real(self, *args)

    monkeypatch.setattr(LocalArray, "clone_volume", clone_volume)

    _failing(
        run("--image", str(disk)), "expected clone, but ended in download"
    )
    assert list(temporary.iterdir()) == []


def test_another_decision_than_told_fails_the_demo(disk: Path) -> None:
    """A volume too small for the image is refused, not downloaded."""
    with disk.open("r+b") as file:
        file.truncate(1025 * MIB)

    _failing(
        run("--image", str(disk), "--size", "1"),
        "expected download, but decided refuse: image-larger-than-volume",
    )


def test_other_bytes_fail_the_demo(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone with another content is found out."""
    real = LocalCloud.create_volume

    def create_volume(self: LocalCloud, *args: Any, **more: Any) -> Created:  # noqa: ANN401
        made = real(self, *args, **more)
        if more["name"] == "second":
            assert made.volume is not None
            with made.volume.path.open("r+b") as file:
                file.write(b"other")
        return made

    monkeypatch.setattr(LocalCloud, "create_volume", create_volume)

    _failing(run("--image", str(disk)), "bytes differ in second")


def test_the_demos_examples_run(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as it stands in the help; the bare one has a test of its own."""
    qemu_img = shutil.which("qemu-img")
    if qemu_img is None:
        pytest.skip("no qemu-img")
    monkeypatch.chdir(tmp_path)
    convert = [qemu_img, "convert", "-O", "qcow2", str(disk), "disk.qcow2"]
    subprocess.run(convert, check=True)
    epilog = program.commands["demo"].epilog or ""
    lines = [line.strip() for line in epilog.splitlines()]
    examples = [line for line in lines if line.startswith("clonepolicy ")]

    for example in examples:
        args = example.split()[2:]
        if args:
            assert run(*args).exit_code == 0

    assert len(examples) > 1


def test_the_demo_shows_progress_only_on_a_terminal(disk: Path) -> None:
    """Piped, nothing is drawn and nothing is coloured."""
    done = subprocess.run(
        [*PROGRAM, "demo", "--image", str(disk)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert [
        line for line in done.stdout.splitlines() if line != line.rstrip()
    ] == []
