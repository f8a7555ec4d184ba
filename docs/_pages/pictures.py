"""Pictures of what a policy decides, from its tables, for Graphviz."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clonepolicy import SAFE
from clonepolicy.policy import CreateTables, Rule, UploadTables

HEAD = (
    'bgcolor="white"; rankdir=TB; ranksep=0.4; nodesep=0.3;',
    'node [fontname="Helvetica,Arial,sans-serif", fontsize=11];',
    'edge [fontname="Helvetica,Arial,sans-serif", fontsize=10];',
    'edge [color="#555555", arrowsize=0.7];',
)
EFFICIENT, ORDINARY, NEITHER = "#2e7d32", "#1565c0", "#b71c1c"
SHADE = "#e8eaf0"


def digraph(name: str, *lines: str) -> str:
    """Write a graph in DOT, a statement each line."""
    body = "\n".join(f"  {line}" for line in (*HEAD, *lines))
    return f"digraph {name} {{\n{body}\n}}\n"


def draw(dot: str) -> str | None:
    """Draw a graph as SVG; None if Graphviz is not installed."""
    program = shutil.which("dot")
    if program is None:
        return None
    drawn = subprocess.run(  # noqa: S603 - Graphviz, as found on the path
        [program, "-Tsvg"],
        input=dot,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return f"{drawn.rstrip()}\n{_seal(dot)}\n"


def is_drawn_from(svg: str, dot: str) -> bool:
    """Tell whether an SVG was drawn from this text, without drawing it."""
    return svg.endswith(f"{_seal(dot)}\n")


def _seal(dot: str) -> str:
    # the SVG itself differs with Graphviz's version and the fonts
    digest = hashlib.sha256(dot.encode()).hexdigest()
    return f"<!-- Drawn from DOT with sha256 {digest} -->"


def _box(
    name: str, title: str, parts: Iterable[tuple[str, Sequence[Rule[Any]]]]
) -> str:
    rows = [f'<TR><TD BGCOLOR="{SHADE}"><B>{title}</B></TD></TR>']
    for heading, rules in parts:
        names = [rule.name for rule in rules] or ["no rule"]
        if heading:
            names.insert(0, f"<I>{heading}</I>")
        text = "".join(f'{name}<BR ALIGN="LEFT"/>' for name in names)
        rows.append(f'<TR><TD ALIGN="LEFT" BALIGN="LEFT">{text}</TD></TR>')
    return (
        f'{name} [shape=plain, label=<<TABLE BORDER="0" CELLBORDER="1"'
        f' CELLSPACING="0" CELLPADDING="5">{"".join(rows)}</TABLE>>];'
    )


def _verdict(verdict: str, color: str, name: str = "") -> str:
    return (
        f"{name or verdict} [shape=box, style=filled, fontcolor=white,"
        f' penwidth=0, fillcolor="{color}", label=<<B>{verdict}</B>>];'
    )


def _edge(start: str, end: str, label: str, more: str = "") -> str:
    return f'{start} -> {end} [label=" {label} "{more}];'


def _shared(tables: Iterable[tuple[Rule[Any], ...]]) -> tuple[Rule[Any], ...]:
    first, *others = tables
    return tuple(r for r in first if all(r in other for other in others))


def _without(
    rules: Iterable[Rule[Any]], drawn: Iterable[Rule[Any]]
) -> Sequence[Rule[Any]]:
    return [rule for rule in rules if rule not in drawn]


def create(tables: CreateTables = SAFE.create) -> str:
    """Draw how the tables for a create lead to a verdict."""
    return digraph("create", *_create(tables))


def _create(tables: CreateTables) -> Iterator[str]:
    preconditions = _shared(t.preconditions for t in tables.clone)
    source_rules = _shared(t.source_rules for t in tables.clone)
    yield 'request [shape=oval, label="create request"];'
    yield _box("refuse", "refuse", [("", tables.refuse)])
    yield _box(
        "clone",
        "all clone routes",
        [("preconditions", preconditions), ("source rules", source_rules)],
    )
    names = [f"route{at}" for at, _ in enumerate(tables.clone)]
    for name, table in zip(names, tables.clone, strict=True):
        yield _box(
            name,
            table.route,
            [
                (
                    "preconditions",
                    _without(table.preconditions, preconditions),
                ),
                ("source rules", _without(table.source_rules, source_rules)),
            ],
        )
    yield _box("download", "download", [("", tables.download)])
    yield _verdict("Clone", EFFICIENT)
    yield _verdict("Download", ORDINARY)
    # a second box keeps a long arrow from crossing the others
    yield _verdict("Refuse", NEITHER)
    yield _verdict("Refuse", NEITHER, "Refused")
    yield "{ rank=same; refuse; Refused; }"
    yield f"{{ rank=same; {'; '.join(names)}; }}"
    yield "{ rank=same; Clone; download; }"
    yield "{ rank=same; Download; Refuse; }"
    yield "request -> refuse;"
    yield _edge("refuse", "Refused", "a rule fails")
    yield _edge("refuse", "clone", "all hold", ", weight=9")
    yield _edge("clone", names[0], "the preconditions hold")
    yield _edge("clone", "download", r"a precondition\n fails")
    for name, after in zip(names, [*names[1:], "download"], strict=True):
        yield _edge(name, "Clone", "a source passes")
        yield _edge(name, after, "else", ", style=dashed")
    yield _edge("download", "Download", "all hold")
    yield _edge("download", "Refuse", "a rule fails")


def upload(tables: UploadTables = SAFE.upload) -> str:
    """Draw how the tables for an upload lead to a verdict."""
    return digraph("upload", *_upload(tables))


def _upload(tables: UploadTables) -> Iterator[str]:
    yield 'request [shape=oval, label="upload request"];'
    yield _box("refuse", "refuse", [("", tables.refuse)])
    yield _box("register", "register", [("", tables.register)])
    yield _box("upload", "upload", [("", tables.upload)])
    yield _verdict("Register", EFFICIENT)
    yield _verdict("Upload", ORDINARY)
    yield _verdict("Refuse", NEITHER)
    yield "{ rank=same; refuse; register; upload; }"
    yield "{ rank=same; Register; Upload; Refuse; }"
    yield "request -> refuse;"
    yield _edge("refuse", "Refuse", "a rule fails")
    yield _edge("refuse", "register", "all hold")
    yield _edge("register", "Register", "all hold")
    yield _edge("register", "upload", "a rule fails")
    yield _edge("upload", "Upload", "all hold")
    yield _edge("upload", "Refuse", "a rule fails")
