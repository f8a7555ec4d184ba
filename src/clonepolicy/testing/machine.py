"""A hypothesis state machine that executes plans in a cloud."""

# ruff: noqa: S101 - a state machine for tests asserts

from __future__ import annotations

from typing import Any, Protocol

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from clonepolicy import (
    Clone,
    Config,
    GiB,
    LeftBehindError,
    NotFoundError,
    UnavailableError,
    Volume,
    decide,
    execute,
    gather_create,
    gather_upload,
    recover,
)
from clonepolicy.plan import Plan
from clonepolicy.ports import Journal, JournalEntry, Ports
from clonepolicy.testing.faults import Fault, Faulty, Kill

__all__ = ["Cloud", "CloudJournal", "ExecutorMachine"]


class CloudJournal(Journal, Protocol):
    """A journal whose processes can be declared dead."""

    def crash(self) -> None:
        """Declare the owner of every entry dead."""

    def open(self) -> tuple[JournalEntry, ...]:
        """Return every entry, whether its owner lives or not."""
        ...


class Cloud(Protocol):
    """What the machine needs of a cloud.

    `clonepolicy.adapters.memory.MemoryCloud` is one.  A GiB should stand for
    a few bytes, since the machine compares whole volumes.
    """

    @property
    def config(self) -> Config:
        """Cinder's options."""
        ...

    def ports(self, project_id: str) -> Ports:
        """Return the ports of a requester."""
        ...

    def add_image(self, owner: str | None, data: bytes | None) -> str:
        """Add an image; without data it is queued."""
        ...

    def add_volume(
        self,
        project_id: str,
        size: int,
        *,
        data: bytes | None = None,
        status: str = "available",
        previous_status: str | None = None,
    ) -> Volume:
        """Add a volume of so many GiB; zeros follow its data."""
        ...

    def set_volume(
        self,
        volume_id: str,
        **changes: Any,  # noqa: ANN401 - the record checks them
    ) -> None:
        """Change fields of a volume's record."""

    def delete_image(self, image_id: str) -> None:
        """Delete an image and the volumes that hold it."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume."""

    def image_data(self, image_id: str) -> bytes | None:
        """Return an image's bytes from wherever they lie, or None."""
        ...

    def volume_data(self, volume_id: str) -> bytes | None:
        """Return a volume's bytes, or None if it has none."""
        ...

    def padded(self, data: bytes, size: int) -> bytes:
        """Return data with zeros up to a size in GiB."""
        ...

    def audit(self, entries: tuple[JournalEntry, ...] = ()) -> tuple[str, ...]:
        """List everything that is broken.

        Args:
            entries: journal entries of plans that are not finished; what
                they name may be half made.
        """
        ...


_ERRORS = (UnavailableError, LeftBehindError, Kill, KeyboardInterrupt)

faults = st.lists(
    st.builds(
        Fault,
        at=st.integers(0, 30),
        error=st.sampled_from(_ERRORS).map(lambda kind: kind()),
        after=st.booleans(),
    ),
    max_size=2,
)
"""At most two faults within the first 31 calls."""

_TENANT = "tenant"


