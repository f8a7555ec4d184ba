"""The page of what a kill leaves is whole, and the drop-in leaves nothing.

``nox -s kills`` checks that its tables are true.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.one_python

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Return the names of the script that writes the tables."""
    return runpy.run_path(str(TESTS / "openstack" / "kill_table.py"))


@pytest.fixture(scope="module")
def tables(script: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the cells of each row of the page, by table and first cell."""
    found: dict[str, dict[str, list[str]]] = {}
    part = ""
    for line in script["PAGE"].read_text("utf-8").splitlines():
        if line.startswith("## "):
            part = line.removeprefix("## ")
            found[part] = {}
        elif line.startswith("| ") and "---" not in line:
            title, *cells = line.strip("| ").split(" | ")
            found[part][title] = cells
    return found


def test_each_kill_has_its_row(
    script: dict[str, Any], tables: dict[str, dict[str, list[str]]]
) -> None:
    """Tables and rows are those that the script writes."""
    known = {
        part: ["when", *titles] for part, titles in script["titles"]().items()
    }
    assert known == {part: [*rows] for part, rows in tables.items()}


def test_the_drop_in_leaves_nothing(
    script: dict[str, Any], tables: dict[str, dict[str, list[str]]]
) -> None:
    """Except where neither it nor Cinder has written anything."""
    left = {
        (part, title)
        for part, rows in tables.items()
        for title, (_stock, ours) in rows.items()
        if not ours.startswith(script["NOTHING"])
    } - {(part, "when") for part in tables}
    unwritten = {
        (part, title)
        for part, rows in tables.items()
        for title in rows
        if script["UNWRITTEN"] in title
    }
    assert left <= unwritten
    assert len(unwritten) == 5
