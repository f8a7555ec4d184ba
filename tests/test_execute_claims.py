"""What an execution promises, one promise at a time."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from typing_extensions import override

from clonepolicy import (
    AdapterError,
    Clone,
    ConflictError,
    Observer,
    Outcome,
    Ports,
    RbdLocation,
    Register,
    StaleError,
    Step,
    UnavailableError,
    decide_create,
    decide_upload,
    execute,
    gather_create,
    gather_upload,
    recover,
)
from clonepolicy.adapters.memory import (
    MemoryCloud,
    MemoryJournal,
    Registration,
)
from clonepolicy.testing.faults import Fault, Faulty

DATA = b"bytes of an image"


class UnsafeError(AdapterError):
    """A failure after which nothing else may be tried."""

    safe_to_fall_back = False


def registration(cloud: MemoryCloud, status: str = "uploading") -> Register:
    """Decide to register a volume's clone."""
    volume = cloud.add_volume(
        "tenant", 5, data=DATA, status=status, previous_status="available"
    )
    image_id = cloud.add_image("tenant", None)
    request = gather_upload(
        volume.id, image_id, "tenant", cloud.config, cloud.ports("tenant")
    )
    decision = decide_upload(request)
    assert isinstance(decision, Register)
    return decision


def clone_of(cloud: MemoryCloud, image_id: str, size: int = 5) -> Clone:
    """Decide to clone an image."""
    volume = cloud.add_volume("tenant", size, status="creating")
    request = gather_create(
        image_id, volume, cloud.config, cloud.ports("tenant")
    )
    decision = decide_create(request)
    assert isinstance(decision, Clone)
    return decision


def registered(cloud: MemoryCloud) -> str:
    """Add an image by registering a volume's clone."""
    decision = registration(cloud)
    outcome = execute(decision.plan, cloud.ports("tenant"))
    assert outcome.attempt == "register"
    return decision.found.request.image.id


@attrs.define
class Recorder(Observer):
    """Writes everything down."""

    heard: list[str] = attrs.field(factory=list)

    @override
    def attempt_started(self, name: str) -> None:
        self.heard.append(f"attempt {name}")

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
    """Attempts, steps, failures, undoing and bytes come as they happen."""
    cloud = MemoryCloud(unit=1)
    decision = registration(cloud)
    faulty = Faulty(
        cloud.ports("tenant"),
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
        *["moved 3"] * 5,
        "moved 2",
        "done UploadImage",
        "begin RestoreVolume",
        "done RestoreVolume",
    ]
    assert expected == recorder.heard


def test_an_unsafe_error_ends_the_plan() -> None:
    """No further attempt is made where the error forbids it."""
    cloud = MemoryCloud()
    decision = registration(cloud)
    faulty = Faulty(
        cloud.ports("tenant"),
        faults=[Fault("array.clone_volume", UnsafeError())],
    )
    outcome = execute(decision.plan, faulty.ports)
    assert outcome.attempt is None
    assert outcome.settled
    assert not cloud.audit()
    assert not cloud.images


def test_what_cannot_be_undone_is_finished() -> None:
    """Glance keeps the location, so that its answer need only come late."""
    cloud = MemoryCloud(can_withdraw=False)
    decision = registration(cloud)
    faulty = Faulty(
        cloud.ports("tenant"),
        faults=[Fault("images.verify_location", UnavailableError())],
    )
    outcome = execute(decision.plan, faulty.ports)
    expected = ["UnavailableError", "ConflictError"]
    assert expected == [type(f.error).__name__ for f in outcome.failures]
    assert outcome.attempt == "register"
    assert outcome.settled
    assert not cloud.audit()


def test_recovery_finishes_what_cannot_be_undone() -> None:
    """What was left undone for an outage ends when that is over."""
    cloud, journal = MemoryCloud(can_withdraw=False), MemoryJournal()
    decision = registration(cloud)
    fault = Fault("images.verify_location", UnavailableError(), times=2)
    faulty = Faulty(cloud.ports("tenant"), journal, [fault])
    outcome = execute(decision.plan, faulty.ports, journal=faulty.journal)
    assert not outcome.settled
    assert not cloud.audit(journal.open())
    journal.crash()
    (recovered,) = recover(journal, cloud.ports("tenant"))
    assert recovered.attempt == "register"
    assert recovered.settled
    assert not cloud.audit()


