"""Write the generated pages and pictures of ``docs``, or check them.

``--write`` writes the files that are stale; ``--check`` names them and exits
with 1 if there are any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from _pages import api, architecture, pictures, rules, verdicts
from _pages.command_line import command_line
from _pages.conformance import conformance
from _pages.man import man

DOCS = Path(__file__).parent
REMEDY = "python docs/generate.py --write"
GENERATED = f"<!-- Generated: do not edit; run {REMEDY} -->"
PAGES: Mapping[str, Callable[[], Iterable[str]]] = {
    "explanation/architecture.md": architecture.architecture,
    "reference/rules.md": rules.rules,
    "reference/reasons.md": rules.reasons,
    "reference/one-fault.md": verdicts.faults,
    "reference/census.md": verdicts.census,
    "reference/policy-diff.md": verdicts.differ,
    "reference/command-line.md": command_line,
    "reference/conformance.md": conformance,
    "reference/api.md": api.index,
    **{
        f"reference/api/{module}.md": partial(api.module_page, module)
        for module in api.MODULES
    },
}
MANUALS: Mapping[str, Callable[[], Iterable[str]]] = {
    "man/clonepolicy.1": man,
}
PICTURES: Mapping[str, Callable[[], str]] = {
    "pictures/create.dot": pictures.create,
    "pictures/upload.dot": pictures.upload,
    "pictures/imports.dot": architecture.imports,
}


@cache
def texts() -> Mapping[str, str]:
    """Give the text of each generated file, by its path in ``docs``."""
    pages = {
        name: "\n\n".join((GENERATED, *page())) + "\n"
        for name, page in PAGES.items()
    }
    manuals = {
        name: "\n".join((f'.\\" {GENERATED}', *page())) + "\n"
        for name, page in MANUALS.items()
    }
    dots = {name: dot() for name, dot in PICTURES.items()}
    return {**pages, **manuals, **dots}


def stale(folder: Path) -> Iterable[Path]:
    """Find files that are missing, out of date, or no longer generated."""
    for name, text in texts().items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            yield path
        svg = path.with_suffix(".svg")
        if name in PICTURES and not (
            svg.is_file()
            and pictures.is_drawn_from(svg.read_text("utf-8"), text)
        ):
            yield svg
    for path in sorted(folder.rglob("*.md")):
        known = str(path.relative_to(folder)) in texts()
        if not known and path.read_text("utf-8").startswith(GENERATED):
            yield path


def write(path: Path, folder: Path) -> bool:
    """Write or remove a file; give False if Graphviz is not installed."""
    name = path.relative_to(folder)
    text = texts().get(str(name))
    if path.suffix == ".svg":
        text = pictures.draw(texts()[str(name.with_suffix(".dot"))])
        if text is None:
            print(f"{path} is stale; install Graphviz", file=sys.stderr)
            return False
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return True


def main(arguments: Sequence[str] | None = None, folder: Path = DOCS) -> int:
    """Write the files, or check them; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    check = parser.parse_args(arguments).check
    status = 0
    for path in stale(folder):
        if check:
            print(f"{path} is stale; run: {REMEDY}", file=sys.stderr)
            status = 1
        elif not write(path, folder):
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
