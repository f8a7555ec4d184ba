"""The committed pages and pictures are those that would be generated now."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

pytestmark = pytest.mark.one_python

DOCS = Path(__file__).parents[1] / "docs"
REMEDY = "is stale; run: python docs/generate.py --write"

Generate: TypeAlias = Callable[[list[str], Path], int]


@pytest.fixture(scope="module")
def generate() -> Iterator[Generate]:
    """Give the generator's main function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield runpy.run_path(str(DOCS / "generate.py"))["main"]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the documents, with what is generated."""
    ignore = shutil.ignore_patterns("_build", "__pycache__")
    return shutil.copytree(DOCS, tmp_path / "docs", ignore=ignore)


def test_the_committed_files_are_current(
    generate: Generate, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each stale file would be named on standard error, with the remedy."""
    assert (0, "") == (generate(["--check"], DOCS), capsys.readouterr().err)


def test_stale_files_are_named_and_rewritten(
    generate: Generate, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checking names the remedy, and the remedy is enough."""
    stale = [
        copied / name
        for name in ("reference/reasons.md", "reference/census.md")
    ]
    stale[0].write_text("old")
    stale[1].unlink()

    assert 1 == generate(["--check"], copied)

    errors = capsys.readouterr().err.splitlines()
    assert [f"{path} {REMEDY}" for path in stale] == errors
    assert 0 == generate(["--write"], copied)
    for path in stale:
        assert (
            DOCS / path.relative_to(copied)
        ).read_text() == path.read_text()


def test_a_page_that_is_no_longer_generated_is_removed(
    generate: Generate, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as the page of a module that was renamed."""
    old = copied / "reference" / "api" / "clonepolicy.old.md"
    shutil.copy(copied / "reference" / "api.md", old)

    assert 1 == generate(["--check"], copied)

    assert f"{old} {REMEDY}\n" == capsys.readouterr().err
    assert 0 == generate(["--write"], copied)
    assert not old.exists()
    assert 0 == generate(["--check"], copied)


def test_a_picture_of_another_graph_is_stale(
    generate: Generate, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This is known without drawing the graph again."""
    picture = copied / "pictures" / "create.svg"
    shutil.copy(copied / "pictures" / "upload.svg", picture)

    assert 1 == generate(["--check"], copied)

    assert f"{picture} {REMEDY}\n" == capsys.readouterr().err


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_a_stale_picture_is_drawn_again(
    generate: Generate, copied: Path
) -> None:
    """Graphviz draws it from the graph that is written beside it."""
    (copied / "pictures" / "create.svg").unlink()

    assert 0 == generate(["--write"], copied)
    assert 0 == generate(["--check"], copied)


def test_without_graphviz_a_stale_picture_is_an_error(
    generate: Generate,
    copied: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The picture is named, with what is missing."""
    monkeypatch.setenv("PATH", str(copied))
    picture = copied / "pictures" / "create.svg"
    picture.unlink()

    assert 1 == generate(["--write"], copied)

    error = f"{picture} is stale; install Graphviz\n"
    assert error == capsys.readouterr().err


def test_the_tutorial_shows_what_its_blocks_print() -> None:
    """A block that prints is followed by a block of text with the output."""
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(
        r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {}
    for (kind, block), after in itertools.pairwise([*blocks, ("", "")]):
        if kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(block, names)  # noqa: S102 - the project's own page
            shown = after[1] if after[0] == "text" else ""
            assert printed.getvalue() == shown, block
