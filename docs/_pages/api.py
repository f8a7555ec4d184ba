"""The pages of the public modules, which autodoc fills at build time."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import clonepolicy

ROOT = Path(clonepolicy.__file__).parents[1]
LONGEST = 60
"""Longer values are left out: they are read in the source."""
MODULES = {
    "clonepolicy": "records, deciding, explaining, executing",
    "clonepolicy.policy": "rules, tables and policies",
    "clonepolicy.plan": "plans: attempts and steps",
    "clonepolicy.ports": "what an adapter implements",
    "clonepolicy.scenarios": "small requests that make each rule fail",
    "clonepolicy.wire": "requests, decisions and plans as JSON",
    "clonepolicy.unknowns": "decide with facts that are not known",
    "clonepolicy.schema": "JSON Schema of that JSON",
    "clonepolicy.adapters.memory": "a cloud in memory, for tests",
    "clonepolicy.adapters.local": "a cloud in a directory",
    "clonepolicy.adapters.reflink": "an array of files",
    "clonepolicy.adapters.qcow2": "an array of qcow2 files",
    "clonepolicy.adapters.rbd": "an array of Ceph images",
    "clonepolicy.adapters.glance": "Glance as an image service",
    "clonepolicy.adapters.cinder": "Cinder's objects, drivers and managers",
    "clonepolicy.adapters.openstack": "a running cloud, read by its APIs",
    "clonepolicy.adapters.records": "records from API bodies and rows",
    "clonepolicy.testing.strategies": "hypothesis strategies",
    "clonepolicy.testing.faults": "ports that fail on purpose",
    "clonepolicy.testing.machine": "random histories of the executor",
    "clonepolicy.testing.array_machine": "random histories of two arrays",
    "clonepolicy.testing.memory": "a harness for the array in memory",
    "clonepolicy.testing.conformance": "the conformance kit",
}
"""Each public module, and what is in it."""


def index() -> Iterator[str]:
    """List the public modules."""
    yield "# Python API"
    yield (
        "All public names, from the docstrings. Each name has one import "
        "path. Modules and packages that are not listed here are private."
    )
    yield "\n".join(
        f"- [](api/{module}.md): {content}"
        for module, content in MODULES.items()
    )
    pages = "\n".join(f"api/{module}" for module in MODULES)
    yield f"```{{toctree}}\n:hidden:\n\n{pages}\n```"


def module_page(module: str) -> Iterator[str]:
    """Write the page of one module."""
    yield f"# `{module}`"
    directives = "\n\n".join((f".. automodule:: {module}", *_values(module)))
    yield f"```{{eval-rst}}\n{directives}\n```"


def _values(module: str) -> Iterator[str]:
    """Write the values and type aliases that a package exports.

    autodoc leaves them out, because their docstrings are in other modules.
    """
    exported = {
        name
        for _, names, _ in _assigned(module, {"__all__"})
        for name in ast.literal_eval(names)
    }
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom):
            names = exported & {alias.name for alias in node.names}
            if names:
                for name, value, text in _assigned(str(node.module), names):
                    lines = [f".. py:data:: {module}.{name}"]
                    if len(value) <= LONGEST:
                        lines.append(f"   :value: {value}")
                    if text:
                        lines += ["", textwrap.indent(text, "   ")]
                    yield "\n".join(lines)


def _assigned(module: str, wanted: set[str]) -> Iterator[tuple[str, str, str]]:
    """Give the name, value and docstring of each wanted assignment."""
    for node, after in itertools.pairwise([*_tree(module).body, ast.Pass()]):
        pairs: Iterable[tuple[ast.expr, ast.expr]] = ()
        match node:
            case ast.Assign([ast.Tuple(names)], ast.Tuple(values)):
                pairs = zip(names, values, strict=True)
            case ast.Assign([name], value):
                pairs = [(name, value)]
            case ast.AnnAssign(name, _, ast.expr() as value):
                pairs = [(name, value)]
            case _:
                pass
        for target, given in pairs:
            if ast.unparse(target) in wanted:
                text = ""
                if isinstance(after, ast.Expr):
                    text = inspect.cleandoc(ast.literal_eval(after.value))
                yield ast.unparse(target), ast.unparse(given), text


def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))
