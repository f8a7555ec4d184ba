"""`clonepolicy image`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import assert_error, run, run_json, run_process

cloud = cli_support.cloud


def test_image_add_detects_the_format(cloud: Path, tmp_path: Path) -> None:
    """The content of a file counts, not its name."""
    qemu_img = shutil.which("qemu-img")
    if qemu_img is None:
        pytest.skip("no qemu-img")
    file = tmp_path / "misnamed.raw"
    subprocess.run(
        [qemu_img, "create", "-q", "-f", "qcow2", str(file), "8M"], check=True
    )

    added = run_json("image", "add", str(file), "--root", str(cloud))

    assert (
        added["image"]["name"],
        added["image"]["disk_format"],
    ) == ("misnamed", "qcow2")


@pytest.mark.usefixtures("cloud")
def test_an_image_in_two_formats_fails(tmp_path: Path) -> None:
    """It is not guessed which of them is meant."""
    two = tmp_path / "two"
    two.write_bytes(b"QFI\xfb".ljust(0x8001, b"\0") + b"CD001" + bytes(2048))
    for command in (("image", "add"), ("demo", "--image")):
        done = run(*command, str(two))
        assert_error(1, "two: Multiple formats detected", done)


def test_a_mislabelled_image_fails_and_leaves_nothing(
    cloud: Path, tmp_path: Path
) -> None:
    """The content must have the format that the option names."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    before = run_json("image", "list", *root)

    result = run("image", "add", file, "--disk-format", "qcow2", *root)

    assert_error(1, "qcow2", result)
    assert before == run_json("image", "list", *root)


def test_an_ambiguous_name_is_a_conflict(cloud: Path, tmp_path: Path) -> None:
    """The message lists the ids that have the name."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    twin = run_json("image", "add", file, "--name", "base", *root)

    result = run("image", "show", "base", *root)

    assert_error(5, twin["image"]["id"], result)


def test_projects_do_not_see_each_other(cloud: Path) -> None:
    """``--all`` lists the images of all projects."""
    root = ("--root", str(cloud), "--project", "other")

    assert run_json("image", "list", *root) == {"images": []}
    assert len(run_json("image", "list", "--all", *root)["images"]) == 1
    assert_error(4, "base", run("image", "show", "base", *root))


def test_the_public_image_of_another_project_cannot_be_deleted(
    cloud: Path, tmp_path: Path
) -> None:
    """Only its owner can delete an image."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    run("image", "add", file, "--name", "all", "--visibility", "public", *root)

    result = run("image", "delete", "all", *root, "--project", "other")

    assert_error(3, "belongs to project demo", result)


def test_locations_are_shown_as_text(cloud: Path, tmp_path: Path) -> None:
    """An image without locations has a dash."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)

    upload = run("volume", "upload", "base", "--name", "made", *root)
    added = run("image", "add", str(tmp_path / "disk.raw"), *root)

    shown = run("image", "show", "made", *root).stdout
    (line,) = [x for x in shown.splitlines() if x.startswith("locations")]
    assert "cinder://" in line
    assert line in upload.stdout.splitlines()
    assert re.search(r"^locations +-$", added.stdout, re.MULTILINE)


def test_lists_and_shows_agree(cloud: Path) -> None:
    """Both show the same images and volumes, as text and as JSON."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)

    for noun in ("image", "volume"):
        (row,) = run_json(noun, "list", *root)[f"{noun}s"]
        assert row == run_json(noun, "show", "base", *root)[noun]
        for args in (("list", "--long"), ("show", row["id"][:8])):
            assert row["id"] in run(noun, *args, *root).stdout
        listed = run(noun, "list", *root).stdout
        assert row["id"] not in listed
        assert row["id"][:8] in listed


def test_delete_deletes(cloud: Path) -> None:
    """First a volume, then the image that it was made from."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    (volume,) = run_json("volume", "list", *root)["volumes"]

    gone = run_json("volume", "delete", "base", *root)
    result = run("image", "delete", "base", *root)

    assert {"deleted": volume["id"]} == gone
    assert result.stdout.startswith("deleted image ")
    assert run_json("image", "list", *root) == {"images": []}


def test_delete_names_what_was_deleted(cloud: Path) -> None:
    """In text for a volume, and in JSON for an image."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    (image,) = run_json("image", "list", *root)["images"]

    volume = run("volume", "delete", "base", *root)

    assert volume.stdout.startswith("deleted volume ")
    assert {"deleted": image["id"]} == run_json(
        "image", "delete", "base", *root
    )


def test_environment_variables_name_root_and_project(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand for ``--root`` and ``--project``."""
    monkeypatch.setenv("CLONEPOLICY_ROOT", str(cloud))
    monkeypatch.setenv("CLONEPOLICY_PROJECT", "other")

    assert run_json("image", "list") == {"images": []}


def test_a_refused_image_is_one_line(cloud: Path, tmp_path: Path) -> None:
    """What the inspecting library logs is not shown beside the error."""
    qemu_img = shutil.which("qemu-img")
    if qemu_img is None:
        pytest.skip("no qemu-img")
    base, file = tmp_path / "base", tmp_path / "backed"
    base.write_bytes(bytes(512))
    backed = ("-b", str(base), "-F", "raw", str(file))
    subprocess.run(
        [qemu_img, "create", "-q", "-f", "qcow2", *backed], check=True
    )
    done = run_process("image", "add", str(file), "--root", str(cloud))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "backing file" in done.stderr


def test_a_volume_is_adopted_by_its_whole_id(cloud: Path) -> None:
    """Anything else is wrong usage."""
    result = run("volume", "adopt", "nothing", "--root", str(cloud))
    assert_error(2, "'nothing' is not a valid UUID", result)
