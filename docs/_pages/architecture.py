"""The packages and their imports, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import attrs

import clonepolicy
from _pages.markdown import code, table
from _pages.pictures import SHADE, digraph

ROOT = Path(clonepolicy.__file__).parent
FACADE = "clonepolicy"
SPLIT = "adapters"
"""The package whose members are drawn one by one."""
EVERYWHERE = frozenset({"attrs", "typing_extensions"})
"""Packages of others that every part may import."""


@attrs.frozen
class Part:
    """A package or module, as a box of the picture."""

    summary: str
    """First line of the docstring."""
    imports: frozenset[str]
    """Parts that it imports."""
    needs: frozenset[str]
    """Packages of others that it imports, without the standard library."""


def _part_of(module: str) -> str:
    """Give the part that a module belongs to."""
    names = module.split(".")[1:]
    depth = 2 if names[:1] == [SPLIT] else 1
    return ".".join(names[:depth]) or FACADE


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            package = ROOT.parent.joinpath(*node.module.split("."))
            for alias in node.names:
                below = package / alias.name
                is_module = (
                    below.is_dir() or below.with_suffix(".py").is_file()
                )
                name = f"{node.module}.{alias.name}"
                yield name if is_module else node.module


@cache
def parts() -> Mapping[str, Part]:
    """Read all parts from the source."""
    found: dict[str, Part] = {}
    for path in sorted(ROOT.rglob("*.py")):
        names = path.relative_to(ROOT.parent).with_suffix("").parts
        module = ".".join(names).removesuffix(".__init__")
        name = _part_of(module)
        tree = ast.parse(path.read_text("utf-8"))
        imported = set(_imports(tree))
        ours = {_part_of(m) for m in imported if m.split(".")[0] == FACADE}
        theirs = {m.split(".")[0] for m in imported} - {FACADE}
        part = found.get(name, Part("", frozenset(), frozenset()))
        if module.removeprefix(f"{FACADE}.") == name:
            summary = (ast.get_docstring(tree) or "").split("\n\n")[0]
            part = attrs.evolve(part, summary=summary.replace("\n", " "))
        found[name] = attrs.evolve(
            part,
            imports=part.imports | (ours - {name}),
            needs=part.needs | (theirs - sys.stdlib_module_names),
        )
    return {n: p for n, p in found.items() if n != SPLIT}


def _below(name: str, graph: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    open_ = {*graph[name]}
    while open_:
        found |= open_
        open_ = {o for n in open_ for o in graph[n]} - found
    return found


def _direct(graph: Mapping[str, frozenset[str]]) -> dict[str, set[str]]:
    """Drop each arrow that follows from others."""
    below = {name: _below(name, graph) for name in graph}
    return {
        name: {
            other
            for other in others
            if not any(
                other in below[between] and name not in below[between]
                for between in others
            )
        }
        for name, others in graph.items()
    }


def imports() -> str:
    """Draw the parts and their imports, those that import on top."""
    return digraph("imports", *_statements())


def _statements() -> Iterator[str]:
    yield (
        f'node [shape=box, style=filled, fillcolor="{SHADE}",'
        ' color="#888888"];'
    )
    found = parts()
    for name, part in found.items():
        if name.partition(".")[0] != SPLIT:
            yield f'"{name}" [label=<{_label(name, part)}>];'
    yield f"subgraph cluster_{SPLIT} {{"
    yield (
        f'  label="{SPLIT}"; color="#888888"; style=rounded;'
        ' fontname="Helvetica,Arial,sans-serif"; fontsize=11;'
    )
    for name, part in found.items():
        if name.partition(".")[0] == SPLIT:
            label = _label(name.partition(".")[2], part)
            yield f'  "{name}" [label=<{label}>, fillcolor="white"];'
    yield "}"
    graph = {name: part.imports for name, part in found.items()}
    for name, others in _direct(graph).items():
        for other in sorted(others):
            yield f'"{name}" -> "{other}";'


def _label(name: str, part: Part) -> str:
    needs = sorted(part.needs - EVERYWHERE)
    lines = (f'<FONT POINT-SIZE="9">{need}</FONT>' for need in needs)
    return "<BR/>".join((f"<B>{name}</B>", *lines))


def architecture() -> Iterator[str]:
    """Write the page of the parts."""
    yield "# Architecture"
    yield (
        "Facts are gathered into a request. A policy decides the request. "
        "The decision has a plan, and the plan is carried out:"
    )
    yield (
        "    facts --gather--> request --decide--> decision --execute--> "
        "outcome"
    )
    yield (
        "Gathering and executing call services through ports. Everything "
        "between them is pure: it does no I/O, reads no clock, and writes no "
        "log. The same request and policy always give the same decision."
    )
    yield (
        "The picture is drawn from the imports in the source. An arrow "
        "goes from a package or module to one that it imports. An arrow is "
        "left out if it follows from other arrows. The further lines in a box "
        "name the packages of others that it imports, except attrs and "
        "typing_extensions. A test holds that no import goes up a layer."
    )
    yield "![The packages and their imports.](../pictures/imports.svg)"
    yield table(
        ("package or module", "what it is", "imports", "needs"),
        (
            (
                f"`{name}`",
                part.summary.replace("``", "`"),
                code(sorted(part.imports)) or "-",
                code(sorted(part.needs - EVERYWHERE)) or "-",
            )
            for name, part in parts().items()
        ),
    )
