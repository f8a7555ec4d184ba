"""The drop-in volume manager uses Cinder's image-volume cache."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import context, exception
from cinder.db import api as db
from cinder.volume import manager
from cinder_cloud import INTERNAL, CinderCloud, Start
from installed import RELEASE
from oslo_db import exception as db_exception

from clonepolicy.adapters.cinder import PolicyVolumeManager

start, database = cinder_cloud.start, cinder_cloud.database

CLONE, COPY = "create_cloned_volume", "copy_image_to_volume"

CACHED = {
    "backend_defaults.image_volume_cache_enabled": True,
    "allowed_direct_url_schemes": [],
}


def cached(cloud: CinderCloud, image: str, **fields: Any) -> Any:
    """Add an entry to the image-volume cache; return its volume."""
    values = {
        "project_id": INTERNAL,
        "display_name": "backing",
        "metadata": {},
        **fields,
    }
    volume = cloud.add_volume(**values)
    cloud.driver.held[volume.id] = ("cached data", volume.size)
    db.image_volume_cache_create(
        context.get_admin_context(),
        volume.host,
        None,
        image,
        datetime.datetime(2026, 1, 1),  # noqa: DTZ001 - as Cinder stores it
        volume.id,
        volume.size,
    )
    return volume


def test_a_cache_entry_is_cloned(start: Start) -> None:
    """No data is copied."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cached(cloud, image)
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("cached data", 1)
    assert COPY not in cloud.driver.names()


def test_cinder_fills_its_cache_for_the_next_create(
    start: Start,
) -> None:
    """The first create downloads and adds the entry."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cloud.create(image)
    (entry,) = db.image_volume_cache_get_all(context.get_admin_context())
    assert entry["image_id"] == image
    cloud.driver.calls.clear()
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [entry["volume_id"]]
    assert cloud.driver.names() == [CLONE]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"size": 2}, "source-larger-than-request"),
        ({"status": "error"}, "source-status"),
        ({"encryption_key_id": "a-key"}, "source-encrypted"),
    ],
    ids=["larger", "in error", "encrypted"],
)
def test_a_cache_entry_is_checked_like_any_source(
    start: Start, fields: dict[str, Any], reason: str
) -> None:
    """Cinder checks none of these conditions."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cached(cloud, image, **fields)
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == []
    assert cloud.driver.held[volume.id] == ("image data", 1)
    assert reason in cloud.reasons()


