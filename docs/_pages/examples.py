"""For each rule a request that fails it, as changes of a base request."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any

import attrs

from _pages.markdown import EVERY, code
from clonepolicy import (
    CinderLocation,
    FileLocation,
    Finding,
    GiB,
    Host,
    MalformedLocation,
    OtherLocation,
    RbdLocation,
    Request,
    Route,
    decide,
)
from clonepolicy.policy import CANDIDATE_FIELDS, Policy, Rule
from clonepolicy.scenarios import (
    CLONEABLE,
    DOWNLOADED,
    REGISTERABLE,
    Table,
    holds,
    one_fault,
    scenarios_of,
    variants,
)

BASES: Mapping[str, Request] = {
    **{str(route): request for route, request in CLONEABLE.items()},
    "download": DOWNLOADED,
    "upload": REGISTERABLE,
}
LOCATIONS = (
    CinderLocation,
    FileLocation,
    MalformedLocation,
    OtherLocation,
    RbdLocation,
)
one_fault_of = cache(one_fault)


def facts(record: Any, prefix: str = "") -> Iterator[tuple[str, Any, bool]]:  # noqa: ANN401 - any record
    """Give the path and value of each fact, and if it has no default.

    The facts of the only candidate of the last field that has one begin with
    ``candidate``, those of others with their place.
    """
    listed = [f for f in CANDIDATE_FIELDS.values() if getattr(record, f, ())]
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        path = f"{prefix}{field.name}"
        if field.name in CANDIDATE_FIELDS.values() and value:
            alone = field.name == listed[-1] and len(value) == 1
            for number, candidate in enumerate(value):
                place = "candidate" if alone else f"{path}[{number}]"
                yield from facts(candidate, f"{place}.")
        elif not attrs.has(type(value)) or isinstance(
            value, (Host, *LOCATIONS)
        ):
            yield path, value, value != field.default
        else:
            # the only candidate's source has a path of its own
            root = "source" if path == "candidate.source" else path
            yield from facts(value, f"{root}.")


def written(value: object) -> str:
    """Write a value as one would in Python."""
    match value:
        case Enum():
            text = f"{type(value).__name__}.{value.name}"
        case Host():
            text = f"Host.parse({str(value)!r})"
        case datetime.datetime():
            text = f"datetime.fromisoformat({value.isoformat()!r})"
        case frozenset() if value:
            text = f"frozenset({{{', '.join(map(repr, sorted(value)))}}})"
        case int() if value and value % GiB == 0:
            text = f"{value // GiB} * GiB"
        case _ if isinstance(value, LOCATIONS):
            text = f"parse_location({str(value)!r})"
        case _:
            text = repr(value)
    return text


def listing(values: dict[str, str]) -> str:
    """List facts, a line each."""
    lines = (f"{path} = {value}" for path, value in values.items())
    return "\n".join(("```text", *lines, "```"))


def bases() -> Iterator[str]:
    """Write the requests that the examples change."""
    yield "## Base requests"
    yield (
        "SAFE lets each of these requests take the route of its name. They "
        "are `CLONEABLE`, `DOWNLOADED` and `REGISTERABLE` of "
        "`clonepolicy.scenarios`. "
        "Facts that have their default are left out. Sizes are in GiB, those "
        "of images in bytes."
    )
    written_bases = {
        name: {p: written(v) for p, v, is_set in facts(base) if is_set}
        for name, base in BASES.items()
    }
    upload = written_bases.pop("upload")
    shared = dict(
        set.intersection(*(set(b.items()) for b in written_bases.values()))
    )
    first = next(iter(written_bases.values()))
    yield "### Base: create"
    yield "The facts that all base requests for a create share."
    yield listing({p: v for p, v in first.items() if p in shared})
    for name, values in written_bases.items():
        yield f"### Base: {name}"
        field = CANDIDATE_FIELDS.get(Route(name))
        if field is None:
            yield "A create without candidates."
            continue
        yield f"A create with one candidate, in `{field}`."
        yield listing({p: v for p, v in values.items() if p not in shared})
    yield "### Base: upload"
    yield "An upload that is registered."
    yield listing(upload)


def changes(base: Request, request: Request) -> dict[str, str]:
    """List the facts of a request that differ from its base."""
    before = {path: value for path, value, _ in facts(base)}
    return {
        path: written(value)
        for path, value, is_set in facts(request)
        if (before[path] != value if path in before else is_set)
    }


def example(rule: Rule[Any]) -> Iterator[str]:
    """Write a request that fails a rule, and what a policy decides."""
    policy, base, request, finding = _witness(rule)
    name, named = _named(base)
    changed = changes(named, request)
    link = f"the request [{name}](#base-{name})"
    yield f"Example: {link}{', with' if changed else ' as it is.'}"
    if changed:
        yield listing(changed)
    decision = decide(request, policy)
    usual = {found.reason for found in decide(base, policy).findings}
    given = {found.reason for found in decision.findings}
    others = sorted(given - usual - {finding.reason})
    kind, closed = "note", "nothing"
    if finding.blocks:
        kind, closed = "finding", code(finding.blocks)
    yield (
        f"{policy.name} decides `{decision.verdict}`. "
        f"The {kind} `{finding.reason}` closes {closed}."
        + (f" Rules of other tables give {code(others)}." if others else "")
    )


def _named(base: Request) -> tuple[str, Request]:
    """Return the base request with the same candidates, and its name."""

    def listed(request: Request) -> list[object]:
        fields = CANDIDATE_FIELDS.values()
        return [getattr(request, field, None) for field in fields]

    return next(
        (name, each)
        for name, each in BASES.items()
        if listed(each) == listed(base)
    )


def _witness(rule: Rule[Any]) -> tuple[Policy, Request, Request, Finding]:
    for policy in EVERY:
        for part in scenarios_of(policy):
            if rule in part.rules:
                request = _alone(policy, part, rule)
                decision = decide(request, policy)
                for found in (*decision.findings, *decision.notes):
                    if found.rule == rule.name:
                        return policy, part.base, request, found
    message = f"no request fails rule {rule.name}: give its facts in AXES"
    raise LookupError(message)


def _alone(policy: Policy, part: Table, rule: Rule[Any]) -> Request:
    """Find a request that fails this rule of a table and no other.

    The best request has the fewest findings, then the fewest changed facts.
    """
    others = [other for other in part.rules if other is not rule]
    requests = (
        request
        for _, request in variants(part.base, frozenset(rule.reads), 2_000)
        if not holds(rule, request)
        and all(holds(other, request) for other in others)
    )
    return min(
        requests,
        key=lambda request: (
            len(decide(request, policy).findings),
            len(changes(part.base, request)),
        ),
        default=one_fault_of(policy)[part.name, rule.name],
    )
