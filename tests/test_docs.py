"""The committed reference pages are what the rules say now."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = DOCS / "reference"


@pytest.fixture(scope="module")
def generate() -> Callable[[list[str], Path], int]:
    """Give the generator's main function."""
    main: Callable[[list[str], Path], int]
    main = runpy.run_path(str(DOCS / "generate.py"))["main"]
    return main


def test_the_committed_reference_is_current(
    generate: Callable[[list[str], Path], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What differs is named on standard error, with the remedy."""
    assert (0, "") == (
        generate(["--check"], REFERENCE),
        capsys.readouterr().err,
    )


def test_a_stale_file_is_named_and_mended(
    generate: Callable[[list[str], Path], int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Checking tells what to do, and doing it is enough."""
    shutil.copytree(REFERENCE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "reasons.md").write_text("old")
    (tmp_path / "census.md").unlink()

    assert 1 == generate(["--check"], tmp_path)

    errors = capsys.readouterr().err.splitlines()
    remedy = "is stale; run: python docs/generate.py --write"
    assert [
        f"{tmp_path / name} {remedy}" for name in ("reasons.md", "census.md")
    ] == errors
    assert 0 == generate(["--write"], tmp_path)
    for path in REFERENCE.iterdir():
        assert path.read_text() == (tmp_path / path.name).read_text()
