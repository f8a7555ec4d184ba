"""The drop-in asks other services no more than it needs to decide."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import context
from cinder.volume.manager import VolumeManager
from cinder_cloud import CinderCloud, Start
from fake_image_service import TENANT, FakeImages
from glance_clients import privileged, queue
from tracing import Trace, note, traced, watch

from clonepolicy import (
    CinderLocation,
    Host,
    UnavailableError,
    Volume,
    parse_location,
)
from clonepolicy.adapters.cinder import CinderImages, CinderVolumes
from clonepolicy.adapters.cinder._drop_in import create
from clonepolicy.adapters.cinder._drop_in.entry_points import _get_location
from clonepolicy.adapters.cinder._images import ReadLocations
from clonepolicy.adapters.glance import Patience

if TYPE_CHECKING:
    from glance_server import Glance
    from volume_api_server import VolumeApi

start, database = cinder_cloud.start, cinder_cloud.database


@pytest.fixture
def trace(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Trace]]:
    """Return a function that traces work with either manager.

    The first work of a manager is not traced: it fills what is kept.
    """
    watch()
    called = FakeImages._called

    def noted(images: FakeImages, name: str) -> None:
        note("glance", name)
        called(images, name)

    monkeypatch.setattr(FakeImages, "_called", noted)
    get_location = FakeImages.get_location

    def timed(images: FakeImages, *args: Any) -> Any:
        # as the drop-in wraps the method of Cinder's own image service
        return _get_location(get_location, images, *args)

    monkeypatch.setattr(FakeImages, "get_location", timed)

    def run(work: Callable[..., tuple[str, Callable[[], object]]]) -> Any:
        found: list[Trace] = []
        for options in ({"kind": VolumeManager}, {}):
            cloud = start(**options)
            add_location_as_cinder(cloud, monkeypatch)
            done: list[Trace] = []
            for _ in range(2):
                subject, act = work(cloud)
                cloud.driver.calls.clear()
                with traced("work", subject, done.append):
                    act()
            for call in cloud.driver.calls:
                done[-1].note("array", " ".join(call[:1]))
            found.append(done[-1])
        return found

    return run


def add_location_as_cinder(
    cloud: CinderCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the fake take the arguments of either manager."""
    images, add = cloud.images, cloud.images.add_location

    def added(*args: Any) -> str:
        if len(args) == 4:
            _, image_id, url, _ = args
            location = parse_location(url)
            assert isinstance(location, CinderLocation)
            add(image_id, location)
            return str(image_id)
        add(*args)
        return ""

    monkeypatch.setitem(vars(images), "add_location", added)


def more(stock: Trace, drop_in: Trace) -> Counter[str]:
    """Return how many requests more the drop-in sends, by kind."""
    found = drop_in.count()
    found.subtract(stock.count())
    return found


def shown(stock: Trace, drop_in: Trace) -> str:
    """List what each of the two asked."""
    return f"stock:\n{stock.listed()}\ndrop-in:\n{drop_in.listed()}"


def test_a_create_by_clone(trace: Callable[..., list[Trace]]) -> None:
    """Frozen, the cache, and the note's two statements."""

    def create(cloud: CinderCloud) -> tuple[str, Callable[[], object]]:
        image = cloud.images.add()
        cloud.add_image_volume(image)
        volume = cloud.add_volume(status="creating")
        return volume.id, lambda: cloud.run_create(volume.id, image)

    stock, drop_in = trace(create)
    found = more(stock, drop_in)
    assert found["database"] <= 4, shown(stock, drop_in)
    assert found["transactions"] <= 2, shown(stock, drop_in)
    for kind in ("glance", "array", "scheduler", "keystone"):
        assert found[kind] <= 0, shown(stock, drop_in)


def test_a_registration(trace: Callable[..., list[Trace]]) -> None:
    """The decision's facts, the four notes, and what Glance made of it."""

    def upload(cloud: CinderCloud) -> tuple[str, Callable[[], object]]:
        source = cloud.add_volume()
        image = cloud.ask_upload(source)
        return source.id, lambda: cloud.run_upload(source.id, image)

    stock, drop_in = trace(upload)
    found = more(stock, drop_in)
    assert found["database"] <= 11, shown(stock, drop_in)
    assert found["transactions"] <= 3, shown(stock, drop_in)
    assert found["glance"] <= 3, shown(stock, drop_in)
    for kind in ("array", "scheduler", "keystone"):
        assert found[kind] == 0, shown(stock, drop_in)


