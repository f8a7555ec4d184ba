"""What is told of a decision: a log line, a user message, a count."""

from __future__ import annotations

import datetime
import functools
import importlib
import zlib
from collections.abc import Iterable, Iterator
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
    CreateRequest,
    Decision,
    Outcome,
    Path,
    Reason,
    Register,
    decide_create,
    decide_upload,
    explain,
    tenant_findings,
    verb,
)
from clonepolicy.adapters.cinder._config import Mode, Notes, Settings

LOG = log.getLogger(__name__)

_Detail = tuple[str, str]
_ACTIONS = {
    "create": message_field.Action.COPY_IMAGE_TO_VOLUME,
    "upload": message_field.Action.COPY_VOLUME_TO_IMAGE,
}


def log_decision(decision: Decision, settings: Settings) -> None:
    """Write one line of ``key=value`` for a decision.

    In shadow mode it also says what stock Cinder makes of the same facts,
    by the policy that describes it.  At level debug everything follows.
    """
    LOG.info("clonepolicy %s", " ".join(_fields(decision, settings)))
    if LOG.isEnabledFor(log.DEBUG):
        LOG.debug("clonepolicy %s", explain(decision))


def _fields(decision: Decision, settings: Settings) -> Iterator[str]:
    request = decision.request
    yield f"operation={_operation(decision)}"
    yield f"verdict={verb(decision)}"
    yield f"policy={decision.policy}"
    yield f"mode={settings.mode}"
    yield f"image={request.image.id}"
    yield f"volume={request.volume.id}"
    if isinstance(decision, Clone):
        yield f"mechanism={decision.mechanism}"
        yield f"source={_source(decision.source)}"
    yield f"reasons={_codes(against(decision))}"
    if settings.notes is not Notes.IGNORE:
        yield f"notes={_codes(note.reason for note in decision.notes)}"
    if settings.mode is Mode.SHADOW:
        schemes = frozenset(cfg.CONF.allowed_direct_url_schemes)
        config = attrs.evolve(
            request.config, allowed_direct_url_schemes=schemes
        )
        stock = verb(
            decide_create(attrs.evolve(request, config=config), CINDER_29)
            if isinstance(request, CreateRequest)
            else decide_upload(request, CINDER_29)
        )
        yield f"stock={stock}"
        yield f"differs={'no' if stock == verb(decision) else 'yes'}"


def _operation(decision: Decision) -> str:
    creates = isinstance(decision.request, CreateRequest)
    return "create" if creates else "upload"


def _source(candidate: Candidate) -> str:
    if not isinstance(candidate, CacheEntry):
        return str(candidate.location)
    return "-" if candidate.source is None else candidate.source.id


def against(decision: Decision) -> list[Reason]:
    """Give what kept the efficient path shut; nothing if it is taken."""
    if isinstance(decision, Clone | Register):
        return []
    return [finding.reason for finding in decision.findings]


def _codes(reasons: Iterable[Reason]) -> str:
    return ",".join(dict.fromkeys(reasons)) or "-"


def log_failures(outcome: Outcome) -> None:
    """Write one line for every attempt that failed on the way."""
    for failure in outcome.failures:
        LOG.warning(
            "clonepolicy attempt=%r step=%s failed: %s",
            failure.attempt,
            type(failure.step).__name__,
            failure.error,
        )
        LOG.debug("clonepolicy cause", exc_info=failure.error)


def log_unreadable(operation: str, error: Exception) -> None:
    """Write one line where facts could not be read, and nothing decided."""
    LOG.warning(
        "clonepolicy operation=%s verdict=- facts unreadable: %s",
        operation,
        error,
    )
    LOG.debug("clonepolicy cause", exc_info=error)


def count_decision(decision: Decision) -> None:
    """Count by operation, verdict and first reason, if anybody counts.

    OpenTelemetry's interface does nothing until an operator sets a meter up;
    where it is not installed, nothing is counted.
    """
    counter = _counter()
    if counter is None:
        return
    reasons = against(decision)
    counter.add(
        1,
        {
            "operation": _operation(decision),
            "verdict": verb(decision),
            "reason": reasons[0] if reasons else "",
        },
    )


@functools.cache
def _counter() -> Any:
    """Make the counter, which is one for the process."""
    try:
        metrics = importlib.import_module("opentelemetry.metrics")
    except ImportError:
        return None
    return metrics.get_meter("clonepolicy").create_counter(
        "clonepolicy.decisions",
        unit="{decision}",
        description="decisions by operation, verdict and first reason",
    )


def detail(reason: Reason | None) -> _Detail:
    """Give Cinder's form of a message text: a short id and the text.

    Ids are at most ten characters, and the same in every process.
    """
    if reason is None:
        return ("cpolicy", "Made by clone or by copy, as the cloud decided.")
    name = f"cp{zlib.crc32(reason.encode()):08x}"
    return (name, f"{reason.about.meaning} [{reason}].")


def register_messages(_extension_manager: object = None) -> None:
    """Teach Cinder the texts of the user messages that are written here.

    Cinder-volume writes a message's id and cinder-api its text, so that
    both have to know it: name this function in ``osapi_volume_extension``.
    """
    known = dict(message_field.Detail.ALL)
    new = [detail(None), *map(detail, Reason)]
    message_field.Detail.ALL += tuple(d for d in new if d[0] not in known)


def _told(decision: Decision) -> Reason | None:
    """Give the first reason a tenant may know that keeps all clones out."""
    tables = decision.policy.create
    creates = isinstance(decision.request, CreateRequest)
    efficient = (
        {Path(lane.mechanism) for lane in tables.lanes}
        if creates
        else {Path.REGISTER}
    )
    for finding in tenant_findings(decision):
        if efficient <= set(finding.blocks):
            return finding.reason
    return None


def write_message(
    context: Any,
    decision: Decision,
) -> None:
    """Tell the user; nothing here depends on other projects' facts.

    The event id carries the reason, for an API that has not been taught the
    texts.
    """
    if context.project_id is None:
        return  # nobody is there to be told
    did = _ACTIONS[_operation(decision)]
    reason = _told(decision)
    lasts = datetime.timedelta(seconds=cfg.CONF.message_ttl)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    db.message_create(
        context,
        {
            "project_id": context.project_id,
            "request_id": context.request_id,
            "resource_type": message_field.Resource.VOLUME,
            "resource_uuid": decision.request.volume.id,
            "action_id": did[0],
            "message_level": "INFO",
            "event_id": f"VOLUME_VOLUME_{did[0]}_{reason or 'clonepolicy'}",
            "detail_id": detail(reason)[0],
            "expires_at": now + lasts,
        },
    )
