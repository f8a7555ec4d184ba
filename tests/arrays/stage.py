"""A real array with a saved cloud around it, as a fixture."""

import contextlib
import importlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import attrs
import ceph as ceph_cluster
import harness_rbd
import pytest
from ceph import Cluster
from deaths import Death
from executing import Action, Enter, Process
from harness_qcow2 import make_harness as qcow2_harness
from harness_reflink import make_harness as reflink_harness
from saved_cloud import SavedCloud
from saved_cloud_audit import audit

import local_support
from clonepolicy import (
    CinderLocation,
    CreateDecision,
    FileLocation,
    Outcome,
    RbdLocation,
    UploadDecision,
    execute,
)
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.ports import ArrayBackend, Observer
from clonepolicy.testing.conformance import ArrayHarness

xfs, btrfs, ceph = local_support.xfs, local_support.btrfs, ceph_cluster.ceph


@attrs.frozen(kw_only=True)
class Stage:
    """An array, the means to measure it, and a cloud around it."""

    harness: ArrayHarness
    enter: Enter
    """Opens array and cloud in any process."""
    cloud: SavedCloud
    log: Path
    """Where a process writes why it failed."""
    pace: float
    """Seconds in which a process gets something done."""
    linger: float
    """Seconds for which the array locks what a killed process had open."""

    @property
    def array(self) -> ArrayBackend:
        """The array under test."""
        return self.cloud.array

    def execute(
        self,
        decision: CreateDecision | UploadDecision,
        observer: Observer | None = None,
    ) -> Outcome:
        """Execute a decision's plan."""
        cloud = self.cloud
        return execute(
            decision.plan,
            cloud.ports,
            journal=cloud.journal,
            observer=observer,
        )

    def add_source(self) -> CinderLocation:
        """Add a volume that holds an image."""
        source = self.cloud.add_volume(for_image=True)
        self.clone_once(source.id)
        return CinderLocation(source.id)

    def clone_once(self, volume_id: str) -> None:
        """Clone a volume and discard the clone.

        Some arrays keep a snapshot from the first clone on.
        """
        with self.cloud.records() as records:
            source = records.volume(volume_id)
            clone_id = records.new_id()
        self.array.clone_volume(clone_id, source)
        self.array.discard(clone_id)

    def add_stored(self) -> RbdLocation | FileLocation:
        """Store the source's data as an image on the array."""
        if not self.array.get_backend().image_schemes:
            pytest.skip("the array clones no images of its own")
        assert self.harness.add_image is not None
        pieces = iter([self.cloud.source.read_bytes()])
        location = self.harness.add_image(pieces)
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
        """Delete a source, its row, and the location that names it."""
        self.array.discard(volume_id)
        with self.cloud.records() as records:
            records.volumes.pop(volume_id, None)
            for row in records.images.values():
                row.locations = tuple(
                    location
                    for location in row.locations
                    if location != CinderLocation(volume_id)
                )

    @contextlib.contextmanager
    def all_whole(self) -> Iterator[None]:
        """Check that what is new is whole volumes and nothing else."""
        with self.cloud.records() as records:
            before = set(records.volumes)
        held = len(self.harness.holds())
        yield
        assert [] == audit(self.cloud, self.harness)
        with self.cloud.records() as records:
            new = [v for v in reversed(records.volumes) if v not in before]
        for volume_id in new:
            self.forget(volume_id)
        assert held == len(self.harness.holds())

    def start(self, action: Action, death: Death | None) -> Process:
        """Start a process that performs an action."""
        return Process.start(self.enter, action, death, self.log)

    def dies(self, action: Action, death: Death) -> bool:
        """Have a process perform an action; return whether it was killed."""
        return self.start(action, death).died()

    def count_kills(
        self, actions: Iterator[Action], deaths: Iterator[Death]
    ) -> int:
        """Start processes in pairs until one survives; count the kills."""
        kills = 0
        while pair := tuple(itertools.islice(deaths, 2)):
            started = [self.start(next(actions), death) for death in pair]
            died = [process.died() for process in started]
            kills += sum(died)
            if not all(died):
                break
        return kills

    def has_empty_journal(self) -> bool:
        """Say whether the journal is empty."""
        with self.cloud.records() as records:
            return not records.journal.entries


Opener = Callable[[], ArrayBackend]


def _reflink(place: Path) -> tuple[ArrayHarness, Opener]:
    harness = reflink_harness(place)
    images = [place / "images"]
    return harness, partial(ReflinkArray, place / "volumes", images=images)


def _qcow2(place: Path) -> tuple[ArrayHarness, Opener]:
    for program in ("qemu-img", "qemu-io"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}; install qemu-utils")
    harness = qcow2_harness(place, place / "other")
    images = [place / "images"]
    return harness, partial(Qcow2Array, place / "volumes", images=images)


_BROKEN: list[object] = []
"""Classes of librbd's images that must never be garbage."""


@contextlib.contextmanager
def _keeping(
    breaking: Callable[[], AbstractContextManager[object]],
) -> Iterator[None]:
    """Keep the failing image class: the process crashes if it is freed."""
    with breaking():
        _BROKEN.append(importlib.import_module("rbd").Image)
        yield


@pytest.fixture(scope="module")
def rbd(ceph: Cluster) -> Iterator[tuple[ArrayHarness, Opener]]:
    """Create an array in Ceph; every test must leave it empty."""
    known = set(ceph.connection.list_pools())
    harness = harness_rbd.make_harness(ceph)
    assert harness.breaking is not None
    harness = attrs.evolve(
        harness, breaking=partial(_keeping, harness.breaking)
    )
    images, volumes = sorted(set(ceph.connection.list_pools()) - known)
    opener = partial(
        harness_rbd.open_array,
        rbd_pool=volumes,
        rbd_ceph_conf=ceph.conf,
        image_pools=frozenset({images}),
        # Ceph unlocks what a killed process had open while others recover
        rados_connection_retries=0,
    )
    yield harness, opener
    harness.close()


@pytest.fixture(params=["xfs", "btrfs", "plain", "qcow2", "rbd"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Create each array, and check at the end that nothing is left on it."""
    place, pace, linger = tmp_path / "array", 0.5, 0
    match request.param:
        case "rbd":
            harness, opener = request.getfixturevalue("rbd")
            pace, linger = 1.5, 6
        case "qcow2":
            harness, opener = _qcow2(place)
        case kind:
            if kind != "plain":
                mount: Path = request.getfixturevalue(kind)
                place = mount / tmp_path.name
            harness, opener = _reflink(place)
    try:
        held = frozenset(harness.holds())
        stage = Stage(
            harness=harness,
            enter=partial(SavedCloud, tmp_path / "cloud", opener),
            cloud=SavedCloud(tmp_path / "cloud", lambda: harness.array),
            log=tmp_path / "log",
            pace=pace,
            linger=linger,
        )
        yield stage
        with stage.cloud.records() as records:
            made = tuple(reversed(records.volumes))
        for volume_id in made:
            stage.array.discard(volume_id)
        assert held == frozenset(harness.holds())
    finally:
        shutil.rmtree(place, ignore_errors=True)
