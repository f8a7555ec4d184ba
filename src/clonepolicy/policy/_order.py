"""The orders in which a policy tries the candidates of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from clonepolicy._facts.records import Host, Volume
from clonepolicy._facts.requests import CacheEntry, Candidate, Request

Order: TypeAlias = Callable[[Request, Candidate], tuple[Any, ...]]
"""A sort key: the candidate with the smallest one is tried first."""


def _newest(source: object) -> float:
    created = getattr(source, "created_at", None)
    return 0.0 if created is None else -created.timestamp()


def _distance(here: Host | None, there: Host | None) -> int:
    if here is None or there is None:
        return 2
    if here == there:
        return 0
    return 1 if (here.host, here.backend) == (there.host, there.backend) else 2


def nearest_first(request: Request, candidate: Candidate) -> tuple[Any, ...]:
    """Sort by same pool, same backend, elsewhere; then newest; then id."""
    volume, source = request.volume, candidate.source
    if not isinstance(source, Volume):
        return (0, 0.0, candidate.label)
    clustered = volume.cluster_name is not None
    distance = (
        _distance(volume.cluster_name, source.cluster_name)
        if clustered
        else _distance(volume.host, source.host)
    )
    return (distance, _newest(source), source.id, candidate.label)


def newest_first(_request: Request, candidate: Candidate) -> tuple[Any, ...]:
    """Sort by creation, then id, both descending, as Cinder's query."""
    source = candidate.source
    volume_id = source.id if isinstance(source, Volume) else ""
    # the end of an id sorts after every letter, so that v10 is before v1
    backwards = (*(-ord(letter) for letter in volume_id), 1)
    return (_newest(source), backwards, candidate.label)


def last_used_first(
    _request: Request, candidate: Candidate
) -> tuple[Any, ...]:
    """Sort by last use, descending, as Cinder's cache."""
    used = candidate.last_used if isinstance(candidate, CacheEntry) else None
    moment = 0.0 if used is None else -used.timestamp()
    return (moment, candidate.label)
