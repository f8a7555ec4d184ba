"""What an array declares, and how it stores volumes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from itertools import chain, islice
from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    CinderLocation,
    CloneLimitError,
    ConflictError,
    FactError,
    FileLocation,
    IntegrityError,
    Location,
    MalformedLocation,
    NotFoundError,
    OtherLocation,
    RbdLocation,
    UnsupportedError,
)
from clonepolicy.ports import Inspection, check_array_kind
from clonepolicy.testing.conformance._check import (
    Level,
    Need,
    allow_refusal,
    expect_error,
    fail,
    given,
    require,
    require_equal,
    require_same,
)
from clonepolicy.testing.conformance._fixture import (
    Content,
    Fixture,
    ImageLocation,
)
from clonepolicy.testing.conformance._harness import ArrayHarness
from clonepolicy.testing.conformance.checks._suites import (
    ARRAYS,
    BREAKING,
    HOSTILE,
    QCOW2,
    REOPENS,
    STORED_IMAGES,
    broken,
    clones,
    clones_images,
)


def _leaves_out_some(harness: ArrayHarness) -> bool:
    backend = harness.array.get_backend()
    clones_all = clones(backend) and clones_images(backend)
    return not (clones_all and backend.can_extend)


OFFERED = Need[ArrayHarness](
    "the array's class is offered by no entry point (no API_VERSION)",
    lambda harness: hasattr(type(harness.array), "API_VERSION"),
)
SILENT = Need("the array declares everything", _leaves_out_some)


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
    for can, name in (
        (backend.can_clone is True, "clone_kind"),
        (bool(backend.image_schemes), "image_clone_kind"),
    ):
        kind = getattr(backend, name)
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
        location: ImageLocation = FileLocation("/images/any")
        if fixture.harness.add_image is not None:
            location = fixture.image(Content(fixture.harness.gib))
        fixture.expect_clone_error(AdapterError, location, "an image's clone")
        refused.append("clone_image")
    fixture.require_intact(source)
    return f"refuses {', '.join(refused)}"


def _can_stat(harness: ArrayHarness) -> bool:
    try:
        harness.array.stat(harness.new_volume(1, "creating").id)
    except UnsupportedError:
        return False
    return True


STAT = Need("the array cannot report sizes, and says so (stat)", _can_stat)


@ARRAYS.check(Level.STORES)
def reads_back_what_was_written(fixture: Fixture) -> str:
    """A volume has the requested size, the data written, and then zeros."""
    gib = fixture.harness.gib
    whole, short = fixture.volume(2), fixture.target(2)
    content = Content(gib // 2 + 512)
    content.put(0, b"head")
    content.put(content.size - 4, b"tail")
    fixture.write(short, content)
    fixture.require_intact(whole, short)
    return f"{2 * 2} GiB compared"


@ARRAYS.check(Level.STORES)
def refuses_data_larger_than_the_volume(fixture: Fixture) -> None:
    """Data beyond the volume's end is refused; the rest can be discarded."""
    gib, target = fixture.harness.gib, fixture.target()
    content = Content(gib + 512)
    content.put(gib, b"x" * 512)
    with expect_error(IntegrityError, "512 bytes too many"):
        fixture.write(target, content)
    fixture.discard(target)
    fixture.require_unchanged()


class _StreamError(OSError):
    """An error of the data's own iterator, such as a lost connection."""


@ARRAYS.check(Level.STORES)
def passes_on_errors_of_the_data_stream(fixture: Fixture) -> None:
    """Errors of the data's iterator reach the caller; a retry succeeds."""
    target, content = fixture.target(), fixture.content("stream")
    for pieces in (islice(content.pieces(), 1), content.pieces()):
        try:
            fixture.write(target, content, broken(pieces, _StreamError()))
        except _StreamError:
            pass
        else:
            fail("the volume was created from a stream that broke off")
        fixture.discard(target)
        fixture.require_unchanged()
    fixture.write(target, content)
    fixture.require_intact(target)


