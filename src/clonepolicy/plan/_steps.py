"""Steps, attempts and plans: what to do, as data.

A plan is a sequence of attempts.  If a step of an attempt fails, the steps
done so far are undone, last first, and the next attempt is made.  If every
attempt fails, the steps of ``abandon`` are taken.  The last attempt is the
ordinary route, if that is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeAlias

import attrs
from typing_extensions import override

from clonepolicy._facts.checks import checked
from clonepolicy._facts.locations import FileLocation, RbdLocation
from clonepolicy._facts.records import Image, StoredImage, Volume
from clonepolicy.policy._tables import Route


@attrs.frozen(field_transformer=checked)
class VolumeRef:
    """A volume that the plan creates: its id is known at run time only."""

    name: str

    def __str__(self) -> str:
        """Return the name in angle brackets."""
        return f"<{self.name}>"


VolumeId: TypeAlias = str | VolumeRef


@attrs.frozen
class _Step:
    """One call of one port.

    A step that ``repeats`` moves no data and may be taken twice: if it is
    interrupted, it is finished instead of undone.
    """

    repeats: ClassVar[bool] = True

    def undo(self) -> Step | None:
        """Return the step that undoes this one; None: nothing to undo."""
        return None


@attrs.frozen(field_transformer=checked)
class _VolumeStep(_Step):
    """A step about one volume."""

    volume_id: VolumeId


@attrs.frozen(field_transformer=checked)
class DiscardVolume(_VolumeStep):
    """Remove a volume's data from the array, if there is any."""


@attrs.frozen(field_transformer=checked)
class DeleteImageVolume(_VolumeStep):
    """Delete the record of an image volume, if there is one."""


@attrs.frozen(field_transformer=checked)
class UnpublishVolume(_VolumeStep):
    """Take a volume back from available to creating."""


@attrs.frozen(field_transformer=checked)
class _FillingStep(_VolumeStep):
    """A step that gives a volume its data, and cannot be taken twice."""

    repeats: ClassVar[bool] = False

    @override
    def undo(self) -> DiscardVolume:
        """Remove the data."""
        return DiscardVolume(self.volume_id)


@attrs.frozen(field_transformer=checked)
class LocationStep(_Step):
    """A step about a volume as the location of an image."""

    image_id: str
    volume_id: VolumeId
    store: str | None


@attrs.frozen(field_transformer=checked)
class WithdrawLocation(LocationStep):
    """Make sure that a volume is not a location of an image."""


@attrs.frozen(field_transformer=checked)
class CloneVolume(_FillingStep):
    """Have the array clone a volume.

    The volume, and the image that it is cloned for, must be what the
    decision saw.
    """

    source: Volume
    image: Image | None = None


@attrs.frozen(field_transformer=checked)
class CloneImage(_FillingStep):
    """Have the array clone an image that it stores, as the decision saw it."""

    location: RbdLocation | FileLocation
    source: StoredImage
    image: Image


@attrs.frozen(field_transformer=checked)
class ExtendVolume(_VolumeStep):
    """Extend a volume to ``size`` GiB."""

    size: int


@attrs.frozen(field_transformer=checked)
class DownloadImage(_FillingStep):
    """Fill a volume with the image's verified data."""

    image_id: str


@attrs.frozen(field_transformer=checked)
class PublishVolume(_VolumeStep):
    """Set a complete volume to status available."""

    @override
    def undo(self) -> UnpublishVolume:
        """Set it back to creating."""
        return UnpublishVolume(self.volume_id)


@attrs.frozen(field_transformer=checked)
class FailVolume(_VolumeStep):
    """Set a volume without data to status error."""


@attrs.frozen(field_transformer=checked)
class CreateImageVolume(_VolumeStep):
    """Create the record of an image volume, within its project's quota."""

    source_id: str
    project_id: str
    repeats: ClassVar[bool] = False

    @override
    def undo(self) -> DeleteImageVolume:
        """Delete the record."""
        return DeleteImageVolume(self.volume_id)


