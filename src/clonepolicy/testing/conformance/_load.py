"""Find a harness by its name, open it, and choose the suite for it."""

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
from clonepolicy._text import shown
from clonepolicy.testing.conformance._check import AnySuite, describe
from clonepolicy.testing.conformance._harness import (
    ArrayHarness,
    ImageHarness,
    VolumeHarness,
)
from clonepolicy.testing.conformance.checks._suites import (
    ARRAYS,
    IMAGES,
    VOLUMES,
)


@attrs.frozen
class Kind:
    """A kind of adapter: its harness, and its suite."""

    name: str
    harness: type[Any]
    suite: AnySuite
    adapter: str
    """The member of the harness that holds the adapter under test."""
    declares: str | None = None
    """The adapter's method that returns what it can do."""


KINDS = (
    Kind("array", ArrayHarness, ARRAYS, "array", "get_backend"),
    Kind("image-service", ImageHarness, IMAGES, "images", "get_config"),
    Kind("volume-service", VolumeHarness, VOLUMES, "volumes"),
)
"""Every kind of adapter; each has an option in ``_clonepolicy_pytest``."""
_HARNESSES = " or ".join(kind.harness.__name__ for kind in KINDS)


class HarnessError(FactError):
    """A harness cannot be found or used; says why, and what to do."""

    def __init__(
        self, spec: str, expected: str, found: str, remedy: str
    ) -> None:
        """Say what was named, expected and found, and what to do."""
        super().__init__(f"harness {spec}", found, expected)
        self.args = (spec, expected, found, remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        """Return all of it in one line."""
        return (
            f"{self.field}: expected {self.expected}, got {self.value}; "
            f"{self.remedy}"
        )


def _kind_of(harness: object) -> Kind | None:
    return next((k for k in KINDS if isinstance(harness, k.harness)), None)


def load_harness(spec: str) -> tuple[AnySuite, Any]:
    """Open a harness by its name, ``package.module:function``.

    Raises:
        HarnessError: The harness cannot be found or used.
    """
    kind, harness = open_harness(spec, find_harness(spec))
    return kind.suite, harness


def find_harness(spec: str) -> Callable[[], Any]:
    """Find the function that makes a harness; import only its module.

    The current directory is searched, too, as by ``python -m``.

    Raises:
        HarnessError: The name leads to no function and to no harness.
    """
    named = re.fullmatch(r"([\w.]+):([\w.]+)", spec)
    if named is None:
        raise HarnessError(
            *(spec, "package.module:function", repr(spec)),
            "name a function that returns a harness",
        )
    place, name = named.groups()
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(place)
    except (Exception, SystemExit) as error:
        # an author's module may fail in any way
        raise HarnessError(
            *(spec, f"a module {place} that can be imported", describe(error)),
            f"make python -c 'import {place}' work here",
        ) from error
    try:
        found = operator.attrgetter(name)(module)
    except AttributeError:
        raise HarnessError(
            *(spec, f"{name} in {module.__name__}", "nothing of that name"),
            suggest(name, vars(module)) or "define it there",
        ) from None
    if _kind_of(found) is not None:
        return lambda: found
    if not callable(found):
        raise HarnessError(
            *(spec, f"{_HARNESSES} or a function", _shown(found)),
            "name a function that returns a harness",
        )
    make: Callable[[], Any] = found
    return make


def open_harness(
    spec: str,
    make: Callable[[], Any],
    suite: AnySuite | None = None,
    expected: str = "",
    remedy: str = "",
) -> tuple[Kind, Any]:
    """Make a harness, and check that it can be used, and for this suite.

    If it is for another suite, the error has what was expected, and a remedy
    with the name of its kind.

    Raises:
        HarnessError: It cannot be used, and was closed.
    """
    try:
        harness = make()
    except (Exception, SystemExit) as error:
        expected = "a harness from a call without arguments"
        raise HarnessError(
            *(spec, expected, describe(error)), "make this call work alone"
        ) from error
    kind = _kind_of(harness)
    if kind is None:
        remedy = "let the function return one"
        raise HarnessError(spec, _HARNESSES, _shown(harness), remedy)
    if suite not in {None, kind.suite}:
        harness.close()
        found = kind.harness.__name__
        raise HarnessError(spec, expected, found, remedy.format(kind.name))
    try:
        _validate(spec, kind.suite, harness)
    except BaseException:
        harness.close()
        raise
    return kind, harness


def _validate(spec: str, suite: AnySuite, harness: Any) -> None:  # noqa: ANN401 - of any kind
    """Check that the adapter declares a level, and that xfail has ids."""
    try:
        suite.level_of(harness)
    except Exception as error:
        expected = "an adapter that declares what it can do"
        raise HarnessError(
            spec, expected, describe(error), "make that work first"
        ) from error
    ids = {check.id for check in suite.checks}
    for name in harness.xfail:
        if name not in ids:
            raise HarnessError(
                *(spec, "ids of checks in xfail", repr(name)),
                suggest(name, ids) or "python -m clonepolicy.testing --checks",
            )


def suggest(name: str, known: Iterable[str]) -> str:
    """Ask whether a similar name was meant; empty if there is none."""
    near = difflib.get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _shown(value: object) -> str:
    return f"{type(value).__name__} {shown(repr(value), 80)}"
