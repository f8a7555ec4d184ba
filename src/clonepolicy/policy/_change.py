"""Requests with other facts, by the paths that rules read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import attrs

from clonepolicy._facts.requests import (
    Candidate,
    Request,
)

Values: TypeAlias = Mapping[str, Any]
"""Values of facts by the paths of the facts."""

R = TypeVar("R", bound=Request)


def changed(
    request: R, values: Values, candidate: Candidate | None = None
) -> tuple[R, Candidate | None]:
    """Return a request with other facts, and its candidate with them.

    A path starts with a field of the request, with ``candidate`` or with
    ``source``, which are about the given candidate.  ``source`` itself may
    be replaced; ``candidate.missing`` takes it away.  A missing source has
    no facts to change.
    """
    flat: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        root, _, rest = path.partition(".")
        if rest:
            nested.setdefault(root, {})[rest] = value
        else:
            flat[root] = value
    of_candidate = nested.pop("candidate", {})
    of_source = nested.pop("source", {})
    if "source" in flat:
        of_candidate["source"] = flat.pop("source")
        of_candidate["missing"] = None
    elif of_candidate.get("missing") is not None:
        of_candidate["source"] = None
    for root, fields in nested.items():
        flat[root] = attrs.evolve(getattr(request, root), **fields)
    if candidate is None:
        return attrs.evolve(request, **flat), None
    prefix = "backend."
    of_backend = {
        path.removeprefix(prefix): of_candidate.pop(path)
        for path in [*of_candidate]
        if path.startswith(prefix)
    }
    if of_backend:
        there = of_candidate.get("backend", candidate.backend)
        of_candidate["backend"] = attrs.evolve(there, **of_backend)
    source: Any = of_candidate.get("source", candidate.source)
    if of_source and source is not None:
        of_candidate["source"] = attrs.evolve(source, **of_source)
    other = attrs.evolve(candidate, **of_candidate)
    field = candidate.listed_in
    others = [
        other if each is candidate else each
        for each in getattr(request, field)
    ]
    flat.setdefault(field, tuple(others))
    return attrs.evolve(request, **flat), other
