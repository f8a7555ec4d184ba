"""What every volume service has to keep."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    Host,
    NotFoundError,
    Quota,
    QuotaError,
    Volume,
    VolumeService,
)
from clonepolicy.testing.conformance._array_rows import HOSTILE
from clonepolicy.testing.conformance._image_rows import agree
from clonepolicy.testing.conformance._row import (
    Level,
    Need,
    Table,
    broken,
    hold,
    refused,
)
from clonepolicy.testing.conformance._scene import any_refusal

_IDS = 100
_OF_THE_SOURCE = ("size", "host", "cluster_name", "volume_type")


def _nothing() -> None:
    """Clean nothing up."""


@attrs.frozen(kw_only=True)
class VolumeBench:
    """A volume service under test, and its author's means to look at it."""

    volumes: VolumeService
    new_volume: Callable[[int, str, str | None], Volume]
    """Make a volume of so many GiB, in a status, and in another before: one
    that is being uploaded was available or in use."""
    statuses: Callable[[], Mapping[str, str]]
    """Give every volume's status, by the service's own means, not through
    the adapter."""
    is_readonly: Callable[[str], bool]
    """Say whether a volume is marked so, by the service's own means."""
    array_id: str | None
    """The array on which ``new_volume`` puts volumes, as far as the service
    can know it."""
    fill: Callable[[str], object] | None = None
    """Give a volume in creation its data; needed where the service looks
    whether there is any."""
    cache: Callable[[str, str], object] | None = None
    """Enter a volume (second) into the image-volume cache for an image."""
    set_quota: Callable[[str, Quota], object] | None = None
    """Limit what a project may have in all."""
    xfail: Mapping[str, str] = attrs.field(factory=dict)
    """Rows that are known to fail, each with the reason."""
    close: Callable[[], None] = _nothing
    """Take everything down, with what the rows made."""


FILLING = Need[VolumeBench](
    "the service does not look whether volumes have data (fill)",
    lambda bench: bench.fill is not None,
)
CACHE = Need[VolumeBench](
    "the service keeps no image-volume cache (cache)",
    lambda bench: bench.cache is not None,
)
QUOTA = Need[VolumeBench](
    "the bench cannot set a quota (set_quota)",
    lambda bench: bench.set_quota is not None,
)

VOLUMES: Table[VolumeBench] = Table(lambda _: Level.CLONES)
"""The rows about volume services."""


def _project() -> str:
    return f"bench-{uuid.uuid4().hex}"


def _image_volume(
    bench: VolumeBench, *, size: int = 1, project_id: str | None = None
) -> str:
    source = bench.new_volume(size, "available", None)
    volume_id = bench.volumes.new_id()
    bench.volumes.create_image_volume(
        volume_id, source.id, project_id or _project()
    )
    return volume_id


def _fill(bench: VolumeBench, volume_id: str) -> None:
    if bench.fill is not None:
        bench.fill(volume_id)


# -- reading ----------------------------------------------------------------


@VOLUMES.row(Level.STORES)
def makes_ids_that_are_new(bench: VolumeBench) -> None:
    """Ids are UUIDs as Cinder writes them, each another."""
    ids = [bench.volumes.new_id() for _ in range(_IDS)]
    hold(len(set(ids)) == _IDS, "an id came twice")
    for made in ids:
        try:
            canonical = str(uuid.UUID(made))
        except ValueError:
            canonical = ""
        hold(made == canonical, f"{made!r} is no canonical UUID")


@VOLUMES.row(Level.STORES)
def reads_a_volume(bench: VolumeBench) -> None:
    """A volume is read as it is: its size in GiB, statuses and place."""
    for size, status, previous in (
        (1, "available", None),
        (3, "uploading", "available"),
    ):
        volume = bench.new_volume(size, status, previous)
        found = bench.volumes.get_volume(volume.id)
        for name in ("id", "project_id", "host"):
            has, should = getattr(found, name), getattr(volume, name)
            hold(has == should, f"{name} is {has} instead of {should}")
        has = (found.size, found.status)
        hold(has == (size, status), f"is {has} instead of {(size, status)}")


