"""What is to be done, as data: steps, attempts, and what undoes them.

A plan is a row of attempts.  One is made; when a step of it fails, what
was done is undone, last first, and the next attempt is made.  When none
is left, ``abandon`` says how to leave.  The last attempt is the ordinary
path, where that is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeAlias

import attrs
from typing_extensions import override

from clonepolicy._locations import FileLocation, RbdLocation
from clonepolicy._records import (
    Candidate,
    CreateRequest,
    Image,
    StoredImage,
    UploadRequest,
    Volume,
)


@attrs.frozen
class Ref:
    """A volume that the plan makes; its id is not known before."""

    name: str

    def __str__(self) -> str:
        """Mark it as not yet known."""
        return f"<{self.name}>"


VolumeId: TypeAlias = str | Ref


@attrs.frozen
class _Step:
    """One call of one port.

    A step that ``repeats`` may be done twice: it moves no data, so that
    what broke off in it is finished rather than undone.
    """

    repeats: ClassVar[bool] = True

    def undo(self) -> Step | None:
        """Give the step that takes this one back, where one is needed."""
        return None


@attrs.frozen
class DiscardVolume(_Step):
    """Remove a volume's data from the array, if there is any."""

    volume_id: VolumeId


@attrs.frozen
class DeleteImageVolume(_Step):
    """Delete the record of an image volume, if there is one."""

    volume_id: VolumeId


@attrs.frozen
class UnpublishVolume(_Step):
    """Take a volume back from available to creating."""

    volume_id: VolumeId


@attrs.frozen
class WithdrawLocation(_Step):
    """Make sure that an image does not show a volume as its location."""

    image_id: str
    volume_id: VolumeId
    store: str | None


@attrs.frozen
class CloneVolume(_Step):
    """Have the array clone a volume that is as the decision saw it.

    Where it is cloned for an image, so is that.
    """

    volume_id: VolumeId
    source: Volume
    image: Image | None = None
    repeats: ClassVar[bool] = False

    @override
    def undo(self) -> DiscardVolume:
        """Remove the clone."""
        return DiscardVolume(self.volume_id)


@attrs.frozen
class CloneImage(_Step):
    """Have the array clone an image that lies on it, as the decision saw."""

    volume_id: VolumeId
    location: RbdLocation | FileLocation
    source: StoredImage
    image: Image
    repeats: ClassVar[bool] = False

    @override
    def undo(self) -> DiscardVolume:
        """Remove the clone."""
        return DiscardVolume(self.volume_id)


@attrs.frozen
class ExtendVolume(_Step):
    """Grow a volume to a size in GiB."""

    volume_id: VolumeId
    size: int


@attrs.frozen
class DownloadImage(_Step):
    """Fill a volume with the image's verified data."""

    volume_id: VolumeId
    image_id: str
    repeats: ClassVar[bool] = False

    @override
    def undo(self) -> DiscardVolume:
        """Remove what was written."""
        return DiscardVolume(self.volume_id)


@attrs.frozen
class PublishVolume(_Step):
    """Let a whole volume say that it is available."""

    volume_id: VolumeId

    @override
    def undo(self) -> UnpublishVolume:
        """Take that back."""
        return UnpublishVolume(self.volume_id)


@attrs.frozen
class FailVolume(_Step):
    """Let a volume without data say so: status error."""

    volume_id: VolumeId


@attrs.frozen
class CreateImageVolume(_Step):
    """Make the record of an image volume, within its project's quota."""

    volume_id: VolumeId
    source_id: str
    project_id: str
    repeats: ClassVar[bool] = False

    @override
    def undo(self) -> DeleteImageVolume:
        """Delete the record."""
        return DeleteImageVolume(self.volume_id)


@attrs.frozen
class SetVolumeMetadata(_Step):
    """Write one metadata item of an image volume."""

    volume_id: VolumeId
    key: str
    value: str


@attrs.frozen
class SetVolumeReadonly(_Step):
    """Mark an image volume as read-only."""

    volume_id: VolumeId


@attrs.frozen
class AddLocation(_Step):
    """Register a volume as the location of an image."""

    image_id: str
    volume_id: VolumeId
    store: str | None

    @override
    def undo(self) -> WithdrawLocation:
        """Withdraw it, or fail loudly: the volume must outlive it."""
        return WithdrawLocation(self.image_id, self.volume_id, self.store)


@attrs.frozen
class VerifyLocation(_Step):
    """See that the image is active and shows the location."""

    image_id: str
    volume_id: VolumeId
    store: str | None


@attrs.frozen
class UploadImage(_Step):
    """Send a volume's data to the image."""

    image_id: str
    volume_id: str
    repeats: ClassVar[bool] = False


@attrs.frozen
class DiscardImage(_Step):
    """Delete an image that received no data."""

    image_id: str


