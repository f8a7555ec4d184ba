"""The tests with OpenStack are skipped, not broken, where it is missing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EVERYWHERE = {
    *sys.stdlib_module_names,
    *("attrs", "clonepolicy", "hypothesis", "pytest"),
}
"""The packages that every session of tests installs."""


def before_the_first_skip(path: Path) -> Iterator[str]:
    """Iterate over the packages that are imported before a test can skip."""
    for node in ast.parse(path.read_text()).body:
        if "pytest.importorskip" in ast.unparse(node):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize(
    "path",
    sorted(HERE.glob("openstack/test_*.py")),
    ids=lambda path: path.name,
)
def test_a_test_skips_before_it_imports_what_may_be_missing(
    path: Path,
) -> None:
    """Otherwise the whole session would fail to start."""
    assert set() == {*before_the_first_skip(path)} - EVERYWHERE
