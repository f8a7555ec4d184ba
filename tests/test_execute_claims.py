"""The promises of an execution, one by one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    CINDER_29,
    AdapterError,
    Clone,
    ConflictError,
    Download,
    LeftBehindError,
    Reason,
    Register,
    StaleError,
    UnavailableError,
    decide,
    execute,
    gather_create,
    recover,
)
from clonepolicy.adapters.memory import (
    BLOCK_SIZE,
    INTERNAL,
    POOL,
    MemoryCloud,
    MemoryJournal,
    Registration,
)
from clonepolicy.plan import Attempt, Step
from clonepolicy.ports import Observer
from clonepolicy.testing.faults import Fault, Faulty
from memory_support import (
    DATA,
    TENANT,
    add_source,
    add_stored_image,
    ask_create,
    ask_upload,
    errors,
    store,
)


def registration(cloud: MemoryCloud) -> Register:
    """Decide to register a volume's clone."""
    decision = ask_upload(cloud)
    assert isinstance(decision, Register)
    return decision


def clone_of(cloud: MemoryCloud, image_id: str, size: int = 5) -> Clone:
    """Decide to clone an image."""
    decision = ask_create(cloud, image_id, size)
    assert isinstance(decision, Clone)
    return decision


def registered(cloud: MemoryCloud) -> str:
    """Add an image by registering a volume's clone."""
    decision = registration(cloud)
    outcome = execute(decision.plan, cloud.ports(TENANT))
    assert str(outcome.attempt) == "register"
    return decision.request.image.id


@attrs.define
class Recorder(Observer):
    """Records every call of a hook."""

    heard: list[str] = attrs.field(factory=list)

    @override
    def attempt_started(self, attempt: Attempt) -> None:
        self.heard.append(f"attempt {attempt}")

    @override
    def step_started(self, step: Step) -> None:
        self.heard.append(f"begin {type(step).__name__}")

    @override
    def step_done(self, step: Step) -> None:
        self.heard.append(f"done {type(step).__name__}")

    @override
    def step_failed(self, step: Step, error: AdapterError) -> None:
        name = f"{type(step).__name__}: {type(error).__name__}"
        self.heard.append(f"failed {name}")

    @override
    def moved(self, count: int) -> None:
        self.heard.append(f"moved {count}")


def test_an_observer_hears_everything_in_order() -> None:
    """Attempts, steps, failures, undoing and bytes, as they happen."""
    cloud = MemoryCloud(gib=BLOCK_SIZE)
    decision = registration(cloud)
    faulty = Faulty(
        cloud.ports(TENANT),
        faults=[Fault("array.clone_volume", UnavailableError())],
    )
    recorder = Recorder()
    execute(decision.plan, faulty.ports, observer=recorder)
    expected = [
        "attempt register",
        "begin CreateImageVolume",
        "done CreateImageVolume",
        "begin CloneVolume",
        "failed CloneVolume: UnavailableError",
        "begin DiscardVolume",
        "done DiscardVolume",
        "begin DeleteImageVolume",
        "done DeleteImageVolume",
        "attempt upload",
        "begin UploadImage",
        *[f"moved {BLOCK_SIZE}"] * 5,
        "done UploadImage",
        "begin RestoreVolume",
        "done RestoreVolume",
    ]
    assert expected == recorder.heard


DISGUISED = b"QFI\xfb of a guest"
"""Data that a download of a raw image refuses."""


def disguised(cloud: MemoryCloud, volume_id: str) -> None:
    """Write to a volume, as its guest may at any time."""
    cloud.fill_volume(volume_id, DISGUISED)


def test_a_clone_of_what_a_guest_wrote_meanwhile_is_not_published() -> None:
    """The clone is inspected; it is removed, and the image downloaded."""
    cloud = MemoryCloud()
    location = add_source(cloud)
    image_id = cloud.add_image(TENANT, DATA, locations=(location,))
    decision = clone_of(cloud, image_id)
    disguised(cloud, location.volume_id)
    outcome = execute(decision.plan, cloud.ports(TENANT))
    assert ["IntegrityError"] == errors(outcome)
    assert "download" == str(outcome.attempt)
    data = cloud.volume_data(decision.request.volume.id)
    assert cloud.padded(DATA, 5) == data
    assert not cloud.audit()