@ARRAYS.check(Level.STORES)
def refuses_data_in_a_wrong_format(fixture: Fixture) -> None:
    """Data that is not of its stated format, or in a container, is refused."""
    content = fixture.content("no such format")
    for formats in (("qcow2", "bare"), ("none", "bare"), ("raw", "ova")):
        target = fixture.target()
        with expect_error(AdapterError, f"data of {formats}"):
            fixture.write(target, content, formats=formats)
        fixture.discard(target)
    fixture.require_unchanged()


@ARRAYS.check(Level.STORES)
def inspects_what_a_guest_wrote(fixture: Fixture) -> str:
    """`inspect` refuses a volume that looks like qcow2, and its clone."""
    array, volume = fixture.array, fixture.volume()
    found = array.inspect(volume.id)
    if found is Inspection.NOT_INSPECTED:
        return "the array does not inspect"
    require_equal(found, Inspection.PASSED, "random data")
    with expect_error(NotFoundError, "inspecting a missing volume"):
        array.inspect(fixture.record().id)
    fixture.harness.overwrite(volume.id, 0, QCOW2)
    fixture.expected[volume.id].put(0, QCOW2)
    inspected = [volume]
    if clones(fixture.backend):
        inspected.append(fixture.clone(volume))
    for each in inspected:
        what = "the clone" if each is not volume else "the volume"
        require_equal(array.inspect(each.id), Inspection.REFUSED, what)
    fixture.require_intact(*inspected)
    return f"refuses {len(inspected)} of {len(inspected)}"


@ARRAYS.check(Level.STORES)
def serves_interleaved_reads(fixture: Fixture) -> None:
    """Reads in progress do not disturb each other, even on one volume."""
    one, other = fixture.volume(), fixture.volume()
    reads = [
        (fixture.array.read(volume.id), fixture.expected[volume.id])
        for volume in (one, one, other)
    ]
    heads = [next(read) for read, _ in reads]
    for head, (rest, content) in zip(heads, reads, strict=True):
        content.compare(chain((head,), rest), "an interleaved read")


@ARRAYS.check(Level.STORES, BREAKING)
def recovers_from_a_failed_write(fixture: Fixture) -> None:
    """What a failed write left can be discarded; a later write succeeds."""
    other, target = fixture.volume(), fixture.target()
    content = fixture.content("failed write")
    with fixture.breaking():
        with allow_refusal("writing"):
            fixture.write(target, content)
        with allow_refusal("discarding"):
            fixture.array.discard(target.id)
    fixture.discard(target)
    fixture.write(target, content)
    fixture.require_intact(target, other)


@ARRAYS.check(Level.STORES)
def refuses_to_write_over_existing_data(fixture: Fixture) -> None:
    """A volume that has data cannot be written again."""
    volume = fixture.volume()
    with expect_error(ConflictError, "writing again"):
        fixture.write(volume, fixture.content("another"))
    fixture.require_intact(volume)


@ARRAYS.check(Level.STORES)
def reports_a_missing_volume_as_missing(fixture: Fixture) -> None:
    """A missing volume has no size and no data; discarding it is no error."""
    absent = fixture.record()
    with expect_error(NotFoundError, "reading"):
        for _ in fixture.array.read(absent.id):
            pass
    with contextlib.suppress(UnsupportedError):
        require_equal(fixture.array.stat(absent.id), None, "stat")
    fixture.array.discard(absent.id)
    fixture.require_unchanged()


