"""Change facts of a scenario by their paths."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from clonepolicy import Candidate, Operation, Request, Volume
from clonepolicy.policy import CANDIDATE_FIELDS, Values, changed

R = TypeVar("R", bound=Request)


def candidate_of(request: Request) -> Candidate | None:
    """Return the only candidate of a scenario; None: it has none."""
    if request.operation is Operation.UPLOAD:
        return None
    for field in CANDIDATE_FIELDS.values():
        for candidate in getattr(request, field):
            found: Candidate = candidate
            return found
    return None


def with_facts(request: R, values: Values) -> R:
    """Return a scenario with other values, by the paths that rules read.

    A scenario has at most one candidate, whose facts have the paths
    ``source…`` and ``candidate…``.  If ``candidate.missing`` says why there
    is no source, there is none.  Whole candidates replace those of their
    field.  What the candidate cannot have is ignored: a field that its kind
    lacks, a volume of unknown size, and a source that is not missing where
    there is none.
    """
    candidate = candidate_of(request)
    known = {
        path: value
        for path, value in values.items()
        if can_have(candidate, path, value)
    }
    return changed(request, known, candidate)[0]


def can_have(candidate: Candidate | None, path: str, value: object) -> bool:
    """Return whether the facts of a request can have a value at a path."""
    root, *fields = path.split(".")
    record: Any = candidate
    if root == "source":
        record = getattr(candidate, "source", None)
    elif root != "candidate":
        return True
    if not fields:
        return candidate is not None
    if path == "candidate.missing" and value is None:
        return candidate is not None and candidate.source is not None
    if path == "source.size" and isinstance(record, Volume):
        return value is not None
    return record is not None and fields[0] in attrs.fields_dict(type(record))
