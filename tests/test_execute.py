"""A plan's calls fail one by one and two by two: nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import pytest

from clonepolicy import (
    AdapterError,
    CinderLocation,
    Outcome,
    Plan,
    Ports,
    RbdLocation,
    UnavailableError,
    decide_create,
    decide_upload,
    execute,
    gather_create,
    gather_upload,
    recover,
)
from clonepolicy.adapters.memory import (
    INTERNAL,
    MemoryCloud,
    MemoryJournal,
    Registration,
)
from clonepolicy.testing.faults import Fault, Faulty, Kill

DATA = b"bytes of an image"


class UnsafeError(AdapterError):
    """A failure after which nothing else may be tried."""

    safe_to_fall_back = False


class DefectError(Exception):
    """What no port should ever raise."""


@attrs.frozen(kw_only=True)
class World:
    """A cloud, and a plan that is yet to be carried out in it."""

    cloud: MemoryCloud
    plan: Plan
    volume_id: str
    image_id: str
    journal: MemoryJournal = attrs.field(factory=MemoryJournal)

    @property
    def ports(self) -> Ports:
        """The ports of the tenant who asks."""
        return self.cloud.ports("tenant")

    def reached(self) -> bool:
        """Say whether what was asked for is there."""
        image = self.cloud.images.get(self.image_id)
        volume = self.cloud.volumes[self.volume_id].record
        return volume.status == "available" and (
            image is not None and image.record.status == "active"
        )

    def assert_ended(self) -> None:
        """See that everything is whole, or gone, or says so."""
        cloud = self.cloud
        assert not self.journal.entries
        assert not cloud.audit()
        held = cloud.volumes[self.volume_id]
        if held.record.previous_status is None:
            ends = {
                "available": cloud.padded(DATA, held.record.size),
                "error": None,
            }
            assert ends[held.record.status] == held.data
        else:
            assert cloud.padded(DATA, 5) == held.data
            assert held.record.status == "available"
            if self.image_id in cloud.images:
                assert cloud.image_data(self.image_id) == held.data


def creating(
    cloud: MemoryCloud, image_id: str, *, size: int = 5, empty: bool = False
) -> World:
    """Ask for a volume of an image."""
    volume = cloud.add_volume("tenant", size, status="creating")
    ports = cloud.ports("tenant")
    request = gather_create(image_id, volume, cloud.config, ports)
    plan = decide_create(request).plan
    return World(
        cloud=cloud,
        plan=Plan((), plan.abandon) if empty else plan,
        volume_id=volume.id,
        image_id=image_id,
    )


def backing(cloud: MemoryCloud) -> CinderLocation:
    """Add the volume of an image of the tenant's."""
    volume = cloud.add_volume(INTERNAL, 5, data=DATA)
    cloud.volumes[volume.id].metadata["image_owner"] = "tenant"
    return CinderLocation(volume.id)


def located(count: int, *, size: int = 5, data: bytes | None = None) -> World:
    """Ask for a volume of an image with so many volumes behind it."""
    cloud = MemoryCloud()
    locations = tuple(backing(cloud) for _ in range(count))
    image_id = cloud.add_image("tenant", data, locations=locations)
    cloud.set_image(image_id, size=1)
    return creating(cloud, image_id, size=size)


def stored() -> World:
    """Ask for a volume of an image that lies on the array."""
    cloud = MemoryCloud()
    image_id = cloud.add_image("tenant", DATA)
    location = RbdLocation("array", "images", image_id, "snap")
    cloud.stored[location] = DATA
    cloud.images[image_id].locations = (location,)
    return creating(cloud, image_id)


def uploading(
    registration: Registration = Registration.AT_ONCE,
    *,
    can_withdraw: bool = False,
    enabled: bool = True,
    empty: bool = False,
) -> World:
    """Ask for an image of a volume."""
    cloud = MemoryCloud(registration=registration, can_withdraw=can_withdraw)
    cloud.config = attrs.evolve(
        cloud.config, image_upload_use_cinder_backend=enabled
    )
    volume = cloud.add_volume(
        "tenant",
        5,
        data=DATA,
        status="uploading",
        previous_status="available",
    )
    image_id = cloud.add_image("tenant", None)
    request = gather_upload(
        volume.id, image_id, "tenant", cloud.config, cloud.ports("tenant")
    )
    plan = decide_upload(request).plan
    return World(
        cloud=cloud,
        plan=Plan((), plan.abandon) if empty else plan,
        volume_id=volume.id,
        image_id=image_id,
    )


def plain(*, empty: bool = False) -> World:
    """Ask for a volume of an image that lies with Glance alone."""
    cloud = MemoryCloud()
    return creating(cloud, cloud.add_image("tenant", DATA), empty=empty)


SHAPES: Mapping[str, tuple[Callable[[], World], tuple[str, ...]]] = {
    "clone": (partial(located, 1), ("clone", "download")),
    "clone, extend": (partial(located, 1, size=7), ("clone", "download")),
    "two candidates": (
        partial(located, 2, data=DATA),
        ("clone", "clone", "download"),
    ),
    "array image": (stored, ("clone", "download")),
    "download": (plain, ("download",)),
    "register": (uploading, ("register", "upload")),
    "register, withdrawable": (
        partial(uploading, can_withdraw=True),
        ("register", "upload"),
    ),
    "register, late": (
        partial(uploading, Registration.LATE),
        ("register", "upload"),
    ),
    "register, rejected": (
        partial(uploading, Registration.REJECTED),
        ("register", "upload"),
    ),
    "upload": (partial(uploading, enabled=False), ("upload",)),
    "abandon create": (partial(plain, empty=True), ()),
    "abandon upload": (partial(uploading, empty=True), ()),
}

