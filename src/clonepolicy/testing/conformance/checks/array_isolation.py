"""Ids and locations from outside must not reach what is not theirs."""

from __future__ import annotations

import attrs

from clonepolicy import (
    CinderLocation,
    FileLocation,
    Location,
    MalformedLocation,
    NotFoundError,
    OtherLocation,
    RbdLocation,
)
from clonepolicy.testing.conformance._check import (
    Level,
    allow_refusal,
    expect_error,
    require,
    require_equal,
    require_same,
)
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    IMAGES,
)
from clonepolicy.testing.conformance.checks._hostile import HOSTILE

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
    for name in names:
        what = f"id {name[:40]!r}"
        with allow_refusal(what):
            require_equal(array.stat(name), None, f"{what}: stat")
        refusals += 1
        with allow_refusal(what):
            array.write(name, 1, image, content.pieces())
            refusals -= 1
            content.compare(array.read(name), what)
        with allow_refusal(what):
            array.discard(name)
        with allow_refusal(what):
            array.extend(name, 2)
        with allow_refusal(what):
            for _ in array.read(name):
                pass
        clones = [(name, volume)]
        if name:  # no record has an empty id
            target = fixture.target()
            clones.append((target.id, attrs.evolve(volume, id=name)))
        for clone_id, source in clones:
            with allow_refusal(what):
                array.clone_volume(clone_id, source)
            with allow_refusal(what):
                array.discard(clone_id)
        require_same(held, fixture.harness.holds(), what)
    fixture.require_intact(volume)
    return f"{refusals} of {len(names)} ids refused"


@ARRAYS.check(Level.STORES)
def finds_no_image_at_foreign_locations(fixture: Fixture) -> None:
    """Foreign or malformed locations have no image and raise no error."""
    for location in FOREIGN:
        found = fixture.array.find_image(location)
        require(found is None, f"{location!r:.60}: found {found}")


@ARRAYS.check(Level.CLONES, IMAGES)
def refuses_to_clone_a_missing_image(fixture: Fixture) -> None:
    """Cloning an image that the array does not have creates nothing."""
    for location in FOREIGN:
        if isinstance(location, (RbdLocation, FileLocation)):
            target = fixture.target()
            with expect_error(NotFoundError, f"{location!r:.60}"):
                fixture.array.clone_image(target.id, location)
            fixture.require_absent(target)
    fixture.require_unchanged()
