"""Image volumes: their creation, their statuses and their removal."""

from __future__ import annotations

from collections.abc import Callable

from clonepolicy import ConflictError, NotFoundError
from clonepolicy.testing.conformance._check import (
    Level,
    allow_refusal,
    expect_error,
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

_OF_THE_SOURCE = ("size", "host", "cluster_name", "volume_type")
_STATUSES = (
    *("available", "creating", "in-use", "uploading", "error", "deleting"),
)

FILLING = gives("the service does not look whether volumes have data", "fill")


def _fill(harness: VolumeHarness, volume_id: str) -> None:
    if harness.fill is not None:
        harness.fill(volume_id)


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


# -- statuses ---------------------------------------------------------------


def _require_idempotent(
    harness: VolumeHarness,
    act: Callable[[str], None],
    volume_id: str,
    status: str | None,
) -> None:
    """Fail unless two calls each leave this status and change no other."""
    for _ in range(2):
        with only_changing(harness, "after the call", {volume_id: status}):
            act(volume_id)


def _require_no_effect(
    harness: VolumeHarness, act: Callable[[str], None], *, unless: set[str]
) -> None:
    """Fail if a call changes a volume that is in any other status."""
    for status in _STATUSES:
        if status in unless:
            continue
        previous = "available" if status == "uploading" else None
        volume = harness.new_volume(1, status, previous)
        what = f"a volume in {status}"
        with only_changing(harness, what), allow_refusal(what):
            act(volume.id)


@VOLUMES.check(Level.CLONES, clones=True)
def publishes_volumes_idempotently(harness: VolumeHarness) -> None:
    """A volume in creation becomes available; repeating is no error."""
    volume_id, _ = image_volume(harness), image_volume(harness)
    _fill(harness, volume_id)
    publish = harness.volumes.publish
    _require_idempotent(harness, publish, volume_id, "available")


@VOLUMES.check(Level.STORES)
def refuses_to_publish_a_failed_volume(harness: VolumeHarness) -> None:
    """A volume in error does not become available."""
    volume = harness.new_volume(1, "error", None)
    with expect_refusal(harness, ConflictError, "publishing"):
        harness.volumes.publish(volume.id)


@VOLUMES.check(Level.CLONES, clones=True)
def unpublishes_volumes_idempotently(harness: VolumeHarness) -> None:
    """An available volume is in creation again, and can be published."""
    volumes, volume_id = harness.volumes, image_volume(harness)
    other = image_volume(harness)
    with only_changing(harness, "after unpublishing", {other: "available"}):
        for each in (volume_id, other):
            _fill(harness, each)
            volumes.publish(each)
        unpublish = volumes.unpublish
        _require_idempotent(harness, unpublish, volume_id, "creating")
    volumes.publish(volume_id)


@VOLUMES.check(Level.STORES)
def unpublishes_only_available_volumes(harness: VolumeHarness) -> None:
    """Unpublishing does not change a volume in any other status."""
    unpublish = harness.volumes.unpublish
    _require_no_effect(harness, unpublish, unless={"available", "creating"})


@VOLUMES.check(Level.CLONES, clones=True)
def fails_volumes_idempotently(harness: VolumeHarness) -> None:
    """A volume in creation goes into error; repeating is no error."""
    volume_id, _ = image_volume(harness), image_volume(harness)
    _require_idempotent(harness, harness.volumes.fail, volume_id, "error")


@VOLUMES.check(Level.STORES)
def fails_only_volumes_in_creation(harness: VolumeHarness) -> None:
    """A volume that has data never goes into error."""
    fail = harness.volumes.fail
    _require_no_effect(harness, fail, unless={"creating", "error"})


@VOLUMES.check(Level.STORES)
def restores_volumes_idempotently(harness: VolumeHarness) -> None:
    """An uploading volume gets its previous status; repeating is no error."""
    harness.new_volume(1, "uploading", "available")
    for previous in ("available", "in-use"):
        volume = harness.new_volume(1, "uploading", previous)
        restore = harness.volumes.restore
        _require_idempotent(harness, restore, volume.id, previous)


@VOLUMES.check(Level.STORES)
def restores_only_uploading_volumes(harness: VolumeHarness) -> None:
    """Restoring does not change a volume in any other status."""
    restore = harness.volumes.restore
    _require_no_effect(harness, restore, unless={"in-use", "uploading"})


@VOLUMES.check(Level.CLONES, clones=True)
def deletes_image_volumes_idempotently(harness: VolumeHarness) -> None:
    """Only the image volume's record is deleted; repeating is no error."""
    volume_id, _ = image_volume(harness), image_volume(harness)
    delete = harness.volumes.delete_image_volume
    _require_idempotent(harness, delete, volume_id, None)
    with expect_error(NotFoundError, "reading a deleted volume"):
        harness.volumes.get_volume(volume_id)


@VOLUMES.check(Level.CLONES, FILLING, clones=True)
def refuses_to_delete_a_volume_with_data(harness: VolumeHarness) -> None:
    """A record is not deleted while its volume has data."""
    volume_id = image_volume(harness)
    _fill(harness, volume_id)
    with expect_refusal(harness, ConflictError, "deleting a volume with data"):
        harness.volumes.delete_image_volume(volume_id)


@VOLUMES.check(Level.CLONES, clones=True)
def refuses_hostile_volume_ids(harness: VolumeHarness) -> str:
    """An id that is no volume's raises `AdapterError` or changes nothing."""
    volumes, volume_id = harness.volumes, image_volume(harness)
    volume = volumes.get_volume(volume_id)

    def get_cache_entries(name: str) -> None:
        require_equal(volumes.get_cache_entries(name), (), "entries")

    result = pass_hostile_ids(
        harness,
        (f"../{volume_id}", f"{volume_id}/", f" {volume_id}"),
        refused={
            "get_volume": volumes.get_volume,
            "create_image_volume": lambda name: volumes.create_image_volume(
                volumes.new_id(), name, new_project()
            ),
            "set_metadata": lambda name: volumes.set_metadata(
                name, "image_owner", "mallory"
            ),
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
