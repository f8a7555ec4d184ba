"""The kit's checks of services: good ones pass, broken ones are caught."""

from __future__ import annotations

import datetime
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from broken_adapters import BROKEN_ADAPTERS, BrokenAdapter
from clonepolicy import (
    CinderLocation,
    GlanceConfig,
    Image,
    Location,
    Volume,
    parse_location,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters.local import LocalCloud, _store
from clonepolicy.adapters.local._images import insert_image
from clonepolicy.adapters.local._records import host
from clonepolicy.adapters.local._volumes import LocalVolumes, insert_volume
from clonepolicy.adapters.memory import MemoryCloud, Registration
from clonepolicy.testing.conformance import (
    ARRAYS,
    IMAGES,
    VOLUMES,
    Check,
    ImageHarness,
    Level,
    LocationHarness,
    Status,
    VolumeHarness,
    run,
    run_check,
)
from memory_harnesses import image_harness, volume_harness

CHECKS = [check for suite in (IMAGES, VOLUMES) for check in suite.checks]
BROKEN_SERVICES = [b for b in BROKEN_ADAPTERS if b.suite is not ARRAYS]
OWNER = "p"
MIB = 1 << 20


# -- the cloud in memory ----------------------------------------------------


@pytest.mark.parametrize(
    "registration", [Registration.AT_ONCE, Registration.LATE]
)
@pytest.mark.parametrize("can_withdraw", [True, False])
def test_the_images_in_memory_are_certified(
    registration: Registration, *, can_withdraw: bool
) -> None:
    """Whether locations are examined at once or later, withdrawn or not."""
    cloud = MemoryCloud(registration=registration, can_withdraw=can_withdraw)
    report = run(IMAGES, image_harness(cloud))
    assert {} == report.details(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {} == report.details(Status.SKIP)


def test_images_without_locations_have_no_certificate() -> None:
    """They store data, but nothing could be cloned."""
    cloud = MemoryCloud(glance=GlanceConfig())
    report = run(IMAGES, image_harness(cloud))
    assert {} == report.details(Status.FAIL)
    assert Level.STORES == report.level
    assert "no check that makes a clone ran and passed" == report.problem


def test_a_harness_has_to_give_offered_locations() -> None:
    """A service that offers locations has to prove what it does."""
    harness = attrs.evolve(image_harness(MemoryCloud()), locations=None)
    report = run(IMAGES, harness)
    assert {
        "cannot test what the adapter declares: the harness lacks locations"
    } == set(report.details(Status.FAIL).values())


def test_a_rejecting_service_fails_where_it_should_register() -> None:
    """Only checks that make clones fail."""
    cloud = MemoryCloud(registration=Registration.REJECTED)
    report = run(IMAGES, image_harness(cloud))
    registering = {check.id for check in IMAGES.checks if check.clones}
    assert {"never-shows-a-withdrawn-location"} == registering - {
        *report.details(Status.FAIL)
    }
    assert set() == set(report.details(Status.FAIL)) - registering


def test_the_volumes_in_memory_are_certified() -> None:
    """No check is skipped."""
    report = run(VOLUMES, volume_harness(MemoryCloud()))
    assert {} == report.details(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.level)
    assert {} == report.details(Status.SKIP)


# -- the local cloud --------------------------------------------------------


@pytest.fixture
def local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCloud]:
    """Make a local cloud whose GiB is small, so that tests are fast."""
    monkeypatch.setattr(_sizes, "GiB", 4 * MIB)
    with LocalCloud.init(tmp_path / "cloud") as cloud:
        yield cloud


def local_images(cloud: LocalCloud, folder: Path) -> ImageHarness:
    """Make the harness of a local cloud's image service."""
    store, source = cloud._store, folder / "source"
    images = cloud.ports(OWNER, cloud.pools[0].name).images

    def active(data: bytes, project_id: str = OWNER) -> str:
        source.write_bytes(data)
        made = cloud.add_image(source, name="image", project_id=project_id)
        return made.id

    def queued() -> str:
        image = Image(
            id=str(uuid.uuid4()),
            status="queued",
            owner=OWNER,
            disk_format="raw",
            container_format="bare",
        )
        with store.catalogue.transaction("queueing") as db:
            insert_image(store, db, image, "queued")
        return image.id

    def add_volume() -> CinderLocation:
        made = cloud.create_volume(
            active(os.urandom(5000)), name="v", project_id=OWNER, size=1
        )
        assert made.volume is not None
        return CinderLocation(made.volume.volume.id)

    def path(location: CinderLocation) -> Path:
        return cloud.find_volume(location.volume_id, None).path

    def locations(image_id: str) -> tuple[Location, ...]:
        found = cloud.find_image(image_id, None).locations
        return tuple(map(parse_location, found))

    def add_image() -> str:
        image_id = queued()
        first, second = add_volume(), add_volume()
        images.add_location(image_id, first)
        with store.catalogue.transaction("adding a second location") as db:
            db.execute(
                "INSERT INTO location VALUES (?, ?, ?)",
                (image_id, second.volume_id, str(second)),
            )
        return image_id

    return ImageHarness(
        images=images,
        queued=queued,
        active=active,
        unseen=lambda: active(b"another's", "other"),
        statuses=lambda: {
            row.image.id: row.image.status for row in cloud.list_images()
        },
        data_of=lambda image_id: store.image_path(image_id).read_bytes(),
        corrupt=lambda image_id: store.image_path(image_id).write_bytes(
            b"other one"
        ),
        locations=LocationHarness(
            add_volume=add_volume,
            has_volume=lambda location: path(location).exists(),
            locations_of=locations,
            add_image=add_image,
            data_of=lambda location: [path(location).read_bytes()],
        ),
    )


def local_volumes(cloud: LocalCloud) -> VolumeHarness:
    """Make the harness of a local cloud's volume service."""
    store, (pool,) = cloud._store, cloud.pools
    volumes = LocalVolumes(store)

    def fill(volume_id: str) -> None:
        row = store.catalogue.volume_row(volume_id)
        path = store.volume_path(row)
        path.touch()
        os.truncate(path, row["size"] * 4 * MIB)

    def new_volume(size: int, status: str, previous: str | None) -> Volume:
        volume = Volume(
            id=volumes.new_id(),
            project_id=OWNER,
            size=size,
            status=status,
            host=host(pool.name),
            created_at=datetime.datetime.now(datetime.UTC),
        )
        with store.catalogue.transaction("making a volume") as db:
            insert_volume(store, db, volume, "v")
            db.execute(
                "UPDATE volume SET status = ?, previous_status = ? "
                "WHERE id = ?",
                (status, previous, volume.id),
            )
        if status in _store.WHOLE:
            fill(volume.id)
        return volume

    return VolumeHarness(
        volumes=volumes,
        new_volume=new_volume,
        statuses=lambda: {
            row.volume.id: row.volume.status for row in cloud.list_volumes()
        },
        is_readonly=lambda volume_id: bool(
            store.catalogue.volume_row(volume_id)["readonly"]
        ),
        array_id=pool.backend.array_id,
        fill=fill,
        set_quota=cloud.set_quota,
    )


def test_the_local_images_are_certified(
    local: LocalCloud, tmp_path: Path
) -> None:
    """No check is skipped."""
    report = run(IMAGES, local_images(local, tmp_path))
    assert {} == report.details(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {} == report.details(Status.SKIP)


def test_the_local_volumes_are_certified(local: LocalCloud) -> None:
    """Only the check of the image-volume cache is skipped: there is none."""
    report = run(VOLUMES, local_volumes(local))
    assert {} == report.details(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {"returns-the-cache-entries-of-one-image"} == report.details(
        Status.SKIP
    ).keys()


# -- the kit itself ---------------------------------------------------------


@pytest.mark.parametrize("broken", BROKEN_SERVICES, ids=lambda b: b.name)
def test_each_broken_service_is_caught(broken: BrokenAdapter) -> None:
    """Every check that it names fails."""
    caught = {
        check.id: run_check(check, broken.make()).status
        for check in broken.suite.checks
        if check.id in broken.caught_by
    }
    assert dict.fromkeys(broken.caught_by, Status.FAIL) == caught


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_catches_a_broken_service(check: Check[Any]) -> None:
    """A check that no service fails proves nothing."""
    assert [b.name for b in BROKEN_SERVICES if check.id in b.caught_by]


def test_checks_and_broken_services_are_documented() -> None:
    """Ids and names are distinct; promises and defects are sentences."""
    ids = [check.id for check in CHECKS]
    names = [broken.name for broken in BROKEN_SERVICES]
    assert len(ids) == len(set(ids))
    assert len(names) == len(set(names))
    promises = [check.promise for check in CHECKS]
    for text in (*promises, *(b.defect for b in BROKEN_SERVICES)):
        assert text.endswith(".")
        assert "\n" not in text
