"""A volume's clones are counted where the array limits them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from clonepolicy import (
    AdapterError,
    Backend,
    CacheEntry,
    CinderLocation,
    RbdLocation,
    UnavailableError,
    gather_create,
    gather_upload,
)
from clonepolicy.adapters.memory import (
    ARRAY,
    INTERNAL,
    POOL,
    BlockMap,
    MemoryCloud,
)
from clonepolicy.ports import Inspection, StoredVolume

LIMITED = attrs.evolve(ARRAY, array_id="a", clone_limit=4)
STORED = StoredVolume(size=1, clones=3)


class Instead:
    """A port of which some calls give another answer, or fail."""

    def __init__(self, port: object, **answers: object) -> None:
        """Take the port and the answers by the names of the calls."""
        self._port, self._answers = port, answers

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any call
        """Answer the call, or pass it on."""
        if name not in self._answers:
            return getattr(self._port, name)

        def call(*_: object) -> object:
            answer = self._answers[name]
            if isinstance(answer, AdapterError):
                raise answer
            return answer

        return call


@pytest.mark.parametrize(
    ("known", "here", "there", "stat", "clones"),
    [
        (None, LIMITED, LIMITED, STORED, 3),
        (1, LIMITED, LIMITED, STORED, 1),
        (None, attrs.evolve(LIMITED, clone_limit=None), LIMITED, STORED, None),
        (None, LIMITED, attrs.evolve(LIMITED, array_id="b"), STORED, None),
        (
            None,
            attrs.evolve(LIMITED, array_id=None),
            attrs.evolve(LIMITED, array_id=None),
            STORED,
            None,
        ),
        (None, LIMITED, LIMITED, None, None),
        (None, LIMITED, LIMITED, UnavailableError(), None),
    ],
    ids=[
        *("asked", "known", "no-limit", "other-array", "unknown-array"),
        *("not-there", "no-answer"),
    ],
)
def test_the_array_is_asked_for_clones_where_it_limits_them(
    known: int | None,
    here: Backend,
    there: Backend,
    stat: object,
    clones: int | None,
) -> None:
    """For an image volume and for an entry of the cache."""
    cloud = MemoryCloud()
    source = attrs.evolve(
        cloud.add_volume(INTERNAL, 5, data=b"data"), clones=known
    )
    image_id = cloud.add_image(
        "tenant", b"data", locations=(CinderLocation(source.id),)
    )
    entry = CacheEntry(image_id=image_id, source=source, backend=there)
    real = cloud.ports("tenant")
    ports = attrs.evolve(
        real,
        array=Instead(real.array, get_backend=here, stat=stat),
        volumes=Instead(
            real.volumes,
            get_volume=source,
            get_backend=there,
            get_cache_entries=(
                entry,
                CacheEntry(image_id=image_id, backend=there),
            ),
        ),
    )
    request = gather_create(
        image_id,
        cloud.add_volume("tenant", 5, status="creating"),
        cloud.config,
        ports,
        conversion_free=7,
    )
    (image_volume,) = request.image_volumes
    cached, without = request.cache_entries
    mine = here.array_id is not None and here.array_id == there.array_id
    inspection = Inspection.PASSED if mine else Inspection.NOT_INSPECTED
    counted = attrs.evolve(source, clones=clones, inspection=inspection)
    assert [counted, counted, None] == [
        image_volume.source,
        cached.source,
        without.source,
    ]
    assert [there, there] == [image_volume.backend, cached.backend]
    assert 7 == request.conversion_free


@pytest.mark.parametrize("force", [False, True])
def test_an_uploaded_volumes_clones_are_counted(*, force: bool) -> None:
    """Its own array is asked; ``force`` is passed on."""
    cloud = MemoryCloud()
    volume = cloud.add_volume("tenant", 5, data=b"data")
    real = cloud.ports("tenant")
    ports = attrs.evolve(
        real,
        array=Instead(real.array, get_backend=LIMITED, stat=STORED),
        volumes=Instead(
            real.volumes, get_volume=attrs.evolve(volume, clones=None)
        ),
    )
    request = gather_upload(
        volume.id,
        cloud.add_image("tenant", None),
        "tenant",
        cloud.config,
        ports,
        force=force,
    )
    assert 3 == request.volume.clones
    assert force is request.force


def test_an_image_on_the_array_is_a_candidate_of_that_array() -> None:
    """The backend that was asked is that of the candidate."""
    cloud = MemoryCloud()
    location = RbdLocation("array", "images", "name", "snap")
    cloud.arrays[POOL].images[location] = BlockMap.of([b"data"])
    image_id = cloud.add_image("tenant", b"data", locations=(location,))
    request = gather_create(
        image_id,
        cloud.add_volume("tenant", 5, status="creating"),
        cloud.config,
        cloud.ports("tenant"),
    )
    (found,) = request.array_images
    assert cloud.arrays[POOL].backend == found.backend
