"""Finding and cloning stored images."""

from __future__ import annotations

import attrs

from clonepolicy import ConflictError, FileLocation, NotFoundError
from clonepolicy.testing.conformance._check import (
    Level,
    expect_error,
    require,
    require_equal,
)
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._fixture import Fixture, ImageLocation
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    BREAKING,
    CLONES,
    EXTENDS,
    IMAGES,
)


@ARRAYS.check(Level.CLONES, IMAGES)
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
    for wrong in _misnamed(location):
        require_equal(find(wrong), None, repr(wrong))
    if remove is None:
        return "the harness does not remove images"
    remove(location)
    require_equal(find(location), None, "after the image was removed")
    target = fixture.target(2)
    with expect_error(NotFoundError, "a clone of a removed image"):
        fixture.array.clone_image(target.id, location)
    fixture.require_absent(target)
    return "sizes rounded up"


def _misnamed(location: ImageLocation) -> tuple[ImageLocation, ...]:
    """Return locations that differ from this one in a single part."""
    if isinstance(location, FileLocation):
        path = location.path
        folder, _, name = path.rpartition("/")
        wrong = (f"{folder}/x/{name}", f"{path}x", f"{path}/x", f"{path}\0")
        return tuple(map(FileLocation, wrong))
    return tuple(
        attrs.evolve(location, **{part: f"{getattr(location, part)}x"})
        for part in ("fsid", "pool", "image", "snapshot")
    )


@ARRAYS.check(Level.CLONES, IMAGES, clones=True)
def clones_every_byte_of_an_image(fixture: Fixture) -> None:
    """A clone has the image's bytes, and zeros up to the next whole GiB."""
    gib = fixture.harness.gib
    for size in (gib, gib + 512):
        content = Content.make(size, fixture.data, f"image {size}")
        location = fixture.image(content)
        fixture.require_intact(fixture.clone_image(location))


@ARRAYS.check(Level.GROWS, IMAGES, CLONES, EXTENDS, clones=True)
def clones_and_extends_a_clone_of_an_image(fixture: Fixture) -> None:
    """A clone of an image is extended and cloned like any volume."""
    clone = fixture.extend(fixture.clone_image(fixture.image()), 2)
    fixture.overwrite(clone, fixture.harness.gib, 3)
    fixture.require_intact(clone, fixture.clone(clone))


@ARRAYS.check(Level.CLONES, IMAGES, clones=True)
def isolates_writes_between_clones_and_their_image(fixture: Fixture) -> None:
    """Writes to a clone reach neither its image nor other clones."""
    location = fixture.image()
    first = fixture.clone_image(location)
    fixture.overwrite(first, 0, 1)
    fixture.overwrite(first, fixture.harness.gib // 2, 2)
    fixture.require_intact(first)
    fixture.array.discard(first.id)
    fixture.require_intact(fixture.clone_image(location))


@ARRAYS.check(Level.CLONES, IMAGES, clones=True)
def refuses_to_clone_an_image_over_existing_data(fixture: Fixture) -> None:
    """A volume that has data cannot become a clone of an image."""
    location = fixture.image(Content(fixture.harness.gib))
    full = fixture.volume()
    with expect_error(ConflictError, "cloning over data"):
        fixture.array.clone_image(full.id, location)
    fixture.require_intact(full)


@ARRAYS.check(Level.CLONES, IMAGES, BREAKING, clones=True)
def leaves_nothing_after_a_failed_image_clone(fixture: Fixture) -> None:
    """A clone that fails leaves nothing behind; a later clone succeeds."""
    location, target = fixture.image(), fixture.target()
    fixture.expect_clean_failure(
        target, lambda: fixture.array.clone_image(target.id, location)
    )
    fixture.require_intact(fixture.clone_image(location))