def test_an_entry_at_its_clone_limit_is_evicted_and_replaced(
    start: Start,
) -> None:
    """Cinder would fail the create."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    full = cached(cloud, image)
    cloud.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)
    (entry,) = db.image_volume_cache_get_all(context.get_admin_context())
    assert entry["volume_id"] != full.id


def test_an_entry_that_cannot_be_evicted_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry may be in use; the image is downloaded."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cached(cloud, image)
    cloud.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]

    def fail(*_: object) -> None:
        raise exception.InvalidVolume(reason="it is in use")

    cache = cloud.manager.image_volume_cache
    monkeypatch.setattr(cache, RELEASE.evict, fail)
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)


def test_a_cache_that_cannot_be_read_does_not_stop_a_create(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may fail between the clone and the eviction."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cached(cloud, image)
    cloud.driver.failing[CLONE] = [exception.SnapshotLimitReached(set_limit=1)]

    def fail(*_: object) -> None:
        raise db_exception.DBConnectionError

    monkeypatch.setattr(db, "image_volume_cache_get_by_volume_id", fail)
    volume = cloud.create(image)
    assert cloud.driver.held[volume.id] == ("image data", 1)


@pytest.mark.parametrize("notes", ["log", "decline"])
def test_if_no_clone_is_made_forbidden_data_is_not_downloaded(
    start: Start, notes: str
) -> None:
    """Because the clone of the entry fails, or its note forbids it."""
    cloud = start(options=CACHED, notes=notes)
    image = cloud.images.add()
    entry = cached(cloud, image)
    cloud.add_image_volume(image, project_id="stranger")
    # the clone is larger than its source, of which a note tells
    if notes == "decline":
        with pytest.raises(exception.ImageUnacceptable):
            cloud.create(image, size=2)
        assert cloud.driver.names() == []
        return
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == [entry.id]
    cloud.driver.calls.clear()
    cloud.driver.failing[CLONE] = [OSError(5, "no")]
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(image)
    assert COPY not in cloud.driver.names()


def test_filling_the_cache_does_not_clone_a_forbidden_entry(
    start: Start,
) -> None:
    """Cinder evicts a stale entry, and then looks for another one."""
    cloud = start(options=CACHED)
    image = cloud.images.add()
    cached(cloud, image, project_id="stranger")
    stale = cached(cloud, image)
    admin = context.get_admin_context()
    db.image_volume_cache_delete(admin, stale.id)
    db.image_volume_cache_create(
        admin,
        stale.host,
        None,
        image,
        datetime.datetime(2020, 1, 1),  # noqa: DTZ001 - as Cinder stores it
        stale.id,
        stale.size,
    )
    volume = cloud.create(image)
    assert cloud.clones_of(volume) == []
    assert cloud.driver.held[volume.id] == ("image data", 1)


# -- what keeps an image out of the cache -------------------------------------

either_manager = pytest.mark.parametrize(
    "kind", [PolicyVolumeManager, manager.VolumeManager]
)
MAX_SIZE = "backend_defaults.image_volume_cache_max_size_gb"
MAX_COUNT = "backend_defaults.image_volume_cache_max_count"
CACHE_REASONS = {"cache-miss", "cache-quota", "cache-size-limit"}


def entries() -> list[str]:
    """Return the images of all entries of the cache."""
    admin = context.get_admin_context()
    return [row["image_id"] for row in db.image_volume_cache_get_all(admin)]


def told(cloud: CinderCloud, image: str, **fields: Any) -> set[str]:
    """Return why the next create does not use the cache."""
    cloud.log.clear()
    cloud.create(image, **fields)
    return CACHE_REASONS.intersection(cloud.reasons())


def of_disk(
    cloud: CinderCloud, monkeypatch: pytest.MonkeyPatch, size: int
) -> str:
    """Add a raw image of so many GiB, all of them zero but the first."""

    def download(_context: object, _image_id: str, data: Any) -> None:
        data.write(b"image data")
        data.truncate(size << 30)

    monkeypatch.setattr(cloud.images, "download", download)
    return cloud.images.add(size=size << 30)


@either_manager
@pytest.mark.parametrize(
    "resource",
    ["volumes", "gigabytes", "volumes___DEFAULT__", "gigabytes___DEFAULT__"],
)
def test_without_quota_for_its_owner_the_cache_stays_empty(
    start: Start, kind: type, resource: str
) -> None:
    """Cinder logs a warning; the quota of one volume mends it."""
    cloud = start(kind=kind, options=CACHED)
    admin = context.get_admin_context()
    db.quota_create(admin, INTERNAL, resource, 0)
    image = cloud.images.add()
    for _ in range(3):
        volume = cloud.create(image)
        assert ("available", []) == (volume.status, cloud.clones_of(volume))
    assert [] == entries()
    db.quota_update(admin, INTERNAL, resource, 1)
    cloud.create(image)
    assert [image] == entries()


@pytest.mark.parametrize("resource", ["volumes", "volumes___DEFAULT__"])
def test_it_is_told_that_the_caches_owner_has_no_quota(
    start: Start, resource: str
) -> None:
    """For as long as that is so, with a remedy that mends it."""
    cloud = start(options=CACHED)
    cloud.log.set_level(logging.DEBUG, logger="clonepolicy")
    admin = context.get_admin_context()
    db.quota_create(admin, INTERNAL, resource, 0)
    image = cloud.images.add()
    for _ in range(3):
        assert {"cache-quota"} == told(cloud, image)
        assert "operator: raise the quota of the internal" in cloud.log.text
        assert "fills the cache" not in cloud.log.text
    db.quota_update(admin, INTERNAL, resource, 1)
    assert {"cache-miss"} == told(cloud, image)
    assert set() == told(cloud, image)


@either_manager
def test_the_quota_for_one_volume_does_not_matter_to_the_cache(
    start: Start, kind: type
) -> None:
    """Only the API compares it, and the API adds no entry."""
    cloud = start(kind=kind, options=CACHED)
    admin = context.get_admin_context()
    db.quota_create(admin, INTERNAL, "per_volume_gigabytes", 0)
    image = cloud.images.add()
    cloud.create(image)
    assert [image] == entries()


@either_manager
@pytest.mark.parametrize(("limit", "cached"), [(1, 0), (2, 1), (0, 1)])
def test_a_disk_larger_than_the_whole_cache_is_never_cached(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    limit: int,
    cached: int,
) -> None:
    """The disk counts, not the size of the new volume."""
    cloud = start(kind=kind, options={**CACHED, MAX_SIZE: limit})
    image = of_disk(cloud, monkeypatch, 2)
    for _ in range(2):
        cloud.create(image, size=3)
    assert [image] * cached == entries()


@pytest.mark.parametrize("limit", [1, 2])
def test_it_is_told_that_the_disk_is_larger_than_the_cache(
    start: Start, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Until the limit is raised."""
    cloud = start(options={**CACHED, MAX_SIZE: limit})
    image = of_disk(cloud, monkeypatch, 2)
    first = told(cloud, image, size=3)
    again = told(cloud, image, size=3)
    if limit < 2:
        assert {"cache-size-limit"} == first == again
    else:
        assert ({"cache-miss"}, set()) == (first, again)


@either_manager
def test_the_number_of_entries_keeps_no_image_out(
    start: Start, kind: type
) -> None:
    """Cinder evicts the entry that was not used for the longest time."""
    cloud = start(kind=kind, options={**CACHED, MAX_COUNT: 1})
    for image in (cloud.images.add(), cloud.images.add()):
        cloud.create(image)
        assert [image] == entries()
