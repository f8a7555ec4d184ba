"""Ask a policy and the reference about the same request, and compare."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from clonepolicy import (
    POLICIES,
    CacheEntry,
    Candidate,
    Clone,
    CreateRequest,
    Request,
    decide,
)
from clonepolicy.policy import CANDIDATE_FIELDS, Policy
from clonepolicy.scenarios import CLONEABLE, with_facts

sys.path.insert(0, str(Path(__file__).parent))

import reference

Answer: TypeAlias = Mapping[str, Any]

every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda policy: policy.name
)


def label(candidate: Candidate) -> str:
    """Name a candidate by its location, or by its volume in the cache."""
    if isinstance(candidate, CacheEntry):
        source = candidate.source
        return "cache:?" if source is None else f"cache:{source.id}"
    return str(candidate.location)


def decided(request: Request, policy: Policy) -> Answer:
    """Give the package's answer in the form of `expected`."""
    decision = decide(request, policy)
    cloned = decision if isinstance(decision, Clone) else None
    return {
        "verdict": type(decision).__name__.lower(),
        "source": cloned and label(cloned.source),
        "extend_to": cloned and cloned.extend_to,
        "reasons": {
            finding.reason.value
            for finding in decision.findings
            if finding.candidate is None
        },
        "candidates": {
            (considered.route.value, considered.candidate): {
                finding.reason.value for finding in considered.findings
            }
            for considered in decision.candidates
        },
    }


def expected(request: Request, policy: Policy) -> Answer:
    """Give the reference's answer."""
    if not isinstance(request, CreateRequest):
        verdict, reasons = reference.upload(request, policy.name)
        return {
            "verdict": verdict,
            "source": None,
            "extend_to": None,
            "reasons": reasons,
            "candidates": {},
        }
    verdict, source, size, reasons, judged = reference.create(
        request, policy.name
    )
    return {
        "verdict": verdict,
        "source": source,
        "extend_to": size,
        "reasons": reasons,
        "candidates": {
            (route.value, candidate): found
            for route, field in CANDIDATE_FIELDS.items()
            if route.value in judged
            for candidate, found in zip(
                getattr(request, field), judged[route], strict=True
            )
        },
    }


def agree(request: Request, policy: Policy) -> None:
    """Fail unless the policy decides the request as the reference does."""
    theirs, ours = expected(request, policy), decided(request, policy)
    if theirs == ours:
        return
    only_ours, only_theirs = (
        sorted(_reasons(one) - _reasons(other))
        for one, other in ((ours, theirs), (theirs, ours))
    )
    lines = [f"{policy.name} and tests/reference differ."]
    if only_ours:
        lines.append(
            f"Only {policy.name} reports {', '.join(only_ours)}. Reference: "
            "write the rule into tests/reference, from its source."
        )
    if only_theirs:
        lines.append(
            f"Only tests/reference reports {', '.join(only_theirs)}. Table: "
            f"put the rule into {policy.name}'s table."
        )
    for part in theirs:
        if theirs[part] != ours[part]:
            lines.append(f"{part}: {policy.name} says {ours[part]!r},")
            lines.append(f"  tests/reference says {theirs[part]!r}")
    pytest.fail("\n".join([*lines, f"request: {request}"]), pytrace=False)


def _reasons(answer: Answer) -> set[str]:
    return {
        *answer["reasons"],
        *(
            f"{reason} for {label(candidate)}"
            for (_, candidate), found in answer["candidates"].items()
            for reason in found
        ),
    }


def with_every_source(values: Mapping[str, Any]) -> CreateRequest:
    """Build a create request that has one source for each route.

    Each value is put into the request and into every source that has such
    a field.  An empty tuple for a route's candidates takes its source
    away; ``...`` leaves the fact as it is.
    """
    given = {p: value for p, value in values.items() if value is not ...}
    parts = {
        field: with_facts(CLONEABLE[route], given)
        for route, field in CANDIDATE_FIELDS.items()
    }
    (*_, request) = parts.values()
    return attrs.evolve(
        request,
        **{field: getattr(part, field) for field, part in parts.items()},
    )
