"""Order the acceptable candidates."""

from __future__ import annotations

import datetime
from typing import Any

from reference.places import place_of, service_of, text_of
from reference.questions import label

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def seconds(moment: datetime.datetime | None) -> datetime.timedelta:
    """Count from the epoch; what is unknown counts as the epoch."""
    if moment is None:
        return datetime.timedelta(0)
    return moment - EPOCH


def safe_rank(request: Any, candidate: Any) -> Any:
    """Prefer the same place, then the same backend, newest, by id (I3)."""
    new = request.volume
    source = candidate.source
    mine = place_of(new, new)
    theirs = place_of(source, new)
    distance = 2
    if service_of(mine) is not None:
        if service_of(mine) == service_of(theirs):
            distance = 1
    if text_of(mine) is not None and text_of(mine) == text_of(theirs):
        distance = 0
    age = -seconds(source.created_at)
    return (distance, age, source.id, label(candidate))


def label_rank(_request: Any, candidate: Any) -> Any:
    """Order by the location's text."""
    return label(candidate)


def cinder_volume_rank(_request: Any, candidate: Any) -> Any:
    """Prefer the newest, then the greatest id (C8)."""
    source = candidate.source
    backwards = (*(-ord(letter) for letter in source.id), 1)
    return (-seconds(source.created_at), backwards, label(candidate))


def cinder_cache_rank(_request: Any, candidate: Any) -> Any:
    """Prefer the entry used last (V2)."""
    return (-seconds(candidate.last_used), label(candidate))
