"""What the outside has to offer: three ports, a journal, an observer.

Ports are structural: any object with these methods will do.  They raise
`AdapterError` and its kinds, and nothing else; every method whose step
``repeats`` may be called again after it succeeded, and every undoing
method may be called when there is nothing to undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import attrs

from clonepolicy._errors import AdapterError
from clonepolicy._locations import (
    CinderLocation,
    FileLocation,
    Location,
    RbdLocation,
)
from clonepolicy._plans import Plan, Ref, Step
from clonepolicy._records import (
    Backend,
    CacheEntry,
    GlanceConfig,
    Image,
    Quota,
    StoredImage,
    StoredVolume,
    Volume,
)


class ImageService(Protocol):
    """The Glance client, on behalf of one requester."""

    def get_config(self) -> GlanceConfig:
        """Tell what the service offers."""

    def get_image(self, image_id: str) -> Image:
        """Read an image; `NotFoundError` if the requester sees none."""

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read where the image's data lies, in the service's order."""

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location; fine if the image shows it already."""

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Return once the image does not show the location, or raise."""

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return once the image is active and shows the location."""

    def download(self, image_id: str) -> Iterator[bytes]:
        """Give the image's data; `IntegrityError` if it is not that.

        The error comes at the end at the latest, so that data is good only
        when the iterator is exhausted.
        """

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Take an image's data; a queued image becomes active, or none."""

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone."""


class VolumeService(Protocol):
    """Cinder's manager and database."""

    def new_id(self) -> str:
        """Make an id for a volume to come."""

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume of any project, or raise `NotFoundError`."""

    def get_backend(self, volume: Volume) -> Backend:
        """Tell what array a volume lies on."""

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        """Read the image-volume cache's entries for an image."""

    def get_quota(self, project_id: str) -> Quota:
        """Tell what is left to a project."""

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Make the record of an image volume: `QuotaError` if too many."""

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Write one metadata item."""

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only."""

    def publish(self, volume_id: str) -> None:
        """Make a volume in creation available."""

    def unpublish(self, volume_id: str) -> None:
        """Take an available volume back into creation, if there is one."""

    def fail(self, volume_id: str) -> None:
        """Put a volume in creation into status error, if there is one."""

    def restore(self, volume_id: str) -> None:
        """Give an uploading volume its old status back, if there is one."""

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the record of an image volume, if there is one."""


class ArrayBackend(Protocol):
    """One array: the port with many implementations.

    It keeps the data of volumes under their ids, and nothing else: their
    records are the volume service's.  Ids are UUIDs as Cinder writes them;
    what else may come as an id or a location is refused with
    `UnsupportedError`, or kept apart from all others.

    Every method raises `AdapterError` and its kinds, and means by it that
    nothing has changed: what was there is there, and a volume that was to
    be made is not, so that another way may be tried.  Where that cannot be
    brought about it raises `LeftBehindError`.  Two may leave more: `write` a
    part, which `discard` removes, and `extend` the new size.  Any other
    exception is a defect of the adapter.  A kill may come at any instant;
    `discard` removes what it left.

    All calls may come from several processes at once, for several volumes.
    """

    def get_backend(self) -> Backend:
        """Tell what the array is and can do: the same in every call.

        ``array_id`` is there, and is no other array's.  ``clone_kind`` is
        there if it clones volumes, ``image_clone_kind`` if it clones stored
        images.  With a ``clone_limit``, `stat` and `find_image` count; a
        clone that was discarded counts no more.  What is not declared is not
        done: `UnsupportedError` if asked for.
        """

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Tell what the array keeps of a volume; None: nothing.

        Raises:
            UnsupportedError: the array cannot tell.
        """

    def find_image(self, location: Location) -> StoredImage | None:
        """Look for an image behind a location of the array's own kind.

        None: the location is not of its kind, names another array, is not
        among those it may clone from, or there is nothing.
        """

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Make a volume's data a clone of another's, of the same size.

        After it, the two are equal, ``source.size`` GiB, and apart: what is
        written to one never shows in the other.  ``source`` is the record as
        it is now; one in use is cloned as it was at one instant, or refused.
        May not be repeated before `discard`.

        Raises:
            NotFoundError: this array has no data of the source; it may lie
                on another one.
            ConflictError: the volume has data already, or the source is
                not at rest (`check_source`).
            IntegrityError: the source's data has another size than its
                record says; nothing is cut or filled up.
            CloneLimitError: the source has as many clones as it may have.
        """

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Make a volume's data a clone of a stored image.

        After it, the volume has the size that `find_image` told, the image's
        bytes, and zeros up to the whole GiB.  May not be repeated before
        `discard`.

        Raises:
            NotFoundError: `find_image` finds nothing there.
            ConflictError: the volume has data already.
            CloneLimitError: the image has as many clones as it may have.
        """

    def extend(self, volume_id: str, size: int) -> None:
        """Grow a volume to a size in GiB; its data stays, zeros follow.

        One that has the size already is left as it is: may be repeated.

        Raises:
            NotFoundError: the volume has no data.
            ConflictError: it is larger than that; nothing ever shrinks.
        """

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Fill a volume of that many GiB with an image's data, all of it.

        ``data`` is in the image's ``disk_format``; zeros follow it.  The
        volume is whole only when ``data`` was exhausted: whatever that
        raises passes through, and `discard` removes what was written.

        Raises:
            ConflictError: the volume has data already.
            IntegrityError: the data does not fit, or is not of its format.
            UnsupportedError: the array takes no such format.
        """

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Give a volume's data, all ``size`` GiB of it, in pieces.

        Several readings may be under way, of one volume too.

        Raises:
            NotFoundError: it has no data; with the first piece at the latest.
        """

    def discard(self, volume_id: str) -> None:
        """Remove a volume's data, if there is any; may be repeated.

        Clones that were made of it keep theirs.

        Raises:
            ConflictError: they cannot do without it; nothing is removed.
        """


@attrs.frozen(kw_only=True)
class Ports:
    """The three ports of one execution."""

    images: ImageService
    volumes: VolumeService
    array: ArrayBackend


@attrs.frozen(kw_only=True)
class Entry:
    """Where a journalled plan stands.

    ``attempt`` counts the plan's attempts and, after the last, abandoning
    and then closing; ``step`` is the step that was begun last, or at closing
    the attempt that succeeded.  Marks may go back: undoing does.
    """

    id: str
    plan: Plan
    ids: Mapping[Ref, str]
    """The ids that stand for the plan's references."""
    attempt: int
    step: int
    undoing: bool


class Journal(Protocol):
    """Remembers across a kill how far each plan got."""

    def begin(self, plan: Plan, ids: Mapping[Ref, str]) -> str:
        """Remember a plan before its first step; give its entry's id."""

    def mark(
        self, entry_id: str, attempt: int, step: int, *, undoing: bool
    ) -> None:
        """Remember what is about to begin."""

    def end(self, entry_id: str) -> None:
        """Forget a plan that came to its end."""

    def interrupted(self) -> tuple[Entry, ...]:
        """Give the entries of which nobody alive takes care."""


class Observer:
    """Hooks of an execution, all empty; take those that are wanted."""

    def attempt_started(self, name: str) -> None:
        """Hear that an attempt begins."""

    def step_started(self, step: Step) -> None:
        """Hear that a step begins."""

    def step_done(self, step: Step) -> None:
        """Hear that a step succeeded."""

    def step_failed(self, step: Step, error: AdapterError) -> None:
        """Hear that a step failed."""

    def moved(self, count: int) -> None:
        """Hear that so many more bytes passed through."""
