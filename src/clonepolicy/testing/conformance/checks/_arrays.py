"""The suite of arrays, and what its checks need."""

from __future__ import annotations

from collections.abc import Callable

from clonepolicy import Backend, CloneKind
from clonepolicy.testing.conformance._check import Level, Need, Suite
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance._harness import ArrayHarness
from clonepolicy.testing.conformance._killed import can_be_sent


def _declares(
    what: str, holds: Callable[[Backend], object]
) -> Need[ArrayHarness]:
    return Need(
        f"not declared: {what}",
        lambda harness: bool(holds(harness.array.get_backend())),
    )


def _gives(what: str, name: str) -> Need[ArrayHarness]:
    return Need(
        f"the harness {what} ({name})",
        lambda harness: bool(getattr(harness, name)),
    )


def clones(backend: Backend) -> bool:
    """Say whether an array declares that it clones volumes."""
    return backend.can_clone is True and backend.clone_limit != 0


def clones_images(backend: Backend) -> bool:
    """Say whether an array declares that it clones stored images."""
    return bool(backend.image_schemes) and backend.clone_limit != 0


COPIED = {CloneKind.FULL_COPY, CloneKind.OFFLOADED_COPY}

CLONES = _declares(
    "cloning (can_clone, and a clone_limit of 1 or more)", clones
)
EXTENDS = _declares("extending (can_extend)", lambda b: b.can_extend)
LIMITED = _declares("a limit (clone_limit)", lambda b: b.clone_limit)
UPLOADING = _declares(
    "cloning while uploading (clone_while_uploading)",
    lambda b: b.clone_while_uploading,
)
IMAGES = _declares("stored images (image_schemes)", clones_images)
COPY_ON_WRITE = _declares(
    "copy-on-write (clone_kind)",
    lambda b: b.clone_kind is CloneKind.COPY_ON_WRITE,
)
COPIES = _declares(
    "full or offloaded copies (clone_kind)", lambda b: b.clone_kind in COPIED
)
OFFLOADED = _declares(
    "offloaded copies (clone_kind)",
    lambda b: b.clone_kind is CloneKind.OFFLOADED_COPY,
)
IMAGES_ON_WRITE = _declares(
    "copy-on-write of images (image_clone_kind)",
    lambda b: b.image_clone_kind is CloneKind.COPY_ON_WRITE,
)
IMAGES_OFFLOADED = _declares(
    "offloaded copies of images (image_clone_kind)",
    lambda b: b.image_clone_kind is CloneKind.OFFLOADED_COPY,
)
OTHER = _gives("gives no other array", "other")
REOPENS = _gives("cannot reopen the array", "reopen")
THREADS = _gives("allows no calls from several threads", "threads")
BREAKING = _gives("cannot make the array fail", "breaking")
PROCESSES = Need[ArrayHarness](
    "no other process can open the array (reopen, if it can be pickled)",
    lambda harness: can_be_sent(harness.reopen),
)


def _level_of(harness: ArrayHarness) -> Level:
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


ARRAYS: Suite[ArrayHarness, Fixture] = Suite(_level_of, Fixture)
"""The checks of arrays."""
