"""A cinder-volume is killed, and nothing of its work is left afterwards."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import attrs
import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
import killing
from cinder import service
from cinder.volume.manager import VolumeManager
from cinder_cloud import CinderCloud, Start, empty_database
from fake_image_service import FakeImages
from killing import killed, leftovers, notes, restart

from clonepolicy import CinderLocation, parse_location
from clonepolicy.adapters.cinder._drop_in.note import Note

start, database = cinder_cloud.start, cinder_cloud.database

COPY = {"backend_defaults.image_upload_use_cinder_backend": False}
"""Options with which uploads copy the data."""


@pytest.fixture(autouse=True)
def service_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the service an id, as Cinder does before it starts."""
    monkeypatch.setattr(service.Service, "service_id", killing.SERVICE)


@attrs.frozen
class Killed:
    """A cloud in which a service was killed, and what that was doing."""

    cloud: CinderCloud
    volume: str
    image: str


@attrs.frozen
class Lab:
    """Kills a service at a point while it works."""

    start: Start
    folder: Path
    options: dict[str, Any] = attrs.field(factory=dict)

    def run(self) -> CinderCloud:
        """Start a volume manager."""
        return self.start(**self.options)

    def upload(self, at: int | str) -> Killed | None:
        """Kill an upload at a point; None: there is no such point."""
        cloud = self.run()
        source = cloud.add_volume()
        image = cloud.ask_upload(source)

        def work(there: CinderCloud) -> None:
            there.run_upload(source.id, image)

        if killed(cloud, self.run, work, at, self.folder):
            return Killed(cloud, source.id, image)
        return None

    def create(self, at: int | str) -> Killed | None:
        """Kill a create by clone at a point; None: there is no such point."""
        cloud = self.run()
        image = cloud.images.add()
        cloud.add_image_volume(image)
        volume = cloud.add_volume(status="creating")

        def work(there: CinderCloud) -> None:
            there.run_create(volume.id, image)

        if killed(cloud, self.run, work, at, self.folder):
            return Killed(cloud, volume.id, image)
        return None

    def restart(self, left: Killed) -> CinderCloud:
        """Start the service again."""
        return restart(left.cloud, self.run)

    def restart_killed(self, left: Killed, at: int | str) -> bool:
        """Kill the service while it starts; return if it was."""
        return killed(
            left.cloud, self.run, killing.initialize, at, self.folder
        )


@pytest.fixture
def lab(start: Start, tmp_path: Path) -> Lab:
    """Return a lab with the drop-in."""
    return Lab(start, tmp_path)


def uploaded(lab: Lab, at: int | str) -> Killed:
    """Kill an upload at a point that there is."""
    left = lab.upload(at)
    assert left is not None
    return left


# -- a kill at every step -----------------------------------------------------


def check_upload(cloud: CinderCloud, left: Killed) -> None:
    """Nothing is left, the volume is whole, the image absent or whole."""
    assert leftovers(cloud, left.image) == []
    assert cloud.read(left.volume).status == "available"
    assert cloud.driver.held[left.volume] == ("volume data", 1)
    if left.image in cloud.images.metas:
        for url in cloud.images.locations[left.image]:
            found = cloud.read(url.removeprefix("cinder://"))
            assert found.metadata["glance_image_id"] == left.image
            assert cloud.driver.held[found.id] == ("volume data", 1)


@pytest.mark.parametrize(
    "at", ["create_cloned_volume", "add_location", "verify_location"]
)
def test_a_kill_while_registering_leaves_nothing(lab: Lab, at: str) -> None:
    """The image volume, its quota, the image: all or nothing of it."""
    left = uploaded(lab, at)
    cloud = lab.restart(left)
    check_upload(cloud, left)
    active = left.image in cloud.images.metas
    assert active is (at != "create_cloned_volume")


def test_a_kill_while_data_is_uploaded_leaves_nothing(
    start: Start, tmp_path: Path
) -> None:
    """The volume gets its status back, the image without data is deleted."""
    lab = Lab(start, tmp_path, {"options": COPY})
    left = uploaded(lab, "update")
    assert left.cloud.read(left.volume).status == "uploading"
    cloud = lab.restart(left)
    check_upload(cloud, left)
    assert left.image not in cloud.images.metas