@VOLUMES.row(Level.STORES)
def finds_no_missing_volume(bench: VolumeBench) -> None:
    """A volume that is not there is not found, and does not come to be."""
    volumes, missing = bench.volumes, bench.volumes.new_id()
    before = bench.statuses()
    with refused(NotFoundError, "reading"):
        volumes.get_volume(missing)
    with refused(NotFoundError, "set_metadata"):
        volumes.set_metadata(missing, "image_owner", "owner")
    with refused(NotFoundError, "set_readonly"):
        volumes.set_readonly(missing)
    with refused(NotFoundError, "publish"):
        volumes.publish(missing)
    agree(before, bench.statuses(), "after asking for a missing volume")


@VOLUMES.row(Level.STORES)
def undoes_nothing_of_a_missing_volume(bench: VolumeBench) -> None:
    """Where no volume is there is nothing to undo, and that is no error."""
    missing, before = bench.volumes.new_id(), bench.statuses()
    bench.volumes.unpublish(missing)
    bench.volumes.fail(missing)
    bench.volumes.delete_image_volume(missing)
    agree(before, bench.statuses(), "after undoing")


@VOLUMES.row(Level.STORES)
def tells_the_array_of_a_volume(bench: VolumeBench) -> str:
    """The array of a volume is told alike each time, or as not known."""
    volume = bench.new_volume(1, "available", None)
    for _ in range(2):
        told = bench.volumes.get_backend(volume).array_id
        hold(told == bench.array_id, f"is {told} instead of {bench.array_id}")
    return str(bench.array_id)


@VOLUMES.row(Level.STORES)
def knows_no_array_of_another_place(bench: VolumeBench) -> None:
    """Of a place that the service does not know it names no array."""
    volume = bench.new_volume(1, "available", None)
    for host in (None, Host("nowhere", "nothing", "none")):
        told = None
        with any_refusal(f"host {host}"):
            elsewhere = attrs.evolve(volume, host=host)
            told = bench.volumes.get_backend(elsewhere).array_id
        hold(told is None, f"host {host}: is on {told}")


@VOLUMES.row(Level.STORES)
def knows_no_entry_of_an_unknown_image(bench: VolumeBench) -> None:
    """The cache has nothing for an image that it never had."""
    found = bench.volumes.get_cache_entries(str(uuid.uuid4()))
    hold(found == (), f"found {found!r} instead of ()")


@VOLUMES.row(Level.STORES, CACHE)
def tells_the_entries_of_one_image(bench: VolumeBench) -> None:
    """The cache's entries for an image are told, and no other image's."""
    if bench.cache is None:
        broken("the service keeps no cache")
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    volumes = [bench.new_volume(1, "available", None) for _ in range(2)]
    for image_id, volume in zip((mine, other), volumes, strict=True):
        bench.cache(image_id, volume.id)
    for image_id, volume in zip((mine, other), volumes, strict=True):
        found = [
            (
                entry.image_id,
                None if entry.source is None else entry.source.id,
                entry.backend.array_id,
            )
            for entry in bench.volumes.get_cache_entries(image_id)
        ]
        expected = [(image_id, volume.id, bench.array_id)]
        hold(found == expected, f"found {found} instead of {expected}")


# -- quotas -----------------------------------------------------------------


def _limit(bench: VolumeBench, project_id: str, quota: Quota) -> None:
    if bench.set_quota is None:
        broken("the bench cannot set a quota")
    bench.set_quota(project_id, quota)


def _left(bench: VolumeBench, project_id: str, expected: Quota) -> None:
    found = bench.volumes.get_quota(project_id)
    hold(found == expected, f"{found} is left instead of {expected}")


