"""The verdict of each policy: what `create` and `upload` come to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from reference.api import api_refusals, ordinary_closed, upload_refusals
from reference.liberty import liberty_gates, liberty_image_volume
from reference.questions import has_internal_tenant, label
from reference.ranks import (
    cinder_cache_rank,
    cinder_volume_rank,
    label_rank,
    safe_rank,
)
from reference.safe import (
    safe_array_image,
    safe_cache_entry,
    safe_download_gates,
    safe_gates,
    safe_image_volume,
    safe_register_gates,
)
from reference.stock import (
    cinder_array_image,
    cinder_cache_entry,
    cinder_gates,
    cinder_image_volume,
)

Reasons: TypeAlias = frozenset[str]
Created: TypeAlias = tuple[
    str, str | None, int | None, Reasons, dict[str, list[Reasons]]
]
"""Verdict, source, size, reasons for the request, reasons per candidate."""
Uploaded: TypeAlias = tuple[str, Reasons]
"""Verdict, and the reasons for the request."""
Judge: TypeAlias = Callable[[Any, Any], set[str]]
Rank: TypeAlias = Callable[[Any, Any], Any]

SAFE_JUDGES: Mapping[str, tuple[Judge, Rank]] = {
    "array-image": (safe_array_image, label_rank),
    "image-volume": (safe_image_volume, safe_rank),
    "cache-entry": (safe_cache_entry, safe_rank),
}
LIBERTY_JUDGES: Mapping[str, tuple[Judge, Rank]] = {
    "image-volume": (liberty_image_volume, safe_rank),
}
RELEASES: Mapping[str, int] = {
    "CINDER_26": 26,
    "CINDER_27": 27,
    "CINDER_28": 28,
    "CINDER_29": 29,
}


def cinder_judges(release: int) -> Mapping[str, tuple[Judge, Rank]]:
    """Give what judges and orders the candidates of each route."""

    def of_release(judge: Callable[..., set[str]]) -> Judge:
        return functools.partial(judge, release=release)

    return {
        "array-image": (cinder_array_image, label_rank),
        "image-volume": (of_release(cinder_image_volume), cinder_volume_rank),
        "cache-entry": (of_release(cinder_cache_entry), cinder_cache_rank),
    }


def create(request: Any, policy_name: str) -> Created:
    """Decide how to fill a volume from an image."""
    refusals: set[str]
    closed: set[str]
    if policy_name == "SAFE":
        refusals = api_refusals(request)
        if not request.image.downloadable:  # B22, S8
            refusals.add("download-forbidden")
        closed = ordinary_closed(request) | safe_download_gates(request)
        preconditions = safe_gates(request)
        judges = SAFE_JUDGES
    elif policy_name == "LIBERTY":
        refusals = set()
        closed = set()
        preconditions = liberty_gates(request)
        judges = LIBERTY_JUDGES
    elif policy_name in RELEASES:
        release = RELEASES[policy_name]
        refusals = api_refusals(request)
        if request.image.size is None:  # A8
            refusals.add("size-unknown")
        if request.image.locations_from not in {
            "locations-api",
            "image",
            "hidden",
        }:  # L2, M2
            refusals.add("locations-unavailable")
        closed = ordinary_closed(request)
        if not request.image.downloadable:
            closed.add("download-forbidden")
        preconditions = cinder_gates(request, release)
        judges = cinder_judges(release)
    else:
        raise ValueError(policy_name)
    candidates: dict[str, Sequence[Any]] = {
        "array-image": request.array_images,
        "image-volume": request.image_volumes,
        "cache-entry": request.cache_entries,
    }
    against: dict[str, list[Reasons]] = {}
    chosen = None
    for route, (judge, rank) in judges.items():
        acceptable = []
        against[route] = []
        for candidate in candidates[route]:
            reasons = judge(request, candidate)
            against[route].append(frozenset(reasons))
            if not reasons:
                acceptable.append(candidate)
        if chosen is None and acceptable and not preconditions[route]:
            chosen = acceptable[0]
            for candidate in acceptable:
                if rank(request, candidate) < rank(request, chosen):
                    chosen = candidate
    everything = frozenset(refusals.union(closed, *preconditions.values()))
    if refusals:  # S14
        return ("refuse", None, None, everything, against)
    if chosen is not None:
        extend_to = None
        size = chosen.source.size
        if size is None or size < request.volume.size:
            extend_to = request.volume.size
        return ("clone", label(chosen), extend_to, everything, against)
    if closed:
        return ("refuse", None, None, everything, against)
    return ("download", None, None, everything, against)


def manager_quota(quota: Any, size: int) -> set[str]:
    """Say what the manager's reservation fails for (P6)."""
    if quota.missing is not None:
        return {"clone-quota-unknown"}
    for volumes in (quota.volumes, quota.type_volumes):
        if volumes is not None and volumes < 1:
            return {"clone-quota"}
    for left in (quota.gigabytes, quota.type_gigabytes):
        if left is not None and left < size:
            return {"clone-quota"}
    return set()


def upload(request: Any, policy_name: str) -> Uploaded:
    """Decide how to make an image of a volume."""
    image = request.image
    config = request.config
    refusals: set[str] = set()
    closed: set[str] = set()
    preconditions: set[str] = set()
    converts = image.disk_format != "raw" and config.image_conversion_disable
    if policy_name == "SAFE":
        refusals = upload_refusals(request)
        if converts:  # U13
            refusals.add("conversion-disabled")
        if image.status != "queued":  # G5, L5
            refusals.add("image-not-queued")
        preconditions = safe_register_gates(request)
    elif policy_name == "LIBERTY":
        if image.disk_format != "raw":
            preconditions.add("disk-format-not-raw")
        if not config.image_upload_use_cinder_backend:
            preconditions.add("upload-backend-disabled")
        # the clone is the internal tenant's if that is wanted
        if config.image_upload_use_internal_tenant:
            if not has_internal_tenant(config):
                preconditions.add("no-internal-tenant")
    elif policy_name in RELEASES:
        refusals = upload_refusals(request)
        if image.disk_format != "raw":  # P3
            preconditions.add("disk-format-not-raw")
        if image.container_format != "bare":  # P3
            preconditions.add("container-not-bare")
        if not config.image_upload_use_cinder_backend:  # P2
            preconditions.add("upload-backend-disabled")
        if not preconditions:  # P6
            refusals |= manager_quota(request.clone_quota, request.volume.size)
        if converts:  # U13, P16
            closed.add("conversion-disabled")
    else:
        raise ValueError(policy_name)
    everything = frozenset(refusals | closed | preconditions)
    if refusals:
        return ("refuse", everything)
    if not preconditions:
        return ("register", everything)
    if closed:
        return ("refuse", everything)
    return ("upload", everything)
