"""Report decisions to users, by Cinder's user messages."""

from __future__ import annotations

import datetime
import zlib
from typing import Any

from cinder.db import api as db
from cinder.message import message_field
from oslo_config import cfg

from clonepolicy import Decision, Operation, Reason, tenant_findings

_ACTIONS = {
    Operation.CREATE: message_field.Action.COPY_IMAGE_TO_VOLUME,
    Operation.UPLOAD: message_field.Action.COPY_VOLUME_TO_IMAGE,
}


def register_messages(_extension_manager: object = None) -> None:
    """Add the texts of these user messages to Cinder's.

    cinder-volume writes the id of a text and cinder-api returns the text, so
    that both processes need it.  In cinder-api the option
    ``osapi_volume_extension`` calls this function.
    """
    known = dict(message_field.Detail.ALL)
    new = (_detail(None), *map(_detail, Reason))
    details: Any = message_field.Detail
    details.ALL += tuple(detail for detail in new if detail[0] not in known)


def write_message(context: Any, decision: Decision) -> None:
    """Write a user message about a decision.

    It depends on no facts of other projects.  The event id contains the
    reason, for a cinder-api that does not know the texts.
    """
    if context.project_id is None:
        return  # no user made the request
    action_id = _ACTIONS[decision.request.operation][0]
    reason = _first_reason(decision)
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
            "message_level": "INFO",
            "event_id": f"VOLUME_VOLUME_{action_id}_{reason or 'clonepolicy'}",
            "detail_id": _detail(reason)[0],
            "expires_at": now + lifetime,
        },
    )


def _detail(reason: Reason | None) -> tuple[str, str]:
    """Return the id and the text of a message.

    An id has at most ten characters, and is the same in every process.
    """
    if reason is None:
        return ("cpolicy", "Made by clone or by copy, as the cloud decided.")
    detail_id = f"cp{zlib.crc32(reason.encode()):08x}"
    return (detail_id, f"{reason.meaning} [{reason}].")


def _first_reason(decision: Decision) -> Reason | None:
    """Return the first reason for a tenant that forbids every clone."""
    closing = decision.closing(*decision.efficient)
    for finding in tenant_findings(decision):
        if finding in closing:
            return finding.reason
    return None
