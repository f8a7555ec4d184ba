"""Reports of a backend's decisions: log lines and user messages."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from cinder.db import api as db
from cinder.message import message_field
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    CINDER_29,
    CacheEntry,
    Candidate,
    Clone,
    Decision,
    Operation,
    Outcome,
    Reason,
    Refuse,
    Register,
    decide,
    explain,
    tenant_findings,
)
from clonepolicy._text import log_fields
from clonepolicy.adapters.cinder._drop_in import metrics
from clonepolicy.adapters.cinder._errors import traced
from clonepolicy.adapters.cinder._options import Mode, Notes, Settings

LOG = log.getLogger(__name__)
_ACTIONS = {
    Operation.CREATE: message_field.Action.COPY_IMAGE_TO_VOLUME,
    Operation.UPLOAD: message_field.Action.COPY_VOLUME_TO_IMAGE,
}


def log_decision(
    decision: Decision,
    settings: Settings,
    *,
    decision_id: str,
    driver_cloned: bool,
    capabilities: Mapping[str, Any],
) -> None:
    """Write one log line of ``key=value`` pairs, quoted as in logfmt.

    In shadow mode the line also says what Cinder does with the same facts,
    according to the policy CINDER_29 and to ``capabilities``, which are the
    driver's; ``clone`` if the driver has cloned an image that it found by
    itself.  At level debug the whole explanation follows.
    """
    fields = dict(_fields(decision, settings))
    fields["decision"] = decision_id
    if settings.mode is Mode.SHADOW:
        stock = (
            "clone"
            if driver_cloned
            else _stock(decision, capabilities).verdict
        )
        fields["stock"] = stock
        fields["differs"] = "no" if stock == decision.verdict else "yes"
        if stock != decision.verdict:
            metrics.count_difference(decision, settings, stock)
    LOG.info("clonepolicy %s", log_fields(fields))
    if LOG.isEnabledFor(log.DEBUG):
        LOG.debug("clonepolicy %s", explain(decision))


def _fields(
    decision: Decision, settings: Settings
) -> Iterator[tuple[str, str]]:
    request = decision.request
    yield "operation", request.operation
    yield "verdict", decision.verdict
    yield "policy", str(decision.policy)
    yield "mode", settings.mode
    yield "image", request.image.id
    yield "volume", request.volume.id
    if isinstance(decision, Clone):
        yield "route", decision.route
        yield "source", _source(decision.source)
    yield "reasons", _codes(_reasons(decision))
    if settings.notes is not Notes.IGNORE:
        yield "notes", _codes(note.reason for note in decision.notes)


def _stock(decision: Decision, capabilities: Mapping[str, Any]) -> Decision:
    """Decide as Cinder 29: it asks only the driver whether it clones across.

    Neither extra_capabilities nor the code of a driver counts.
    """
    request = decision.request
    schemes = frozenset(cfg.CONF.allowed_direct_url_schemes)
    across = bool(capabilities.get("clone_across_pools"))
    return decide(
        attrs.evolve(
            request,
            config=attrs.evolve(
                request.config, allowed_direct_url_schemes=schemes
            ),
            backend=attrs.evolve(request.backend, clone_across_pools=across),
        ),
        CINDER_29,
    )


def _source(candidate: Candidate) -> str:
    if not isinstance(candidate, CacheEntry):
        return str(candidate.location)
    return "-" if candidate.source is None else candidate.source.id


def _reasons(decision: Decision) -> list[Reason]:
    """Return what forbids to clone; nothing if a clone is made."""
    if isinstance(decision, Clone | Register):
        return []
    return [finding.reason for finding in decision.relevant]


def _codes(reasons: Iterable[Reason]) -> str:
    return ",".join(dict.fromkeys(reasons)) or "-"


def log_failures(outcome: Outcome) -> None:
    """Write one log line for every attempt that failed."""
    for failure in outcome.failures:
        _log_failure(
            failure.error,
            attempt=str(failure.attempt or "abandon"),
            step=type(failure.step).__name__,
            failed=str(failure.error),
        )


def log_undecided(operation: str, error: Exception) -> None:
    """Write one log line for a request whose facts cannot be read."""
    _log_failure(
        error, operation=operation, verdict="-", unreadable=str(error)
    )


def _log_failure(error: Exception, **fields: str) -> None:
    LOG.warning("clonepolicy %s", log_fields(fields))
    LOG.debug("clonepolicy cause\n%s", traced(error))


def register_messages(_extension_manager: object = None) -> None:
    """Add the texts of these user messages to Cinder's.

    cinder-volume writes the id of a text and cinder-api returns the text, so
    that both processes need it.  In cinder-api the option
    ``osapi_volume_extension`` calls this function.
    """
    known = dict(message_field.Detail.ALL)
    new = (_UNTOLD, _UNTOLD_REFUSAL, *map(_detail, Reason))
    details: Any = message_field.Detail
    details.ALL += tuple(detail for detail in new if detail[0] not in known)


def write_message(
    context: Any, decision: Decision, *, not_made: bool = False
) -> None:
    """Write a user message about a decision.

    It depends on no facts of other projects.  The event id contains the
    reason, for a cinder-api that does not know the texts.  ``not_made`` says
    that no clone was made, and that the plan has no copy.
    """
    if context.project_id is None:
        return  # no user made the request
    action_id = _ACTIONS[decision.request.operation][0]
    refused = not_made or isinstance(decision, Refuse)
    reason = None if not_made else _first_reason(decision)
    if reason is not None:
        detail = _detail(reason)
    else:
        detail = _UNTOLD_REFUSAL if refused else _UNTOLD
    lifetime = datetime.timedelta(seconds=cfg.CONF.message_ttl)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    db.message_create(
        context,
        {
            "project_id": context.project_id,
            "request_id": context.request_id,
            "resource_type": message_field.Resource.VOLUME,
            "resource_uuid": decision.request.volume.id,
            "action_id": action_id,
            "message_level": "ERROR" if refused else "INFO",
            "event_id": f"VOLUME_VOLUME_{action_id}_{reason or 'clonepolicy'}",
            "detail_id": detail[0],
            "expires_at": now + lifetime,
        },
    )


_UNTOLD = ("cpolicy", "To be made by clone or by copy, as the cloud decided.")
NOT_MADE = "Not made. Ask the operator for the reason."
"""What a tenant learns if the reason is not for tenants."""
_UNTOLD_REFUSAL = ("cprefused", NOT_MADE)


def _detail(reason: Reason) -> tuple[str, str]:
    """Return the id and the text of a message.

    An id has at most ten characters, and is the same in every process.
    """
    detail_id = f"cp{zlib.crc32(reason.encode()):08x}"
    return (detail_id, f"{reason.meaning} [{reason}].")


def _first_reason(decision: Decision) -> Reason | None:
    """Return the first reason for a tenant that forbids every clone.

    For a request that is refused, the first that forbids the copy.
    """
    closed = {*decision.efficient}
    findings = tenant_findings(decision)
    if isinstance(decision, Refuse):
        closed = {decision.ordinary}
    return next((f.reason for f in findings if closed <= {*f.blocks}), None)