def test_a_stored_image_that_is_refused_is_not_cloned() -> None:
    """Neither if the decision knew, nor if it was replaced afterwards."""
    cloud = MemoryCloud()
    image_id, location = add_stored_image(cloud)
    decision = clone_of(cloud, image_id)
    store(cloud, location, DISGUISED.ljust(len(DATA)))
    outcome = execute(decision.plan, cloud.ports(TENANT))
    assert ["IntegrityError"] == errors(outcome)
    assert "download" == str(outcome.attempt)
    again = ask_create(cloud, image_id)
    assert isinstance(again, Download)
    assert Reason.CONTENT_REFUSED in {f.reason for f in again.findings}


def test_a_registration_of_what_a_guest_wrote_meanwhile_is_undone() -> None:
    """Nothing is registered; the data goes to Glance, which inspects it."""
    cloud = MemoryCloud()
    decision = registration(cloud)
    disguised(cloud, decision.request.volume.id)
    outcome = execute(decision.plan, cloud.ports(TENANT))
    assert ["IntegrityError"] == errors(outcome)
    assert "upload" == str(outcome.attempt)
    assert not cloud.images[decision.request.image.id].locations
    assert not cloud.audit()


def test_what_the_decision_accepted_is_cloned() -> None:
    """CINDER_29 does not look at data, and executing it adds no rule."""
    cloud = MemoryCloud()
    location = add_source(cloud)
    disguised(cloud, location.volume_id)
    image_id = cloud.add_image(TENANT, DATA, locations=(location,))
    cloud.set_image(image_id, direct_url=str(location))
    volume = cloud.add_volume(TENANT, 5, status="creating")
    ports = cloud.ports(TENANT)
    request = gather_create(image_id, volume, cloud.config, ports)
    assert isinstance(decide(request), Download)
    decision = decide(request, CINDER_29)
    assert isinstance(decision, Clone)
    assert str(execute(decision.plan, ports).attempt).startswith("clone ")


def test_no_attempt_follows_an_error_that_forbids_it() -> None:
    """``safe_to_fall_back`` is False; everything is undone."""
    cloud = MemoryCloud()
    decision = registration(cloud)
    faulty = Faulty(
        cloud.ports(TENANT),
        faults=[Fault("array.clone_volume", LeftBehindError())],
    )
    outcome = execute(decision.plan, faulty.ports)
    assert outcome.attempt is None
    assert outcome.settled
    assert not cloud.audit()
    assert not cloud.images


def test_an_attempt_that_cannot_be_undone_is_finished() -> None:
    """Glance keeps the location, so verifying it again succeeds."""
    cloud = MemoryCloud(can_withdraw=False)
    decision = registration(cloud)
    faulty = Faulty(
        cloud.ports(TENANT),
        faults=[Fault("images.verify_location", UnavailableError())],
    )
    outcome = execute(decision.plan, faulty.ports)
    assert ["UnavailableError", "ConflictError"] == errors(outcome)
    assert str(outcome.attempt) == "register"
    assert outcome.settled
    assert not cloud.audit()


def test_recovery_finishes_an_attempt_that_cannot_be_undone() -> None:
    """During an outage neither works; afterwards recovery finishes it."""
    cloud, journal = MemoryCloud(can_withdraw=False), MemoryJournal()
    decision = registration(cloud)
    fault = Fault("images.verify_location", UnavailableError(), times=2)
    faulty = Faulty(cloud.ports(TENANT), journal, [fault])
    outcome = execute(decision.plan, faulty.ports, journal=faulty.journal)
    assert not outcome.settled
    assert not cloud.audit(journal.open())
    journal.crash()
    (recovered,) = recover(journal, cloud.ports(TENANT))
    assert str(recovered.attempt) == "register"
    assert recovered.settled
    assert not cloud.audit()


