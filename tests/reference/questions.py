"""Answer small questions that several policies ask."""

from __future__ import annotations

from typing import Any

GIGABYTE = 1024 * 1024 * 1024


def gigabytes(size: int) -> int:
    """Round bytes up to GiB (A8)."""
    whole, rest = divmod(size, GIGABYTE)
    if rest:
        return whole + 1
    return whole


def disk_bytes(image: Any) -> int | None:
    """Tell how large the disk in an image is; None where nobody knows.

    qemu-img takes an ISO for raw (IU:134-139).  Glance looks at bare files
    only, and 0 means that it found no size (A10).
    """
    if image.container_format != "bare":
        return None
    sizes = []
    if image.virtual_size:
        sizes.append(image.virtual_size)
    if image.disk_format in {"raw", "iso"} and image.size:
        sizes.append(image.size)
    return max(sizes, default=None)


def exceeds_quota(quota: Any, size: int) -> bool:
    """Say whether one more volume of that size is too much (A15, P6)."""
    if quota.volumes is not None and quota.volumes < 1:
        return True
    if quota.gigabytes is not None and quota.gigabytes < size:
        return True
    if quota.type_volumes is not None and quota.type_volumes < 1:
        return True
    if quota.type_gigabytes is not None and quota.type_gigabytes < size:
        return True
    per_volume = quota.per_volume_gigabytes
    return per_volume is not None and per_volume < size


def why_cache_stays_empty(request: Any) -> set[str]:
    """Tell why there is no entry in the cache, and whether one can come.

    Cinder makes room by evicting others (V4), and reserves volumes and
    gigabytes, but compares nothing with the limit for one volume (V5).
    """
    if request.cache_entries:
        return set()
    disk = disk_bytes(request.image)
    size = 1 if disk is None else gigabytes(disk)
    most = request.config.image_volume_cache_max_size_gb
    found = set()
    if most > 0 and size > most:  # V4
        found.add("cache-size-limit")
    quota = request.cache_quota
    if quota is not None and quota.missing is None:  # V5
        for count in (quota.volumes, quota.type_volumes):
            if count == 0:
                found.add("cache-quota")
        for left in (quota.gigabytes, quota.type_gigabytes):
            if left is not None and left < size:
                found.add("cache-quota")
    return found or {"cache-miss"}


def has_internal_tenant(config: Any) -> bool:
    """Say whether both ids are set (K2, P5)."""
    if config.cinder_internal_tenant_project_id is None:
        return False
    return config.cinder_internal_tenant_user_id is not None


def is_trusted(config: Any, project_id: str) -> bool:
    """Say whether tenants cannot write to that project's volumes (4.3)."""
    if project_id in config.trusted_projects:
        return True
    return bool(project_id == config.cinder_internal_tenant_project_id)


def lacks_space(request: Any) -> bool:
    """Say whether the conversion directory is too full (K1)."""
    if request.conversion_free is None:
        return False
    return not request.conversion_free > (request.image.size or 0)


def quota_against(quota: Any, size: int, reason: str) -> set[str]:
    """Collect what a quota has against one more volume of that size."""
    if quota.missing is not None:
        return {reason.replace("-exceeded", "") + "-unknown"}
    return {reason} if exceeds_quota(quota, size) else set()


def clones_against(backend: Any, clones: int | None) -> set[str]:
    """Collect what an array has against a further clone (K5, 1.9)."""
    if backend.clone_limit is None:
        return set()
    if clones is None:
        return {"clones-unknown"}
    return {"snapshot-limit"} if clones >= backend.clone_limit else set()


def compatible_types(one: Any, other: Any) -> bool:
    """Compare what volume types promise (V7, B14)."""
    if qos_of(one) != qos_of(other):
        return False
    if one is None and other is None:
        return True
    if one is not None and other is not None and one.id == other.id:
        return True
    mine = frozenset() if one is None else one.extra_specs
    theirs = frozenset() if other is None else other.extra_specs
    if mine is None or theirs is None:
        return False
    return bool(mine == theirs)


def qos_of(kind: Any) -> Any:
    """Name a type's QoS specs, or None."""
    return None if kind is None else kind.qos_specs_id


def label(candidate: Any) -> str:
    """Name a candidate by its location, or by its volume in the cache."""
    if hasattr(candidate, "location"):
        return str(candidate.location)
    if candidate.source is None:
        return "cache:?"
    return f"cache:{candidate.source.id}"