@attrs.frozen(field_transformer=checked)
class SetVolumeMetadata(_VolumeStep):
    """Set one metadata item of an image volume."""

    key: str
    value: str


@attrs.frozen(field_transformer=checked)
class SetVolumeReadonly(_VolumeStep):
    """Mark an image volume as read-only."""


@attrs.frozen(field_transformer=checked)
class AddLocation(LocationStep):
    """Register a volume as the location of an image."""

    @override
    def undo(self) -> WithdrawLocation:
        """Withdraw the location, or fail: the volume must outlive it."""
        return WithdrawLocation(self.image_id, self.volume_id, self.store)


@attrs.frozen(field_transformer=checked)
class VerifyLocation(LocationStep):
    """Check that the image is active and has the location."""


@attrs.frozen(field_transformer=checked)
class UploadImage(_Step):
    """Send a volume's data to the image."""

    image_id: str
    volume_id: str
    repeats: ClassVar[bool] = False


@attrs.frozen(field_transformer=checked)
class DiscardImage(_Step):
    """Delete an image that has no data."""

    image_id: str


@attrs.frozen(field_transformer=checked)
class RestoreVolume(_Step):
    """Set an uploaded volume back to the status that it had before."""

    volume_id: str


Step: TypeAlias = (
    CloneVolume
    | CloneImage
    | ExtendVolume
    | DownloadImage
    | PublishVolume
    | FailVolume
    | CreateImageVolume
    | SetVolumeMetadata
    | SetVolumeReadonly
    | AddLocation
    | VerifyLocation
    | UploadImage
    | DiscardImage
    | RestoreVolume
    | DiscardVolume
    | DeleteImageVolume
    | UnpublishVolume
    | WithdrawLocation
)
"""Any step."""


@attrs.frozen(field_transformer=checked)
class Attempt:
    """The steps of one route, and the source that they clone."""

    route: Route
    source: str | None
    """The label of a candidate; None: the route clones no candidate."""
    steps: tuple[Step, ...]

    @property
    def verdict(self) -> str:
        """The verdict that this attempt carries out, in one word."""
        return self.route if self.source is None else "clone"

    def __str__(self) -> str:
        """Return the verdict and the source, if there is one."""
        source = "" if self.source is None else f" {self.source}"
        return f"{self.verdict}{source}"


@attrs.frozen(field_transformer=checked)
class Plan:
    """Attempts in order, and the steps to take when all have failed.

    The steps of ``closing`` follow the attempt that succeeds.  If one of them
    fails, `recover` repeats them; the attempt is not undone.

    Raises:
        ValueError: a step uses a `VolumeRef` before a `CreateImageVolume`
            creates that volume.
    """

    attempts: tuple[Attempt, ...]
    abandon: tuple[Step, ...] = ()
    closing: tuple[Step, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Reject a reference to a volume that is not created yet."""
        attempts = (attempt.steps for attempt in self.attempts)
        for steps in (*attempts, self.abandon, self.closing):
            made: set[VolumeRef] = set()
            for step in steps:
                ref = getattr(step, "volume_id", None)
                if isinstance(step, CreateImageVolume):
                    made.update({ref} if isinstance(ref, VolumeRef) else ())
                elif isinstance(ref, VolumeRef) and ref not in made:
                    message = f"{step} uses {ref} before it is created"
                    raise ValueError(message)

    @property
    def refs(self) -> frozenset[VolumeRef]:
        """Every volume that the plan creates."""
        return frozenset(
            step.volume_id
            for step in self
            if isinstance(step, CreateImageVolume)
            and isinstance(step.volume_id, VolumeRef)
        )

    def __iter__(self) -> Iterator[Step]:
        """Iterate over every step: of attempts, of abandon, of closing."""
        for attempt in self.attempts:
            yield from attempt.steps
        yield from self.abandon
        yield from self.closing
