"""A machine that creates, uploads, fails, dies and recovers at random."""

# ruff: noqa: S101 - asserting is what a machine for tests does

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
    AdapterError,
    Clone,
    Config,
    Entry,
    GiB,
    Journal,
    NotFoundError,
    Plan,
    Ports,
    UnavailableError,
    Volume,
    decide_create,
    decide_upload,
    execute,
    gather_create,
    gather_upload,
    recover,
)
from clonepolicy.testing.faults import Fault, Faulty, Kill


class CloudJournal(Journal, Protocol):
    """A journal whose plans can be left alone."""

    def crash(self) -> None:
        """Let everybody who carries a plan out be dead."""

    def open(self) -> tuple[Entry, ...]:
        """Give every entry that is not ended."""


class Cloud(Protocol):
    """What the machine needs of a cloud; data are small.

    `clonepolicy.adapters.memory.MemoryCloud` is one.
    """

    @property
    def config(self) -> Config:
        """The options of Cinder."""

    def ports(self, project_id: str) -> Ports:
        """Give the ports of a requester."""

    def add_image(self, owner: str | None, data: bytes | None) -> str:
        """Add an image: active if it has data, else queued."""

    def add_volume(
        self,
        project_id: str,
        size: int,
        *,
        data: bytes | None = None,
        status: str = "available",
        previous_status: str | None = None,
    ) -> Volume:
        """Add a volume; one with data gets it padded to its size."""

    def set_volume(
        self,
        volume_id: str,
        **changes: Any,  # noqa: ANN401 - the record checks them
    ) -> None:
        """Change fields of a volume's record."""

    def delete_image(self, image_id: str) -> None:
        """Delete an image and the volumes behind it."""

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume."""

    def image_data(self, image_id: str) -> bytes | None:
        """Give an image's data, wherever it lies; None: there is none."""

    def volume_data(self, volume_id: str) -> bytes | None:
        """Give a volume's data; None: there is none."""

    def padded(self, data: bytes, size: int) -> bytes:
        """Fill data up with zeros to a size in GiB."""

    def audit(self, entries: tuple[Entry, ...] = ()) -> tuple[str, ...]:
        """List what is broken; ``entries`` are plans still to be ended."""


class UnsafeError(AdapterError):
    """A failure after which nothing else may be tried."""

    safe_to_fall_back = False


_ERRORS = (UnavailableError, UnsafeError, Kill, KeyboardInterrupt)

faults = st.lists(
    st.builds(
        Fault,
        at=st.integers(0, 30),
        error=st.sampled_from(_ERRORS).map(lambda kind: kind()),
        after=st.booleans(),
    ),
    max_size=2,
)
"""Up to two faults within the first calls."""

_TENANT = "tenant"


