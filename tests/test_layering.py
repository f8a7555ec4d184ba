"""The core imports nothing that could do anything but decide."""

from __future__ import annotations

import ast
import importlib.resources
import sys
from pathlib import Path

import pytest

import clonepolicy

ROOT = Path(str(importlib.resources.files("clonepolicy")))
LAYERS = (
    {"_errors"},
    {"_locations", "_reasons"},
    {"_records"},
    {"_rules"},
    {"_plans", "_policies"},
    {"_findings"},
    {"_decisions"},
    {"_decide"},
    {"_explain"},
)
PURE = frozenset().union(*LAYERS)
STANDARD = frozenset(
    {
        *("__future__", "array", "collections", "datetime", "enum"),
        *("functools", "inspect", "operator", "re", "types", "typing"),
        "urllib",
    }
)


def imports(path: Path) -> set[str]:
    """Collect the modules that a file imports, by their full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0
            found.add(node.module)
    return found


def module_of(path: Path) -> str:
    """Name the module or package of the core that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = [p for p in sorted(ROOT.rglob("*.py")) if module_of(p) in PURE]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_core_imports_only_what_lies_below_it(path: Path) -> None:
    """No clock, no files, no log, no adapter, and no layer above."""
    mine = next(
        at for at, layer in enumerate(LAYERS) if module_of(path) in layer
    )
    below = frozenset().union(*LAYERS[: mine + 1])
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "clonepolicy":
            assert rest.partition(".")[0] in below, name
        else:
            assert top in STANDARD | {"attrs", "typing_extensions"}, name


def test_run_time_needs_attrs_and_typing_extensions_only() -> None:
    """Outside the extras' own modules nothing else is imported."""
    extras = {"_terminal", "adapters", "cli", "testing", "wire"}
    for path in ROOT.rglob("*.py"):
        if module_of(path) not in extras:
            tops = {name.partition(".")[0] for name in imports(path)}
            known = set(sys.stdlib_module_names)
            known |= {"attrs", "typing_extensions", "clonepolicy"}
            assert tops <= known, path.name


def test_only_this_names_are_public() -> None:
    """What the package exports is listed once, and nothing is missing."""
    assert sorted(set(clonepolicy.__all__)) == sorted(clonepolicy.__all__)
    for name in clonepolicy.__all__:
        assert getattr(clonepolicy, name) is not None


def test_adapters_and_tests_import_the_core_as_strangers_do() -> None:
    """Adapters know the public names and the public modules only."""
    for folder in ("adapters", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in imports(path):
                _, _, rest = name.partition("clonepolicy.")
                first = rest.partition(".")[0]
                shared = folder == "cli" and first == "_terminal"
                assert shared or not first.startswith("_"), (
                    path.name,
                    name,
                )
