"""What an author writes to have an adapter tested: a harness.

A harness holds the adapter under test, and functions that inspect the storage
or the service without going through that adapter.
"""

from __future__ import annotations

import uuid
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager

import attrs

from clonepolicy import CinderLocation, GiB, Location, Quota, Volume
from clonepolicy.ports import ArrayBackend, ImageService, VolumeService


def _make_record(size: int, status: str) -> Volume:
    return Volume(
        id=str(uuid.uuid4()), project_id="harness", size=size, status=status
    )


def _do_nothing(*_: object) -> None:
    pass


@attrs.frozen(kw_only=True)
class Harness:
    """What all harnesses have in common."""

    xfail: Mapping[str, str] = attrs.field(factory=dict)
    """Known failures: the ids of checks, each with a reason."""
    close: Callable[[], None] = _do_nothing
    """Remove everything that the harness and the checks created."""


@attrs.frozen(kw_only=True)
class ArrayHarness(Harness):
    """An array under test, and functions that inspect it.

    Every array needs the first four members.  If another one is missing,
    checks are skipped, or fail if the array declares what they would test.
    """

    array: ArrayBackend
    overwrite: Callable[[str, int, bytes], None]
    """Write bytes into a volume at an offset, as a guest would."""
    size_of: Callable[[str], int | None]
    """Return a volume's size in bytes, by the array's own tools; None: the
    array has no such volume."""
    holds: Callable[[], Collection[str]]
    """Name everything that the array keeps for volumes, by its own tools:
    files, images, snapshots, and whatever else could be left behind."""
    exclusive: Callable[[str], int] | None = None
    """Return how many bytes of storage a volume shares with no other, by the
    array's own tools; required if the array declares a clone kind."""
    transferred: Callable[[], int] | None = None
    """Return how many bytes this client has exchanged with the array so far;
    required if the array declares offloaded copies."""
    add_image: Callable[[Iterator[bytes]], Location] | None = None
    """Store raw data as an image; required if the array declares
    ``image_schemes``."""
    remove_image: Callable[[Location], object] | None = None
    """Remove such an image, even if clones depend on it."""
    other: ArrayBackend | None = None
    """Another array of the same kind, with another identity."""
    breaking: Callable[[], AbstractContextManager[object]] | None = None
    """Enter a context in which the array begins changes and then fails."""
    guest: (
        Callable[[str], AbstractContextManager[Callable[[int, bytes], object]]]
        | None
    ) = None
    """Open a volume as a guest does, and yield a function that writes bytes
    at an offset; None: each `overwrite` opens the volume."""
    threads: bool = True
    """Whether several threads of this process may call the array."""
    reopen: Callable[[], ArrayBackend] | None = None
    """Open the same array once more, as another process would.  If this can
    be pickled (a `functools.partial` of a class can), checks also open the
    array in other processes and kill these."""
    new_volume: Callable[[int, str], Volume] = _make_record
    """Make the record of a volume: its size in GiB, its status."""
    set_status: Callable[[str, str], object] = _do_nothing
    """Change the status in a volume's record; required if the array reads
    records of its own."""
    gib: int = GiB
    """Bytes that the array takes for one GiB; arrays in memory take fewer."""


@attrs.frozen(kw_only=True)
class LocationHarness:
    """Functions that inspect locations, and the volumes behind them."""

    add_volume: Callable[[], CinderLocation]
    """Make a volume of 1 GiB that can become an image's data."""
    has_volume: Callable[[CinderLocation], bool]
    """Say whether the volume behind a location still exists."""
    locations_of: Callable[[str], Sequence[Location]]
    """Return an image's locations in their order, by the service's own
    means."""
    add_image: Callable[[], str] | None = None
    """Make an image with several locations; return its id."""
    data_of: Callable[[CinderLocation], Iterable[bytes]] | None = None
    """Read a volume by the array's own tools; for services that serve its
    data when it becomes an image."""


@attrs.frozen(kw_only=True)
class ImageHarness(Harness):
    """An image service under test, and functions that inspect it.

    All images are raw and bare.
    """

    images: ImageService
    """The service, on behalf of the requester."""
    queued: Callable[[], str]
    """Make an image of the requester's without data; return its id."""
    active: Callable[[bytes], str]
    """Make an image of the requester's with data; return its id."""
    unseen: Callable[[], str]
    """Make an image with data that the requester must not see; return its
    id."""
    statuses: Callable[[], Mapping[str, str]]
    """Return the status of every image by its id, by the service's own
    means."""
    data_of: Callable[[str], bytes]
    """Read an image's data, by the service's own means."""
    corrupt: Callable[[str], object] | None = None
    """Change the data of an image of which the service knows a hash."""
    locations: LocationHarness | None = None
    """Required if the service offers locations."""
    gib: int = GiB
    """Bytes that the service counts as one GiB; services in memory take
    fewer."""


@attrs.frozen(kw_only=True)
class VolumeHarness(Harness):
    """A volume service under test, and functions that inspect it."""

    volumes: VolumeService
    new_volume: Callable[[int, str, str | None], Volume]
    """Make a volume: its size in GiB, its status, its previous status (a
    volume that is uploading was available or in use before)."""
    statuses: Callable[[], Mapping[str, str]]
    """Return the status of every volume by its id, by the service's own
    means."""
    is_readonly: Callable[[str], bool]
    """Say whether a volume is marked as read-only, by the service's own
    means."""
    array_id: str | None
    """The array of the volumes that `new_volume` makes; None: the service
    cannot know it."""
    fill: Callable[[str], object] | None = None
    """Give data to a volume in creation; required if the service looks
    whether volumes have data."""
    cache: Callable[[str, str], object] | None = None
    """Enter a volume into the image-volume cache: an image's id, the
    volume's id."""
    set_quota: Callable[[str, Quota], object] | None = None
    """Limit what a project may have in total."""
