"""Rules about whether a create can fill Cinder's image-volume cache.

After a download Cinder clones the new volume for the cache, while that
volume is as large as the disk in the image.  If it cannot, it only logs a
warning.  ``image_volume_cache_max_count`` keeps no image out: Cinder evicts
the entries that were not used for the longest time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from clonepolicy._facts.config import Quota
from clonepolicy._facts.requests import CreateRequest
from clonepolicy.policy._cure import Cost, Cure, Responsible, always
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, rule
from clonepolicy.policy._rules import data
from clonepolicy.policy._rules import request as requests
from clonepolicy.policy._rules.new_source import DISK_SIZE, disk, gib

_LIMIT = "config.image_volume_cache_max_size_gb"
_QUOTA = "cache_quota"
FILLABLE = (_LIMIT, _QUOTA, *DISK_SIZE)
"""What `fillable` looks at."""


_OF_THE_DOWNLOAD = (
    requests.conversion_allowed,
    requests.compression_allowed,
    requests.conversion_space,
)


def _within_limit(request: CreateRequest) -> bool:
    limit = request.config.image_volume_cache_max_size_gb
    return not limit or disk(request) <= limit


def _has_room(quota: Quota, size: int) -> bool:
    """Return whether Cinder's manager can reserve ``size`` GiB."""
    if quota.per_volume_gigabytes is not None:  # which only the API compares
        quota = attrs.evolve(quota, per_volume_gigabytes=None)
    return quota.admits(size)


def _within_quota(request: CreateRequest) -> bool:
    quota = request.cache_quota
    return (
        quota is None
        or quota.missing is not None
        or _has_room(quota, disk(request))
    )


def fillable(request: CreateRequest) -> bool:
    """Return whether nothing known keeps the image out of the cache."""
    return _within_limit(request) and _within_quota(request)


def sure_to_fill(request: CreateRequest) -> bool:
    """Return whether limit and quota have room, whatever is not known.

    A disk of unknown size is no larger than the new volume, or the download
    fails.
    """
    known, quota = request.image.disk_size, request.cache_quota
    limit = request.config.image_volume_cache_max_size_gb
    size = request.volume.size if known is None else gib(known)
    return (
        quota is not None
        and _has_room(quota, size)
        and (not limit or size <= limit)
    )


def can_be_filled(request: CreateRequest) -> bool:
    """Return whether a create can fill the cache, as far as is known.

    Only a download fills it.
    """
    return (
        fillable(request)
        and not data.barring(request)
        and all(rule.holds(request) for rule in _OF_THE_DOWNLOAD)
    )


def _larger(request: CreateRequest) -> Mapping[str, Any]:
    return {_LIMIT: disk(request)}


@rule(
    "The cache has an entry for the image, or may become as large as the disk "
    "in the image.",
    Reason.CACHE_SIZE_LIMIT,
    reads=("cache_entries", _LIMIT, *DISK_SIZE),
    citations=(cinder("image.cache.ImageVolumeCache.ensure_space"),),
    cures=(
        Cure(
            "raise image_volume_cache_max_size_gb, or set it to 0 (no limit)",
            Responsible.OPERATOR,
            _larger,
            Cost.RESTART,
        ),
    ),
)
def cache_large_enough(request: CreateRequest) -> bool:
    return bool(request.cache_entries) or _within_limit(request)


@rule(
    "The cache has an entry for the image, or its owner has quota left for "
    "one, as far as that is known.",
    Reason.CACHE_QUOTA,
    reads=("cache_entries", _QUOTA, *DISK_SIZE),
    citations=(cinder("VolumeManager._clone_image_volume"),),
    cures=(
        Cure(
            "raise the quota of the internal tenant",
            Responsible.OPERATOR,
            always({_QUOTA: Quota()}),
        ),
    ),
)
def cache_quota_suffices(request: CreateRequest) -> bool:
    return bool(request.cache_entries) or _within_quota(request)
