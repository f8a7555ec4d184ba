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


def exceeds_quota(quota: Any, size: int) -> bool:
    """Say whether one more volume of that size is too much (A15, P6)."""
    if quota.volumes is not None and quota.volumes < 1:
        return True
    if quota.gigabytes is not None and quota.gigabytes < size:
        return True
    per_volume = quota.per_volume_gigabytes
    return per_volume is not None and per_volume < size


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
    """Compare volume types (V7, B14)."""
    if one is None or other is None:
        return one is None and other is None
    if one.id == other.id:
        return True
    if one.volume_backend_name is None:
        return False
    return bool(one.volume_backend_name == other.volume_backend_name)


def label(candidate: Any) -> str:
    """Name a candidate by its location, or by its volume in the cache."""
    if hasattr(candidate, "location"):
        return str(candidate.location)
    if candidate.source is None:
        return "cache:?"
    return f"cache:{candidate.source.id}"
