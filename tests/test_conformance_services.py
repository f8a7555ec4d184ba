"""Services that keep their promises are certified; each liar is caught."""

from __future__ import annotations

import datetime
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

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
    IMAGES,
    VOLUMES,
    ImageBench,
    Level,
    LocationBench,
    Status,
    VolumeBench,
    check,
    run,
)
from clonepolicy.testing.conformance._saboteur import Saboteur
from clonepolicy.testing.conformance._service_saboteurs import (
    SERVICE_SABOTEURS,
    image_bench,
    volume_bench,
)

TABLES = (IMAGES, VOLUMES)
ROWS = [row.id for table in TABLES for row in table.rows]
OWNER = "p"
MIB = 1 << 20


# -- the cloud in memory ----------------------------------------------------


def memory_images(cloud: MemoryCloud) -> ImageBench:
    """Make the bench of a cloud in memory, with what is known to be wrong."""
    return image_bench(cloud)


@pytest.mark.parametrize(
    "registration", [Registration.AT_ONCE, Registration.LATE]
)
@pytest.mark.parametrize("can_withdraw", [True, False])
def test_the_images_in_memory_are_certified(
    registration: Registration, *, can_withdraw: bool
) -> None:
    """Whenever locations are judged, and whether they can be withdrawn."""
    cloud = MemoryCloud(registration=registration, can_withdraw=can_withdraw)
    report = run(IMAGES, memory_images(cloud))
    assert {} == report.told(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {} == report.told(Status.SKIP)


def test_images_without_locations_have_no_certificate() -> None:
    """They store what they are given, and nobody could clone it."""
    cloud = MemoryCloud(glance=GlanceConfig())
    report = run(IMAGES, memory_images(cloud))
    assert {} == report.told(Status.FAIL)
    assert Level.STORES == report.level
    assert "no row with a clone was executed and passed" == report.problem


def test_offered_locations_have_to_be_shown() -> None:
    """Who offers them and gives no means to look at them fails."""
    bench = attrs.evolve(memory_images(MemoryCloud()), locations=None)
    report = run(IMAGES, bench)
    assert {"locations are offered; give the bench locations"} == set(
        report.told(Status.FAIL).values()
    )


def test_a_rejecting_service_fails_where_it_should_register() -> None:
    """And only there."""
    cloud = MemoryCloud(registration=Registration.REJECTED)
    report = run(IMAGES, memory_images(cloud))
    registering = {row.id for row in IMAGES.rows if row.clones}
    assert {"shows-nothing-after-it-was-withdrawn"} == registering - {
        *report.told(Status.FAIL)
    }
    assert set() == set(report.told(Status.FAIL)) - registering


def test_the_volumes_in_memory_are_certified() -> None:
    """No row is left out."""
    report = run(VOLUMES, volume_bench(MemoryCloud()))
    assert {} == report.told(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.level)
    assert {} == report.told(Status.SKIP)


# -- the local cloud --------------------------------------------------------


@pytest.fixture
def local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCloud]:
    """Make a local cloud whose GiB is small, so that volumes are compared."""
    monkeypatch.setattr(_sizes, "GiB", 4 * MIB)
    with LocalCloud.init(tmp_path / "cloud") as cloud:
        yield cloud


def local_images(cloud: LocalCloud, folder: Path) -> ImageBench:
    """Make the bench of a local cloud's image service."""
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

    return ImageBench(
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
        locations=LocationBench(
            add_volume=add_volume,
            has_volume=lambda location: path(location).exists(),
            of=locations,
            add_image=add_image,
            data_of=lambda location: [path(location).read_bytes()],
        ),
    )


def local_volumes(cloud: LocalCloud) -> VolumeBench:
    """Make the bench of a local cloud's volume service."""
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

    return VolumeBench(
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
    """With their files, their volumes and their catalogue."""
    report = run(IMAGES, local_images(local, tmp_path))
    assert {} == report.told(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {} == report.told(Status.SKIP)


def test_the_local_volumes_are_certified(local: LocalCloud) -> None:
    """There is no image-volume cache, which is all that is left out."""
    report = run(VOLUMES, local_volumes(local))
    assert {} == report.told(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {"tells-the-entries-of-one-image"} == report.told(
        Status.SKIP
    ).keys()


# -- the kit itself ---------------------------------------------------------


@pytest.mark.parametrize("saboteur", SERVICE_SABOTEURS, ids=lambda s: s.name)
def test_each_saboteur_is_caught(saboteur: Saboteur) -> None:
    """By every row that it names."""
    caught = {
        row.id: check(row, saboteur.make()).status
        for row in saboteur.table.rows
        if row.id in saboteur.caught_by
    }
    assert dict.fromkeys(saboteur.caught_by, Status.FAIL) == caught


@pytest.mark.parametrize("row", ROWS)
def test_each_row_catches_somebody(row: str) -> None:
    """A row that nobody fails would prove nothing."""
    assert [s.name for s in SERVICE_SABOTEURS if row in s.caught_by]


def test_rows_and_saboteurs_say_what_they_are_about() -> None:
    """Ids and names are distinct; promises and sins are whole sentences."""
    names = [saboteur.name for saboteur in SERVICE_SABOTEURS]
    assert len(ROWS) == len(set(ROWS))
    assert len(names) == len(set(names))
    promises = [row.promise for table in TABLES for row in table.rows]
    for text in (*promises, *(s.sin for s in SERVICE_SABOTEURS)):
        assert text.endswith(".")
        assert "\n" not in text