@ARRAYS.check(Level.STORES, STAT)
def reports_the_size_that_its_own_tools_report(fixture: Fixture) -> str:
    """Sizes agree after writing, extending, cloning and discarding."""
    gib, volume = fixture.harness.gib, fixture.volume(2)
    fixture.require_size(volume.id, 2 * gib)
    if fixture.backend.can_extend:
        volume = fixture.extend(volume, 3)
        fixture.require_size(volume.id, 3 * gib)
    if clones(fixture.backend):
        clone = fixture.clone(volume)
        fixture.require_size(clone.id, volume.size * gib)
        fixture.array.discard(clone.id)
    fixture.array.discard(volume.id)
    require_equal(fixture.array.stat(volume.id), None, "stat after discard")
    fixture.require_absent(volume)
    return "sizes agree"


@ARRAYS.check(Level.STORES)
def discards_volumes_idempotently(fixture: Fixture) -> None:
    """Discarding removes all of a volume, and may be repeated."""
    other = fixture.volume()
    held = frozenset(fixture.harness.holds())
    volume = fixture.volume()
    for _ in range(2):
        fixture.discard(volume)
        require_same(held, fixture.harness.holds(), "after discard")
    fixture.require_intact(other)


FOREIGN: tuple[Location, ...] = (
    CinderLocation("6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293"),
    OtherLocation("https://example.org/image"),
    MalformedLocation("rbd://", "too short"),
    RbdLocation("another", "images", "image", "snap"),
    RbdLocation("", "", "", ""),
    RbdLocation("x" * 300, "../..", "a\0b", "ü"),
    FileLocation("/etc/passwd"),
    FileLocation("/proc/self/environ"),
    FileLocation("/nowhere/\0"),
    FileLocation("/nowhere/" + "x" * 5000),
    FileLocation("relative"),
)
"""Locations at which an array has no image."""


@ARRAYS.check(Level.STORES)
def isolates_hostile_volume_ids(fixture: Fixture) -> str:
    """No id reaches another volume or leaves anything behind."""
    refusals, array = 0, fixture.array
    volume = fixture.volume()
    content = Content(fixture.harness.gib)
    image = fixture.image_record(content)
    twins = (volume.id.upper(), f"{volume.id} ", f"../{volume.id}")
    names = [n for n in (*HOSTILE, *twins) if n != volume.id]
    held = frozenset(fixture.harness.holds())

    def read(name: str) -> None:
        for _ in array.read(name):
            pass

    for name in names:
        what = f"id {name[:40]!r}"
        with allow_refusal(what):
            require_equal(array.stat(name), None, f"{what}: stat")
        refusals += 1
        with allow_refusal(what):
            array.write(name, 1, image, content.pieces())
            refusals -= 1
            content.compare(array.read(name), what)
        calls: list[Callable[[], object]] = [
            partial(array.discard, name),
            partial(array.extend, name, 2),
            partial(array.inspect, name),
            partial(read, name),
            partial(array.clone_volume, name, volume),
            partial(array.discard, name),
        ]
        with contextlib.suppress(FactError):  # not all are ids of records
            source, target = attrs.evolve(volume, id=name), fixture.target()
            calls.append(partial(array.clone_volume, target.id, source))
            calls.append(partial(array.discard, target.id))
        for call in calls:
            with allow_refusal(what):
                call()
        require_same(held, fixture.harness.holds(), what)
    fixture.require_intact(volume)
    return f"{refusals} of {len(names)} ids refused"


@ARRAYS.check(Level.STORES)
def finds_no_image_at_foreign_locations(fixture: Fixture) -> None:
    """A location that is not the array's raises `UnsupportedError`."""
    for location in FOREIGN:
        with expect_error(UnsupportedError, f"{location!r:.60}"):
            fixture.array.find_image(location)


@ARRAYS.check(Level.CLONES, STORED_IMAGES)
def refuses_to_clone_a_missing_image(fixture: Fixture) -> None:
    """Cloning an image that is not the array's creates nothing."""
    for location in FOREIGN:
        if isinstance(location, (RbdLocation, FileLocation)):
            what = f"{location!r:.60}"
            fixture.expect_clone_error(UnsupportedError, location, what)
    fixture.require_unchanged()
