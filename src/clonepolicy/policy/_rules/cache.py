"""Rules about whether a create can fill Cinder's image-volume cache.

After the download, Cinder clones the new volume for the cache, while that
volume is as large as the disk in the image.  If it cannot, it logs a warning
only.  ``image_volume_cache_max_count`` is no reason: Cinder evicts entries.
"""

from __future__ import annotations

import attrs

from clonepolicy._facts.records import GiB
from clonepolicy._facts.requests import CreateRequest
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, rule
from clonepolicy.policy._rules.source import DISK_SIZE

_SIZE_LIMIT = (*DISK_SIZE, "config.image_volume_cache_max_size_gb")
_QUOTA = (*DISK_SIZE, "cache_quota")
FILLABLE = tuple(dict.fromkeys(_SIZE_LIMIT + _QUOTA))
"""What `fillable` looks at."""


def least_entry_size(request: CreateRequest) -> int:
    """Return the least GiB that an entry for the image can have."""
    disk = request.image.disk_size
    return 1 if disk is None else -(-disk // GiB)


def _within_size_limit(request: CreateRequest) -> bool:
    limit = request.config.image_volume_cache_max_size_gb
    return not limit or least_entry_size(request) <= limit


def _within_quota(request: CreateRequest) -> bool:
    """Return whether the quota has room, as Cinder's manager reserves it."""
    quota = request.cache_quota
    return quota is None or attrs.evolve(
        quota, per_volume_gigabytes=None
    ).admits(least_entry_size(request))


def fillable(request: CreateRequest) -> bool:
    """Return whether nothing known keeps the image out of the cache."""
    return _within_size_limit(request) and _within_quota(request)


@rule(
    "The cache has an entry for the image, or may become as large as the disk "
    "in the image.",
    Reason.CACHE_SIZE_LIMIT,
    reads=("cache_entries", *_SIZE_LIMIT),
    citations=(cinder("image.cache.ImageVolumeCache.ensure_space"),),
)
def cache_large_enough(request: CreateRequest) -> bool:
    return bool(request.cache_entries) or _within_size_limit(request)


@rule(
    "The cache has an entry for the image, or its owner has quota left for "
    "one, as far as that is known.",
    Reason.CACHE_QUOTA,
    reads=("cache_entries", *_QUOTA),
    citations=(cinder("VolumeManager._clone_image_volume"),),
)
def cache_quota_suffices(request: CreateRequest) -> bool:
    return bool(request.cache_entries) or _within_quota(request)
