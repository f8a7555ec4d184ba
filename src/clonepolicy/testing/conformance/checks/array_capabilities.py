"""What an array declares, and who it is."""

from __future__ import annotations

from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    CloneLimitError,
    FileLocation,
    UnsupportedError,
)
from clonepolicy.ports import check_array_kind
from clonepolicy.testing.conformance._check import (
    Level,
    Need,
    expect_error,
    fail,
    given,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._fixture import Fixture, ImageLocation
from clonepolicy.testing.conformance._harness import ArrayHarness
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    REOPENS,
    clones,
    clones_images,
)


def _declares_everything(harness: ArrayHarness) -> bool:
    backend = harness.array.get_backend()
    return bool(
        clones(backend) and backend.can_extend and clones_images(backend)
    )


OFFERED = Need[ArrayHarness](
    "the array's class is offered by no entry point (no API_VERSION)",
    lambda harness: hasattr(type(harness.array), "API_VERSION"),
)
SILENT = Need[ArrayHarness](
    "the array declares everything",
    lambda harness: not _declares_everything(harness),
)


@ARRAYS.check(Level.STORES, OFFERED)
def declares_what_its_class_declares(fixture: Fixture) -> str:
    """The array and its class declare the same, for a supported version."""
    kind: Any = type(fixture.array)
    try:
        warning = check_array_kind(kind)
    except UnsupportedError as error:
        fail(str(error))
    declared = attrs.asdict(fixture.backend)
    for name, value in attrs.asdict(kind.CAPABILITIES).items():
        # a class may leave a capability open; an operator sets `frozen`
        is_open = value is None or value == frozenset() or name == "frozen"
        require(
            is_open or declared[name] == value,
            f"{name}: the class declares {value!r}, "
            f"the array {declared[name]!r}",
        )
    return warning or f"version {kind.API_VERSION}"


@ARRAYS.check(Level.STORES)
def has_a_stable_and_unique_identity(fixture: Fixture) -> str:
    """The array's id stays the same, and no other array has it."""
    backend, other = fixture.backend, fixture.harness.other
    array_id = backend.array_id
    require(array_id is not None, "array_id is None: the array never clones")
    require(backend == fixture.backend, "get_backend varies between calls")
    if other is None:
        return f"{array_id}; the harness gives no other array to compare"
    there = other.get_backend().array_id
    require(there != array_id, f"the other array is {there}, too")
    return f"{array_id}, another is {there}"


@ARRAYS.check(Level.STORES, REOPENS)
def finds_the_same_volumes_when_reopened(fixture: Fixture) -> None:
    """An array that is opened once more has the same id and volumes."""
    volume = fixture.volume()
    again = given(fixture.harness.reopen, "reopen")()
    require_equal(
        again.get_backend(), fixture.backend, "declared when reopened"
    )
    fixture.expected[volume.id].compare(again.read(volume.id), "when reopened")
    again.discard(volume.id)
    fixture.require_absent(volume)


@ARRAYS.check(Level.STORES)
def declares_a_clone_kind_only_if_it_clones(fixture: Fixture) -> str:
    """The array declares a clone kind if it clones, and only then."""
    backend = fixture.backend
    for can, kind, name in (
        (backend.can_clone is True, backend.clone_kind, "clone_kind"),
        (
            bool(backend.image_schemes),
            backend.image_clone_kind,
            "image_clone_kind",
        ),
    ):
        require(not can or kind is not None, f"{name} is None: declare one")
        require(can or kind is None, f"{name} is {kind}, but it cannot clone")
    return f"{backend.clone_kind}, images {backend.image_clone_kind}"


@ARRAYS.check(Level.STORES, SILENT)
def refuses_undeclared_operations(fixture: Fixture) -> str:
    """The array refuses clones and extensions that it does not declare."""
    refused = []
    source, backend = fixture.volume(), fixture.backend
    if not clones(backend):
        kind = CloneLimitError if backend.can_clone else UnsupportedError
        fixture.expect_clone_error(kind, source, "a clone")
        refused.append("clone_volume")
    if not backend.can_extend:
        with expect_error(UnsupportedError, "extending"):
            fixture.array.extend(source.id, 2)
        refused.append("extend")
    if not clones_images(backend):
        target = fixture.target()
        location: ImageLocation = FileLocation("/images/any")
        if fixture.harness.add_image is not None:
            location = fixture.image(Content(fixture.harness.gib))
        with expect_error(AdapterError, "a clone of an image"):
            fixture.array.clone_image(target.id, location)
        fixture.require_absent(target)
        refused.append("clone_image")
    fixture.require_intact(source)
    return f"refuses {', '.join(refused)}"
