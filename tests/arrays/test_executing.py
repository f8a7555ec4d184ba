"""Plans are carried out on real arrays, fail there, and are killed there."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_here
import executing
import harness_rbd
from ceph import Cluster
from executing import Action, AtCall, Death, Inside, Late, Process
from harness_qcow2 import make_harness as qcow2_harness
from harness_reflink import make_harness as reflink_harness
from saved_cloud import SavedCloud, faults

import local_support
from clonepolicy import (
    AdapterError,
    ArrayBackend,
    Backend,
    CinderLocation,
    Clone,
    CloneVolume,
    CreateDecision,
    Download,
    FileLocation,
    Observer,
    Outcome,
    RbdLocation,
    Reason,
    Register,
    Step,
    UnavailableError,
    UploadDecision,
    execute,
    recover,
)
from clonepolicy.adapters.memory import Registration
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.testing.conformance import ArrayHarness
from clonepolicy.testing.faults import Fault, Faulty

xfs, btrfs, ceph = local_support.xfs, local_support.btrfs, ceph_here.ceph

_POINTS = 200 if os.environ.get("CLONEPOLICY_PROFILE") == "deep" else 8
"""At how many points of an array's own work it is killed."""


# -- arrays -----------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Stage:
    """An array, what looks behind it, and a cloud around it."""

    bench: ArrayHarness
    enter: executing.Enter
    """Opens array and cloud, in any process."""
    cloud: SavedCloud
    said: Path
    pace: float
    """Seconds that it takes for something to come about."""
    linger: float
    """Seconds for which what the killed had open stays so."""

    @property
    def array(self) -> ArrayBackend:
        """The array."""
        return self.cloud.array

    def execute(
        self,
        decision: CreateDecision | UploadDecision,
        observer: Observer | None = None,
    ) -> Outcome:
        """Carry a decision out."""
        cloud = self.cloud
        return execute(
            decision.plan,
            cloud.ports,
            journal=cloud.journal,
            observer=observer,
        )

    def add_source(self) -> CinderLocation:
        """Add the volume of an image."""
        source = self.cloud.add_volume(for_image=True)
        self.clone_once(source.id)
        return CinderLocation(source.id)

    def clone_once(self, volume_id: str) -> None:
        """Have the array do for a source what it does but once."""
        with self.cloud.records() as records:
            source = records.volume(volume_id)
            clone_id = records.new_id()
        self.array.clone_volume(clone_id, source)
        self.array.discard(clone_id)

    def add_stored(self) -> RbdLocation | FileLocation:
        """Put the source's data where the array's own images lie."""
        if not self.array.get_backend().image_schemes:
            pytest.skip("the array clones no images of its own")
        assert self.bench.add_image is not None
        pieces = iter([self.cloud.source.read_bytes()])
        location = self.bench.add_image(pieces)
        assert isinstance(location, (RbdLocation, FileLocation))
        pool = (
            location.pool
            if isinstance(location, RbdLocation)
            else str(Path(location.path).parent)
        )
        with self.cloud.records() as records:
            records.config = attrs.evolve(
                records.config, trusted_image_pools=frozenset({pool})
            )
        return location

    def forget(self, volume_id: str) -> None:
        """Delete a source, its record, and the location that names it."""
        self.array.discard(volume_id)
        with self.cloud.records() as records:
            records.volumes.pop(volume_id, None)
            for image in records.images.values():
                image.locations = tuple(
                    location
                    for location in image.locations
                    if location != CinderLocation(volume_id)
                )

    @contextlib.contextmanager
    def tidy(self) -> Iterator[None]:
        """See that what was made meanwhile is whole, and all there is."""
        with self.cloud.records() as records:
            before = set(records.volumes)
        held = len(self.bench.holds())
        yield
        assert [] == faults(self.cloud, self.bench)
        with self.cloud.records() as records:
            made = [v for v in reversed(records.volumes) if v not in before]
        for volume_id in made:
            self.forget(volume_id)
        assert held == len(self.bench.holds())

    def start(self, action: Action, death: Death | None) -> Process:
        """Let another process do something."""
        return Process.start(self.enter, action, death, self.said)

    def dies(self, action: Action, death: Death) -> bool:
        """Let another process do something; say whether it died of it."""
        return self.start(action, death).died()

    def count_kills(
        self, actions: Iterator[Action], deaths: Iterator[Death]
    ) -> int:
        """Let processes die, two at once, until one comes to its end."""
        kills = 0
        while pair := tuple(itertools.islice(deaths, 2)):
            started = [self.start(next(actions), death) for death in pair]
            died = [process.died() for process in started]
            kills += sum(died)
            if not all(died):
                break
        return kills

    def finished(self) -> bool:
        """Say whether there is nothing to recover."""
        with self.cloud.records() as records:
            return not records.journal.entries


