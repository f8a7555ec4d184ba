"""Run docs/how-to/driver-authors.md as a reader would, and compare the output.

This needs Python with pip, and a network or what pip is configured to use.
First the package is built, so that pip finds it.  Then the ``sh`` blocks of
the page run in one new directory, in the page's order.  If a ``text`` block
follows, the output must be that text; ``…`` stands for any text, or alone on
a line for any lines, and blanks and the lines of tables may have any length.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "driver-authors.md"

_FENCED = re.compile(
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """A fenced block of a page."""

    kind: str
    text: str
    line: int
    """The number of its first line."""


def blocks(page: str) -> tuple[Block, ...]:
    """Find a page's fenced blocks."""
    return tuple(
        Block(
            found["kind"],
            found["text"],
            page.count("\n", 0, found.start("text")) + 1,
        )
        for found in _FENCED.finditer(page)
    )


def examples(page: str) -> Iterator[tuple[Block, str | None]]:
    """Return the blocks to run, each with the output that the page shows."""
    found = blocks(page)
    for at, block in enumerate(found):
        if block.kind == "sh":
            after = found[at + 1] if at + 1 < len(found) else None
            shown = after is not None and after.kind == "text"
            yield block, after.text if after is not None and shown else None


def alike(shown: str, written: str) -> bool:
    """Say whether the text that a page shows matches the output."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else _pattern(line) + r"\n"
        for line in _plain(shown)
    )
    text = "".join(f"{line}\n" for line in _plain(written))
    return re.fullmatch(pattern, text) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def _plain(text: str) -> list[str]:
    lines = text.strip().splitlines()
    return [re.sub("─+", "─", " ".join(line.split())) for line in lines]


def build(place: Path) -> None:
    """Build wheel and source distribution with tools in a venv."""
    tools = place / "tools"
    python = tools / "bin" / "python"
    for command in (
        (sys.executable, "-m", "venv", str(tools)),
        (str(python), "-m", "pip", "install", "--quiet", "hatchling>=1.27"),
        (str(python), "-m", "hatchling", "build", "-d", str(place / "dist")),
    ):
        subprocess.run(command, cwd=ROOT, check=True)


def environment(place: Path) -> dict[str, str]:
    """Return a reader's environment, in which pip finds the package."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {"COLUMNS", "PYTHONPATH", "VIRTUAL_ENV"}
    }
    links = f"{place / 'dist'} {clean.get('PIP_FIND_LINKS', '')}"
    return clean | {"PIP_FIND_LINKS": links.strip(), "LC_ALL": "C.UTF-8"}


def run(block: Block, place: Path, shown: str | None) -> str | None:
    """Run a block; return what is wrong with it, or None."""
    done = subprocess.run(
        ("/bin/sh", "-e", "-c", block.text),
        cwd=place / "empty",
        env=environment(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    where = f"{PAGE.name}:{block.line}:\n{block.text}"
    if done.returncode:
        return f"{where}exited with {done.returncode}:\n{done.stdout}"
    if shown is None or alike(shown, done.stdout):
        return None
    difference = difflib.unified_diff(
        _plain(shown), _plain(done.stdout), "shown", "written", lineterm=""
    )
    return f"{where}wrote something else:\n" + "\n".join(difference)


def main() -> str | None:
    """Run the page; return what is wrong with it, or None."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        (place / "empty").mkdir()
        build(place)
        for block, shown in examples(PAGE.read_text(encoding="utf-8")):
            sys.stdout.write(block.text)
            sys.stdout.flush()
            wrong = run(block, place, shown)
            if wrong is not None:
                return wrong
    return None


if __name__ == "__main__":
    sys.exit(main())
