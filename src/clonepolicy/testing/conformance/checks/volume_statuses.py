"""The statuses of volumes, and the deletion of image volumes."""

from __future__ import annotations

from collections.abc import Callable

from clonepolicy import ConflictError, NotFoundError
from clonepolicy.testing.conformance._check import (
    Level,
    allow_refusal,
    expect_error,
)
from clonepolicy.testing.conformance._harness import VolumeHarness
from clonepolicy.testing.conformance.checks._suites import (
    VOLUMES,
    expect_refusal,
    gives,
    image_volume,
    only_changing,
)

_STATUSES = (
    *("available", "creating", "in-use", "uploading", "error", "deleting"),
)

FILLING = gives("the service does not look whether volumes have data", "fill")


def _fill(harness: VolumeHarness, volume_id: str) -> None:
    if harness.fill is not None:
        harness.fill(volume_id)


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