Opener = Callable[[], ArrayBackend]


def _reflink(place: Path) -> tuple[ArrayHarness, Opener]:
    bench = reflink_harness(place)
    images = [place / "images"]
    return bench, partial(ReflinkArray, place / "volumes", images=images)


def _qcow2(place: Path) -> tuple[ArrayHarness, Opener]:
    for program in ("qemu-img", "qemu-io"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}; install qemu-utils")
    bench = qcow2_harness(place, place / "other")
    images = [place / "images"]
    return bench, partial(Qcow2Array, place / "volumes", images=images)


_BROKEN: list[object] = []


@contextlib.contextmanager
def _kept(
    breaking: Callable[[], AbstractContextManager[object]],
) -> Iterator[None]:
    """Keep a class of images that fail: the process crashes if it goes."""
    with breaking():
        _BROKEN.append(importlib.import_module("rbd").Image)
        yield


@pytest.fixture(scope="module")
def rbd(ceph: Cluster) -> Iterator[tuple[ArrayHarness, Opener]]:
    """Give an array in Ceph, which every test leaves as empty as it was."""
    known = set(ceph.connection.list_pools())
    bench = harness_rbd.make_harness(ceph)
    assert bench.breaking is not None
    bench = attrs.evolve(bench, breaking=partial(_kept, bench.breaking))
    images, volumes = sorted(set(ceph.connection.list_pools()) - known)
    opener = partial(
        harness_rbd.open_array,
        rbd_pool=volumes,
        rbd_ceph_conf=ceph.conf,
        image_pools=frozenset({images}),
        # what the killed have open comes to be free while others recover
        rados_connection_retries=0,
    )
    yield bench, opener
    bench.close()


