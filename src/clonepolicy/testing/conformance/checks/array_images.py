"""Stored images, calls at the same time, and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle

import attrs

from clonepolicy import (
    CloneLimitError,
    ConflictError,
    FileLocation,
    Location,
    NotFoundError,
    UnsupportedError,
    Volume,
)
from clonepolicy.ports import (
    ArrayBackend,
    Inspection,
    StoredImage,
    StoredVolume,
)
from clonepolicy.testing.conformance._check import (
    Level,
    expect_error,
    given,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._fixture import (
    Content,
    Fixture,
    ImageLocation,
    Source,
)
from clonepolicy.testing.conformance.checks._suites import (
    ARRAYS,
    BREAKING,
    CLONES,
    EXTENDS,
    LIMITED,
    QCOW2,
    REOPENS,
    STORED_IMAGES,
    THREADS,
)


@ARRAYS.check(Level.CLONES, STORED_IMAGES)
def finds_stored_images(fixture: Fixture) -> str:
    """A stored image is found with its size until it is removed."""
    gib, remove = fixture.harness.gib, fixture.harness.remove_image
    find = fixture.array.find_image
    for size, expected in ((gib, 1), (gib + 512, 2)):
        location = fixture.image(Content(size))
        found = find(location)
        require_equal(found and found.size, expected, f"GiB of {size} bytes")
        scheme = str(location).partition(":")[0]
        require(
            scheme in fixture.backend.image_schemes,
            f"image_schemes does not name {scheme}",
        )
    for wrong, looks in _misnamed(location):
        if looks:
            require_equal(find(wrong), None, repr(wrong))
        else:
            require_equal(_find_anywhere(find, wrong), None, repr(wrong))
    if remove is None:
        return "the harness does not remove images"
    remove(location)
    require_equal(find(location), None, "after the image was removed")
    what = "a clone of a removed image"
    fixture.expect_clone_error(NotFoundError, location, what)
    return "sizes rounded up"


def _misnamed(location: ImageLocation) -> Iterator[tuple[ImageLocation, bool]]:
    """Yield locations that differ from this one in a single part.

    Each with whether it is in the same place, where the array must look.
    """
    if isinstance(location, FileLocation):
        path = location.path
        folder, _, name = path.rpartition("/")
        yield FileLocation(f"{folder}/x/{name}"), False
        yield FileLocation(f"{path}/x"), False
        yield FileLocation(f"{path}x"), True
        yield FileLocation(f"{path}\0"), True
        return
    for part in ("fsid", "pool", "image", "snapshot"):
        wrong = f"{getattr(location, part)}x"
        looks = part in {"image", "snapshot"}
        yield attrs.evolve(location, **{part: wrong}), looks


def _find_anywhere(
    find: Callable[[Location], StoredImage | None], location: Location
) -> StoredImage | None:
    """Look for an image; an array that does not look there has none."""
    try:
        return find(location)
    except UnsupportedError:
        return None


@ARRAYS.check(Level.CLONES, STORED_IMAGES)
def inspects_stored_images(fixture: Fixture) -> str:
    """`inspect` refuses a stored image that looks like qcow2."""
    array, disguised = fixture.array, fixture.content("disguised")
    found = array.inspect(fixture.image())
    if found is Inspection.NOT_INSPECTED:
        return "the array does not inspect"
    require_equal(found, Inspection.PASSED, "random data")
    disguised.put(0, QCOW2)
    found = array.inspect(fixture.image(disguised))
    require_equal(found, Inspection.REFUSED, "qcow2")
    return "refuses it"


@ARRAYS.check(Level.CLONES, STORED_IMAGES, clones=True)
def clones_every_byte_of_an_image(fixture: Fixture) -> None:
    """A clone has the image's bytes, and zeros up to the next whole GiB."""
    gib = fixture.harness.gib
    for size in (gib, gib + 512):
        content = Content.make(size, fixture.data, f"image {size}")
        location = fixture.image(content)
        fixture.require_intact(fixture.clone(location))


@ARRAYS.check(Level.GROWS, STORED_IMAGES, CLONES, EXTENDS, clones=True)
def clones_and_extends_a_clone_of_an_image(fixture: Fixture) -> None:
    """A clone of an image is extended and cloned like any volume."""
    clone = fixture.extend(fixture.clone(fixture.image()), 2)
    fixture.overwrite(clone, fixture.harness.gib, 3)
    fixture.require_intact(clone, fixture.clone(clone))