class ExecutorMachine(RuleBasedStateMachine):
    """Whatever fails, nothing is left half made, and no data is lost.

    Subclass it with a `make` of your own, and run its ``TestCase``.
    """

    def __init__(self) -> None:
        """Start with an empty cloud."""
        super().__init__()
        self.cloud, self.journal = self.make()
        self.ports = self.cloud.ports(_TENANT)
        self.volumes: dict[str, bytes] = {}
        self.images: dict[str, bytes] = {}

    def make(self) -> tuple[Cloud, CloudJournal]:
        """Make an empty cloud and its journal."""
        raise NotImplementedError

    @rule(data=st.binary(min_size=1, max_size=12))
    def add_image(self, data: bytes) -> None:
        """Somebody uploads an image."""
        self.images[self.cloud.add_image(_TENANT, data)] = data

    @rule(data=st.binary(min_size=1, max_size=4), size=st.integers(1, 3))
    def add_volume(self, data: bytes, size: int) -> None:
        """Somebody writes to a new volume."""
        volume = self.cloud.add_volume(_TENANT, size, data=data)
        self.volumes[volume.id] = self.cloud.padded(data, size)

    @precondition(lambda self: self.active())
    @rule(choice=st.data(), more=st.integers(0, 2), planned=faults)
    def create(
        self, choice: st.DataObject, more: int, planned: list[Fault]
    ) -> None:
        """Make a volume of an image; one that is registered is cloned."""
        image_id = choice.draw(st.sampled_from(self.active()))
        image = self.ports.images.get_image(image_id)
        size = max(1, -(-(image.size or 0) // GiB)) + more
        volume = self.cloud.add_volume(_TENANT, size, status="creating")
        self.volumes[volume.id] = self.cloud.padded(
            self.images[image_id], size
        )
        config = self.cloud.config
        request = gather_create(image_id, volume, config, self.ports)
        decision = decide_create(request)
        assert isinstance(decision, Clone) or not request.image_volumes
        self.carry_out(decision.plan, planned)

    @precondition(lambda self: self.available())
    @rule(choice=st.data(), planned=faults)
    def upload(self, choice: st.DataObject, planned: list[Fault]) -> None:
        """Make an image of a volume."""
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
        self.carry_out(decide_upload(request).plan, planned)

    @precondition(lambda self: self.active())
    @rule(choice=st.data())
    def delete_image(self, choice: st.DataObject) -> None:
        """Delete an image, be it in the middle of something."""
        image_id = choice.draw(st.sampled_from(self.active()))
        self.cloud.delete_image(image_id)
        del self.images[image_id]

    @precondition(lambda self: self.available())
    @rule(choice=st.data())
    def delete_volume(self, choice: st.DataObject) -> None:
        """Delete a volume; images that were made of it stay."""
        volume_id = choice.draw(st.sampled_from(self.available()))
        self.cloud.delete_volume(volume_id)
        del self.volumes[volume_id]

    @rule(planned=faults)
    def restart(self, planned: list[Fault]) -> None:
        """Crash and recover, and that may fail and be killed too."""
        self.journal.crash()
        faulty = Faulty(self.ports, self.journal, planned)
        assert faulty.journal is not None
        try:
            recover(faulty.journal, faulty.ports)
        except _ERRORS as error:
            note(f"recovering ended with {error!r}")

    def carry_out(self, plan: Plan, planned: list[Fault]) -> None:
        """Execute a plan; ask again where it was not even begun."""
        before = self.journal.open()
        faulty = Faulty(self.ports, self.journal, planned)
        try:
            outcome = execute(plan, faulty.ports, journal=faulty.journal)
        except _ERRORS as error:
            note(f"executing ended with {error!r}")
            steps = {call.name for call in faulty.calls} - {
                "volumes.new_id",
                "journal.begin",
            }
            if not steps and before == self.journal.open():
                self.carry_out(plan, [])
        else:
            assert outcome.settled is (before == self.journal.open())

    def active(self) -> list[str]:
        """List the images that have data."""
        return [
            image_id
            for image_id in self.images
            if self._image_status(image_id) == "active"
        ]

    def _image_status(self, image_id: str) -> str:
        try:
            return self.ports.images.get_image(image_id).status
        except NotFoundError:
            return "deleted"

    def _volume_status(self, volume_id: str) -> str:
        return self.ports.volumes.get_volume(volume_id).status

    def available(self) -> list[str]:
        """List the volumes that may be used."""
        return [
            volume_id
            for volume_id in self.volumes
            if self._volume_status(volume_id) == "available"
        ]

    @invariant()
    def nothing_is_broken(self) -> None:
        """Open plans excuse what is half made, and nothing else."""
        assert not self.cloud.audit(self.journal.open())

    @invariant()
    def data_is_what_was_written(self) -> None:
        """Every volume and image has its data, and says so if it has not."""
        for volume_id, data in self.volumes.items():
            status = self._volume_status(volume_id)
            if status in {"available", "uploading"}:
                assert data == self.cloud.volume_data(volume_id)
            else:
                assert status in {"creating", "error"}
        for image_id in self.active():
            assert self.images[image_id] == self.cloud.image_data(image_id)

    def teardown(self) -> None:
        """Recover without faults: nothing is left to do after that."""
        self.journal.crash()
        outcomes = recover(self.journal, self.ports)
        assert all(outcome.settled for outcome in outcomes)
        assert not self.journal.open()
        assert not self.cloud.audit()
