"""Explain a decision: everything to an operator, less to a tenant."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

import attrs

from clonepolicy._decide.decision import (
    Clone,
    Decision,
    Download,
    Register,
    Upload,
)
from clonepolicy._decide.finding import Finding
from clonepolicy._facts.records import Host
from clonepolicy._facts.requests import Operation
from clonepolicy.policy._reason import Responsible

PRIVATE = frozenset(
    {
        "source",
        "candidate",
        "array_images",
        "image_volumes",
        "cache_entries",
        "backend",
        "clone_quota",
    }
)
"""The first part of the path of each fact that a tenant may not see."""


def headline(decision: Decision) -> str:
    """Return one line: the verdict, and the image and volume concerned."""
    request = decision.request
    image, volume = f"image {request.image.id}", f"volume {request.volume.id}"
    match decision:
        case Clone(source=source, extend_to=size):
            grow = "" if size is None else f", extended to {size} GiB"
            return f"clone {volume} from {source.label}{grow}"
        case Download():
            return f"download {image} into {volume}"
        case Register(project_id=project):
            return f"register a clone of {volume} in {project} as {image}"
        case Upload():
            return f"upload {volume} to {image}"
        case _:
            if request.operation is Operation.CREATE:
                return f"refuse to make {volume} from {image}"
            return f"refuse to upload {volume} to {image}"


def format_fact(value: object) -> str:
    """Format a fact in the notation of Cinder and Glance."""
    if isinstance(value, (tuple, list)):
        return f"{len(value)} of them" if value else "none"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value))) or "none"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if attrs.has(type(value)) and not isinstance(value, Host):
        named = getattr(value, "id", None)
        if named is not None:
            return str(named)
    return "not set" if value is None else str(value)


def _finding_lines(finding: Finding) -> Iterator[str]:
    reason = finding.reason
    compared = (f"{path}={format_fact(fact)}" for path, fact in finding.values)
    wait = "; waiting may help" if reason.waiting_helps else ""
    yield f"  - {reason}: {reason.meaning}"
    yield f"    ({', '.join(compared)})"
    yield f"    {reason.responsible}: {reason.remedy}{wait}"


def explain(decision: Decision) -> str:
    """Tell an operator everything: verdict, findings, notes and plan."""
    return "\n".join(_lines(decision))


def _lines(decision: Decision) -> Iterator[str]:
    yield f"{headline(decision)} (policy {decision.policy})"
    about_request = [f for f in decision.findings if f.candidate is None]
    if about_request:
        yield "the request:"
    for finding in about_request:
        yield from _finding_lines(finding)
        yield f"    closes: {', '.join(finding.blocks)}"
    for result in decision.candidates:
        state = "refused" if result.findings else "acceptable"
        yield f"{result.route} {result.candidate.label}: {state}"
        for finding in result.findings:
            yield from _finding_lines(finding)
    if decision.notes:
        yield "notes:"
    for note in decision.notes:
        yield from _finding_lines(note)
    yield "plan:"
    for number, attempt in enumerate(decision.plan.attempts, 1):
        steps = ", ".join(type(step).__name__ for step in attempt.steps)
        yield f"  {number}. {attempt}: {steps}"
    abandon = ", ".join(type(step).__name__ for step in decision.plan.abandon)
    yield f"  else {abandon}"


def explain_to_tenant(decision: Decision) -> str:
    """Tell a tenant what follows from the facts that they may see.

    The text does not depend on the volumes, hosts or owners of other
    projects: if those decide between two routes, it names neither.
    """
    head, findings = _to_tenant(decision)
    return "\n".join([head, *map(_tenant_line, findings)])


def tenant_findings(decision: Decision) -> tuple[Finding, ...]:
    """Return the findings that `explain_to_tenant` lists."""
    return tuple(_to_tenant(decision)[1])


def _to_tenant(decision: Decision) -> tuple[str, list[Finding]]:
    request, ordinary = decision.request, decision.ordinary
    image, volume = f"image {request.image.id}", f"volume {request.volume.id}"
    made = (
        f"{volume} from {image}"
        if request.operation is Operation.CREATE
        else f"{image} from {volume}"
    )
    no_clone = list(filter(_visible, decision.closing(*decision.efficient)))
    no_copy = list(filter(_visible, decision.closing(ordinary)))
    neither = [f for f in no_clone if ordinary in f.blocks]
    if neither:
        return f"Cannot make {made}.", neither
    if no_clone and no_copy:
        return f"Cannot make {made}.", [*no_clone, *no_copy]
    if no_copy:
        return f"Making {made} can only be a clone, if at all.", no_copy
    if no_clone:
        return f"Making {made} cannot be a clone.", no_clone
    deciding = decision.evaluation.tables.routes[ordinary]
    hedge = ", if at all" if any(_private(r.reads) for r in deciding) else ""
    return f"Making {made}, by clone or by copy{hedge}.", []


def _visible(finding: Finding) -> bool:
    return not _private(path for path, _ in finding.values)


def _private(paths: Iterable[str]) -> bool:
    return any(path.partition(".")[0] in PRIVATE for path in paths)


def _tenant_line(finding: Finding) -> str:
    reason = finding.reason
    operator = reason.responsible is Responsible.OPERATOR
    remedy = "" if operator else f" Remedy: {reason.remedy}."
    wait = " Waiting may help." if reason.waiting_helps else ""
    return f"- {reason.meaning} [{reason}].{remedy}{wait}"
