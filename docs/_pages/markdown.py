"""Markdown that all page families share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clonepolicy import POLICIES, Reason

EVERY = tuple(POLICIES.values())


def table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a table."""
    lines = []
    for row in (heads, ["---"] * len(heads), *rows):
        cells = (str(cell).replace("|", "\\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def code(texts: Iterable[object]) -> str:
    """List texts as code."""
    return ", ".join(f"`{text}`" for text in texts)


def to_rule(name: str) -> str:
    """Link to a rule."""
    return f"[{name}](rules.md#{name})"


def to_reason(reason: Reason) -> str:
    """Link to a reason."""
    return f"[{reason}](reasons.md#{reason})"
