"""Rules about where a source is: host, cluster, pool, array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from clonepolicy._facts.records import LONGEST_HOST, Host, Volume
from clonepolicy._facts.requests import (
    Candidate,
    CreateRequest,
    VolumeCandidate,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, rule, spec

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_CACHE = cinder("image.cache.ImageVolumeCache")


def _places(volume: Volume, source: Volume) -> tuple[Host | None, Host | None]:
    """Return where both are: their clusters if the volume is in one."""
    if volume.cluster_name is None:
        return volume.host, source.host
    return volume.cluster_name, source.cluster_name


def _same_service(one: Host | None, two: Host | None) -> bool:
    return (
        one is not None
        and two is not None
        and one.host == two.host
        and one.backend == two.backend
    )


def across(
    request: CreateRequest, candidate: VolumeCandidate
) -> Mapping[str, Any] | None:
    """Return the change if one array may clone across pools."""
    here, there = request.backend.array_id, candidate.backend.array_id
    two = here is not None and there is not None and here != there
    if two or request.backend.clone_across_pools is False:
        return None
    return {"backend.clone_across_pools": True}


def moved(
    request: CreateRequest, _candidate: VolumeCandidate
) -> Mapping[str, Any] | None:
    """Return the changes that put the source where the new volume is."""
    volume = request.volume
    if volume.host is None and volume.cluster_name is None:
        return None
    return {
        "source.host": volume.host,
        "source.cluster_name": volume.cluster_name,
        "candidate.backend": request.backend,
    }


def identified(
    request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    """Return the changes that name both arrays, if one has no name."""
    here, there = request.backend.array_id, candidate.backend.array_id
    if here is not None and there is not None:
        return None
    array_id = here or there or "the array"
    return {
        "backend.array_id": array_id,
        "candidate.backend.array_id": array_id,
    }


ON_EACH_BACKEND = Cure(
    "keep an image volume on each backend",
    Responsible.OPERATOR,
    moved,
    Cost.DATA,
)
IN_EACH_CLUSTER = Cure(
    "keep an image volume in each cluster",
    Responsible.OPERATOR,
    moved,
    Cost.DATA,
)
ACROSS_POOLS = Cure(
    "declare clone_across_pools in extra_capabilities, if it is one array",
    Responsible.OPERATOR,
    across,
    Cost.RESTART,
)


def _one_service(
    request: CreateRequest, candidate: VolumeCandidate
) -> Mapping[str, Any] | None:
    """Return the changes that give both services one host, or one cluster.

    They are for services over one array, whose backends have one name.
    """
    volume, source = request.volume, candidate.source
    array_id = request.backend.array_id
    if source is None or array_id is None:
        return None
    clustered = volume.cluster_name is not None
    here, there = volume.cluster_name or volume.host, source.host
    if (
        array_id != candidate.backend.array_id
        or here is None
        or there is None
        or here.backend != there.backend
        or len(str(here)) + len(there.pool or "") >= LONGEST_HOST
    ):
        return None
    same = attrs.evolve(there, host=here.host)
    return {"source.cluster_name" if clustered else "source.host": same}


_PLACE = (
    "volume.host",
    "volume.cluster_name",
    "source.host",
    "source.cluster_name",
)


@rule(
    "The source is on the new volume's host and backend, unless that volume "
    "is in a cluster or the array clones across pools.",
    Reason.DIFFERENT_HOST,
    reads=(
        "volume.host",
        "volume.cluster_name",
        "source.host",
        "backend.clone_across_pools",
    ),
    citations=(spec("Proposed change, 3rd condition"), _CLONE),
    differs="Cinder compares with SQL LIKE.",
    cures=(
        Cure(
            "give both services the same backend_host, or put them in one "
            "cluster: both are on one array",
            Responsible.OPERATOR,
            _one_service,
            Cost.RESTART,
        ),
        ON_EACH_BACKEND,
        ACROSS_POOLS,
    ),
)
def same_host(request: CreateRequest, candidate: VolumeCandidate) -> bool:
    source = candidate.source
    return (
        source is None
        or request.volume.cluster_name is not None
        or request.backend.clone_across_pools is True
        or _same_service(request.volume.host, source.host)
    )


@rule(
    "The source is in the new volume's cluster, unless that volume is in no "
    "cluster or the array clones across pools.",
    Reason.DIFFERENT_CLUSTER,
    meaning="the source is not known to be in the new volume's cluster",
    reads=(
        "volume.cluster_name",
        "source.cluster_name",
        "backend.clone_across_pools",
    ),
    citations=(_CLONE,),
    differs="Cinder compares with SQL LIKE; its cache ignores "
    "clone_across_pools.",
    cures=(
        Cure(
            "put both services in one cluster: both are on one array",
            Responsible.OPERATOR,
            _one_service,
            Cost.RESTART,
        ),
        IN_EACH_CLUSTER,
        ACROSS_POOLS,
    ),
)
def same_cluster(request: CreateRequest, candidate: VolumeCandidate) -> bool:
    source = candidate.source
    return (
        source is None
        or request.volume.cluster_name is None
        or request.backend.clone_across_pools is True
        or _same_service(request.volume.cluster_name, source.cluster_name)
    )


@rule(
    "Source and new volume are in the same pool, or the array clones across "
    "pools.",
    Reason.DIFFERENT_POOL,
    meaning="the source and the new volume are not known to be in one pool",
    reads=(*_PLACE, "backend.clone_across_pools"),
    citations=(_CLONE,),
    cures=(
        Cure(
            "keep an image volume in each pool",
            Responsible.OPERATOR,
            moved,
            Cost.DATA,
        ),
        Cure(
            "declare clone_across_pools in extra_capabilities, if the array "
            "clones across pools",
            Responsible.OPERATOR,
            across,
            Cost.RESTART,
        ),
    ),
)
def same_pool(request: CreateRequest, candidate: VolumeCandidate) -> bool:
    source = candidate.source
    if source is None or request.backend.clone_across_pools is True:
        return True
    here, there = _places(request.volume, source)
    return here is None or there is None or here.pool == there.pool


@rule(
    "Source and new volume are on the same array or, if one array is unknown, "
    "in the same pool of the same backend.",
    Reason.DIFFERENT_ARRAY,
    reads=(*_PLACE, "backend.array_id", "candidate.backend.array_id"),
    citations=(_CACHE,),
    differs="Cinder assumes that clone_across_pools reaches every array.",
    cures=(
        Cure(
            "declare the same array_id in extra_capabilities of both "
            "backends, if it is one array",
            Responsible.OPERATOR,
            identified,
            Cost.RESTART,
        ),
        Cure(
            "keep an image volume on each array",
            Responsible.OPERATOR,
            moved,
            Cost.DATA,
        ),
    ),
)
def same_array(request: CreateRequest, candidate: VolumeCandidate) -> bool:
    source = candidate.source
    if source is None:
        return True
    here, there = request.backend.array_id, candidate.backend.array_id
    if here is not None and there is not None:
        return here == there
    place, other = _places(request.volume, source)
    return place is not None and place == other
