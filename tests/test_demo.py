"""`clonepolicy demo`: what it says is true, or it fails."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import MIB, assert_error, run_process
from clonepolicy import UnsupportedError
from clonepolicy.adapters.local import Created, LocalCloud
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.cli._program import program


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
    """The directory for temporary directories."""
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


run = partial(cli_support.run, "demo")
run_json = partial(cli_support.run_json, "demo")


def test_the_demo_has_every_verdict(disk: Path) -> None:
    """Download, register, clone twice, refuse, in this order."""
    steps = run_json("--image", str(disk))["steps"]

    assert [step["verdict"] for step in steps] == [
        "download",
        "register",
        "clone",
        "clone",
        "refuse",
    ]
    assert [step["decision"]["decision"] for step in steps] == [
        step["verdict"] for step in steps
    ]
    assert [step["bytes_moved"] for step in steps] == [4 * MIB, 0, 0, 0, 0]
    assert steps[3]["decision"]["extend_to"] == 3


def test_the_demo_compares_the_bytes(disk: Path) -> None:
    """One digest for the image and each of the three volumes."""
    digests = run_json("--image", str(disk))["sha256"]

    assert list(digests) == ["base", "first", "second", "larger"]
    assert len(set(digests.values())) == 1


def test_the_demo_hides_the_source_from_the_tenant(disk: Path) -> None:
    """The tenant does not learn which volume was cloned."""
    explanations = run_json("--image", str(disk))["explanations"]

    assert "cinder://" in explanations["operator"]
    assert "cinder://" not in explanations["tenant"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_demo_fits_the_terminal(width: int, disk: Path) -> None:
    """All steps are shown, in lines that fit."""
    result = run("--image", str(disk), columns=width)

    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    others = [line for line in lines if not line.startswith("Pool ")]
    assert max(map(len, others)) <= width
    for step in range(1, 7):
        assert any(line.startswith(f"{step}. ") for line in lines)
    assert lines[-1] == "All checks passed."


def test_the_demo_shows_how_this_file_system_clones(disk: Path) -> None:
    """By reflinks or by full copies."""
    kind = run_json("--image", str(disk))["clone_kind"]

    word = {"copy-on-write": "reflinks", "full-copy": "full copies"}[kind]
    assert f"Clones  {word}: " in run("--image", str(disk)).stdout


def test_the_demo_takes_a_qcow2_image(disk: Path, tmp_path: Path) -> None:
    """The volumes have the bytes of the converted image."""
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
    """Without options it needs no input and keeps no file."""
    result = run()

    assert (result.exit_code, result.stderr) == (0, "")
    assert "256.0 MiB" in result.stdout
    assert list(temporary.iterdir()) == []


def test_the_demo_keeps_the_cloud_in_root(disk: Path, tmp_path: Path) -> None:
    """With ``--root`` the volumes can be listed afterwards."""
    root = tmp_path / "cloud"

    result = run("--image", str(disk), "--root", str(root))

    assert f"clonepolicy volume list --root {root}\n" in result.stdout
    with LocalCloud(root) as cloud:
        names = [row.name for row in cloud.list_volumes("demo")]
    assert names == ["first", "second", "larger"]


def test_the_demo_writes_its_output_as_svg(disk: Path, tmp_path: Path) -> None:
    """The picture shows the same text, with and without ``--json``."""
    svg = tmp_path / "demo.svg"
    for option in ((), ("--json",)):
        svg.write_text("old")

        result = run("--image", str(disk), "--svg", str(svg), *option)

        assert (result.exit_code, result.stderr) == (0, "")
        picture = svg.read_text()
        assert picture.startswith("<svg ")
        text = html.unescape(picture).replace("\xa0", " ")
        for title in ("Downloaded in ", "Second: cloned in ", "All checks"):
            assert title in text


def test_the_demo_reports_a_picture_that_it_cannot_write(disk: Path) -> None:
    """The error names the file."""
    image = ("--image", str(disk))

    directory = run(*image, "--svg", str(disk.parent))
    missing = run(*image, "--svg", "none/demo.svg")

    assert_error(2, "'--svg': File", directory)
    assert_error(2, "none/demo.svg", missing)


def _assert_demo_fails(text: str, *args: str) -> None:
    result = run(*args)
    assert result.stderr.startswith("error: the demo failed: ")
    assert_error(1, text, result)


def test_a_clone_that_falls_back_fails_the_demo(
    disk: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision was clone, and the result was a download."""
    real, calls = LocalArray.clone_volume, []

    def clone_volume(self: LocalArray, *args: Any) -> None:  # noqa: ANN401
        calls.append(args)
        if len(calls) > 1:
            message = "out of order"
            raise UnsupportedError(message)
        real(self, *args)

    monkeypatch.setattr(LocalArray, "clone_volume", clone_volume)

    _assert_demo_fails(
        "expected clone, but the result was download", "--image", str(disk)
    )
    assert list(temporary.iterdir()) == []


def test_an_unexpected_decision_fails_the_demo(disk: Path) -> None:
    """A volume too small for the image is refused, not downloaded."""
    with disk.open("r+b") as file:
        file.truncate(1025 * MIB)

    _assert_demo_fails(
        "but the decision was refuse: image-larger-than-volume",
        *("--image", str(disk), "--size", "1"),
    )


def test_other_bytes_fail_the_demo(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo compares the content of each volume."""
    real = LocalCloud.create_volume

    def create_volume(self: LocalCloud, *args: Any, **more: Any) -> Created:  # noqa: ANN401
        made = real(self, *args, **more)
        if more["name"] == "second":
            assert made.volume is not None
            with made.volume.path.open("r+b") as file:
                file.write(b"other")
        return made

    monkeypatch.setattr(LocalCloud, "create_volume", create_volume)

    _assert_demo_fails(
        "bytes of second are not those of the image", "--image", str(disk)
    )


def test_the_demos_examples_run(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the example without options, which has a test of its own."""
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
    """Piped output has no progress bar and no colours."""
    done = run_process("demo", "--image", str(disk))

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert [
        line for line in done.stdout.splitlines() if line != line.rstrip()
    ] == []
