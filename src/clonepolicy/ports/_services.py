"""The three ports: the image service, the volume service, the array.

Any object with these methods will do; inheritance is not needed.  A method
raises `AdapterError` and its subclasses, and nothing else.  A method whose
step ``repeats`` may be called again after it succeeded.  A method that
undoes may be called when there is nothing to undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import attrs

from clonepolicy._facts.config import GlanceConfig, Quota
from clonepolicy._facts.locations import (
    CinderLocation,
    FileLocation,
    Location,
    RbdLocation,
)
from clonepolicy._facts.records import (
    Backend,
    Image,
    Inspection,
    StoredImage,
    StoredVolume,
    Volume,
    VolumeType,
)
from clonepolicy._facts.requests import CacheEntry


class ImageService(Protocol):
    """The Glance client, on behalf of one requester."""

    def get_config(self) -> GlanceConfig:
        """Return what Glance offers."""
        ...

    def get_image(self, image_id: str) -> Image:
        """Return an image; `NotFoundError` if the requester cannot see it."""
        ...

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Return the locations of an image, in Glance's order.

        If no interface shows them, none: `get_image` says HIDDEN.
        """
        ...

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location; do nothing if the image has it already."""

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Remove a location; return when the image does not have it."""

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return when the image is active and has the location."""

    def download(self, image_id: str) -> Iterator[bytes]:
        """Return the image's data; `IntegrityError` if it does not match.

        The error may come as late as the last piece: use the data only
        after the iterator is exhausted.
        """
        ...

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Store a queued image's data, and make the image active."""

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other image alone."""


class VolumeService(Protocol):
    """Cinder's manager and database."""

    def new_id(self) -> str:
        """Return the id for a new volume."""
        ...

    def get_volume(self, volume_id: str) -> Volume:
        """Return a volume of any project, or raise `NotFoundError`."""
        ...

    def get_backend(self, volume: Volume) -> Backend:
        """Return the array that stores a volume."""
        ...

    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        """Return the entries of the image-volume cache for an image."""
        ...

    def get_quota(
        self, project_id: str, volume_type: VolumeType | None = None
    ) -> Quota:
        """Return the quota that a project has left, also for one type.

        Without a volume type, the quota has no limit by type.
        """
        ...

    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        """Create the record of an image volume; `QuotaError` if over quota."""

    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        """Set one metadata item."""

    def set_readonly(self, volume_id: str) -> None:
        """Mark a volume as read-only."""

    def publish(self, volume_id: str) -> None:
        """Set a volume from creating to available."""

    def unpublish(self, volume_id: str) -> None:
        """Set a volume from available to creating, if it exists."""

    def fail(self, volume_id: str) -> None:
        """Set a volume from creating to error, if it exists."""

    def restore(self, volume_id: str) -> None:
        """Set an uploading volume to its previous status, if it exists."""

    def delete_image_volume(self, volume_id: str) -> None:
        """Delete the record of an image volume, if it exists."""


class ArrayBackend(Protocol):
    """One array: the port with many implementations.

    The array stores the data of volumes by their ids.  Their records belong
    to the volume service.  Ids are UUIDs as Cinder writes them.  Reject
    invalid ids and locations with `UnsupportedError`, or make sure that they
    cannot reach another volume.

    If a method raises an `AdapterError`, nothing has changed: existing data
    is still there, and a volume that was to be created does not exist.  If
    the previous state cannot be restored, raise `LeftBehindError`.
    Exceptions: a failed `write` may leave a part of the data, which
    `discard` removes; a failed `extend` may leave the new size.  Any other
    exception is a defect of the adapter.

    The process may be killed at any instant; `discard` removes what a killed
    method leaves.  Several processes may call at once, for several volumes.
    """

    def get_backend(self) -> Backend:
        """Return the array's identity and capabilities: always the same.

        ``array_id`` is set, and no other array has it.  ``clone_kind`` is
        set if the array clones volumes, ``image_clone_kind`` if it clones
        stored images.  If ``clone_limit`` is set, `stat` and `find_image`
        count clones; a discarded clone no longer counts.  A method for a
        capability that is not declared raises `UnsupportedError`.
        """
        ...

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Return what the array stores of a volume; None: no data.

        Raises:
            UnsupportedError: the array cannot look a volume up.
        """
        ...

    def inspect(self, source: str | Location) -> Inspection:
        """Inspect the data of a volume, by its id, or of a stored image.

        Return REFUSED for data that a program which guesses formats would
        not take for raw.  Look at the first 64 KiB.
        Read them anew at each call, because guests write.  Return
        NOT_INSPECTED if the array cannot read a part of the data quickly.

        Raises:
            NotFoundError: there is no data.
            UnsupportedError: the array does not inspect.
        """
        ...

    def find_image(self, location: Location) -> StoredImage | None:
        """Return the image that the array stores at a location.

        None: the array looked, and there is no image.  ``size`` is None if
        the array cannot tell it.

        Raises:
            UnsupportedError: the array does not look there: the location is
                malformed or of another kind, names another array, or is not
                one that the array may clone from.
            ForbiddenError: the array does not let this client look.
        """
        ...

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Create a volume as a clone of another, with the same size.

        The clone has ``source.size`` GiB and the same bytes.  Writing to one
        of the two never changes the other.  ``source`` is the current
        record.  A source in use is cloned as of one instant, or refused.
        Do not repeat this method before `discard`.

        Raises:
            NotFoundError: this array has no data of the source; another
                array may have it.
            ConflictError: the volume has data already, or the source is
                not at rest (`check_source`).
            IntegrityError: the size of the source's data differs from its
                record; data is never truncated or padded.
            CloneLimitError: the source has as many clones as the array
                allows.
        """

    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        """Create a volume as a clone of a stored image.

        The volume has the size that `find_image` returns, the image's bytes,
        and zeros up to the whole GiB.  Do not repeat this method before
        `discard`.

        Raises:
            NotFoundError: `find_image` finds no image at the location.
            UnsupportedError: the array does not look there.
            ConflictError: the volume has data already.
            CloneLimitError: the image has as many clones as the array
                allows.
        """

    def extend(self, volume_id: str, size: int) -> None:
        """Extend a volume to ``size`` GiB; zeros follow its data.

        A volume that has the size already stays as it is, so that this
        method may be repeated.

        Raises:
            NotFoundError: the volume has no data.
            ConflictError: the volume is larger; a volume never shrinks.
        """

    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        """Create a volume of ``size`` GiB with the data of an image.

        ``data`` is in the image's ``disk_format``; zeros follow it.  The
        volume is complete only when ``data`` is exhausted.  Let an exception
        from ``data`` pass; `discard` removes what is written.

        Raises:
            ConflictError: the volume has data already.
            IntegrityError: the data is larger than the volume, or is not in
                the image's format.
            UnsupportedError: the array does not accept the format.
        """

    def read(self, volume_id: str) -> Iterator[bytes]:
        """Return a volume's data, all ``size`` GiB, in pieces.

        A volume may be read several times at once.

        Raises:
            NotFoundError: the volume has no data; raised no later than for
                the first piece.
        """
        ...

    def discard(self, volume_id: str) -> None:
        """Remove a volume's data, if it has any; may be repeated.

        Clones of the volume keep their data.

        Raises:
            ConflictError: the clones need the volume; nothing is removed.
        """


@attrs.frozen(kw_only=True)
class Ports:
    """The three ports that a plan is carried out with."""

    images: ImageService
    volumes: VolumeService
    array: ArrayBackend
