"""A limit of clones for each source."""

from __future__ import annotations

from collections.abc import Callable

from clonepolicy import CloneLimitError, StoredImage, Volume
from clonepolicy.ports import StoredVolume
from clonepolicy.testing.conformance._check import (
    Level,
    expect_error,
    require_equal,
)
from clonepolicy.testing.conformance._fixture import Fixture
from clonepolicy.testing.conformance.checks._arrays import (
    ARRAYS,
    CLONES,
    IMAGES,
    LIMITED,
)

_LARGEST = 100
"""The largest limit that is reached."""
_FEW = 4
"""How many clones are counted if the limit is larger."""


@ARRAYS.check(Level.CLONES, CLONES, LIMITED, clones=True)
def counts_clones_of_a_volume_up_to_the_limit(fixture: Fixture) -> str:
    """`stat` counts a volume's clones; a clone beyond the limit is refused."""
    source = fixture.volume()
    return _reach_limit(
        fixture,
        lambda: fixture.array.stat(source.id),
        lambda: fixture.clone(source),
    )


@ARRAYS.check(Level.CLONES, IMAGES, LIMITED, clones=True)
def counts_clones_of_an_image_up_to_the_limit(fixture: Fixture) -> str:
    """`find_image` counts clones; a clone beyond the limit is refused."""
    location = fixture.image()
    return _reach_limit(
        fixture,
        lambda: fixture.array.find_image(location),
        lambda: fixture.clone_image(location),
    )


def _reach_limit(
    fixture: Fixture,
    look: Callable[[], StoredVolume | StoredImage | None],
    clone: Callable[[], Volume],
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
        clones.append(clone())
    if tried < limit:
        return f"{tried} clones counted, of {limit}"
    what = "one clone too many"
    with fixture.leaving_nothing(what), expect_error(CloneLimitError, what):
        clone()
    if clones:
        fixture.array.discard(clones.pop().id)
        fixture.require_intact(clone(), *clones)
    return f"{limit} clones"
