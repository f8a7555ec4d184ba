"""Each call of a plan fails, one or two at a time; nothing is left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    AdapterError,
    CreateDecision,
    LeftBehindError,
    Outcome,
    UnavailableError,
    UploadDecision,
    execute,
    recover,
)
from clonepolicy.adapters.memory import (
    MemoryCloud,
    MemoryJournal,
    Registration,
)
from clonepolicy.plan import Plan
from clonepolicy.ports import Ports
from clonepolicy.testing.faults import Fault, Faulty, Kill
from memory_support import (
    DATA,
    TENANT,
    add_source,
    add_stored_image,
    ask_create,
    ask_upload,
)


class DefectError(Exception):
    """An exception that no port may raise."""


@attrs.frozen(kw_only=True)
class Case:
    """A cloud, and a plan that nobody has executed in it."""

    cloud: MemoryCloud
    plan: Plan
    volume_id: str
    image_id: str
    journal: MemoryJournal = attrs.field(factory=MemoryJournal)

    @property
    def ports(self) -> Ports:
        """The tenant's ports."""
        return self.cloud.ports(TENANT)

    def snapshot(self) -> str:
        """Return all rows and data as text, to compare later."""
        cloud = self.cloud
        data = [array.volumes for array in cloud.arrays.values()]
        return repr((cloud.images, cloud.volumes, data))

    def succeeded(self) -> bool:
        """Say whether the volume is available and the image active."""
        image = self.cloud.images.get(self.image_id)
        volume = self.cloud.volumes[self.volume_id].record
        return volume.status == "available" and (
            image is not None and image.record.status == "active"
        )

    def assert_nothing_is_half_made(self) -> None:
        """Check that everything is whole, or deleted, or in error."""
        cloud = self.cloud
        assert not self.journal.entries
        assert not cloud.audit()
        volume = cloud.volumes[self.volume_id].record
        data = cloud.volume_data(self.volume_id)
        if volume.previous_status is None:
            expected = {
                "available": cloud.padded(DATA, volume.size),
                "error": None,
            }
            assert expected[volume.status] == data
        else:
            assert cloud.padded(DATA, 5) == data
            assert volume.status == "available"
            if self.image_id in cloud.images:
                assert cloud.image_data(self.image_id) == data


def case(
    cloud: MemoryCloud,
    decision: CreateDecision | UploadDecision,
    *,
    abandon: bool = False,
) -> Case:
    """Make a case of a decision; ``abandon`` removes all attempts."""
    request, plan = decision.request, decision.plan
    return Case(
        cloud=cloud,
        plan=Plan((), plan.abandon) if abandon else plan,
        volume_id=request.volume.id,
        image_id=request.image.id,
    )


def cloned(sources: int, *, size: int = 5, data: bytes | None = None) -> Case:
    """Create a volume from an image that lies in so many volumes."""
    cloud = MemoryCloud()
    locations = tuple(add_source(cloud) for _ in range(sources))
    image_id = cloud.add_image(TENANT, data, locations=locations)
    cloud.set_image(image_id, size=1)
    return case(cloud, ask_create(cloud, image_id, size))


def stored() -> Case:
    """Create a volume from an image that lies on the array."""
    cloud = MemoryCloud()
    image_id, _ = add_stored_image(cloud)
    return case(cloud, ask_create(cloud, image_id))


def downloaded(*, abandon: bool = False) -> Case:
    """Create a volume from an image that lies in Glance only."""
    cloud = MemoryCloud()
    decision = ask_create(cloud, cloud.add_image(TENANT, DATA))
    return case(cloud, decision, abandon=abandon)


def uploaded(
    registration: Registration = Registration.AT_ONCE,
    *,
    can_withdraw: bool = False,
    enabled: bool = True,
    abandon: bool = False,
) -> Case:
    """Upload a volume; ``enabled`` allows to register its clone."""
    cloud = MemoryCloud(registration=registration, can_withdraw=can_withdraw)
    cloud.config = attrs.evolve(
        cloud.config, image_upload_use_cinder_backend=enabled
    )
    return case(cloud, ask_upload(cloud), abandon=abandon)


CASES: Mapping[str, tuple[Callable[[], Case], tuple[str, ...]]] = {
    "clone": (partial(cloned, 1), ("clone", "download")),
    "clone, extend": (partial(cloned, 1, size=7), ("clone", "download")),
    "two candidates": (
        partial(cloned, 2, data=DATA),
        ("clone", "clone", "download"),
    ),
    "array image": (stored, ("clone", "download")),
    "download": (downloaded, ("download",)),
    "register": (uploaded, ("register", "upload")),
    "register, withdrawable": (
        partial(uploaded, can_withdraw=True),
        ("register", "upload"),
    ),
    "register, late": (
        partial(uploaded, Registration.LATE),
        ("register", "upload"),
    ),
    "register, rejected": (
        partial(uploaded, Registration.REJECTED),
        ("register", "upload"),
    ),
    "upload": (partial(uploaded, enabled=False), ("upload",)),
    "abandon create": (partial(downloaded, abandon=True), ()),
    "abandon upload": (partial(uploaded, abandon=True), ()),
}
"""Each case and the attempts of its plan."""

