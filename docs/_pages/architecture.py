"""The packages and their imports, read from the source."""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
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
LAYERS = {
    "tools": ("cli testing", "_terminal"),
    "adapters": (
        "adapters._weigher",
        "adapters.cinder adapters.lint adapters.local adapters.memory",
        "adapters.glance adapters.qcow2 adapters.rbd adapters.reflink",
        "adapters.conf adapters.openstack",
        "adapters.records adapters._families",
        "adapters._drivers adapters._inspection adapters.sandbox",
        "adapters._formats",
        "adapters._files adapters._qemu",
        "adapters._sizes",
    ),
    "JSON and scenarios": ("scenarios schema wire unknowns",),
    "public names": (FACADE,),
    "input and output": ("_gather _execute", "ports"),
    "pure core": (
        *("_decide", "plan", "policy", "_facts", "_errors"),
        "_text _lazy",
    ),
}
"""The parts by layer and row, highest first; each imports lower rows only."""
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


def layers() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Give the parts of each row, by layer.

    Raises:
        ValueError: A part stands in no row, or imports one that is not lower.
    """
    result = {
        layer: tuple(tuple(row.split()) for row in rows)
        for layer, rows in LAYERS.items()
    }
    lower = {*parts()}
    for row in itertools.chain(*result.values()):
        lower.difference_update(row)
        for name in row:
            if not parts()[name].imports <= lower:
                message = f"{name} imports a part that is not in a lower row"
                raise ValueError(message)
    if lower:
        message = f"give {sorted(lower)} a row in LAYERS"
        raise ValueError(message)
    return result


def imports() -> str:
    """Draw the parts, each above those that it imports."""
    bands = (
        f'<TR><TD ALIGN="RIGHT"><B>{layer}</B></TD>'
        f'<TD BGCOLOR="{SHADE}">{_table(map(_row, rows))}</TD></TR>'
        for layer, rows in layers().items()
    )
    return digraph(
        "imports", f"layers [shape=plain, label=<{_table(bands)}>];"
    )


def _row(names: Iterable[str]) -> str:
    boxes = (
        f'<TD BORDER="1" BGCOLOR="white" CELLPADDING="4">{_label(name)}</TD>'
        for name in names
    )
    row = f"<TR>{''.join(boxes)}</TR>"
    return f"<TR><TD>{_table([row])}</TD></TR>"


def _table(rows: Iterable[str]) -> str:
    return f'<TABLE BORDER="0">{"".join(rows)}</TABLE>'


def _label(name: str) -> str:
    label = f"<B>{name.rpartition('.')[2]}</B>"
    needs = ", ".join(sorted(parts()[name].needs - EVERYWHERE))
    small = f'<BR/><FONT POINT-SIZE="9">{needs}</FONT>'
    return label + small if needs else label


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
        "The folders of `src/clonepolicy` follow this flow. `_facts` has the "
        "records of a request, and `_gather` fetches them. `policy` has the "
        "rules and their tables, `_decide` applies them, and `plan` has the "
        "steps. `_execute` takes the steps through the ports, which are in "
        "`ports`."
    )
    yield (
        "The picture shows the layers. A package or module imports only "
        "those in lower rows. Names in small letters are the packages of "
        "other projects that it imports, except attrs and "
        "typing_extensions. A name with an underscore is private."
    )
    yield (
        "![The layers, from the pure core at the bottom to the command line "
        "and the testing tools at the top.](../pictures/imports.svg)"
    )
    yield table(
        ("layer", "package or module", "what it is", "imports", "needs"),
        (
            (
                layer,
                f"`{name}`",
                parts()[name].summary.replace("``", "`"),
                code(sorted(parts()[name].imports)) or "-",
                code(sorted(parts()[name].needs - EVERYWHERE)) or "-",
            )
            for layer, rows in layers().items()
            for name in itertools.chain(*rows)
        ),
    )
