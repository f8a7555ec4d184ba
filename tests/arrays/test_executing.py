"""Plans are executed on real arrays, and fail there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import stage as stages
from saved_cloud_audit import audit
from stage import Stage

from clonepolicy import (
    AdapterError,
    Backend,
    Clone,
    CreateDecision,
    Download,
    Reason,
    Register,
    UnavailableError,
    execute,
)
from clonepolicy.adapters.memory import Registration
from clonepolicy.plan import CloneVolume, Step
from clonepolicy.ports import ArrayBackend, Observer
from clonepolicy.testing.conformance import ArrayHarness
from clonepolicy.testing.faults import Fault, Faulty
from memory_support import errors

xfs, btrfs, ceph = stages.xfs, stages.btrfs, stages.ceph
rbd, stage = stages.rbd, stages.stage


def sources(decision: CreateDecision) -> list[str]:
    """Return the ids of the volumes that the plan clones, in order."""
    return [
        step.source.id
        for step in decision.plan
        if isinstance(step, CloneVolume)
    ]


@attrs.define
class Breaking(Observer):
    """Lets the array fail in its next clones."""

    harness: ArrayHarness
    times: int
    """How many clones fail."""
    stack: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    @override
    def step_started(self, step: Step) -> None:
        if isinstance(step, CloneVolume) and self.times:
            assert self.harness.breaking is not None
            self.stack.enter_context(self.harness.breaking())
            self.times -= 1

    @override
    def step_failed(self, step: Step, error: AdapterError) -> None:
        self.stack.close()


@pytest.mark.parametrize("size", [1, 2])
def test_a_volume_is_created_by_a_clone(stage: Stage, size: int) -> None:
    """The source is cloned, and the clone grows to the requested size."""
    image_id = stage.cloud.add_image(stage.add_source())
    with stage.all_whole():
        decision = stage.cloud.decide_create(image_id, size)
        assert isinstance(decision, Clone)
        outcome = stage.execute(decision)
        assert [] == errors(outcome)
        assert outcome.settled


@pytest.mark.parametrize("size", [1, 2])
def test_a_stored_image_is_cloned(stage: Stage, size: int) -> None:
    """The clone grows to the requested size."""
    location = stage.add_stored()
    image_id = stage.cloud.add_image(location)
    with stage.all_whole():
        decision = stage.cloud.decide_create(image_id, size)
        assert isinstance(decision, Clone)
        outcome = stage.execute(decision)
        assert [] == errors(outcome)
        assert f"clone {location}" == str(outcome.attempt)
    assert stage.harness.remove_image is not None
    stage.harness.remove_image(location)


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_the_next_candidate_is_cloned_if_a_clone_fails(
    stage: Stage, broken: int
) -> None:
    """If all clones fail, the image is downloaded."""
    image_id = stage.cloud.add_image(stage.add_source(), stage.add_source())
    with stage.all_whole():
        decision = stage.cloud.decide_create(image_id, 2)
        outcome = stage.execute(decision, Breaking(stage.harness, broken))
        assert decision.plan.attempts[broken] == outcome.attempt
        assert broken == len(outcome.failures)
        assert outcome.settled


@pytest.mark.parametrize("gone", [1, 2])
def test_the_next_candidate_is_cloned_if_a_source_is_lost(
    stage: Stage, gone: int
) -> None:
    """The array has no data of the source any more."""
    image_id = stage.cloud.add_image(stage.add_source(), stage.add_source())
    decision = stage.cloud.decide_create(image_id, 2)
    for volume_id in sources(decision)[:gone]:
        stage.array.discard(volume_id)
    outcome = stage.execute(decision)
    assert decision.plan.attempts[gone] == outcome.attempt
    assert ["NotFoundError"] * gone == errors(outcome)
    for volume_id in sources(decision)[:gone]:
        stage.forget(volume_id)
    assert [] == audit(stage.cloud, stage.harness)


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
def test_a_source_that_changed_since_the_decision_is_not_cloned(
    stage: Stage, change: str
) -> None:
    """The image is downloaded, and nothing is left of the clone."""
    location = stage.add_source()
    image_id = stage.cloud.add_image(location)
    decision = stage.cloud.decide_create(image_id)
    assert [location.volume_id] == sources(decision)
    make, expected = CHANGES[change]
    make(stage, location.volume_id)
    outcome = stage.execute(decision)
    assert [expected] == errors(outcome)
    assert "download" == str(outcome.attempt)
    stage.forget(location.volume_id)
    assert [] == audit(stage.cloud, stage.harness)


def test_a_stored_image_that_was_removed_is_downloaded(stage: Stage) -> None:
    """Glance has the bytes, too."""
    location = stage.add_stored()
    image_id = stage.cloud.add_image(location)
    with stage.all_whole():
        decision = stage.cloud.decide_create(image_id)
        assert stage.harness.remove_image is not None
        stage.harness.remove_image(location)
        outcome = stage.execute(decision)
        assert ["StaleError"] == errors(outcome)
        assert "download" == str(outcome.attempt)


def test_a_registered_image_is_cloned(stage: Stage) -> None:
    """A clone of a volume becomes an image, which can be cloned."""
    work = stage.cloud.add_volume()
    stage.clone_once(work.id)
    with stage.all_whole():
        decision = stage.cloud.decide_upload(work.id)
        assert isinstance(decision, Register)
        outcome = stage.execute(decision)
        assert ("register", True) == (str(outcome.attempt), outcome.settled)
        image_id = decision.request.image.id
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
    """Record and data of the image volume are deleted; the upload follows."""
    registration, planned, broken = FAILURES[failure]
    work = stage.cloud.add_volume()
    stage.clone_once(work.id)
    with stage.cloud.records() as records:
        records.registration = registration
        records.can_withdraw = True
    with stage.all_whole():
        decision = stage.cloud.decide_upload(work.id)
        faulty = Faulty(stage.cloud.ports, stage.cloud.journal, planned)
        outcome = execute(
            decision.plan,
            faulty.ports,
            journal=faulty.journal,
            observer=Breaking(stage.harness, broken),
        )
        assert ("upload", True) == (str(outcome.attempt), outcome.settled)
        (image_volume,) = outcome.ids.values()
        assert stage.harness.size_of(image_volume) is None
        with stage.cloud.records() as records:
            assert [work.id] == list(records.volumes)
        assert stage.cloud.path(decision.request.image.id).exists()


@attrs.frozen
class Limited:
    """An array that declares a limit of two clones for each source."""

    array: ArrayBackend

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method
        """Pass every other call to the array."""
        return getattr(self.array, name)

    def get_backend(self) -> Backend:
        """Declare the limit."""
        return attrs.evolve(self.array.get_backend(), clone_limit=2)


def test_a_clone_limit_is_noticed_before_it_is_reached(stage: Stage) -> None:
    """The third volume is downloaded without an attempt to clone."""
    location = stage.add_source()
    found = stage.array.stat(location.volume_id)
    assert found is not None
    if found.clones is None:
        pytest.skip("the array counts no clones")
    image_id = stage.cloud.add_image(location)
    stage.cloud.array = cast("ArrayBackend", Limited(stage.array))
    with stage.all_whole():
        for _ in range(2):
            outcome = stage.execute(stage.cloud.decide_create(image_id))
            assert f"clone {location}" == str(outcome.attempt)
        decision = stage.cloud.decide_create(image_id)
        assert isinstance(decision, Download)
        (candidate,) = decision.candidates
        assert Reason.SNAPSHOT_LIMIT in {
            finding.reason for finding in candidate.findings
        }
        assert [] == errors(stage.execute(decision))
