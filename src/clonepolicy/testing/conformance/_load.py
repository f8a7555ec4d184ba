"""Find a bench by its name, open it, and know which rows are about it."""

from __future__ import annotations

import difflib
import importlib
import operator
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs

from clonepolicy import FactError
from clonepolicy.testing.conformance._array_rows import ARRAYS
from clonepolicy.testing.conformance._bench import ArrayBench
from clonepolicy.testing.conformance._image_rows import IMAGES, ImageBench
from clonepolicy.testing.conformance._row import Table, told
from clonepolicy.testing.conformance._volume_rows import VOLUMES, VolumeBench


@attrs.frozen
class Kind:
    """A kind of bench, and the rows about it."""

    name: str
    bench: type[Any]
    table: Table[Any]
    adapter: str
    """The field in which the adapter under test is."""
    declares: str | None = None
    """The adapter's method that tells what it can do."""


KINDS = (
    Kind("array", ArrayBench, ARRAYS, "array", "get_backend"),
    Kind("image-service", ImageBench, IMAGES, "images", "get_config"),
    Kind("volume-service", VolumeBench, VOLUMES, "volumes"),
)
"""Every kind of bench; each has an option in ``_clonepolicy_pytest``."""


class BenchError(FactError):
    """What should give a bench does not: says why, and what to do."""

    def __init__(
        self, spec: str, expected: str, got: str, remedy: str
    ) -> None:
        """Say what was named, expected there and found, and the remedy."""
        super().__init__(f"bench {spec}", got, expected)
        self.args = (spec, expected, got, remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        """Give all of it in one line."""
        return (
            f"{self.field}: expected {self.expected}, got {self.value}; "
            f"{self.remedy}"
        )


def kind_of(bench: object) -> Kind | None:
    """Find a bench's kind; None: it is no bench."""
    for kind in KINDS:
        if isinstance(bench, kind.bench):
            return kind
    return None


def load_bench(spec: str) -> tuple[Table[Any], Any]:
    """Open a bench by its name, ``package.module:function``.

    Raises:
        BenchError: there is none, or it cannot be used.
    """
    kind, bench = open_bench(spec, find_bench(spec))
    return kind.table, bench


def find_bench(spec: str) -> Callable[[], Any]:
    """Find what makes a bench, and import no more than its module.

    Modules in the current directory are found, too, as by ``python -m``.

    Raises:
        BenchError: there is nothing that could make one.
    """
    named = re.fullmatch(r"([\w.]+):([\w.]+)", spec)
    if named is None:
        raise BenchError(
            *(spec, "package.module:function", repr(spec)),
            "name a function that makes a bench",
        )
    place, name = named.groups()
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(place)
    except (Exception, SystemExit) as error:
        # somebody else's module may fail in any way
        raise BenchError(
            *(spec, f"a module {place} that can be imported", told(error)),
            f"make python -c 'import {place}' work here",
        ) from error
    try:
        found = operator.attrgetter(name)(module)
    except AttributeError:
        raise BenchError(
            *(spec, f"{name} in {module.__name__}", "nothing of that name"),
            meant(name, vars(module)) or "define it there",
        ) from None
    if kind_of(found) is not None:
        return lambda: found
    if not callable(found):
        raise BenchError(
            *(spec, f"{_benches()} or a function", _called(found)),
            "name a function that makes a bench",
        )
    make: Callable[[], Any] = found
    return make


def open_bench(spec: str, make: Callable[[], Any]) -> tuple[Kind, Any]:
    """Make a bench, and see that it can be used.

    Raises:
        BenchError: it cannot; what was opened is closed again.
    """
    try:
        bench = make()
    except (Exception, SystemExit) as error:
        raise BenchError(
            *(spec, "a bench from a call without arguments", told(error)),
            "see that it works alone",
        ) from error
    kind = kind_of(bench)
    if kind is None:
        raise BenchError(
            *(spec, _benches(), _called(bench)), "let the function return one"
        )
    try:
        _check(spec, kind.table, bench)
    except BaseException:
        bench.close()
        raise
    return kind, bench


def _check(spec: str, table: Table[Any], bench: Any) -> None:  # noqa: ANN401 - of any kind
    """See that a bench's rows can be told, and that its xfail names rows."""
    try:
        table.level_of(bench)
    except Exception as error:
        raise BenchError(
            *(spec, "an adapter that tells what it can do", told(error)),
            "make that work first",
        ) from error
    rows = {row.id for row in table.rows}
    for name in bench.xfail:
        if name not in rows:
            raise BenchError(
                *(spec, "names of rows in xfail", repr(name)),
                meant(name, rows) or "python -m clonepolicy.testing --rows",
            )


def meant(name: str, known: Iterable[str]) -> str:
    """Ask for the names that somebody might have meant; empty: none."""
    near = difflib.get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _benches() -> str:
    return " or ".join(kind.bench.__name__ for kind in KINDS)


def _called(value: object) -> str:
    return f"{type(value).__name__} {value!r:.80}"
