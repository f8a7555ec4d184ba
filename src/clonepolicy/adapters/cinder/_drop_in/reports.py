"""Reports of a backend's decisions: log lines and user messages."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cinder.db import api as db
from cinder.message import message_field
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    CacheEntry,
    Candidate,
    Clone,
    Decision,
    Operation,
    Outcome,
    Reason,
    Refuse,
    Register,
    explain,
    tenant_findings,
)
from clonepolicy._text import log_fields
from clonepolicy.adapters.cinder._drop_in.shadow import (
    Deed,
    Prediction,
    agree,
    differ,
)
from clonepolicy.adapters.cinder._errors import traced
from clonepolicy.adapters.conf._own import (
    Notes,
    Settings,
)

LOG = log.getLogger(__name__)
_ACTIONS = {
    Operation.CREATE: message_field.Action.COPY_IMAGE_TO_VOLUME,
    Operation.UPLOAD: message_field.Action.COPY_VOLUME_TO_IMAGE,
}


def log_decision(
    decision: Decision,
    settings: Settings,
    verdict: str,
    prediction: Prediction | None = None,
    *,
    decision_id: str,
) -> None:
    """Write one log line of ``key=value`` pairs, quoted as in logfmt.

    ``verdict`` is what is to be done.  If an option or a limit of the drop-in
    keeps the decision from being carried out, the line has the decision's own
    verdict as ``decided``.  With a prediction the line also says what Cinder
    is expected to do.  At level debug the whole explanation follows.
    """
    fields = dict(_fields(decision, settings, verdict))
    fields["decision"] = decision_id
    if prediction is not None:
        fields["stock"] = prediction.verdict
        fields["differs"] = differ(prediction.verdict, verdict)
        if prediction.unsure:
            fields["unsure"] = _codes(prediction.unsure)
    LOG.info("clonepolicy %s", log_fields(fields))
    if LOG.isEnabledFor(log.DEBUG):
        LOG.debug("clonepolicy %s", explain(decision))


def _fields(
    decision: Decision, settings: Settings, verdict: str
) -> Iterator[tuple[str, str]]:
    request = decision.request
    yield "operation", request.operation
    yield "verdict", verdict
    if verdict != decision.verdict:
        yield "decided", decision.verdict
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


def log_deed(
    deed: Deed,
    prediction: Prediction,
    verdict: str,
    request: Mapping[str, str],
) -> None:
    """Write one log line about what Cinder did, and what was predicted.

    ``verdict`` is what the policy would do, and ``request`` are further
    fields of the line.  If the prediction was wrong, the line is a
    warning.
    """
    matches = agree(prediction.verdict, deed.did)
    fields = {
        "predicted": prediction.verdict,
        "did": deed.did,
        "matches": matches,
        "verdict": verdict,
        "differs": differ(verdict, deed.did),
        **request,
    }
    if deed.source is not None:
        fields["source"] = deed.source
    if deed.error is not None:
        fields["error"] = deed.error
    if matches != "no":
        LOG.info("clonepolicy %s", log_fields(fields))
        return
    fields["report"] = _REPORT
    LOG.warning("clonepolicy %s", log_fields(fields))


_REPORT = (
    "unless the error or a change meanwhile explains the difference, report "
    "this line, the line of the decision and its explanation at level debug "
    "to the authors of clonepolicy"
)


def _source(candidate: Candidate) -> str:
    if not isinstance(candidate, CacheEntry):
        return str(candidate.location)
    return "-" if candidate.source is None else candidate.source.id


def _reasons(decision: Decision) -> list[Reason]:
    """Return the reasons against a clone; none if a clone is made."""
    if isinstance(decision, Clone | Register):
        return []
    return [finding.reason for finding in decision.relevant]


def _codes(reasons: Iterable[Reason]) -> str:
    return ",".join(dict.fromkeys(reasons)) or "-"


def log_failures(outcome: Outcome, request: Mapping[str, str]) -> None:
    """Write one log line for every attempt that failed.

    ``request`` are the fields that name the request.
    """
    for failure in outcome.failures:
        _log_failure(
            failure.error,
            attempt=str(failure.attempt or "abandon"),
            step=type(failure.step).__name__,
            failed=str(failure.error),
            **request,
        )


def log_undecided(error: Exception, request: Mapping[str, str]) -> None:
    """Write one log line for a request whose facts cannot be read."""
    _log_failure(error, **request, verdict="-", unreadable=str(error))


def _log_failure(error: Exception, **fields: str) -> None:
    LOG.warning("clonepolicy %s", log_fields(fields))
    LOG.debug("clonepolicy cause\n%s", traced(error))


def register_messages(_extension_manager: object = None) -> None:
    """Add the texts of this package's user messages to Cinder's.

    cinder-volume writes the id of a text, and cinder-api returns the text.
    Both processes therefore need the texts.  In cinder-api the option
    ``osapi_volume_extension`` calls this function.
    """
    known = dict(message_field.Detail.ALL)
    new = (_UNTOLD, *map(_detail, Reason))
    details: Any = message_field.Detail
    details.ALL += tuple(detail for detail in new if detail[0] not in known)


def write_message(
    context: Any, decision: Decision, *, own_texts: bool
) -> None:
    """Write a user message that a volume or an image was not made.

    The message depends on no facts of other projects.

    Args:
        context: the request's context.
        decision: a `Refuse`, or a decision whose clone failed and whose plan
            has no copy.
        own_texts: whether cinder-api has the texts of `register_messages`.
            Without them a failed upload gets the message that Cinder writes,
            and a failed create gets none, as in Cinder.
    """
    if context.project_id is None:
        return  # no user made the request
    operation = decision.request.operation
    action_id = _ACTIONS[operation][0]
    if own_texts:
        reason = _first_reason(decision)
        detail = _UNTOLD if reason is None else _detail(reason)
        event = reason or "clonepolicy"
    elif operation is Operation.UPLOAD:
        detail = message_field.Detail.FAILED_TO_UPLOAD_VOLUME
        event = detail[0]
    else:
        return
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
            "message_level": "ERROR",
            "event_id": f"VOLUME_VOLUME_{action_id}_{event}",
            "detail_id": detail[0],
            "expires_at": now + lifetime,
        },
    )


NOT_MADE = "Not made. Ask the operator for the reason."
"""What a tenant reads if the reason must not be shown to tenants."""
_UNTOLD = ("cprefused", NOT_MADE)


def _detail(reason: Reason) -> tuple[str, str]:
    """Return the id and the text of a message.

    An id has at most ten characters, and is the same in every process.
    """
    detail_id = f"cp{zlib.crc32(reason.encode()):08x}"
    return (detail_id, f"{reason.meaning} [{reason}].")


def _first_reason(decision: Decision) -> Reason | None:
    """Return the first reason for a tenant that forbids the copy."""
    if not isinstance(decision, Refuse):
        return None  # the decision was to clone, and the clone failed
    told = tenant_findings(decision)
    copy = decision.ordinary
    return next((f.reason for f in told if copy in f.blocks), None)