class ExecutorMachine(RuleBasedStateMachine):
    """Creates, uploads and deletes at random, with faults and kills.

    After each operation nothing may be half made, except by a plan that is
    in the journal, and no data may be lost.  To test a cloud, subclass the
    machine, implement `make`, and run its ``TestCase``.
    """

    def __init__(self) -> None:
        """Create the cloud."""
        super().__init__()
        self.cloud, self.journal = self.make()
        self.ports = self.cloud.ports(_TENANT)
        self.volumes: dict[str, bytes] = {}
        self.images: dict[str, bytes] = {}

    def make(self) -> tuple[Cloud, CloudJournal]:
        """Return an empty cloud and its journal."""
        raise NotImplementedError

    @rule(data=st.binary(min_size=1, max_size=12))
    def add_image(self, data: bytes) -> None:
        """Add an image with data."""
        self.images[self.cloud.add_image(_TENANT, data)] = data

    @rule(data=st.binary(min_size=1, max_size=4), size=st.integers(1, 3))
    def add_volume(self, data: bytes, size: int) -> None:
        """Add a volume with data."""
        volume = self.cloud.add_volume(_TENANT, size, data=data)
        self.volumes[volume.id] = self.cloud.padded(data, size)

    @precondition(lambda self: self.active())
    @rule(choice=st.data(), more=st.integers(0, 2), planned=faults)
    def create(
        self, choice: st.DataObject, more: int, planned: list[Fault]
    ) -> None:
        """Create a volume from an image; clone it if it is registered."""
        image_id = choice.draw(st.sampled_from(self.active()))
        image = self.ports.images.get_image(image_id)
        size = max(1, -(-(image.size or 0) // GiB)) + more
        volume = self.cloud.add_volume(_TENANT, size, status="creating")
        self.volumes[volume.id] = self.cloud.padded(
            self.images[image_id], size
        )
        config = self.cloud.config
        request = gather_create(image_id, volume, config, self.ports)
        decision = decide(request)
        assert isinstance(decision, Clone) or not request.image_volumes
        self.execute(decision.plan, planned)

    @precondition(lambda self: self.available())
    @rule(choice=st.data(), planned=faults)
    def upload(self, choice: st.DataObject, planned: list[Fault]) -> None:
        """Upload a volume to a new image."""
        volume_id = choice.draw(st.sampled_from(self.available()))
        self.cloud.set_volume(
            volume_id, status="uploading", previous_status="available"
        )
        image_id = self.cloud.add_image(_TENANT, None)
        self.images[image_id] = self.volumes[volume_id]
        config = self.cloud.config
        request = gather_upload(
            volume_id, image_id, _TENANT, config, self.ports
        )
        self.execute(decide(request).plan, planned)

    @precondition(lambda self: self.active())
    @rule(choice=st.data())
    def delete_image(self, choice: st.DataObject) -> None:
        """Delete an active image, even while a plan uses it."""
        image_id = choice.draw(st.sampled_from(self.active()))
        self.cloud.delete_image(image_id)
        del self.images[image_id]

    @precondition(lambda self: self.available())
    @rule(choice=st.data())
    def delete_volume(self, choice: st.DataObject) -> None:
        """Delete a volume; images that were uploaded from it stay."""
        volume_id = choice.draw(st.sampled_from(self.available()))
        self.cloud.delete_volume(volume_id)
        del self.volumes[volume_id]

    @rule(planned=faults)
    def restart(self, planned: list[Fault]) -> None:
        """Crash and recover, with faults in the recovery."""
        self.journal.crash()
        faulty = Faulty(self.ports, self.journal, planned)
        assert faulty.journal is not None
        try:
            recover(faulty.journal, faulty.ports)
        except _ERRORS as error:
            note(f"recovery raised {error!r}")

    def execute(self, plan: Plan, planned: list[Fault]) -> None:
        """Execute a plan; try again if a fault came before its first step."""
        before = self.journal.open()
        faulty = Faulty(self.ports, self.journal, planned)
        try:
            outcome = execute(plan, faulty.ports, journal=faulty.journal)
        except _ERRORS as error:
            note(f"the execution raised {error!r}")
            steps = {call.name for call in faulty.calls} - {
                "volumes.new_id",
                "journal.begin",
            }
            if not steps and before == self.journal.open():
                self.execute(plan, [])
        else:
            assert outcome.settled is (before == self.journal.open())

    def active(self) -> list[str]:
        """Return the ids of the active images."""
        return [i for i in self.images if self._image_status(i) == "active"]

    def _image_status(self, image_id: str) -> str:
        try:
            return self.ports.images.get_image(image_id).status
        except NotFoundError:
            return "deleted"

    def _volume_status(self, volume_id: str) -> str:
        return self.ports.volumes.get_volume(volume_id).status

    def available(self) -> list[str]:
        """Return the ids of the available volumes."""
        return [
            v for v in self.volumes if self._volume_status(v) == "available"
        ]

    @invariant()
    def nothing_is_broken(self) -> None:
        """Only a plan in the journal may have something half made."""
        assert not self.cloud.audit(self.journal.open())

    @invariant()
    def data_is_what_was_written(self) -> None:
        """Every available volume and active image has its data."""
        for volume_id, data in self.volumes.items():
            status = self._volume_status(volume_id)
            if status in {"available", "uploading"}:
                assert data == self.cloud.volume_data(volume_id)
            else:
                assert status in {"creating", "error"}
        for image_id in self.active():
            assert self.images[image_id] == self.cloud.image_data(image_id)

    def teardown(self) -> None:
        """Crash and recover without faults; nothing may be left to do."""
        self.journal.crash()
        outcomes = recover(self.journal, self.ports)
        assert all(outcome.settled for outcome in outcomes)
        assert not self.journal.open()
        assert not self.cloud.audit()
