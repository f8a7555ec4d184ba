"""Why the image-volume cache has no entry, and whether it can get one."""

from __future__ import annotations

import pytest

from clonepolicy import (
    CINDER_29,
    SAFE,
    Clone,
    CreateRequest,
    Download,
    GiB,
    Quota,
    Reason,
    Route,
    decide,
    what_would_it_take,
)
from clonepolicy.policy import Policy
from clonepolicy.scenarios import CLONEABLE, with_facts

SCENARIO = with_facts(
    CLONEABLE[Route.CACHE_ENTRY], {"volume.size": 4, "source.size": 3}
)
LIMIT = "config.image_volume_cache_max_size_gb"
FILLS = "create one volume from the image, which fills the cache"
each_policy = pytest.mark.parametrize(
    "policy", [SAFE, CINDER_29], ids=lambda policy: policy.name
)


def of_disk(size: int | None, **facts: object) -> CreateRequest:
    """Ask for 4 GiB of a qcow2 image whose disk has so many GiB."""
    return with_facts(
        SCENARIO,
        {
            "image.disk_format": "qcow2",
            "image.size": GiB,
            "image.virtual_size": None if size is None else size * GiB,
            "cache_entries": (),
            **facts,
        },
    )


def why(request: CreateRequest, policy: Policy) -> dict[Reason, list[str]]:
    """Return why the cache is not used, with the remedies."""
    decision = decide(request, policy)
    assert isinstance(decision, Download)
    return {
        finding.reason: [remedy.remedy for remedy in finding.remedies]
        for finding in decision.closing(Route.CACHE_ENTRY)
    }


@each_policy
@pytest.mark.parametrize(
    ("size", "quota"),
    [
        (3, Quota(volumes=0)),
        (3, Quota(gigabytes=2)),
        (None, Quota(volumes=0)),
        (None, Quota(gigabytes=0)),
    ],
)
def test_without_quota_for_its_owner_the_cache_is_never_filled(
    policy: Policy, size: int | None, quota: Quota
) -> None:
    """No create is advised: each would download."""
    found = why(of_disk(size, cache_quota=quota), policy)
    remedy = "raise the quota of the internal tenant"
    assert {Reason.CACHE_QUOTA: [remedy]} == found


@each_policy
@pytest.mark.parametrize("quota", [None, Quota()])
def test_a_disk_larger_than_the_whole_cache_is_never_cached(
    policy: Policy, quota: Quota | None
) -> None:
    """Cinder evicts nothing for it."""
    facts = {LIMIT: 2, "cache_quota": quota}
    found = why(of_disk(3, **facts), policy)
    remedy = "raise image_volume_cache_max_size_gb, or set it to 0 (no limit)"
    assert {Reason.CACHE_SIZE_LIMIT: [remedy]} == found
    assert why(of_disk(3, **facts, **{"image.size": 8}), policy) == found


@each_policy
def test_all_that_keeps_an_image_out_of_the_cache_is_told(
    policy: Policy,
) -> None:
    """Each has its own remedy, and both are needed."""
    request = of_disk(3, **{LIMIT: 2, "cache_quota": Quota(volumes=0)})
    assert {Reason.CACHE_SIZE_LIMIT, Reason.CACHE_QUOTA} == {
        *why(request, policy)
    }
    (way,) = (
        way
        for way in what_would_it_take(request, policy)
        if way.route is Route.CACHE_ENTRY
    )
    assert [
        Reason.CACHE_SIZE_LIMIT,
        Reason.CACHE_QUOTA,
        Reason.CACHE_MISS,
    ] == [remedy.reason for remedy in way.remedies]


@each_policy
@pytest.mark.parametrize(
    ("size", "limit", "quota"),
    [
        (3, 0, Quota()),
        (3, 3, Quota(volumes=1, gigabytes=3)),
        (3, 3, Quota(per_volume_gigabytes=1)),  # only the API checks this one
        (None, 4, Quota(gigabytes=4)),  # the new volume holds the disk
    ],
)
def test_a_cache_that_the_next_create_fills(
    policy: Policy, size: int | None, limit: int, quota: Quota
) -> None:
    """It is known to."""
    request = of_disk(size, **{LIMIT: limit, "cache_quota": quota})
    assert {Reason.CACHE_MISS: [FILLS]} == why(request, policy)


@each_policy
@pytest.mark.parametrize(
    ("size", "limit", "quota"),
    [
        (3, 0, None),
        (None, 3, Quota()),
        (None, 0, Quota(gigabytes=3)),
    ],
)
def test_a_cache_that_a_create_may_fill(
    policy: Policy, size: int | None, limit: int, quota: Quota | None
) -> None:
    """What is not known is neither promised nor denied."""
    request = of_disk(size, **{LIMIT: limit, "cache_quota": quota})
    remedy = (
        f"{FILLS} if its limit and the quota of the internal tenant have room"
    )
    assert {Reason.CACHE_MISS: [remedy]} == why(request, policy)


@each_policy
def test_an_entry_that_exists_needs_no_room(policy: Policy) -> None:
    """A hit adds nothing to the cache."""
    full = {LIMIT: 1, "cache_quota": Quota(volumes=0), "image.size": 3 * GiB}
    decision = decide(with_facts(SCENARIO, full), policy)
    assert isinstance(decision, Clone)
    assert Route.CACHE_ENTRY is decision.route


def test_a_stale_entry_that_no_longer_fits_is_not_refreshed() -> None:
    """Cinder evicts it, and adds no other."""
    stale = {"image.size": 3 * GiB, "candidate.image_updated_at": None}
    for limit, remedies in ((3, 1), (2, 0)):
        decision = decide(with_facts(SCENARIO, {**stale, LIMIT: limit}))
        (found,) = decision.candidates[0].findings
        assert Reason.CACHE_STALE is found.reason
        assert remedies == len(found.remedies)


def test_a_create_that_is_refused_fills_no_cache() -> None:
    """The image's only data is in a volume that cannot be attached."""
    base = CLONEABLE[Route.IMAGE_VOLUME]
    stuck = with_facts(base, {"source.status": "error"})
    for scenario, given in ((base, True), (stuck, False)):
        (miss,) = (
            f
            for f in decide(scenario).findings
            if f.reason is Reason.CACHE_MISS
        )
        assert bool(miss.remedies) is given
