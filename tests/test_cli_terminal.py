"""Lists and explanations on narrow terminals."""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import make_disk, run, run_json
from clonepolicy._terminal.render import wrap
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.cli._cloud import short

cloud = cli_support.cloud

NAMES = (
    "golden-image-2026",
    "\u65e5\u672c\u8a9e\u306e\u540d\u524d",  # two columns a letter
    "cafe\u0301 cafe\u0301",  # combining accents take no column
    "n",
)


@pytest.fixture
def crowded(cloud: Path, tmp_path: Path) -> Path:
    """A cloud with images and volumes of several names."""
    with LocalCloud(cloud) as opened:
        for name in NAMES:
            disk = make_disk(tmp_path / "disk.raw")
            opened.add_image(disk, name=name, project_id="demo")
        image = opened.find_image("base", "demo").image
        for name in NAMES:
            opened.create_volume(
                image.id, name=name, project_id="demo", size=1
            )
    return cloud


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(
    ("noun", "status", "size"),
    [("image", "active", "2.0 MiB"), ("volume", "available", "1")],
)
def test_status_name_and_size_stay_whole(
    noun: str, status: str, size: str, columns: int, crowded: Path
) -> None:
    """In one line for each row, none of which is too wide."""
    listed = run(noun, "list", "--root", str(crowded), columns=columns)

    lines = listed.stdout.splitlines()
    assert max(map(cell_len, lines)) <= columns
    for name in NAMES:
        (line,) = [each for each in lines if f"{name}  " in f" {each} "]
        cells = line.split("  ")
        assert status in line
        assert size in [cell.strip() for cell in cells]


def test_a_narrow_list_names_what_it_leaves_out(crowded: Path) -> None:
    """And how to see it."""
    root = ("--root", str(crowded))

    narrow = run("image", "list", *root, columns=40).stdout
    wide = run("image", "list", *root, columns=80).stdout

    assert "no room for stored in, format, id;" in narrow
    assert "--long shows all" in narrow
    assert "no room" not in wide
    assert "stored in" in wide.splitlines()[0]


def test_a_name_that_fits_nowhere_is_wrapped_and_not_cut(
    cloud: Path, tmp_path: Path
) -> None:
    """No letter of it is lost, and its status stays whole."""
    name = "".join(random.Random(1).choices("abcdefgh", k=100))  # noqa: S311
    with LocalCloud(cloud) as opened:
        disk = make_disk(tmp_path / "disk.raw")
        opened.add_image(disk, name=name, project_id="demo")

    for columns in (30, 40, 80):
        args = ("image", "list", "--root", str(cloud))
        lines = run(*args, columns=columns).stdout.splitlines()
        assert max(map(cell_len, lines)) <= columns
        letters = "".join("".join(lines).split())
        assert "active" in letters
        assert all(part in letters for part in (name[:3], name[-3:]))


def test_a_short_id_is_found_again(crowded: Path) -> None:
    """By show, as printed; ``--json`` and ``--long`` have it in full."""
    root = ("--root", str(crowded))

    for noun in ("image", "volume"):
        rows = run_json(noun, "list", *root)[f"{noun}s"]
        listed = run(noun, "list", *root).stdout.splitlines()[2:]
        for row, line in zip(rows, listed, strict=True):
            printed = line.split()[0]
            assert row["id"].startswith(printed)
            assert row == run_json(noun, "show", printed, *root)[noun]
        in_full = run(noun, "list", "--long", *root).stdout
        assert all(row["id"] in in_full for row in rows)


@pytest.mark.parametrize("alike", [0, 7, 8, 9, 20, 35])
def test_short_ids_differ(alike: int) -> None:
    """However many characters two ids share."""
    one = str(uuid.UUID(int=0))
    other = one[:alike] + "f" + one[alike + 1 :]

    first, second = short([one, other])

    assert first != second
    assert 8 <= len(first) == len(second) <= max(8, alike + 2)


def test_one_id_twice_is_no_endless_loop() -> None:
    """A damaged catalogue may hold it."""
    one = str(uuid.UUID(int=0))

    assert short([one, one]) == [one[:8]] * 2
    assert short([]) == []


@pytest.mark.parametrize("columns", [40, 80, 132])
@pytest.mark.parametrize(
    "args",
    [("decide", "create", "-"), ("explain", "owner-mismatch"), ("rules",)],
)
def test_texts_fit_the_terminal(args: Sequence[str], columns: int) -> None:
    """A line is too wide only if it is one word."""
    example = run("schema", "--example", "create").stdout

    shown = run(*args, stdin=example, columns=columns).stdout

    for line in shown.splitlines():
        assert cell_len(line) <= columns or " " not in line.strip(), line


def test_a_piped_text_is_not_wrapped() -> None:
    """Programs read it line by line."""
    example = run("schema", "--example", "create").stdout

    piped = run("decide", "create", "-", stdin=example).stdout
    shown = run("decide", "create", "-", stdin=example, columns=40).stdout

    assert len(piped.splitlines()) < len(shown.splitlines())
    assert "".join(piped.split()) == "".join(shown.split())


def test_wrapping_keeps_words_and_indents() -> None:
    """Wide letters count twice, and long words stay whole."""
    name = "\u65e5\u672c\u8a9e"
    line = f"    the volume {name} {name} is cinder://0123456789 here"

    assert wrap(line, 22) == [
        f"    the volume {name}",
        f"      {name} is",
        "      cinder://0123456789",
        "      here",
    ]
    assert wrap("", 10) == [""]