def test_a_published_volume_that_is_in_use_keeps_its_data() -> None:
    """The answer to ``publish`` is lost after a user attached the volume."""
    cloud = MemoryCloud()
    decision = clone_of(cloud, registered(cloud))
    volume_id = decision.request.volume.id

    class Attach(Observer):
        @override
        def step_failed(self, step: Step, error: AdapterError) -> None:
            if cloud.volume(volume_id).status == "available":
                cloud.set_volume(volume_id, status="in-use")

    faulty = Faulty(
        cloud.ports(TENANT),
        faults=[Fault("volumes.publish", UnavailableError(), after=True)],
    )
    outcome = execute(decision.plan, faulty.ports, observer=Attach())
    assert outcome.settled
    assert cloud.padded(DATA, 5) == cloud.volume_data(volume_id)


Change = Callable[[MemoryCloud, str], object]

CHANGES: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda _cloud, _id: None, []),
    "attached": (lambda cloud, i: cloud.set_volume(i, status="in-use"), []),
    "cloned": (
        lambda cloud, i: cloud.arrays[POOL].clone_volume(
            cloud.new_id(), cloud.volume(i)
        ),
        [],
    ),
    "migrating": (
        lambda cloud, i: cloud.set_volume(i, migration_status="migrating"),
        ["StaleError"],
    ),
    "in error": (
        lambda cloud, i: cloud.set_volume(i, status="error"),
        ["StaleError"],
    ),
    "transferred": (
        lambda cloud, i: cloud.set_volume(i, project_id="stranger"),
        ["StaleError"],
    ),
    "extended": (lambda cloud, i: cloud.set_volume(i, size=6), ["StaleError"]),
    "deleted": (lambda cloud, i: cloud.delete_volume(i), ["NotFoundError"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_is_checked_again_before_it_is_cloned(change: str) -> None:
    """A source that differs from what the decision saw is not cloned."""
    cloud = MemoryCloud()
    decision = clone_of(cloud, registered(cloud))
    source = decision.source.source
    make, expected = CHANGES[change]
    make(cloud, getattr(source, "id", ""))
    outcome = execute(decision.plan, cloud.ports(TENANT))
    assert expected == errors(outcome)[:1]


def test_a_stored_image_that_got_more_clones_is_still_cloned() -> None:
    """A clone that somebody else made meanwhile does not matter."""
    cloud = MemoryCloud()
    image_id, _location = add_stored_image(cloud)
    one, two = clone_of(cloud, image_id), clone_of(cloud, image_id)
    for decision in (one, two):
        outcome = execute(decision.plan, cloud.ports(TENANT))
        assert not outcome.failures


def test_a_stored_image_that_was_replaced_is_not_cloned() -> None:
    """An image of another size is not the one that the decision saw."""
    cloud = MemoryCloud()
    image_id, location = add_stored_image(cloud)
    decision = clone_of(cloud, image_id)
    store(cloud, location, DATA * 2)
    outcome = execute(decision.plan, cloud.ports(TENANT))
    assert isinstance(outcome.failures[0].error, StaleError)
    assert str(outcome.attempt) == "download"


def test_a_deactivated_image_is_not_downloaded() -> None:
    """The status is checked again before falling back to a download."""
    cloud = MemoryCloud()
    image_id, location = add_stored_image(cloud)
    decision = clone_of(cloud, image_id)
    del cloud.arrays[POOL].images[location]
    cloud.set_image(image_id, status="deactivated")
    outcome = execute(decision.plan, cloud.ports(TENANT))
    expected = ["StaleError", "StaleError"]
    assert expected == errors(outcome)
    assert outcome.attempt is None
    assert not cloud.audit()


def test_an_image_deactivated_during_registration_stays_in_the_journal() -> (
    None
):
    """It can be neither finished nor undone; later recovery finishes it."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    decision = registration(cloud)
    image_id = decision.request.image.id

    class Deactivate(Observer):
        @override
        def step_done(self, step: Step) -> None:
            if type(step).__name__ == "AddLocation":
                cloud.set_image(image_id, status="deactivated")

    ports = cloud.ports(TENANT)
    outcome = execute(
        decision.plan, ports, journal=journal, observer=Deactivate()
    )
    assert not outcome.settled
    assert not cloud.audit(journal.open())
    cloud.set_image(image_id, status="active")
    journal.crash()
    (recovered,) = recover(journal, ports)
    assert recovered.settled
    assert not cloud.audit()


@pytest.mark.parametrize("how", Registration)
def test_a_registered_image_can_be_cloned(how: Registration) -> None:
    """Whether Glance accepts the location at once or late."""
    cloud = MemoryCloud(registration=how)
    decision = registration(cloud)
    outcome = execute(decision.plan, cloud.ports(TENANT))
    rejected = how is Registration.REJECTED
    assert ("upload" if rejected else "register") == str(outcome.attempt)
    if not rejected:
        image_id = decision.request.image.id
        created = clone_of(cloud, image_id, size=6)
        assert not execute(created.plan, cloud.ports(TENANT)).failures
    assert not cloud.audit()


def test_a_volume_outlives_the_location_that_names_it() -> None:
    """Undoing stops at a location that Glance does not let go."""
    cloud = MemoryCloud(can_withdraw=False)
    decision = registration(cloud)
    faults = [
        Fault("images.verify_location", UnavailableError(), times=9),
    ]
    faulty = Faulty(cloud.ports(TENANT), faults=faults)
    outcome = execute(decision.plan, faulty.ports)
    assert not outcome.settled
    (image_volume,) = outcome.ids.values()
    assert cloud.padded(DATA, 5) == cloud.volume_data(image_volume)
    assert isinstance(outcome.failures[1].error, ConflictError)


def test_an_upload_follows_if_the_quota_was_used_up_meanwhile() -> None:
    """Registering fails before it creates anything."""
    cloud = MemoryCloud()
    decision = registration(cloud)
    limit = attrs.evolve(decision.request.clone_quota, volumes=0)
    cloud.limits[INTERNAL] = limit
    outcome = execute(decision.plan, cloud.ports(TENANT))
    expected = ["QuotaError"]
    assert expected == errors(outcome)
    assert str(outcome.attempt) == "upload"
    assert not cloud.audit()


def test_recovery_leaves_the_plans_of_living_processes_alone() -> None:
    """An entry whose owner did not die is not recovered."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    journal.begin(registration(cloud).plan, {})
    assert not recover(journal, cloud.ports(TENANT))


def test_a_volume_that_undoing_may_have_erased_is_never_published() -> None:
    """Recovery repeats an undoing whose answer was lost, and goes on back."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    decision = ask_create(cloud, cloud.add_image(TENANT, DATA))
    faults = [
        Fault("volumes.publish", UnavailableError()),
        Fault("array.discard", UnavailableError(), after=True),
    ]
    faulty = Faulty(cloud.ports(TENANT), journal, faults)
    outcome = execute(decision.plan, faulty.ports, journal=faulty.journal)
    assert not outcome.settled
    journal.crash()
    again = [Fault("volumes.unpublish", UnavailableError())]
    faulty = Faulty(cloud.ports(TENANT), journal, again)
    assert faulty.journal is not None
    recover(faulty.journal, faulty.ports)
    assert not cloud.audit(journal.open())
    assert cloud.volume(decision.request.volume.id).status == "error"


def test_an_attempt_that_succeeded_stays_so_if_closing_fails() -> None:
    """The image is registered; recovery restores the volume's status."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    decision = registration(cloud)
    faults = [Fault("volumes.restore", UnavailableError())]
    faulty = Faulty(cloud.ports(TENANT), journal, faults)
    outcome = execute(decision.plan, faulty.ports, journal=faulty.journal)
    assert "register" == str(outcome.attempt)
    assert not outcome.settled
    journal.crash()
    (recovered,) = recover(journal, cloud.ports(TENANT))
    assert "register" == str(recovered.attempt)
    assert recovered.settled
    assert not cloud.audit()


def test_an_image_that_changed_since_the_decision_is_not_cloned() -> None:
    """It was deactivated, or has another format."""
    for change in ({"status": "deactivated"}, {"disk_format": "qcow2"}):
        cloud = MemoryCloud()
        image_id = registered(cloud)
        decision = clone_of(cloud, image_id)
        cloud.set_image(image_id, **change)
        outcome = execute(decision.plan, cloud.ports(TENANT))
        assert "StaleError" == errors(outcome)[0]
        assert not cloud.audit()