@pytest.mark.parametrize("at", [6, 7])
def test_a_killed_create_leaves_a_volume_in_error_without_data(
    lab: Lab, at: int
) -> None:
    """The source stays as it is, also after the array has cloned."""
    left = lab.create(at)
    assert left is not None
    assert left.volume in left.cloud.driver.held
    # the array may hold a snapshot of what is cloned
    (noted,) = map(Note.read, notes())
    assert noted is not None
    assert left.cloud.driver.held.keys() == {noted.source, left.volume}
    cloud = lab.restart(left)
    assert leftovers(cloud, left.image) == []
    assert cloud.read(left.volume).status == "error"
    assert list(cloud.driver.held.values()) == [("volume data", 1)]


@pytest.mark.deep
@pytest.mark.parametrize(
    ("options", "points"), [({}, 18), (COPY, 5)], ids=["register", "copy"]
)
def test_a_kill_at_any_point_of_an_upload_leaves_nothing(
    start: Start, tmp_path: Path, options: dict[str, Any], points: int
) -> None:
    """Point 0 is before the first note: only cinder-api has done anything."""
    lab = Lab(start, tmp_path, {"options": options})
    for at in itertools.count(1):
        left = lab.upload(at)
        if left is None:
            assert at > points, "points are missing"
            return
        check_upload(lab.restart(left), left)
        empty_database()


@pytest.mark.deep
def test_a_kill_at_any_point_of_a_create_leaves_nothing(lab: Lab) -> None:
    """Point 0 is before the first note of Cinder's own."""
    for at in itertools.count(1):
        left = lab.create(at)
        if left is None:
            assert at > 12, "points are missing"
            return
        cloud = lab.restart(left)
        assert leftovers(cloud, left.image) == []
        status = cloud.read(left.volume).status
        held = left.volume in cloud.driver.held
        assert (status, held) in {("available", True), ("error", False)}
        empty_database()


@pytest.mark.deep
@pytest.mark.parametrize(
    "first", ["create_cloned_volume", 12, "add_location", "verify_location"]
)
def test_a_kill_at_any_point_of_a_recovery_leaves_nothing(
    lab: Lab, first: int | str
) -> None:
    """The start after the next one ends the work."""
    for at in itertools.count():
        left = uploaded(lab, first)
        if not lab.restart_killed(left, at):
            assert at > 4, "points are missing"
            return
        check_upload(lab.restart(left), left)
        empty_database()


# -- what Cinder itself leaves ------------------------------------------------


@pytest.fixture
def stock(start: Start, tmp_path: Path) -> Lab:
    """Return a lab with Cinder's own manager."""

    def started(**options: Any) -> CinderCloud:
        cloud = start(kind=VolumeManager, **options)
        images = cloud.images

        def add_location(
            _context: object, image_id: str, url: str, _metadata: object
        ) -> str:
            location = parse_location(url)
            assert isinstance(location, CinderLocation)
            FakeImages.add_location(images, image_id, location)
            return image_id

        vars(images)["add_location"] = add_location
        return cloud

    return Lab(started, tmp_path)


UPLOADING, QUEUED = "tenant's volume uploading", "image queued"


@pytest.mark.parametrize(
    ("at", "options", "left_over"),
    [
        (
            3,
            {},
            [
                "reservation volumes",
                "reservation gigabytes",
                "reservation volumes___DEFAULT__",
                "reservation gigabytes___DEFAULT__",
                QUEUED,
                "internal's volume creating",
                "image volume",
                UPLOADING,
                "quota 0 + 1",
            ],
        ),
        ("create_cloned_volume", {}, [QUEUED, "image volume", UPLOADING]),
        ("add_location", {}, [QUEUED, "image volume", UPLOADING]),
        (14, {}, [UPLOADING]),
        ("update", COPY, [QUEUED, UPLOADING]),
    ],
    ids=["quota", "clone", "location", "end", "copy"],
)
def test_cinders_own_manager_leaves_what_the_page_says(
    stock: Lab, at: int | str, options: dict[str, bool], left_over: list[str]
) -> None:
    """The page is docs/explanation/kills.md."""
    lab = attrs.evolve(stock, options={"options": options})
    left = uploaded(lab, at)
    found = leftovers(lab.restart(left), left.image)
    assert sorted(found) == sorted(left_over)