# -- what is read again -------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "shows"), [(0.0, 0), (4.9, 0), (5.0, 1), (60.0, 1)]
)
def test_an_image_is_read_again_if_cinder_read_it_long_ago(
    start: Start, age: float, shows: int
) -> None:
    """Then for each five seconds once."""
    cloud, now = start(), 100.0
    image = cloud.images.add()
    read = []
    images = CinderImages(
        context=cloud.context,
        image_service=cloud.images,
        settings=cloud.manager.backend.settings,
        image_location=ReadLocations.of((None, []), now - age),
        image_meta=cloud.images.show(None, image),
        fresh=5.0,
        now=lambda: now,
    )

    def show(_context: object, image_id: str) -> dict[str, Any]:
        read.append(image_id)
        return cloud.images.metas[image_id]

    vars(cloud.images)["show"] = show
    for _ in range(2):
        assert images.get_image(image).id == image
    assert read == [image] * shows


@pytest.mark.parametrize("image_location", [None, (None, [])])
def test_an_image_of_unknown_age_is_read_again(
    start: Start, image_location: Any
) -> None:
    """A driver's mixin does not know when Cinder read it."""
    cloud = start()
    image = cloud.images.add()
    images = CinderImages(
        context=cloud.context,
        image_service=cloud.images,
        settings=cloud.manager.backend.settings,
        image_location=image_location,
        image_meta=cloud.images.show(None, image),
        fresh=5.0,
    )
    cloud.images.metas[image]["status"] = "deactivated"
    assert images.get_image(image).status == "deactivated"


def test_an_image_that_was_deactivated_meanwhile_is_not_cloned(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second source is tried after the first has failed for a while."""
    monkeypatch.setattr(create, "_FRESH", 1e-9)
    cloud = start()
    image = cloud.images.add()
    for _ in range(2):
        cloud.add_image_volume(image)

    def deactivate() -> None:
        cloud.images.metas[image]["status"] = "deactivated"

    cloud.driver.failing["create_cloned_volume"] = [RuntimeError()]
    cloud.driver.before["create_cloned_volume"] = deactivate
    cloud.create(image)
    assert cloud.driver.names().count("create_cloned_volume") == 1


def test_the_array_of_a_cluster_is_that_of_each_of_its_services() -> None:
    """Nobody has to be asked for it."""
    volume = Volume(
        id=str(uuid.uuid4()),
        project_id=TENANT,
        size=1,
        status="available",
        host=Host("far", "ceph", "pool"),
        cluster_name=Host("cluster", "ceph", "pool"),
    )
    volumes = CinderVolumes(
        context=context.get_admin_context(),
        array_ids={"here@ceph": "SN-1", "cluster@ceph": "SN-1"},
        find_array=lambda _: "another",
    )
    assert volumes.get_backend(volume).array_id == "SN-1"
    alone = attrs.evolve(volume, cluster_name=None)
    assert volumes.get_backend(alone).array_id == "another"


# -- Glance -------------------------------------------------------------------


@pytest.fixture
def asked() -> Callable[[Callable[[], object]], list[str]]:
    """Return a function that lists the requests to Glance of an action."""
    watch()

    def run(act: Callable[[], object]) -> list[str]:
        found: list[Trace] = []
        with traced("asking", "", found.append):
            act()
        return [what for _, what, _ in found[0].asked]

    return run


def test_a_registration_is_one_request_and_a_look_two(
    glance: Glance, cinder: VolumeApi, asked: Callable[..., list[str]]
) -> None:
    """Glance is asked for its version once, whoever asks."""
    location = CinderLocation(cinder.add_volume())
    image_id, images = queue(glance), privileged(glance)
    images.get_config()
    another = attrs.evolve(privileged(glance), endpoints=images.endpoints)
    once = attrs.evolve(another, patience=Patience(total=0.001))

    def look() -> None:
        with pytest.raises(UnavailableError, match="not done after"):
            once.verify_location(image_id, location)

    image = f"GET /v2/images/{image_id}"
    with cinder.closed():
        assert asked(lambda: another.add_location(image_id, location)) == [
            f"POST /v2/images/{image_id}/locations"
        ]
        assert cinder.asked.wait(20)
        assert asked(look) == [image, f"{image}/tasks"]
    privileged(glance).verify_location(image_id, location)
    assert asked(lambda: once.verify_location(image_id, location)) == [
        image,
        f"{image}/locations",
    ]


def test_the_pauses_between_two_looks_are_short_and_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last one, in which a task ends, adds about a tenth to the wait."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    looks = iter([False] * 60 + [True])
    Patience().wait_until("waiting", lambda: next(looks))
    assert pauses[0] <= 0.05
    assert pauses == sorted(pauses)
    assert max(pauses) <= Patience().longest
    for at, pause in enumerate(pauses[8:], 8):
        assert pause <= 0.2 * sum(pauses[:at])