@ARRAYS.check(Level.CLONES, STORED_IMAGES, clones=True)
def isolates_writes_between_clones_and_their_image(fixture: Fixture) -> None:
    """Writes to a clone reach neither its image nor other clones."""
    location = fixture.image()
    first = fixture.clone(location)
    fixture.overwrite(first, 0, 1)
    fixture.overwrite(first, fixture.harness.gib // 2, 2)
    fixture.require_intact(first)
    fixture.array.discard(first.id)
    fixture.require_intact(fixture.clone(location))


@ARRAYS.check(Level.CLONES, STORED_IMAGES, clones=True)
def refuses_to_clone_an_image_over_existing_data(fixture: Fixture) -> None:
    """A volume that has data cannot become a clone of an image."""
    location = fixture.image(Content(fixture.harness.gib))
    full = fixture.volume()
    with expect_error(ConflictError, "cloning over data"):
        fixture.array.clone_image(full.id, location)
    fixture.require_intact(full)


@ARRAYS.check(Level.CLONES, STORED_IMAGES, BREAKING, clones=True)
def leaves_nothing_after_a_failed_image_clone(fixture: Fixture) -> None:
    """A clone that fails leaves nothing behind; a later clone succeeds."""
    location, target = fixture.image(), fixture.target()
    clone = partial(fixture.clone_as, target.id, location)
    fixture.expect_clean_failure(target, clone)
    fixture.require_intact(fixture.clone(location))


_CLONES = 8
_WRITES = 3


@ARRAYS.check(Level.STORES, THREADS)
def writes_several_volumes_at_once(fixture: Fixture) -> str:
    """Volumes written at the same time each have their own bytes."""
    with ThreadPoolExecutor(_WRITES) as pool:
        volumes = list(pool.map(lambda _: fixture.volume(), range(_WRITES)))
    fixture.require_intact(*volumes)
    return f"{_WRITES} at once"


@ARRAYS.check(Level.CLONES, CLONES, THREADS, clones=True)
def clones_one_source_several_times_at_once(fixture: Fixture) -> str:
    """Clones of one source that are made at the same time are complete."""
    return f"{len(_clone_at_once(fixture, [fixture.array]))} at once"


@ARRAYS.check(Level.CLONES, CLONES, REOPENS, THREADS, clones=True)
def clones_one_source_through_two_openings_at_once(fixture: Fixture) -> str:
    """Two openings of an array clone one source at the same time."""
    again = given(fixture.harness.reopen, "reopen")()
    targets = _clone_at_once(fixture, [fixture.array, again])
    for at, target in enumerate(targets):
        # through the opening that did not make the clone
        (again, fixture.array)[at % 2].discard(target.id)
        fixture.require_absent(target)
    return f"{len(targets)} at once"


def _clone_at_once(
    fixture: Fixture, openings: Sequence[ArrayBackend]
) -> list[Volume]:
    """Clone a source at the same time, through each opening in turn."""
    source = fixture.volume()
    targets = [fixture.target() for _ in range(fixture.within_limit(_CLONES))]
    for target in targets:
        fixture.expect_clone(target, source)
    with ThreadPoolExecutor(_CLONES) as pool:
        calls = [
            pool.submit(array.clone_volume, target.id, source)
            for target, array in zip(targets, cycle(openings), strict=False)
        ]
    for call in calls:
        call.result()
    fixture.require_intact(source, *targets)
    return targets


_LARGEST = 100
"""The largest limit that is reached."""
_FEW = 4
"""How many clones are counted if the limit is larger."""


@ARRAYS.check(Level.CLONES, CLONES, LIMITED, clones=True)
def counts_clones_of_a_volume_up_to_the_limit(fixture: Fixture) -> str:
    """`stat` counts a volume's clones; a clone beyond the limit is refused."""
    source = fixture.volume()
    look = partial(fixture.array.stat, source.id)
    return _reach_limit(fixture, look, source)


@ARRAYS.check(Level.CLONES, STORED_IMAGES, LIMITED, clones=True)
def counts_clones_of_an_image_up_to_the_limit(fixture: Fixture) -> str:
    """`find_image` counts clones; a clone beyond the limit is refused."""
    location = fixture.image()
    look = partial(fixture.array.find_image, location)
    return _reach_limit(fixture, look, location)


def _reach_limit(
    fixture: Fixture,
    look: Callable[[], StoredVolume | StoredImage | None],
    source: Source,
) -> str:
    """Clone up to the limit, count the clones, and try one more."""
    limit = fixture.backend.clone_limit or 0
    clones: list[Volume] = []
    tried = limit if limit <= _LARGEST else _FEW
    while True:
        found = look()
        require_equal(found and found.clones, len(clones), "clones counted")
        if len(clones) == tried:
            break
        clones.append(fixture.clone(source))
    if tried < limit:
        return f"{tried} clones counted, of {limit}"
    what = "one clone too many"
    with fixture.leaving_nothing(what), expect_error(CloneLimitError, what):
        fixture.clone(source)
    if clones:
        fixture.array.discard(clones.pop().id)
        fixture.require_intact(fixture.clone(source), *clones)
    return f"{limit} clones"