@pytest.fixture(params=["xfs", "btrfs", "plain", "qcow2", "rbd"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give each array, empty, and see that it is so again in the end."""
    place, pace, linger = tmp_path / "array", 0.5, 0
    match request.param:
        case "rbd":
            bench, opener = request.getfixturevalue("rbd")
            pace, linger = 1.5, 6
        case "qcow2":
            bench, opener = _qcow2(place)
        case kind:
            if kind != "plain":
                mount: Path = request.getfixturevalue(kind)
                place = mount / tmp_path.name
            bench, opener = _reflink(place)
    try:
        held = frozenset(bench.holds())
        stage = Stage(
            bench=bench,
            enter=partial(SavedCloud, tmp_path / "cloud", opener),
            cloud=SavedCloud(tmp_path / "cloud", lambda: bench.array),
            said=tmp_path / "said",
            pace=pace,
            linger=linger,
        )
        yield stage
        with stage.cloud.records() as records:
            made = tuple(reversed(records.volumes))
        for volume_id in made:
            stage.array.discard(volume_id)
        assert held == frozenset(bench.holds())
    finally:
        shutil.rmtree(place, ignore_errors=True)


# -- what is carried out ----------------------------------------------------


def errors(outcome: Outcome) -> list[str]:
    """Name the errors of an outcome."""
    return [type(failure.error).__name__ for failure in outcome.failures]


def sources(decision: CreateDecision) -> list[str]:
    """Name the volumes that are to be cloned, in order."""
    return [
        step.source.id
        for step in decision.plan
        if isinstance(step, CloneVolume)
    ]


@attrs.define
class Breaking(Observer):
    """Lets the array fail in its next so many clones."""

    bench: ArrayHarness
    times: int
    stack: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    @override
    def step_started(self, step: Step) -> None:
        if isinstance(step, CloneVolume) and self.times:
            assert self.bench.breaking is not None
            self.stack.enter_context(self.bench.breaking())
            self.times -= 1

    @override
    def step_failed(self, step: Step, error: AdapterError) -> None:
        self.stack.close()


@pytest.mark.parametrize("size", [1, 2])
def test_a_volume_is_made_by_clone(stage: Stage, size: int) -> None:
    """The source is cloned, and the clone grown where it is asked for."""
    image_id = stage.cloud.add_image(stage.add_source())
    with stage.tidy():
        decision = stage.cloud.decide_create(image_id, size)
        assert isinstance(decision, Clone)
        outcome = stage.execute(decision)
        assert [] == errors(outcome)
        assert outcome.settled


@pytest.mark.parametrize("size", [1, 2])
def test_a_volume_is_made_of_a_stored_image(stage: Stage, size: int) -> None:
    """An image that lies on the array is cloned there."""
    location = stage.add_stored()
    image_id = stage.cloud.add_image(location)
    with stage.tidy():
        decision = stage.cloud.decide_create(image_id, size)
        assert isinstance(decision, Clone)
        outcome = stage.execute(decision)
        assert [] == errors(outcome)
        assert f"clone {location}" == outcome.attempt
    assert stage.bench.remove_image is not None
    stage.bench.remove_image(location)


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_the_next_candidate_is_cloned_where_one_fails(
    stage: Stage, broken: int
) -> None:
    """The array fails as often, then the next is taken, or the bytes."""
    image_id = stage.cloud.add_image(stage.add_source(), stage.add_source())
    with stage.tidy():
        decision = stage.cloud.decide_create(image_id, 2)
        outcome = stage.execute(decision, Breaking(stage.bench, broken))
        assert decision.plan.attempts[broken].name == outcome.attempt
        assert broken == len(outcome.failures)
        assert outcome.settled


@pytest.mark.parametrize("gone", [1, 2])
def test_the_next_candidate_is_cloned_where_one_is_gone(
    stage: Stage, gone: int
) -> None:
    """A source whose data is lost is passed over."""
    image_id = stage.cloud.add_image(stage.add_source(), stage.add_source())
    decision = stage.cloud.decide_create(image_id, 2)
    for volume_id in sources(decision)[:gone]:
        stage.array.discard(volume_id)
    outcome = stage.execute(decision)
    assert decision.plan.attempts[gone].name == outcome.attempt
    assert ["NotFoundError"] * gone == errors(outcome)
    for volume_id in sources(decision)[:gone]:
        stage.forget(volume_id)
    assert [] == faults(stage.cloud, stage.bench)


def _delete_record(stage: Stage, volume_id: str) -> None:
    with stage.cloud.records() as records:
        records.delete_volume(volume_id)


def _set(stage: Stage, volume_id: str, **changes: Any) -> None:  # noqa: ANN401 - the record checks them
    with stage.cloud.records() as records:
        records.set_volume(volume_id, **changes)


def _grow(stage: Stage, volume_id: str) -> None:
    stage.array.extend(volume_id, 2)
    _set(stage, volume_id, size=2)


def _replace_image(stage: Stage, **changes: Any) -> None:  # noqa: ANN401 - the record checks them
    with stage.cloud.records() as records:
        (image_id,) = records.images
        records.set_image(image_id, **changes)


Change = Callable[[Stage, str], object]

CHANGES: dict[str, tuple[Change, str]] = {
    "deleted": (Stage.forget, "NotFoundError"),
    "record deleted": (_delete_record, "NotFoundError"),
    "data deleted": (
        lambda stage, volume_id: stage.array.discard(volume_id),
        "NotFoundError",
    ),
    "being deleted": (
        lambda stage, volume_id: _set(stage, volume_id, status="deleting"),
        "StaleError",
    ),
    "grown": (_grow, "StaleError"),
    "data grown": (
        lambda stage, volume_id: stage.array.extend(volume_id, 2),
        "IntegrityError",
    ),
    "image replaced": (
        lambda stage, _: _replace_image(stage, os_hash_value="another"),
        "StaleError",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_since_the_decision_is_not_cloned(
    stage: Stage, change: str
) -> None:
    """The bytes are taken instead, and nothing is left of the clone."""
    location = stage.add_source()
    image_id = stage.cloud.add_image(location)
    decision = stage.cloud.decide_create(image_id)
    assert [location.volume_id] == sources(decision)
    make, expected = CHANGES[change]
    make(stage, location.volume_id)
    outcome = stage.execute(decision)
    assert [expected] == errors(outcome)
    assert "download" == outcome.attempt
    stage.forget(location.volume_id)
    assert [] == faults(stage.cloud, stage.bench)


def test_a_stored_image_that_is_gone_is_not_cloned(stage: Stage) -> None:
    """Glance's own bytes are taken instead."""
    location = stage.add_stored()
    image_id = stage.cloud.add_image(location)
    with stage.tidy():
        decision = stage.cloud.decide_create(image_id)
        assert stage.bench.remove_image is not None
        stage.bench.remove_image(location)
        outcome = stage.execute(decision)
        assert ["StaleError"] == errors(outcome)
        assert "download" == outcome.attempt


def test_what_is_registered_is_cloned(stage: Stage) -> None:
    """A volume's clone becomes an image, and that another volume."""
    work = stage.cloud.add_volume()
    stage.clone_once(work.id)
    with stage.tidy():
        decision = stage.cloud.decide_upload(work.id)
        assert isinstance(decision, Register)
        outcome = stage.execute(decision)
        assert ("register", True) == (outcome.attempt, outcome.settled)
        image_id = decision.found.request.image.id
        assert not stage.cloud.path(image_id).exists()
        assert isinstance(stage.cloud.decide_create(image_id), Clone)


FAILURES: dict[str, tuple[Registration, list[Fault], int]] = {
    "clone fails": (Registration.AT_ONCE, [], 1),
    "rejected": (Registration.REJECTED, [], 0),
    "verifying fails": (
        Registration.LATE,
        [Fault("images.verify_location", UnavailableError())],
        0,
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_registration_that_fails_is_undone(
    stage: Stage, failure: str
) -> None:
    """The image volume goes, record and data, and the bytes are sent."""
    registration, planned, broken = FAILURES[failure]
    work = stage.cloud.add_volume()
    stage.clone_once(work.id)
    with stage.cloud.records() as records:
        records.registration = registration
        records.can_withdraw = True
    with stage.tidy():
        decision = stage.cloud.decide_upload(work.id)
        faulty = Faulty(stage.cloud.ports, stage.cloud.journal, planned)
        outcome = execute(
            decision.plan,
            faulty.ports,
            journal=faulty.journal,
            observer=Breaking(stage.bench, broken),
        )
        assert ("upload", True) == (outcome.attempt, outcome.settled)
        (image_volume,) = outcome.ids.values()
        assert stage.bench.size_of(image_volume) is None
        with stage.cloud.records() as records:
            assert [work.id] == list(records.volumes)
        assert stage.cloud.path(decision.found.request.image.id).exists()


@attrs.frozen
class Limited:
    """An array that makes no more than two clones of one source."""

    array: ArrayBackend

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method
        """Leave all else to the array."""
        return getattr(self.array, name)

    def get_backend(self) -> Backend:
        """Declare it."""
        return attrs.evolve(self.array.get_backend(), clone_limit=2)


def test_a_limit_of_clones_is_seen_before_it_is_hit(stage: Stage) -> None:
    """The third volume is downloaded, and the array is not even asked."""
    location = stage.add_source()
    found = stage.array.stat(location.volume_id)
    assert found is not None
    if found.clones is None:
        pytest.skip("the array counts no clones")
    image_id = stage.cloud.add_image(location)
    stage.cloud.array = cast("ArrayBackend", Limited(stage.array))
    with stage.tidy():
        for _ in range(2):
            outcome = stage.execute(stage.cloud.decide_create(image_id))
            assert f"clone {location}" == outcome.attempt
        decision = stage.cloud.decide_create(image_id)
        assert isinstance(decision, Download)
        (considered,) = decision.considered
        assert Reason.SNAPSHOT_LIMIT in {
            finding.reason for finding in considered.findings
        }
        assert [] == errors(stage.execute(decision))


# -- who is killed ----------------------------------------------------------


_SOURCES = 5
"""So that few have to wait until an array lets go what the dead had open."""


def _clone(stage: Stage) -> Action:
    image_id = stage.cloud.add_image(stage.add_source())
    return partial(executing.create, image_id=image_id, size=2)


def _clone_stored(stage: Stage) -> Action:
    image_id = stage.cloud.add_image(stage.add_stored())
    return partial(executing.create, image_id=image_id, size=2)


def _download(stage: Stage) -> Action:
    image_id = stage.cloud.add_image()
    return partial(executing.create, image_id=image_id)


def _register(stage: Stage) -> Action:
    work = stage.cloud.add_volume()
    stage.clone_once(work.id)
    return partial(executing.upload, volume_id=work.id)


def _rejected(stage: Stage) -> Action:
    with stage.cloud.records() as records:
        records.registration = Registration.REJECTED
    return _register(stage)


PLANS: dict[str, tuple[Callable[[Stage], Action], int]] = {
    "clone": (_clone, 16),
    "clone stored": (_clone_stored, 16),
    "download": (_download, 15),
    "register": (_register, 28),
    "rejected": (_rejected, 38),
}
"""What is carried out, and how often that is killed at the least."""


def _deaths(stage: Stage, action: Action) -> Iterator[Iterator[Death]]:
    """Give the ways to die, each from early to so late that it is over."""
    yield map(AtCall, itertools.count())
    # one that does not die tells how much there is to die of
    assert not stage.dies(action, Inside(0))
    with stage.cloud.records() as records:
        events, ms = records.tally["events"], records.tally["ms"]
    yield map(Inside, range(1, events, max(1, events // _POINTS)))
    yield (Late(at / 1000) for at in range(0, ms, max(1, ms // _POINTS)))


def _deaths_of_recovery() -> Iterator[Death]:
    for number in itertools.count():
        yield AtCall(4 * number)
        yield Inside(1 + 61 * number)
        yield Late(0.02 * number)


@pytest.mark.parametrize("plan", PLANS)
def test_a_kill_at_any_step_leaves_nothing_half_made(
    stage: Stage,
    plan: str,
    record_property: Callable[[str, object], None],
) -> None:
    """At every call, in the array's work, and in every recovery of that.

    Of the array's own work at some points, at many in the deep profile.
    """
    prepare, least = PLANS[plan]
    actions = [prepare(stage) for _ in range(_SOURCES)]
    with stage.tidy():
        turns = itertools.cycle(actions)
        kills = sum(
            stage.count_kills(turns, deaths)
            for deaths in _deaths(stage, actions[0])
        )
        again = 0
        for death in itertools.islice(_deaths_of_recovery(), 1000):
            if stage.finished():
                break
            again += stage.dies(executing.recover_all, death)
    record_property("kills", kills)
    record_property("kills in recovery", again)
    assert least <= kills
    assert 5 <= again


# -- who races --------------------------------------------------------------


@pytest.mark.parametrize(("count", "killed"), [(2, 0), (4, 4)])
def test_processes_race_for_a_source_and_die(
    stage: Stage,
    count: int,
    killed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """They clone it while others delete it, and each is killed at last.

    None of them ever fails with anything but an adapter's error.
    """
    work = stage.cloud.add_volume()
    stage.execute(stage.cloud.decide_upload(work.id))
    chance = random.Random(count)  # noqa: S311 - no secret
    seeds = itertools.count()
    wanted = {"create by clone", "upload by register"}

    def start() -> Process:
        action = partial(executing.race, seed=next(seeds))
        return stage.start(action, None)

    racers = [start() for _ in range(count)]
    try:
        for _ in range(killed):
            time.sleep(stage.pace * chance.uniform(0.5, 1.5))
            victim = racers.pop(0)
            victim.process.kill()
            assert victim.died()
            racers.append(start())
        for at in range(100):
            time.sleep(stage.pace)
            with stage.cloud.records() as records:
                tally = records.tally
            if at > 2 and wanted <= tally.keys():
                break
    finally:
        for racer in racers:
            racer.process.kill()
    assert all(racer.died() for racer in racers)
    time.sleep(stage.linger)
    for _ in range(10):
        recover(stage.cloud.journal, stage.cloud.ports)
    executing.restart(stage.cloud)
    assert [] == faults(stage.cloud, stage.bench)
    record_property("tally", tally)
    assert wanted <= tally.keys()