@VOLUMES.row(Level.CLONES, QUOTA, clones=True)
def tells_what_is_left(bench: VolumeBench) -> None:
    """Each volume takes from its project's quota, and gives it back."""
    project_id, other = _project(), _project()
    whole = Quota(volumes=4, gigabytes=10, per_volume_gigabytes=5)
    for each in (project_id, other):
        _limit(bench, each, whole)
        _left(bench, each, whole)
    first = _image_volume(bench, size=2, project_id=project_id)
    _left(bench, project_id, attrs.evolve(whole, volumes=3, gigabytes=8))
    _image_volume(bench, size=1, project_id=project_id)
    _left(bench, project_id, attrs.evolve(whole, volumes=2, gigabytes=7))
    bench.volumes.delete_image_volume(first)
    _left(bench, project_id, attrs.evolve(whole, volumes=3, gigabytes=9))
    _left(bench, other, whole)


@VOLUMES.row(Level.CLONES, QUOTA, clones=True)
def tells_that_there_is_no_limit(bench: VolumeBench) -> None:
    """Where nothing limits a project, nothing is told as a number."""
    project_id = _project()
    _limit(bench, project_id, Quota())
    _image_volume(bench, project_id=project_id)
    _left(bench, project_id, Quota())


@VOLUMES.row(Level.CLONES, QUOTA, clones=True)
def makes_nothing_beyond_the_quota(bench: VolumeBench) -> None:
    """Beyond the quota nothing is made, and nothing is taken from it."""
    source = bench.new_volume(2, "available", None)
    volume_id, before = bench.volumes.new_id(), bench.statuses()
    project_id = _project()
    for quota in (Quota(volumes=0), Quota(gigabytes=1)):
        _limit(bench, project_id, quota)
        with refused(QuotaError, f"with {quota} left"):
            bench.volumes.create_image_volume(volume_id, source.id, project_id)
        agree(before, bench.statuses(), f"with {quota} left")
        _left(bench, project_id, quota)
    _limit(bench, project_id, Quota(volumes=1, gigabytes=2))
    bench.volumes.create_image_volume(volume_id, source.id, project_id)


# -- image volumes ----------------------------------------------------------


@VOLUMES.row(Level.CLONES, clones=True)
def makes_an_image_volume(bench: VolumeBench) -> None:
    """An image volume is in creation, like its source, and vouched by none."""
    for status, previous in (("available", None), ("uploading", "available")):
        source = bench.new_volume(2, status, previous)
        for key in ("image_owner", "glance_image_id"):
            bench.volumes.set_metadata(source.id, key, "a tenant's word")
        source = bench.volumes.get_volume(source.id)
        volume_id, project_id = bench.volumes.new_id(), _project()
        before = bench.statuses()
        bench.volumes.create_image_volume(volume_id, source.id, project_id)
        now = bench.statuses()
        agree({**before, volume_id: "creating"}, now, "after making it")
        made = bench.volumes.get_volume(volume_id)
        expected = {
            **{name: getattr(source, name) for name in _OF_THE_SOURCE},
            "project_id": project_id,
            "status": "creating",
            "image_owner": None,
            "glance_image_id": None,
        }
        for name, should in expected.items():
            has = getattr(made, name)
            hold(has == should, f"{name} is {has} instead of {should}")
        kept = bench.volumes.get_volume(source.id)
        hold(kept == source, f"the source is {kept} instead of {source}")


@VOLUMES.row(Level.CLONES, clones=True)
def makes_no_second_of_an_id(bench: VolumeBench) -> None:
    """An id that a volume has is not given to another."""
    first = bench.volumes.get_volume(_image_volume(bench))
    other = bench.new_volume(2, "available", None)
    before = bench.statuses()
    with refused(ConflictError, "the same id again"):
        bench.volumes.create_image_volume(first.id, other.id, _project())
    agree(before, bench.statuses(), "after the same id again")
    found = bench.volumes.get_volume(first.id)
    hold(found == first, f"it is {found} instead of {first}")


@VOLUMES.row(Level.CLONES)
def makes_nothing_of_a_missing_source(bench: VolumeBench) -> None:
    """Of a source that is not there no record is made."""
    volume_id, missing = bench.volumes.new_id(), bench.volumes.new_id()
    before = bench.statuses()
    with refused(NotFoundError, "a missing source"):
        bench.volumes.create_image_volume(volume_id, missing, _project())
    agree(before, bench.statuses(), "after a missing source")


