"""The suites, what their checks need, and what these share."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from operator import attrgetter
from typing import Any

from clonepolicy import AdapterError, Backend, CinderLocation, CloneKind
from clonepolicy.testing.conformance._check import (
    Level,
    Need,
    Suite,
    allow_refusal,
    expect_error,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance._harness import (
    ArrayHarness,
    ImageHarness,
    VolumeHarness,
)
from clonepolicy.testing.conformance._killed import can_be_sent


def gives(what: str, member: str) -> Need[Any]:
    """Make the need of an optional member of a harness."""
    reads = attrgetter(member)
    return Need(f"{what} ({member})", lambda harness: bool(reads(harness)))


def broken(pieces: Iterable[bytes], error: Exception) -> Iterator[bytes]:
    """Return pieces of data, and then raise an error."""
    yield from pieces
    raise error


# -- arrays -----------------------------------------------------------------


def clones(backend: Backend) -> bool:
    """Say whether an array declares that it clones volumes."""
    return backend.can_clone is True and backend.clone_limit != 0


def clones_images(backend: Backend) -> bool:
    """Say whether an array declares that it clones stored images."""
    return bool(backend.image_schemes) and backend.clone_limit != 0


def _array_level(harness: ArrayHarness) -> Level:
    backend = harness.array.get_backend()
    if not clones(backend):
        return Level.STORES
    if not backend.can_extend:
        return Level.CLONES
    kinds = {backend.clone_kind}
    if backend.image_schemes:
        kinds.add(backend.image_clone_kind)
    moves_data = kinds & {None, CloneKind.FULL_COPY}
    return Level.GROWS if moves_data else Level.SHARES


ARRAYS: Suite[ArrayHarness, Fixture] = Suite(_array_level, Fixture)
"""The checks of arrays."""


def _declares(
    what: str, holds: Callable[[Backend], object]
) -> Need[ArrayHarness]:
    return Need(
        f"not declared: {what}",
        lambda harness: bool(holds(harness.array.get_backend())),
    )


def _declares_kind(
    what: str, member: str, *kinds: CloneKind
) -> Need[ArrayHarness]:
    return _declares(
        f"{what} ({member})", lambda backend: getattr(backend, member) in kinds
    )


CLONES = _declares(
    "cloning (can_clone, and a clone_limit of 1 or more)", clones
)
EXTENDS = _declares("extending (can_extend)", lambda b: b.can_extend)
LIMITED = _declares("a limit (clone_limit)", lambda b: b.clone_limit)
UPLOADING = _declares(
    "cloning while uploading (clone_while_uploading)",
    lambda b: b.clone_while_uploading,
)
STORED_IMAGES = _declares("stored images (image_schemes)", clones_images)
COPY_ON_WRITE = _declares_kind(
    "copy-on-write or thin copies",
    *("clone_kind", CloneKind.COPY_ON_WRITE, CloneKind.THIN_COPY),
)
COPIES = _declares_kind(
    "full or offloaded copies",
    *("clone_kind", CloneKind.FULL_COPY, CloneKind.OFFLOADED_COPY),
)
OFFLOADED = _declares_kind(
    "offloaded copies", "clone_kind", CloneKind.OFFLOADED_COPY
)
IMAGES_ON_WRITE = _declares_kind(
    "copy-on-write or thin copies of images",
    *("image_clone_kind", CloneKind.COPY_ON_WRITE, CloneKind.THIN_COPY),
)
IMAGES_OFFLOADED = _declares_kind(
    "offloaded copies of images", "image_clone_kind", CloneKind.OFFLOADED_COPY
)
OTHER = gives("the harness gives no other array", "other")
REOPENS = gives("the harness cannot reopen the array", "reopen")
THREADS = gives("the harness allows no calls from several threads", "threads")
BREAKING = gives("the harness cannot make the array fail", "breaking")
QCOW2 = b"QFI\xfb\0\0\0\3".ljust(512, b"\0")
"""What the data of a disk must not begin with: the start of a qcow2 file."""
PROCESSES = Need[ArrayHarness](
    "no other process can open the array (reopen, if it can be pickled)",
    lambda harness: can_be_sent(harness.reopen),
)

# -- services ---------------------------------------------------------------

DATA = b"some data"

HOSTILE = (
    *("", " ", ".", "..", "../escape", "a/b", "/absolute", "-rf", "--help"),
    *("*", "%", "a,b", "a:b", "a@b", "a\nb", "a\0b", "$(id)", "' OR '1'='1"),
    *("ü" * 85, "\ud800", "x" * 255, "x" * 5000, "\u202e", "con", "{}"),
)
"""Ids that are no UUIDs: an adapter must refuse them, or keep them away from
all real objects."""


def offers_locations(harness: ImageHarness) -> bool:
    """Say whether a service offers locations."""
    config = harness.images.get_config()
    return bool(config.has_location_api or config.show_multiple_locations)


IMAGES: Suite[ImageHarness, ImageHarness] = Suite(
    lambda harness: (
        Level.CLONES if offers_locations(harness) else Level.STORES
    ),
    nullcontext,
)
"""The checks of image services."""
VOLUMES: Suite[VolumeHarness, VolumeHarness] = Suite(
    lambda _: Level.CLONES, nullcontext
)
"""The checks of volume services."""


def missing_id() -> str:
    """Make an id that no image has."""
    return str(uuid.uuid4())


def missing_volume() -> CinderLocation:
    """Make a location at which there is no volume."""
    return CinderLocation(str(uuid.uuid4()))


def new_project() -> str:
    """Make an id that no project has."""
    return f"harness-{uuid.uuid4().hex}"


def image_volume(
    harness: VolumeHarness, *, size: int = 1, project_id: str | None = None
) -> str:
    """Make an image volume; return its id."""
    source = harness.new_volume(size, "available", None)
    volume_id = harness.volumes.new_id()
    harness.volumes.create_image_volume(
        volume_id, source.id, project_id or new_project()
    )
    return volume_id


def require_bytes(found: bytes, expected: bytes, what: str) -> None:
    """Fail unless these are the expected bytes."""
    wrong = f"{len(found)} bytes that are not the expected {len(expected)}"
    require(found == expected, f"{what} {wrong}")


def require_data(
    harness: ImageHarness, image_id: str, data: bytes = DATA
) -> None:
    """Fail unless an image has this data."""
    require_bytes(harness.data_of(image_id), data, f"image {image_id} has")


@contextlib.contextmanager
def only_changing(
    harness: ImageHarness | VolumeHarness,
    when: str,
    changes: Mapping[str, str | None] | None = None,
) -> Iterator[None]:
    """Fail unless the block makes these changes of statuses and no other.

    The changes map an object's id to its new status; None: it is deleted.
    """
    expected: dict[str, str | None] = {**harness.statuses(), **(changes or {})}
    yield
    found = harness.statuses()
    for name in sorted(expected.keys() | found.keys()):
        status = found.get(name)
        require_equal(status, expected.get(name), f"{when}: status of {name}")


@contextlib.contextmanager
def expect_refusal(
    harness: ImageHarness | VolumeHarness, kind: type[AdapterError], what: str
) -> Iterator[None]:
    """Fail unless the block raises this error and changes no status."""
    with only_changing(harness, f"after {what}"), expect_error(kind, what):
        yield


def pass_hostile_ids(
    harness: ImageHarness | VolumeHarness,
    names: Sequence[str],
    *,
    refused: Mapping[str, Callable[[str], object]],
    harmless: Mapping[str, Callable[[str], object]],
) -> str:
    """Call methods with hostile ids; fail if that changes any status.

    The refused calls must raise `AdapterError`; the harmless ones may return.
    """
    for name in (*HOSTILE, *names):
        what = f"id {name[:40]!r}"
        with only_changing(harness, what):
            for method, call in refused.items():
                with expect_error(AdapterError, f"{what}: {method}"):
                    call(name)
            for method, call in harmless.items():
                with allow_refusal(f"{what}: {method}"):
                    call(name)
    return f"{len(HOSTILE) + len(names)} ids refused"
