"""Imports run downward: between packages, and between files."""

from __future__ import annotations

import ast
import importlib.resources
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(str(importlib.resources.files("clonepolicy")))
TOP = "clonepolicy"
LAYERS = (
    {"_lazy"},
    {"_text"},
    {"_errors"},
    {"_facts"},
    {"policy"},
    {"plan"},
    {"_decide"},
    {"ports"},
    {"_gather", "_execute"},
    {TOP},
    {"wire", "schema", "scenarios", "unknowns"},
    {"adapters"},
    {"_terminal"},
    {"cli", "testing"},
)
"""Lowest first.  Packages of one layer do not import each other."""
PURE = {"_text", "_errors", "_facts", "policy", "plan", "_decide"}
STANDARD = {
    *("__future__", "abc", "collections", "datetime", "enum", "functools"),
    *("importlib", "itertools", "operator", "re", "types", "typing"),
    "urllib",
}
"""What the pure packages may import: no I/O, no clock."""
EXTRAS = {"adapters", "cli", "testing", "wire", "_terminal"}
"""The packages that may import what an extra installs."""

FILES = sorted(ROOT.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the full name of the module that a file is."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def package_of(module: str) -> str:
    """Return the package right below ``clonepolicy``, or that itself."""
    return module.partition(f"{TOP}.")[2].partition(".")[0] or TOP


def imported(tree: ast.AST) -> set[str]:
    """Return the full names of the modules that a piece of code imports."""
    return {*_imported(tree)}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def imports(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports."""
    return imported(ast.parse(path.read_text("utf-8")))


def ours(path: Path) -> set[str]:
    """Return the modules of this project that a file imports."""
    return {name for name in imports(path) if name in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward(module: str) -> None:
    """Every package has a layer, and imports lower layers and itself only."""
    ranks = {p: at for at, layer in enumerate(LAYERS) for p in layer}
    mine = package_of(module)
    assert mine in ranks, f"{mine}: give the package a layer in LAYERS"
    for name in ours(MODULES[module]):
        theirs = package_of(name)
        allowed = theirs == mine or ranks[theirs] < ranks[mine]
        assert allowed, f"{module} imports {name}, which is not below it"


def test_files_import_each_other_without_a_cycle() -> None:
    """Every file can be read after all the files that it imports."""
    left = {name: ours(path) - {name} for name, path in MODULES.items()}
    while ready := [name for name, needs in left.items() if not needs]:
        for name in ready:
            del left[name]
        for needs in left.values():
            needs.difference_update(ready)
    assert {} == left, f"cycle among {sorted(left)}"


FIRST = {"clonepolicy._lazy", "clonepolicy._terminal.start"}
"""What is imported before anything else, and imports as good as nothing."""


def test_no_import_is_hidden_from_run_time() -> None:
    """What is imported for type checkers is imported on first use, too."""
    for module in MODULES.keys() - FIRST:
        tree = ast.parse(MODULES[module].read_text("utf-8"))
        hidden: set[str] = set()
        local: set[str] = set()
        lazy = False
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(
                node.test
            ):
                lazy |= "__getattr__" in ast.unparse(node)
                hidden |= imported(ast.Module(node.body, []))
            elif isinstance(node, ast.FunctionDef):
                local |= imported(node)
        assert lazy or hidden <= local, module


@pytest.mark.parametrize("module", MODULES)
def test_the_core_needs_two_distributions(module: str) -> None:
    """The pure packages do no I/O; only extras need other distributions."""
    package = package_of(module)
    allowed = {TOP, "attrs", "typing_extensions"}
    allowed |= STANDARD if package in PURE else sys.stdlib_module_names
    if package not in EXTRAS:
        tops = {name.partition(".")[0] for name in imports(MODULES[module])}
        assert tops <= allowed, module


@pytest.mark.parametrize("module", MODULES)
def test_adapters_and_tools_use_public_names(module: str) -> None:
    """They import the core as a stranger would."""
    mine = package_of(module)
    if mine in {"adapters", "scenarios", "cli", "testing", "_terminal"}:
        for name in ours(MODULES[module]):
            theirs = package_of(name)
            private = f".{name.partition('.')[2]}".count("._")
            shared = {mine, "_terminal", "_lazy", "_text"}
            assert not private or theirs in shared, f"{module}: {name}"
