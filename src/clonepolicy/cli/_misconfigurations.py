"""The misconfigurations, as the page on them lists them.

The page is the only place that has them; the package carries a copy of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

import attrs

_CODE = re.compile("`([^`]+)`")
_NUMBER = re.compile(r"X[0-9]+")
_OPTION = re.compile(r"([a-z]+(?:_[a-z0-9*]+)+)(?: = .*)?")
_COLUMNS = 4
PAGE = "docs/how-to/misconfiguration.md"


@attrs.frozen
class Misconfiguration:
    """One row of a table of the page."""

    symptom: str
    """The title of the section."""
    reason: str
    """The reasons that show it, in a sentence or as a list of names."""
    cause: str
    remedy: str
    numbers: tuple[str, ...]
    """``X1`` and so on; several rows may have one number, and a row none."""
    code: tuple[str, ...] = attrs.field(repr=False)
    """Every name in the row that the page marks as code."""

    @property
    def options(self) -> Iterator[str]:
        """Yield the options that it names; ``*`` stands for any letters."""
        for name in self.code:
            if found := _OPTION.fullmatch(name):
                yield found[1]

    def names(self, word: str) -> bool:
        """Return whether it names a reason, an option or a number."""
        return word in self.numbers or word in self.code


@cache
def misconfigurations() -> tuple[Misconfiguration, ...]:
    """Read the rows of all tables."""
    page = resources.files("clonepolicy.cli") / "misconfiguration.md"
    return tuple(_rows(page.read_text("utf-8")))


def _rows(page: str) -> Iterator[Misconfiguration]:
    symptom = ""
    for line in page.splitlines():
        if line.startswith("## "):
            symptom = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        is_head = cells[-1:] in (["no."], ["---"])
        if len(cells) == _COLUMNS and not is_head:
            reason, cause, remedy, _ = (_CODE.sub(r"\1", c) for c in cells)
            yield Misconfiguration(
                symptom,
                reason,
                cause,
                remedy,
                numbers=tuple(_NUMBER.findall(cells[-1])),
                code=tuple(_CODE.findall(line)),
            )
