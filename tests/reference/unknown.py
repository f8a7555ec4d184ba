"""What is not known, and is not told as absent."""

from __future__ import annotations

from typing import Any

from reference.questions import why_cache_stays_empty
from reference.urls import lenient_volume_id, parse

REASONS = {
    "absent": "source-not-found",
    "elsewhere": "source-elsewhere",
    "forbidden": "source-forbidden",
    "unavailable": "source-unavailable",
    "failed": "source-unavailable",
    "unsupported": "source-not-looked-up",
    "not-asked": "source-not-looked-up",
}


def why_missing(candidate: Any, *, outside: bool = False) -> set[str]:
    """Say why a candidate has no source, unless its location says it."""
    if candidate.missing is None:
        return set()
    reason = REASONS[candidate.missing]
    url = str(getattr(candidate, "location", "x:y"))
    malformed = parse(url)["kind"] == "malformed"
    if reason == "source-not-looked-up" and malformed:
        if lenient_volume_id(url) is None:
            return set()
    if reason == "source-elsewhere" and outside:
        return set()
    return {reason}


def lies_outside(request: Any, location: Any) -> str | None:
    """Say why a location cannot be one of the array's (1.9)."""
    kind = location["kind"]
    if kind == "malformed":
        return None
    if (
        kind not in {"rbd", "file"}
        or kind not in request.backend.image_schemes
    ):
        return None if request.backend.finds_images else "scheme-unsupported"
    if kind == "rbd" and location["fsid"] != request.backend.array_id:
        return "different-fsid"
    return None


def unread_locations(image: Any) -> set[str]:
    """Say why no location is known (B21, L2)."""
    if image.locations_from in {"unreadable", "unavailable"}:
        return {"locations-unavailable"}
    if image.locations_from in {"hidden", "forbidden"}:
        return {"locations-hidden"}
    return set()


def no_candidates(request: Any, field: str, reason: str) -> set[str]:
    """Say that no location names a source, if the locations are known."""
    if getattr(request, field) or unread_locations(request.image):
        return set()
    return {reason}


def no_entry(request: Any) -> set[str]:
    """Say that the cache has no entry, or that it could not be read (V2)."""
    found = why_cache_stays_empty(request)
    if request.cache_missing is not None:
        return found - {"cache-miss"} | {"cache-unreadable"}
    return found
