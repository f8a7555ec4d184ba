"""Explain a decision to a tenant, from what the tenant may see."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from clonepolicy._decide.decision import Decision
from clonepolicy._decide.finding import Finding
from clonepolicy._facts.records import VolumeType
from clonepolicy._facts.requests import Operation, Request
from clonepolicy._text import shown
from clonepolicy.policy._cure import Responsible
from clonepolicy.policy._tables import Route

SHOWN = frozenset(
    {
        "image.visible",
        "image.downloadable",
        "image.id",
        "image.status",
        "image.owner",
        "image.visibility",
        "image.disk_format",
        "image.container_format",
        "image.size",
        "image.virtual_size",
        "image.min_disk",
        "image.encryption_key_id",
        "image.signed",
        "image.os_hash_value",
        "image.updated_at",
        "volume.id",
        "volume.project_id",
        "volume.size",
        "volume.status",
        "volume.previous_status",
        "volume.volume_type",
        "volume.encryption_key_id",
        "volume.multiattach",
        "project_id",
        "force",
        "quota",
    }
)
"""The facts that the requester of a visible image may know.

A finding is shown only if its rule reads no other fact.
"""

HIDDEN_IMAGE = frozenset({"image.visible"})
"""What may be known of an image that the requester cannot see."""


def explain_to_tenant(decision: Decision) -> str:
    """Tell a tenant what follows from the facts that they may see.

    The text depends on no other fact: not on volumes, hosts or projects of
    others, the backend, the configuration, or what Glance offers.  If such
    facts decide between two routes, it names neither.  If the tenant cannot
    see the image, it says at most that.
    """
    head, findings = _told(decision)
    return "\n".join([head, *map(_line, findings)])


def tenant_findings(decision: Decision) -> tuple[Finding, ...]:
    """Return the findings that `explain_to_tenant` lists.

    Their values are what the tenant may know.  A volume type is its id.
    Their remedies have no changes, which may depend on other facts.
    """
    return tuple(map(_as_known, _told(decision)[1]))


def _told(decision: Decision) -> tuple[str, list[Finding]]:
    """Return the first line, and the findings to list below it."""
    request, ordinary = decision.request, decision.ordinary
    may_know = SHOWN if request.image.visible else HIDDEN_IMAGE
    told = [
        finding
        for finding in decision.evaluation.about_request
        if all(path in may_know for path, _ in finding.values)
    ]
    no_clone = _closing(told, decision.efficient)
    no_copy = _closing(told, (ordinary,))
    neither = _closing(told, (*decision.efficient, ordinary))
    made = _made(request)
    if neither or (no_clone and no_copy):
        return f"Cannot make {made}.", neither or [*no_clone, *no_copy]
    if no_copy:
        return f"Can make {made} only by clone, if at all.", no_copy
    deciding = decision.evaluation.tables.routes[ordinary]
    sure = all(may_know.issuperset(rule.reads) for rule in deciding)
    hedge = "" if sure else ", if at all"
    if no_clone:
        return f"Can make {made} only by copy{hedge}.", no_clone
    return f"Can make {made} by clone or by copy{hedge}.", []


def _closing(
    findings: Iterable[Finding], routes: tuple[Route, ...]
) -> list[Finding]:
    return [each for each in findings if {*routes} <= {*each.blocks}]


def _made(request: Request) -> str:
    image = f"image {shown(request.image.id)}"
    volume = f"volume {shown(request.volume.id)}"
    if request.operation is Operation.CREATE:
        return f"{volume} from {image}"
    return f"{image} from {volume}"


def _line(finding: Finding) -> str:
    theirs = [
        each.remedy
        for each in finding.remedies
        if each.responsible in {Responsible.REQUESTER, Responsible.IMAGE_OWNER}
    ]
    remedy = f" Remedy: {'; or '.join(theirs)}." if theirs else ""
    waiting = any(each.waiting_helps for each in finding.remedies)
    wait = " Waiting may help." if waiting else ""
    return f"- {finding.meaning} [{finding.reason}].{remedy}{wait}"


def _as_known(finding: Finding) -> Finding:
    """Leave out the changes of remedies, and what a volume type promises."""
    values = tuple(
        (path, value.id if isinstance(value, VolumeType) else value)
        for path, value in finding.values
    )
    remedies = tuple(
        attrs.evolve(remedy, changes=()) for remedy in finding.remedies
    )
    return attrs.evolve(finding, values=values, remedies=remedies)