@VOLUMES.row(Level.CLONES, clones=True)
def keeps_metadata(bench: VolumeBench) -> None:
    """What is written last is read; other items and volumes keep theirs."""
    volume_id, other = _image_volume(bench), _image_volume(bench)
    for owner, image_id in (
        ("first", None),
        ("first", "image"),
        ("first", "image"),
        ("last", "image"),
    ):
        bench.volumes.set_metadata(volume_id, "image_owner", owner)
        if image_id is not None:
            bench.volumes.set_metadata(volume_id, "glance_image_id", image_id)
        _vouched(bench, volume_id, owner, image_id)
    _vouched(bench, other, None, None)


def _vouched(
    bench: VolumeBench, volume_id: str, owner: str | None, image: str | None
) -> None:
    volume = bench.volumes.get_volume(volume_id)
    found = (volume.image_owner, volume.glance_image_id)
    hold(found == (owner, image), f"reads {found} instead of {owner}, {image}")


@VOLUMES.row(Level.CLONES, clones=True)
def marks_as_read_only(bench: VolumeBench) -> None:
    """A volume is marked once and again; no other one is."""
    volume_id, other = _image_volume(bench), _image_volume(bench)
    for _ in range(2):
        bench.volumes.set_readonly(volume_id)
        hold(bench.is_readonly(volume_id), "it is not marked")
    hold(not bench.is_readonly(other), "another one is marked")


@VOLUMES.row(Level.CLONES, clones=True)
def publishes_once_and_again(bench: VolumeBench) -> None:
    """A volume in creation becomes available, and stays so."""
    volume_id, _ = _image_volume(bench), _image_volume(bench)
    _fill(bench, volume_id)
    before = bench.statuses()
    for _ in range(2):
        bench.volumes.publish(volume_id)
        now = bench.statuses()
        agree({**before, volume_id: "available"}, now, "after publishing")


@VOLUMES.row(Level.STORES)
def publishes_nothing_that_failed(bench: VolumeBench) -> None:
    """A volume in error does not become available."""
    volume = bench.new_volume(1, "error", None)
    before = bench.statuses()
    with refused(ConflictError, "publishing"):
        bench.volumes.publish(volume.id)
    agree(before, bench.statuses(), "after publishing")


@VOLUMES.row(Level.CLONES, clones=True)
def unpublishes_once_and_again(bench: VolumeBench) -> None:
    """An available volume is in creation again, and can be published."""
    volume_id, other = _image_volume(bench), _image_volume(bench)
    before = bench.statuses()
    for each in (volume_id, other):
        _fill(bench, each)
        bench.volumes.publish(each)
    for _ in range(2):
        bench.volumes.unpublish(volume_id)
        now = bench.statuses()
        agree({**before, other: "available"}, now, "after taking it back")
    bench.volumes.publish(volume_id)


def _leaves_alone(
    bench: VolumeBench, act: Callable[[str], None], *statuses: str
) -> None:
    for status in statuses:
        previous = "available" if status == "uploading" else None
        volume = bench.new_volume(1, status, previous)
        before = bench.statuses()
        with any_refusal(f"a volume in {status}"):
            act(volume.id)
        agree(before, bench.statuses(), f"a volume in {status}")


@VOLUMES.row(Level.STORES)
def unpublishes_only_what_is_available(bench: VolumeBench) -> None:
    """A volume in use, failed or on its way is not taken back."""
    _leaves_alone(
        bench,
        bench.volumes.unpublish,
        *("in-use", "uploading", "error", "deleting"),
    )


@VOLUMES.row(Level.CLONES, clones=True)
def fails_once_and_again(bench: VolumeBench) -> None:
    """A volume in creation is in error, and stays so."""
    volume_id, _ = _image_volume(bench), _image_volume(bench)
    before = bench.statuses()
    for _ in range(2):
        bench.volumes.fail(volume_id)
        now = bench.statuses()
        agree({**before, volume_id: "error"}, now, "after failing")


