"""Change facts of a scenario by their paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import attrs

from clonepolicy import Candidate, Operation, Request, Volume
from clonepolicy.policy import CANDIDATE_FIELDS

Values: TypeAlias = Mapping[str, Any]
"""Values of facts by the paths of the facts."""

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

    A scenario has at most one candidate.  If ``candidate.missing`` says why
    there is no source, there is none.  Set a field of candidates only to
    ``()`` (no candidate).  What the candidate cannot have is ignored: a
    field that its kind lacks, and a volume of unknown size.
    """
    flat: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        root, _, rest = path.partition(".")
        if rest:
            nested.setdefault(root, {})[rest] = value
        else:
            flat[root] = value
    about_source = nested.pop("source", {})
    about_candidate = nested.pop("candidate", {})
    candidate = candidate_of(request)
    if candidate is not None:
        source: Any = None
        if about_candidate.get("missing") is None:
            source = _evolved(candidate.source, about_source)
        array_id = about_candidate.pop("backend.array_id", Ellipsis)
        backend = candidate.backend
        if array_id is not Ellipsis:
            backend = attrs.evolve(backend, array_id=array_id)
        candidate = _evolved(
            candidate,
            {**about_candidate, "source": source, "backend": backend},
        )
        field = next(
            f for f in CANDIDATE_FIELDS.values() if getattr(request, f)
        )
        flat.setdefault(field, (candidate,))
    for root, changes in nested.items():
        flat[root] = attrs.evolve(getattr(request, root), **changes)
    return attrs.evolve(request, **flat)


def _evolved(record: Any, changes: Values) -> Any:  # noqa: ANN401 - any record
    return attrs.evolve(
        record, **{k: v for k, v in changes.items() if can_have(record, k, v)}
    )


def can_have(record: Any, field: str, value: object) -> bool:  # noqa: ANN401 - any record
    """Return whether a source or candidate can have a value of a fact."""
    sizeless = isinstance(record, Volume) and (field, value) == ("size", None)
    return field in attrs.fields_dict(type(record)) and not sizeless
