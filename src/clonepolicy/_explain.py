"""Say why, to the operator and to the tenant, and what would change it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from clonepolicy._decide import decide_create, decide_upload
from clonepolicy._decisions import (
    Clone,
    Decision,
    Download,
    Refuse,
    Register,
)
from clonepolicy._findings import Finding, Path
from clonepolicy._policies import SAFE, Policy, label
from clonepolicy._reasons import Reason, Who
from clonepolicy._records import CreateRequest, Host, UploadRequest
from clonepolicy._rules._rule import Rule

_PRIVATE = frozenset(
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
"""Roots of facts about other projects and about arrays."""


def verb(decision: Decision) -> str:
    """Name a verdict in one word: clone, download, register, upload."""
    return type(decision).__name__.lower()


def headline(decision: Decision) -> str:
    """Give the verdict and what it is about in one line."""
    request = decision.request
    image, volume = f"image {request.image.id}", f"volume {request.volume.id}"
    match decision:
        case Clone(source=source, extend_to=size):
            grow = "" if size is None else f", extended to {size} GiB"
            return f"clone {volume} from {label(source)}{grow}"
        case Download():
            return f"download {image} into {volume}"
        case Register(project_id=project):
            return f"register a clone of {volume} in {project} as {image}"
        case Refuse():
            if isinstance(request, CreateRequest):
                return f"refuse to make {volume} from {image}"
            return f"refuse to upload {volume} to {image}"
        case _:
            return f"upload {volume} to {image}"


def shown(value: object) -> str:
    """Write a fact that a rule compared, in Cinder's and Glance's terms."""
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


def _compared(finding: Finding) -> str:
    return ", ".join(
        f"{path}={shown(value)}" for path, value in finding.values
    )


def _lines(finding: Finding) -> Iterator[str]:
    about = finding.reason.about
    yield f"  - {finding.reason}: {about.meaning}"
    yield f"    ({_compared(finding)})"
    wait = "; waiting may help" if about.waiting_helps else ""
    yield f"    {about.who}: {about.remedy}{wait}"


def explain(decision: Decision) -> str:
    """Tell an operator everything: verdict, findings, notes and plan."""
    lines = [f"{headline(decision)} (policy {decision.policy})"]
    about_request = [f for f in decision.findings if f.candidate is None]
    for finding in about_request:
        if finding is about_request[0]:
            lines.append("the request:")
        lines.extend(_lines(finding))
        lines.append(f"    closes: {', '.join(finding.blocks)}")
    for considered in decision.considered:
        state = "refused" if considered.findings else "acceptable"
        name = label(considered.candidate)
        lines.append(f"{considered.mechanism} {name}: {state}")
        for finding in considered.findings:
            lines.extend(_lines(finding))
    if decision.notes:
        lines.append("notes:")
        for note in decision.notes:
            lines.extend(_lines(note))
    lines.append("plan:")
    for number, attempt in enumerate(decision.plan.attempts, 1):
        steps = ", ".join(type(step).__name__ for step in attempt.steps)
        lines.append(f"  {number}. {attempt.name}: {steps}")
    abandon = ", ".join(type(step).__name__ for step in decision.plan.abandon)
    lines.append(f"  else {abandon}")
    return "\n".join(lines)


def _private(reads: Iterable[str]) -> bool:
    return any(path.partition(".")[0] in _PRIVATE for path in reads)


def explain_to_tenant(decision: Decision) -> str:
    """Tell a tenant what follows from the facts that are theirs to see.

    Nothing here depends on other projects' volumes, hosts or owners: where
    those decide between two paths, the paths are not told apart.
    """
    head, findings = _to_tenant(decision)
    return "\n".join([head, *map(_told, findings)])


def tenant_findings(decision: Decision) -> tuple[Finding, ...]:
    """Give the findings that `explain_to_tenant` tells."""
    return tuple(_to_tenant(decision)[1])


def _to_tenant(decision: Decision) -> tuple[str, list[Finding]]:
    request, policy = decision.request, decision.policy
    if isinstance(request, CreateRequest):
        made = f"volume {request.volume.id} from image {request.image.id}"
        efficient = {Path(lane.mechanism) for lane in policy.create.lanes}
        ordinary = Path.DOWNLOAD
        deciding: tuple[Rule[Any], ...] = (
            *policy.create.refuse,
            *policy.create.download,
        )
    else:
        made = f"image {request.image.id} from volume {request.volume.id}"
        efficient, ordinary = {Path.REGISTER}, Path.UPLOAD
        deciding = (*policy.upload.refuse, *policy.upload.upload)
    told = [
        finding
        for finding in decision.findings
        if not _private(path for path, _ in finding.values)
    ]
    refusing = [f for f in told if {*efficient, ordinary} <= set(f.blocks)]
    copying = [f for f in told if efficient <= set(f.blocks)]
    cloning = [f for f in told if ordinary in f.blocks]
    if refusing:
        return f"Cannot make {made}.", refusing
    if cloning and copying:
        return f"Cannot make {made}.", [*copying, *cloning]
    if cloning:
        return f"Making {made} can only be a clone, if at all.", cloning
    if copying:
        return f"Making {made} cannot be a clone.", copying
    sure = not any(_private(rule.reads) for rule in deciding)
    hedge = "" if sure else ", if at all"
    return f"Making {made}, by clone or by copy{hedge}.", []


def _told(finding: Finding) -> str:
    about = finding.reason.about
    remedy = (
        f" Remedy: {about.remedy}." if about.who is not Who.OPERATOR else ""
    )
    wait = " Waiting may help." if about.waiting_helps else ""
    return f"- {about.meaning} [{finding.reason}].{remedy}{wait}"


@attrs.frozen
class Change:
    """One thing to change, whose it is to change, and how."""

    reason: Reason
    who: Who
    remedy: str
    waiting_helps: bool


@attrs.frozen(kw_only=True)
class Way:
    """Every change that it takes to open one efficient path."""

    path: Path
    candidate: str | None
    """The source it would be; None: there is none yet."""
    changes: tuple[Change, ...]


def what_would_it_take(
    request: CreateRequest | UploadRequest, policy: Policy = SAFE
) -> tuple[Way, ...]:
    """Find the smallest changes that open an efficient path.

    For each mechanism the source that takes the fewest changes, the
    fewest first; nothing where an efficient path is open already.
    """
    if isinstance(request, UploadRequest):
        upload = decide_upload(request, policy)
        if isinstance(upload, Register):
            return ()
        return (_way(Path.REGISTER, None, upload.findings),)
    create = decide_create(request, policy)
    if isinstance(create, Clone):
        return ()
    ways = []
    for lane in policy.create.lanes:
        path = Path(lane.mechanism)
        gates = tuple(
            f
            for f in create.findings
            if f.candidate is None and path in f.blocks
        )
        sources = [
            (label(considered.candidate), considered.findings)
            for considered in create.considered
            if considered.mechanism is lane.mechanism
        ]
        name, findings = min(
            sources, key=lambda s: (len(s[1]), s[0]), default=(None, ())
        )
        ways.append(_way(path, name, (*gates, *findings)))
    return tuple(sorted(ways, key=lambda way: len(way.changes)))


def _way(
    path: Path, candidate: str | None, findings: tuple[Finding, ...]
) -> Way:
    return Way(
        path=path,
        candidate=candidate,
        changes=tuple(
            Change(f.reason, about.who, about.remedy, about.waiting_helps)
            for f in findings
            if path in f.blocks
            for about in (f.reason.about,)
        ),
    )