@VOLUMES.row(Level.STORES)
def fails_only_what_is_in_creation(bench: VolumeBench) -> None:
    """A volume that has data is never put into error."""
    _leaves_alone(
        bench,
        bench.volumes.fail,
        *("available", "in-use", "uploading", "deleting"),
    )


@VOLUMES.row(Level.STORES)
def restores_once_and_again(bench: VolumeBench) -> None:
    """A volume that is uploading is what it was before, and stays so."""
    bench.new_volume(1, "uploading", "available")
    for previous in ("available", "in-use"):
        volume = bench.new_volume(1, "uploading", previous)
        before = bench.statuses()
        for _ in range(2):
            bench.volumes.restore(volume.id)
            now = bench.statuses()
            agree({**before, volume.id: previous}, now, "after restoring")


@VOLUMES.row(Level.STORES)
def restores_only_what_is_uploading(bench: VolumeBench) -> None:
    """A volume in any other status keeps it."""
    _leaves_alone(
        bench,
        bench.volumes.restore,
        *("available", "creating", "error", "deleting"),
    )


@VOLUMES.row(Level.CLONES, clones=True)
def deletes_once_and_again(bench: VolumeBench) -> None:
    """An image volume's record goes, and nothing else with it."""
    volume_id, _ = _image_volume(bench), _image_volume(bench)
    before = bench.statuses()
    rest = {name: before[name] for name in before if name != volume_id}
    for _ in range(2):
        bench.volumes.delete_image_volume(volume_id)
        agree(rest, bench.statuses(), "after deleting")
    with refused(NotFoundError, "reading what was deleted"):
        bench.volumes.get_volume(volume_id)


@VOLUMES.row(Level.CLONES, FILLING, clones=True)
def deletes_no_data(bench: VolumeBench) -> None:
    """A record is not deleted while there is data that it is about."""
    volume_id = _image_volume(bench)
    _fill(bench, volume_id)
    before = bench.statuses()
    with refused(ConflictError, "deleting a volume with data"):
        bench.volumes.delete_image_volume(volume_id)
    agree(before, bench.statuses(), "after deleting")


@VOLUMES.row(Level.CLONES, clones=True)
def takes_nothing_else_for_a_volume(bench: VolumeBench) -> str:
    """Whatever stands for an id: an `AdapterError`, and nothing changes."""
    victim = bench.volumes.get_volume(_image_volume(bench))
    volumes, before = bench.volumes, bench.statuses()
    names = (*HOSTILE, f"../{victim.id}", f"{victim.id}/", f" {victim.id}")
    for name in names:
        what = f"id {name[:40]!r}"
        with refused(AdapterError, f"{what}: get_volume"):
            volumes.get_volume(name)
        with refused(AdapterError, f"{what}: create_image_volume"):
            volumes.create_image_volume(volumes.new_id(), name, _project())
        with refused(AdapterError, f"{what}: set_metadata"):
            volumes.set_metadata(name, "image_owner", "mallory")
        with refused(AdapterError, f"{what}: set_readonly"):
            volumes.set_readonly(name)
        with refused(AdapterError, f"{what}: publish"):
            volumes.publish(name)
        with any_refusal(f"{what}: unpublish"):
            volumes.unpublish(name)
        with any_refusal(f"{what}: fail"):
            volumes.fail(name)
        with any_refusal(f"{what}: restore"):
            volumes.restore(name)
        with any_refusal(f"{what}: delete_image_volume"):
            volumes.delete_image_volume(name)
        with any_refusal(f"{what}: get_cache_entries"):
            found = volumes.get_cache_entries(name)
            hold(found == (), f"{what}: the cache has {found!r}")
        with any_refusal(f"{what}: get_quota"):
            volumes.get_quota(name)
        agree(before, bench.statuses(), what)
    found_then = volumes.get_volume(victim.id)
    hold(found_then == victim, f"it is {found_then} instead of {victim}")
    return f"{len(names)} ids refused"