FaultKind = tuple[type[BaseException], bool]
"""What is raised, and whether the call takes effect first."""

FAULTS: tuple[FaultKind, ...] = tuple(
    (kind, after)
    for kind in (
        UnavailableError,
        LeftBehindError,
        Kill,
        KeyboardInterrupt,
        DefectError,
    )
    for after in (False, True)
)

INJECTED = (Kill, KeyboardInterrupt, DefectError, AdapterError)


def run(subject: Case, faulty: Faulty) -> Outcome | None:
    """Execute the plan; return None if an injected fault comes out."""
    try:
        return execute(subject.plan, faulty.ports, journal=faulty.journal)
    except INJECTED:
        return None


def survive(name: str, *faults: Fault) -> int:
    """Execute, crash, recover twice and check; count the calls."""
    subject = CASES[name][0]()
    faulty = Faulty(subject.ports, subject.journal, faults)
    before = subject.snapshot()
    outcome = run(subject, faulty)
    if subject.journal.begun:
        assert not subject.cloud.audit(subject.journal.open())
    if outcome is not None:
        assert outcome.settled is (not subject.journal.entries)
        # an attempt that succeeded stays so, even if closing fails
        if outcome.settled:
            assert outcome.attempt is None or subject.succeeded()
    if not subject.journal.begun:
        assert before == subject.snapshot()
        return len(faulty.calls)
    crash_and_recover(subject, faulty)
    calls = len(faulty.calls)
    faulty.restart()
    assert all(o.settled for o in crash_and_recover(subject, faulty))
    subject.assert_nothing_is_half_made()
    return calls


def crash_and_recover(subject: Case, faulty: Faulty) -> tuple[Outcome, ...]:
    """Recover in a new process; return nothing if a fault comes out."""
    subject.journal.crash()
    faulty.restart()
    assert faulty.journal is not None
    try:
        return recover(faulty.journal, faulty.ports)
    except INJECTED:
        assert not subject.cloud.audit(subject.journal.open())
        return ()


def calls(name: str) -> range:
    """Return the numbers of the calls that a case makes without faults."""
    return range(survive(name))


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_the_attempts_it_is_named_after(name: str) -> None:
    """And without faults it makes calls and leaves nothing half made."""
    make, attempts = CASES[name]
    plan = make().plan
    assert attempts == tuple(a.verdict for a in plan.attempts)
    assert survive(name) > 0


def test_a_plan_survives_every_single_fault() -> None:
    """1780 runs: every call of every case, with every kind of fault."""
    runs = [
        survive(name, Fault(at, kind(), after=after))
        for name in CASES
        for at in calls(name)
        for kind, after in FAULTS
    ]
    expected = 1780
    assert expected == len(runs)


FIRST: tuple[FaultKind, ...] = (
    (UnavailableError, False),
    (UnavailableError, True),
    (KeyboardInterrupt, True),
    (Kill, True),
)
SECOND: tuple[FaultKind, ...] = (
    (UnavailableError, True),
    (Kill, False),
    (Kill, True),
)


@pytest.mark.one_python
def test_a_plan_survives_every_second_fault() -> None:
    """16242 runs: the second fault hits a step, an undoing or a recovery."""
    runs = 0
    for name in CASES:
        for at in calls(name):
            for kind, after in FIRST:
                one = Fault(at, kind(), after=after)
                for then in range(at + 1, survive(name, one)):
                    for other, late in SECOND:
                        survive(name, one, Fault(then, other(), after=late))
                        runs += 1
    expected = 16242
    assert expected == runs


UNDOABLE = (
    "clone",
    "clone, extend",
    "two candidates",
    "array image",
    "download",
    "register, withdrawable",
    "upload",
)
"""The cases whose steps can all be undone."""


@pytest.mark.parametrize("name", UNDOABLE)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, DefectError])
def test_any_other_exception_is_raised_after_everything_is_undone(
    name: str, kind: type[BaseException]
) -> None:
    """A defect or an interrupt in any step leaves nothing to recover."""
    watched = CASES[name][0]()
    faulty = Faulty(watched.ports, watched.journal)
    run(watched, faulty)
    for at, call in enumerate(faulty.calls):
        if call.name.startswith("journal.") or call.name == "volumes.new_id":
            continue
        for after in (False, True):
            subject = CASES[name][0]()
            faults = [Fault(at, kind(), after=after)]
            faulty = Faulty(subject.ports, subject.journal, faults)
            with pytest.raises(kind):
                execute(subject.plan, faulty.ports, journal=faulty.journal)
            if call.name == "volumes.restore":
                # the upload succeeded; recovery repeats the closing
                assert not subject.cloud.audit(subject.journal.open())
                crash_and_recover(
                    subject, Faulty(subject.ports, subject.journal)
                )
            subject.assert_nothing_is_half_made()