@attrs.frozen
class RestoreVolume(_Step):
    """Give an uploaded volume the status back that it had before."""

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
"""Every step there is."""


@attrs.frozen
class Attempt:
    """One way to the end, named after its path or its source."""

    name: str
    steps: tuple[Step, ...]


@attrs.frozen
class Plan:
    """Attempts in order, and the steps to take when all have failed.

    ``closing`` follows the attempt that succeeds.  It undoes nothing: what
    is reached stays reached, and a closing that fails is repeated later.

    Raises:
        ValueError: a step uses a `Ref` before `CreateImageVolume` makes it.
    """

    attempts: tuple[Attempt, ...]
    abandon: tuple[Step, ...] = ()
    closing: tuple[Step, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse a reference to what is not made yet."""
        attempts = (attempt.steps for attempt in self.attempts)
        for steps in (*attempts, self.abandon, self.closing):
            made: set[Ref] = set()
            for step in steps:
                ref = getattr(step, "volume_id", None)
                if isinstance(step, CreateImageVolume):
                    made.update({ref} if isinstance(ref, Ref) else ())
                elif isinstance(ref, Ref) and ref not in made:
                    message = f"{step} uses {ref} before it is made"
                    raise ValueError(message)

    @property
    def refs(self) -> frozenset[Ref]:
        """Every volume that the plan makes."""
        return frozenset(
            step.volume_id
            for step in self
            if isinstance(step, CreateImageVolume)
            and isinstance(step.volume_id, Ref)
        )

    def __iter__(self) -> Iterator[Step]:
        """Walk every step: of attempts, of abandoning, of closing."""
        for attempt in self.attempts:
            yield from attempt.steps
        yield from self.abandon
        yield from self.closing


def grown(request: CreateRequest, candidate: Candidate) -> int | None:
    """The size in GiB to extend a clone to; None where it need not grow."""
    source = candidate.source
    if source is None or source.size >= request.volume.size:
        return None
    return request.volume.size


def clone_attempt(
    request: CreateRequest, candidate: Candidate, name: str
) -> Attempt:
    """Clone the candidate's source, and grow the clone where needed."""
    volume_id, source = request.volume.id, candidate.source
    location = getattr(candidate, "location", None)
    steps: list[Step] = []
    if isinstance(source, Volume):
        steps.append(CloneVolume(volume_id, source, request.image))
    elif source is not None and isinstance(
        location, (RbdLocation, FileLocation)
    ):
        steps.append(CloneImage(volume_id, location, source, request.image))
    size = grown(request, candidate)
    if size is not None:
        steps.append(ExtendVolume(volume_id, size))
    return Attempt(f"clone {name}", (*steps, PublishVolume(volume_id)))


def download_attempt(request: CreateRequest) -> Attempt:
    """Fill the volume with the image's bytes."""
    volume_id = request.volume.id
    return Attempt(
        "download",
        (DownloadImage(volume_id, request.image.id), PublishVolume(volume_id)),
    )


def abandon_create(request: CreateRequest) -> tuple[Step, ...]:
    """Leave the volume with a status that says so."""
    return (FailVolume(request.volume.id),)


IMAGE_VOLUME = Ref("image-volume")


def register_attempt(request: UploadRequest, store: str | None) -> Attempt:
    """Clone the volume and register the clone.

    ``image_owner`` before the location, so that nobody reads a location
    that nobody vouches for; ``glance_image_id`` after it; then see what
    Glance made of it.
    """
    image, volume = request.image, request.volume
    owner = (
        ()
        if image.owner is None
        else (SetVolumeMetadata(IMAGE_VOLUME, "image_owner", image.owner),)
    )
    return Attempt(
        "register",
        (
            CreateImageVolume(IMAGE_VOLUME, volume.id, request.clone_project),
            CloneVolume(IMAGE_VOLUME, volume),
            *owner,
            SetVolumeReadonly(IMAGE_VOLUME),
            PublishVolume(IMAGE_VOLUME),
            AddLocation(image.id, IMAGE_VOLUME, store),
            SetVolumeMetadata(IMAGE_VOLUME, "glance_image_id", image.id),
            VerifyLocation(image.id, IMAGE_VOLUME, store),
        ),
    )


def upload_attempt(request: UploadRequest) -> Attempt:
    """Send the volume's bytes."""
    upload = UploadImage(request.image.id, request.volume.id)
    return Attempt("upload", (upload,))


def abandon_upload(request: UploadRequest) -> tuple[Step, ...]:
    """Leave no image without data, and the volume as it was."""
    return (DiscardImage(request.image.id), *close_upload(request))


def close_upload(request: UploadRequest) -> tuple[Step, ...]:
    """Leave the volume as it was."""
    return (RestoreVolume(request.volume.id),)
