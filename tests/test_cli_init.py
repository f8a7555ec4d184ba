"""`clonepolicy init`, and a missing or damaged cloud."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import assert_error, run, run_json

cloud = cli_support.cloud


def test_init_makes_pools_inside_and_elsewhere(tmp_path: Path) -> None:
    """A pool without a path lies in the cloud's directory."""
    elsewhere = tmp_path / "elsewhere"

    made = run_json(
        "init",
        str(tmp_path / "cloud"),
        *("--pool", "fast", "--pool", f"big={elsewhere}"),
    )

    assert [pool["name"] for pool in made["pools"]] == ["fast", "big"]
    assert str(elsewhere) == made["pools"][1]["path"]


def test_init_shows_how_clones_are_made(tmp_path: Path) -> None:
    """As reflinks or as full copies."""
    result = run("init", str(tmp_path / "cloud"))

    assert result.exit_code == 0
    assert re.search("copy-on-write|full-copy", result.stdout)


def test_a_damaged_catalogue_and_a_missing_cloud_have_different_remedies(
    cloud: Path,
) -> None:
    """``init`` is the remedy only where no cloud is."""
    listing = ("volume", "list", "--root", str(cloud))
    (cloud / "catalogue.sqlite").write_bytes(b"no" * 5000)

    damaged = run(*listing)
    (cloud / "catalogue.sqlite").unlink()
    missing = run(*listing)

    assert_error(1, "catalogue.sqlite, the cloud's catalogue", damaged)
    assert_error(4, f"clonepolicy init {cloud}", missing)
    assert [1, 1] == [r.stderr.count("; ") for r in (damaged, missing)]
