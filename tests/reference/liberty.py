"""LIBERTY: the first specification, to the letter."""

from __future__ import annotations

from typing import Any

from reference.places import text_of
from reference.unknown import (
    no_candidates,
    unread_locations,
    why_missing,
)
from reference.urls import parse


def liberty_gates(request: Any) -> dict[str, set[str]]:
    """Collect what the first specification asks of the request."""
    found = set()
    if request.image.disk_format != "raw":
        found.add("disk-format-not-raw")
    if "cinder" not in request.config.allowed_direct_url_schemes:
        found.add("scheme-not-allowed")
    found |= unread_locations(request.image)
    found |= no_candidates(request, "image_volumes", "no-locations")
    return {"image-volume": found}


def liberty_image_volume(request: Any, candidate: Any) -> set[str]:
    """Judge a candidate as the first specification does."""
    source = candidate.source
    found = set()
    if parse(str(candidate.location))["kind"] != "cinder":
        found.add("location-malformed")
    if source is None:
        return found | why_missing(candidate)
    mine = text_of(request.volume.host)
    if mine is None or mine != text_of(source.host):
        found.add("different-host")
    if source.project_id != request.image.owner:
        found.add("owner-mismatch")
    return found