def test_a_published_volume_that_is_used_is_not_erased() -> None:
    """A lost answer to publishing does not cost the user's data."""
    cloud = MemoryCloud()
    decision = clone_of(cloud, registered(cloud))
    volume_id = decision.found.request.volume.id

    class Attached(Observer):
        @override
        def step_failed(self, step: Step, error: AdapterError) -> None:
            if cloud.volume(volume_id).status == "available":
                cloud.set_volume(volume_id, status="in-use")

    faulty = Faulty(
        cloud.ports("tenant"),
        faults=[Fault("volumes.publish", UnavailableError(), after=True)],
    )
    outcome = execute(decision.plan, faulty.ports, observer=Attached())
    assert outcome.settled
    assert cloud.padded(DATA, 5) == cloud.volumes[volume_id].data


def errors(outcome: Outcome) -> list[str]:
    """Name the errors of an outcome."""
    return [type(failure.error).__name__ for failure in outcome.failures]


Change = Callable[[MemoryCloud, str], object]

CHANGES: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda _cloud, _id: None, []),
    "attached": (lambda cloud, i: cloud.set_volume(i, status="in-use"), []),
    "cloned": (
        lambda cloud, i: cloud.volumes.update(
            {
                v.id: attrs.evolve(cloud.volumes[v.id], parent=i)
                for v in [cloud.add_volume("tenant", 5, data=DATA)]
            }
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
    "given away": (
        lambda cloud, i: cloud.set_volume(i, project_id="stranger"),
        ["StaleError"],
    ),
    "extended": (lambda cloud, i: cloud.set_volume(i, size=6), ["StaleError"]),
    "gone": (lambda cloud, i: cloud.volumes.pop(i, None), ["NotFoundError"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_is_looked_at_again_before_it_is_cloned(change: str) -> None:
    """What no longer is what was decided upon is not cloned."""
    cloud = MemoryCloud()
    decision = clone_of(cloud, registered(cloud))
    source = decision.source.source
    make, expected = CHANGES[change]
    make(cloud, getattr(source, "id", ""))
    outcome = execute(decision.plan, cloud.ports("tenant"))
    assert expected == errors(outcome)[:1]


def stored(cloud: MemoryCloud) -> tuple[str, RbdLocation]:
    """Add an image that lies on the array."""
    image_id = cloud.add_image("tenant", DATA)
    location = RbdLocation("array", "images", image_id, "snap")
    cloud.stored[location] = DATA
    cloud.images[image_id].locations = (location,)
    return image_id, location


def test_a_stored_image_is_not_stale_for_having_more_clones() -> None:
    """Somebody else's clone in the meantime changes nothing."""
    cloud = MemoryCloud()
    image_id, _location = stored(cloud)
    one, two = clone_of(cloud, image_id), clone_of(cloud, image_id)
    for decision in (one, two):
        outcome = execute(decision.plan, cloud.ports("tenant"))
        assert not outcome.failures


def test_a_stored_image_that_is_replaced_is_stale() -> None:
    """An image of another size is not the one that was decided upon."""
    cloud = MemoryCloud()
    image_id, location = stored(cloud)
    decision = clone_of(cloud, image_id)
    cloud.stored[location] = DATA * 2
    outcome = execute(decision.plan, cloud.ports("tenant"))
    assert isinstance(outcome.failures[0].error, StaleError)
    assert outcome.attempt == "download"


def test_an_image_that_is_deactivated_is_not_downloaded() -> None:
    """Falling back to a download asks again whether that is allowed."""
    cloud = MemoryCloud()
    image_id, location = stored(cloud)
    decision = clone_of(cloud, image_id)
    del cloud.stored[location]
    cloud.set_image(image_id, status="deactivated")
    outcome = execute(decision.plan, cloud.ports("tenant"))
    expected = ["StaleError", "StaleError"]
    assert expected == errors(outcome)
    assert outcome.attempt is None
    assert not cloud.audit()


def test_an_image_deactivated_in_mid_registration_is_never_half_made() -> None:
    """While neither way is open the journal holds; later it is finished."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    decision = registration(cloud)
    image_id = decision.found.request.image.id

    class Deactivated(Observer):
        @override
        def step_done(self, step: Step) -> None:
            if type(step).__name__ == "AddLocation":
                cloud.set_image(image_id, status="deactivated")

    ports = cloud.ports("tenant")
    outcome = execute(
        decision.plan, ports, journal=journal, observer=Deactivated()
    )
    assert not outcome.settled
    assert not cloud.audit(journal.open())
    cloud.set_image(image_id, status="active")
    journal.crash()
    (recovered,) = recover(journal, ports)
    assert recovered.settled
    assert not cloud.audit()


@pytest.mark.parametrize("how", Registration)
def test_what_is_registered_can_be_cloned(how: Registration) -> None:
    """What Glance accepts, now or late, the next create clones."""
    cloud = MemoryCloud(registration=how)
    decision = registration(cloud)
    outcome = execute(decision.plan, cloud.ports("tenant"))
    rejected = how is Registration.REJECTED
    assert ("upload" if rejected else "register") == outcome.attempt
    if not rejected:
        image_id = decision.found.request.image.id
        created = clone_of(cloud, image_id, size=6)
        assert not execute(created.plan, cloud.ports("tenant")).failures
    assert not cloud.audit()


def test_a_volume_outlives_the_location_that_names_it() -> None:
    """Undoing stops at a location that Glance does not let go."""
    cloud = MemoryCloud(can_withdraw=False)
    decision = registration(cloud)
    faults = [
        Fault("images.verify_location", UnavailableError(), times=9),
    ]
    faulty = Faulty(cloud.ports("tenant"), faults=faults)
    outcome = execute(decision.plan, faulty.ports)
    assert not outcome.settled
    (image_volume,) = outcome.ids.values()
    assert cloud.padded(DATA, 5) == cloud.volumes[image_volume].data
    assert isinstance(outcome.failures[1].error, ConflictError)


def test_a_quota_that_is_used_up_meanwhile_ends_in_an_upload() -> None:
    """Registering is given up before anything is made."""
    cloud = MemoryCloud()
    decision = registration(cloud)
    limit = attrs.evolve(decision.found.request.clone_quota, volumes=0)
    cloud.limits["internal-tenant"] = limit
    outcome = execute(decision.plan, cloud.ports("tenant"))
    expected = ["QuotaError"]
    assert expected == errors(outcome)
    assert outcome.attempt == "upload"
    assert not cloud.audit()


def test_recovering_nothing_does_nothing() -> None:
    """Who is alive takes care of their own plans."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    decision = registration(cloud)
    journal.begin(decision.plan, {})
    ports: Ports = cloud.ports("tenant")
    assert not recover(journal, ports)


def test_what_an_undoing_may_have_erased_is_never_published() -> None:
    """An erasing whose answer was lost is repeated, and nothing before it."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    image_id = cloud.add_image("tenant", DATA)
    volume = cloud.add_volume("tenant", 5, status="creating")
    request = gather_create(
        image_id, volume, cloud.config, cloud.ports("tenant")
    )
    faults = [
        Fault("volumes.publish", UnavailableError()),
        Fault("array.discard", UnavailableError(), after=True),
    ]
    faulty = Faulty(cloud.ports("tenant"), journal, faults)
    outcome = execute(
        decide_create(request).plan, faulty.ports, journal=faulty.journal
    )
    assert not outcome.settled
    journal.crash()
    again = [Fault("volumes.unpublish", UnavailableError())]
    faulty = Faulty(cloud.ports("tenant"), journal, again)
    assert faulty.journal is not None
    recover(faulty.journal, faulty.ports)
    assert not cloud.audit(journal.open())
    assert cloud.volumes[volume.id].record.status == "error"


def test_what_is_reached_stays_reached_if_closing_fails() -> None:
    """The upload is there, and the volume gets its status back later."""
    cloud, journal = MemoryCloud(), MemoryJournal()
    decision = registration(cloud)
    faults = [Fault("volumes.restore", UnavailableError())]
    faulty = Faulty(cloud.ports("tenant"), journal, faults)
    outcome = execute(decision.plan, faulty.ports, journal=faulty.journal)
    assert "register" == outcome.attempt
    assert not outcome.settled
    journal.crash()
    (recovered,) = recover(journal, cloud.ports("tenant"))
    assert "register" == recovered.attempt
    assert recovered.settled
    assert not cloud.audit()


def test_a_clone_is_not_made_of_an_image_that_was_deactivated() -> None:
    """Nor of one that has become another since the decision."""
    for change in ({"status": "deactivated"}, {"disk_format": "qcow2"}):
        cloud = MemoryCloud()
        image_id = registered(cloud)
        decision = clone_of(cloud, image_id)
        cloud.set_image(image_id, **change)
        outcome = execute(decision.plan, cloud.ports("tenant"))
        assert "StaleError" == errors(outcome)[0]
        assert not cloud.audit()
