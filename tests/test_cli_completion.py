"""Completion of values, as the shells ask for it."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import run, run_process
from clonepolicy.adapters.local import LocalCloud

cloud = cli_support.cloud


DEAD = "0a4f5c2b-1c1e-4f3c-8a38-9d0c8a0b7e11"
"""The token of a process that is not there."""


def complete(*words: str) -> dict[str, str]:
    """Return what fish is told after these words: each value and its help."""
    asked = run_process(
        _CLONEPOLICY_COMPLETE="fish_complete",
        COMP_WORDS=" ".join(("clonepolicy", *words[:-1])),
        COMP_CWORD=words[-1],
    )
    assert (asked.returncode, asked.stderr) == (0, "")
    told = asked.stdout.strip().splitlines()
    lines = [line.partition(",")[2] for line in told]
    pairs = [line.partition("\t") for line in lines]
    return {value: help_ for value, _, help_ in pairs}


@pytest.mark.parametrize(
    ("start", "values"),
    [
        ("cache-m", {"cache-miss"}),
        ("CACHE-M", {"cache-miss"}),
        ("image_on_", {"image_on_same_array"}),
        ("x2", {f"X2{at}".rstrip("_") for at in "_0123456"}),
        ("do_sec", {"do_secure_hash"}),
    ],
)
def test_explain_completes_what_it_knows(start: str, values: set[str]) -> None:
    """Reasons, rules, numbers and options, in any case."""
    assert values <= complete("explain", start).keys()


def test_explain_leaves_other_words_to_files() -> None:
    """The shell completes the name of a decision."""
    assert ["dec"] == [*complete("explain", "dec")]


def test_commands_complete_images_volumes_pools_and_options(
    cloud: Path,
) -> None:
    """By name, or by the start of an id, which the name explains."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    with LocalCloud(cloud) as opened:
        (image,) = opened.list_images("demo")
    short = image.image.id[:8]

    for words in (("image", "show"), ("volume", "create", "--image")):
        assert {"base": short, short: "base"} == complete(
            *(*words[:2], *root, *words[2:]), ""
        )
    assert {"base"} < complete("volume", "show", *root, "").keys()
    create = ("volume", "create", *root)
    assert {"pool1"} == complete(*create, "--pool", "p").keys()
    assert {"trusted_projects", "trusted_image_pools"} == (
        complete("option", "set", *root, "trusted").keys()
    )
    assert {} == complete(*create, "--project", "other", "--image", "")
    assert {} == complete("image", "show", "--root", "nope", "")


def test_a_name_with_a_meaning_for_the_shell_is_not_inserted(
    cloud: Path,
) -> None:
    """Another project may have chosen it; its id is offered, and explained."""
    for number, name in enumerate(("$(id)", "a b", "-rf", "x;y", "n\u0061me")):
        with sqlite3.connect(cloud / "catalogue.sqlite") as db:
            db.execute("UPDATE image SET name = ?", (name,))
        db.close()
        found = complete("image", "show", "--root", str(cloud), "")
        assert len(found) == (2 if name == "name" else 1), number
        assert name in found.values()


def test_completion_repairs_nothing(cloud: Path) -> None:
    """What a killed process left is there for the next command."""
    with LocalCloud(cloud) as opened:
        (image,) = opened.list_images("demo")
        made = opened.create_volume(
            image.image.id, name="w", project_id="demo", size=1
        )
        assert made.volume is not None
    with sqlite3.connect(cloud / "catalogue.sqlite") as db:
        db.execute("UPDATE volume SET status = 'deleting', token = ?", (DEAD,))
    db.close()

    assert "base" in complete("image", "show", "--root", str(cloud), "")
    assert made.volume.path.exists()
    run("image", "list", "--root", str(cloud))
    assert not made.volume.path.exists()