Way = tuple[type[BaseException], bool]

WAYS: tuple[Way, ...] = tuple(
    (kind, after)
    for kind in (
        UnavailableError,
        UnsafeError,
        Kill,
        KeyboardInterrupt,
        DefectError,
    )
    for after in (False, True)
)
"""What is raised, and whether the call takes effect before that."""

PLANNED = (Kill, KeyboardInterrupt, DefectError, AdapterError)

every_shape = pytest.mark.parametrize("shape", SHAPES)


def run(world: World, faulty: Faulty) -> Outcome | None:
    """Carry the plan out; None if that raises."""
    try:
        return execute(world.plan, faulty.ports, journal=faulty.journal)
    except PLANNED:
        return None


def endure(shape: str, *faults: Fault) -> int:
    """Carry out, crash, recover, and see; count the calls until then."""
    world = SHAPES[shape][0]()
    faulty = Faulty(world.ports, world.journal, faults)
    before = (repr(world.cloud.images), repr(world.cloud.volumes))
    outcome = run(world, faulty)
    if world.journal.begun:
        assert not world.cloud.audit(world.journal.open())
    if outcome is not None:
        assert outcome.settled is (not world.journal.entries)
        # what is reached stays reached, be the closing done or not
        if outcome.settled:
            assert outcome.attempt is None or world.reached()
    if not world.journal.begun:
        after = (repr(world.cloud.images), repr(world.cloud.volumes))
        assert before == after
        return len(faulty.calls)
    recovered(world, faulty)
    made = len(faulty.calls)
    faulty.restart()
    settled = [o.settled for o in recovered(world, faulty)]
    assert all(settled)
    world.assert_ended()
    return made


def recovered(world: World, faulty: Faulty) -> tuple[Outcome, ...]:
    """Start anew after a crash; nothing if that fails too."""
    world.journal.crash()
    faulty.restart()
    assert faulty.journal is not None
    try:
        return recover(faulty.journal, faulty.ports)
    except PLANNED:
        assert not world.cloud.audit(world.journal.open())
        return ()


def calls(shape: str) -> range:
    """Number the calls of a run without faults."""
    return range(endure(shape))


@every_shape
def test_a_shape_is_what_it_says(shape: str) -> None:
    """Every plan has the attempts that its shape is named after."""
    make, attempts = SHAPES[shape]
    world = make()
    assert attempts == tuple(a.name.split()[0] for a in world.plan.attempts)
    assert endure(shape) > 0


def test_every_single_fault_is_endured() -> None:
    """1700 cases: every call of every shape fails in every way."""
    cases = [
        endure(shape, Fault(at, kind(), after=after))
        for shape in SHAPES
        for at in calls(shape)
        for kind, after in WAYS
    ]
    expected = 1700
    assert expected == len(cases)


FIRST: tuple[Way, ...] = (
    (UnavailableError, False),
    (UnavailableError, True),
    (KeyboardInterrupt, True),
    (Kill, True),
)
SECOND: tuple[Way, ...] = (
    (UnavailableError, True),
    (Kill, False),
    (Kill, True),
)


def test_every_second_fault_is_endured() -> None:
    """15330 cases: a second call fails, be it of undoing or recovering."""
    cases = 0
    for shape in SHAPES:
        for at in calls(shape):
            for kind, after in FIRST:
                one = Fault(at, kind(), after=after)
                for then in range(at + 1, endure(shape, one)):
                    for other, late in SECOND:
                        endure(shape, one, Fault(then, other(), after=late))
                        cases += 1
    expected = 15330
    assert expected == cases


UNDOABLE = (
    "clone",
    "clone, extend",
    "two candidates",
    "array image",
    "download",
    "register, withdrawable",
    "upload",
)
"""Shapes of which every step that is taken can be taken back."""


@pytest.mark.parametrize("shape", UNDOABLE)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, DefectError])
def test_what_no_port_raises_passes_after_everything_is_undone(
    shape: str, kind: type[BaseException]
) -> None:
    """A defect or an interrupt in any step leaves nothing to recover."""
    watched = SHAPES[shape][0]()
    faulty = Faulty(watched.ports, watched.journal)
    run(watched, faulty)
    for at, call in enumerate(faulty.calls):
        if call.name.startswith("journal.") or call.name == "volumes.new_id":
            continue
        for after in (False, True):
            world = SHAPES[shape][0]()
            faults = [Fault(at, kind(), after=after)]
            faulty = Faulty(world.ports, world.journal, faults)
            with pytest.raises(kind):
                execute(world.plan, faulty.ports, journal=faulty.journal)
            if call.name == "volumes.restore":
                # the end was reached: closing is left to recovery
                assert not world.cloud.audit(world.journal.open())
                recovered(world, Faulty(world.ports, world.journal))
            world.assert_ended()
