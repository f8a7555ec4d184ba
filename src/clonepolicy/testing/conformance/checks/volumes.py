"""Records of volumes, quotas, and image volumes."""

from __future__ import annotations

import contextlib
import uuid

import attrs

from clonepolicy import ConflictError, Host, NotFoundError, Quota, QuotaError
from clonepolicy.testing.conformance._check import (
    Level,
    allow_refusal,
    expect_error,
    given,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._harness import VolumeHarness
from clonepolicy.testing.conformance.checks._suites import (
    VOLUMES,
    expect_refusal,
    gives,
    image_volume,
    new_project,
    only_changing,
    pass_hostile_ids,
)

_IDS = 100

CACHE = gives("the service keeps no image-volume cache", "cache")
QUOTA = gives("the harness cannot set a quota", "set_quota")


@VOLUMES.check(Level.STORES)
def makes_unique_volume_ids(harness: VolumeHarness) -> None:
    """Each new id is a different UUID, in the form that Cinder writes."""
    ids = [harness.volumes.new_id() for _ in range(_IDS)]
    require(len(set(ids)) == _IDS, "an id was returned twice")
    for made in ids:
        canonical = ""
        with contextlib.suppress(ValueError):
            canonical = str(uuid.UUID(made))
        require(made == canonical, f"{made!r} is no canonical UUID")


@VOLUMES.check(Level.STORES)
def returns_the_facts_of_a_volume(harness: VolumeHarness) -> None:
    """A volume has its size in GiB, its status, its project and its host."""
    for size, status, previous in (
        (1, "available", None),
        (3, "uploading", "available"),
    ):
        volume = harness.new_volume(size, status, previous)
        found = harness.volumes.get_volume(volume.id)
        for name in ("id", "project_id", "host"):
            require_equal(getattr(found, name), getattr(volume, name), name)
        facts = (found.size, found.status)
        require_equal(facts, (size, status), "size and status")


@VOLUMES.check(Level.STORES)
def reports_a_missing_volume_as_not_found(harness: VolumeHarness) -> None:
    """A missing volume is not found, and no call creates it."""
    volumes, missing = harness.volumes, harness.volumes.new_id()
    with only_changing(harness, "after asking for a missing volume"):
        with expect_error(NotFoundError, "get_volume"):
            volumes.get_volume(missing)
        with expect_error(NotFoundError, "set_metadata"):
            volumes.set_metadata(missing, "image_owner", "owner")
        with expect_error(NotFoundError, "set_readonly"):
            volumes.set_readonly(missing)
        with expect_error(NotFoundError, "publish"):
            volumes.publish(missing)


@VOLUMES.check(Level.STORES)
def ignores_the_cleanup_of_a_missing_volume(harness: VolumeHarness) -> None:
    """Undoing the creation of a missing volume is no error."""
    missing = harness.volumes.new_id()
    with only_changing(harness, "after undoing"):
        harness.volumes.unpublish(missing)
        harness.volumes.fail(missing)
        harness.volumes.delete_image_volume(missing)


@VOLUMES.check(Level.STORES)
def returns_the_array_of_a_volume(harness: VolumeHarness) -> str:
    """A volume's array is the same each time, or always unknown."""
    volume = harness.new_volume(1, "available", None)
    for _ in range(2):
        found = harness.volumes.get_backend(volume).array_id
        require_equal(found, harness.array_id, "array_id")
    return str(harness.array_id)


@VOLUMES.check(Level.STORES)
def returns_no_array_for_an_unknown_host(harness: VolumeHarness) -> None:
    """A volume on a host that the service does not know has no array."""
    volume = harness.new_volume(1, "available", None)
    for host in (None, Host("nowhere", "nothing", "none")):
        found = None
        with allow_refusal(f"host {host}"):
            elsewhere = attrs.evolve(volume, host=host)
            found = harness.volumes.get_backend(elsewhere).array_id
        require_equal(found, None, f"host {host}: array_id")


@VOLUMES.check(Level.STORES)
def returns_no_cache_entry_for_an_unknown_image(
    harness: VolumeHarness,
) -> None:
    """The cache has no entry for an image that was never cached."""
    found = harness.volumes.get_cache_entries(str(uuid.uuid4()))
    require(found == (), f"found {found!r} instead of ()")


@VOLUMES.check(Level.STORES, CACHE)
def returns_the_cache_entries_of_one_image(harness: VolumeHarness) -> None:
    """The cache returns the entries of an image, and of no other image."""
    enter = given(harness.cache, "cache")
    volumes = {
        str(uuid.uuid4()): harness.new_volume(1, "available", None)
        for _ in range(2)
    }
    for image_id, volume in volumes.items():
        enter(image_id, volume.id)
    for image_id, volume in volumes.items():
        found = [
            (e.image_id, e.source and e.source.id, e.backend.array_id)
            for e in harness.volumes.get_cache_entries(image_id)
        ]
        expected = [(image_id, volume.id, harness.array_id)]
        require_equal(found, expected, "entries")


def _require_left(
    harness: VolumeHarness, project_id: str, expected: Quota
) -> None:
    found = harness.volumes.get_quota(project_id)
    require_equal(found, expected, "the quota that is left")


@VOLUMES.check(Level.CLONES, QUOTA, clones=True)
def returns_the_quota_that_is_left(harness: VolumeHarness) -> None:
    """Each volume counts against its project's quota until it is deleted."""
    project_id, other = new_project(), new_project()
    whole = Quota(volumes=4, gigabytes=10, per_volume_gigabytes=5)

    def require_left(volumes: int, gigabytes: int) -> None:
        left = attrs.evolve(whole, volumes=volumes, gigabytes=gigabytes)
        _require_left(harness, project_id, left)

    for each in (project_id, other):
        given(harness.set_quota, "set_quota")(each, whole)
        _require_left(harness, each, whole)
    first = image_volume(harness, size=2, project_id=project_id)
    require_left(3, 8)
    image_volume(harness, size=1, project_id=project_id)
    require_left(2, 7)
    harness.volumes.delete_image_volume(first)
    require_left(3, 9)
    _require_left(harness, other, whole)


@VOLUMES.check(Level.CLONES, QUOTA, clones=True)
def returns_no_number_for_an_unlimited_quota(harness: VolumeHarness) -> None:
    """If nothing limits a project, its quota has no numbers."""
    project_id = new_project()
    given(harness.set_quota, "set_quota")(project_id, Quota())
    image_volume(harness, project_id=project_id)
    _require_left(harness, project_id, Quota())


@VOLUMES.check(Level.CLONES, QUOTA, clones=True)
def refuses_volumes_beyond_the_quota(harness: VolumeHarness) -> None:
    """Beyond the quota no volume is created, and no quota is used."""
    create = harness.volumes.create_image_volume
    limit = given(harness.set_quota, "set_quota")
    source = harness.new_volume(2, "available", None)
    volume_id, project_id = harness.volumes.new_id(), new_project()
    for quota in (Quota(volumes=0), Quota(gigabytes=1)):
        what = f"with {quota} left"
        with only_changing(harness, what):
            limit(project_id, quota)
            with expect_error(QuotaError, what):
                create(volume_id, source.id, project_id)
        _require_left(harness, project_id, quota)
    limit(project_id, Quota(volumes=1, gigabytes=2))
    create(volume_id, source.id, project_id)


_OF_THE_SOURCE = ("size", "host", "cluster_name", "volume_type")


@VOLUMES.check(Level.CLONES, clones=True)
def creates_an_image_volume_like_its_source(harness: VolumeHarness) -> None:
    """An image volume is like its source, in creation, without metadata."""
    volumes = harness.volumes
    for status, previous in (("available", None), ("uploading", "available")):
        source = harness.new_volume(2, status, previous)
        for key in ("image_owner", "glance_image_id"):
            volumes.set_metadata(source.id, key, "written by a tenant")
        source = volumes.get_volume(source.id)
        volume_id, project_id = volumes.new_id(), new_project()
        with only_changing(harness, "after creating", {volume_id: "creating"}):
            volumes.create_image_volume(volume_id, source.id, project_id)
        made = volumes.get_volume(volume_id)
        expected = {
            **{name: getattr(source, name) for name in _OF_THE_SOURCE},
            "project_id": project_id,
            "status": "creating",
            "image_owner": None,
            "glance_image_id": None,
        }
        for name, value in expected.items():
            require_equal(getattr(made, name), value, name)
        require_equal(volumes.get_volume(source.id), source, "the source")


@VOLUMES.check(Level.CLONES, clones=True)
def refuses_an_id_that_is_taken(harness: VolumeHarness) -> None:
    """A volume's id is not given to another volume."""
    first = harness.volumes.get_volume(image_volume(harness))
    other = harness.new_volume(2, "available", None)
    with expect_refusal(harness, ConflictError, "the same id again"):
        harness.volumes.create_image_volume(first.id, other.id, new_project())
    found = harness.volumes.get_volume(first.id)
    require_equal(found, first, "the first volume")


@VOLUMES.check(Level.CLONES)
def refuses_a_missing_source(harness: VolumeHarness) -> None:
    """A missing source makes no image volume."""
    volume_id, missing = harness.volumes.new_id(), harness.volumes.new_id()
    with expect_refusal(harness, NotFoundError, "a missing source"):
        harness.volumes.create_image_volume(volume_id, missing, new_project())


@VOLUMES.check(Level.CLONES, clones=True)
def keeps_the_metadata_of_each_volume(harness: VolumeHarness) -> None:
    """An item has its last value; other items and volumes do not change."""
    volume_id, other = image_volume(harness), image_volume(harness)
    set_metadata = harness.volumes.set_metadata
    for owner, image_id in (
        ("first", None),
        ("first", "image"),
        ("first", "image"),
        ("last", "image"),
    ):
        set_metadata(volume_id, "image_owner", owner)
        if image_id is not None:
            set_metadata(volume_id, "glance_image_id", image_id)
        for each, expected in (
            (volume_id, (owner, image_id)),
            (other, (None, None)),
        ):
            volume = harness.volumes.get_volume(each)
            found = (volume.image_owner, volume.glance_image_id)
            require_equal(found, expected, "metadata")


@VOLUMES.check(Level.CLONES, clones=True)
def marks_a_volume_as_read_only(harness: VolumeHarness) -> None:
    """A volume may be marked twice; no other volume is marked."""
    volume_id, other = image_volume(harness), image_volume(harness)
    for _ in range(2):
        harness.volumes.set_readonly(volume_id)
        require(harness.is_readonly(volume_id), "it is not marked")
    require(not harness.is_readonly(other), "another one is marked")


@VOLUMES.check(Level.CLONES, clones=True)
def refuses_hostile_volume_ids(harness: VolumeHarness) -> str:
    """An id that is no volume's raises `AdapterError` or changes nothing."""
    volumes, volume_id = harness.volumes, image_volume(harness)
    volume = volumes.get_volume(volume_id)
    create, mark = volumes.create_image_volume, volumes.set_metadata

    def get_cache_entries(name: str) -> None:
        require_equal(volumes.get_cache_entries(name), (), "entries")

    result = pass_hostile_ids(
        harness,
        (f"../{volume_id}", f"{volume_id}/", f" {volume_id}"),
        refused={
            "get_volume": volumes.get_volume,
            "create_image_volume": lambda name: create(
                volumes.new_id(), name, new_project()
            ),
            "set_metadata": lambda name: mark(name, "image_owner", "mallory"),
            "set_readonly": volumes.set_readonly,
            "publish": volumes.publish,
        },
        harmless={
            "unpublish": volumes.unpublish,
            "fail": volumes.fail,
            "restore": volumes.restore,
            "delete_image_volume": volumes.delete_image_volume,
            "get_cache_entries": get_cache_entries,
            "get_quota": volumes.get_quota,
        },
    )
    require_equal(volumes.get_volume(volume_id), volume, "the real volume")
    return result
