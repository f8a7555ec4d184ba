"""The harness for an array in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from clonepolicy import Location, RbdLocation
from clonepolicy.adapters.memory import BLOCK_SIZE, BlockMap, MemoryArray
from clonepolicy.testing.conformance import ArrayHarness

__all__ = ["memory_harness"]


def memory_harness(
    array: MemoryArray | None = None, other: MemoryArray | None = None
) -> ArrayHarness:
    """Return a harness that can measure everything about an array.

    Args:
        array: the array under test; None: a new one that can do everything.
        other: an array with another identity; None: a new one of the same
            class.
    """
    tested = MemoryArray() if array is None else array

    def overwrite(volume_id: str, offset: int, data: bytes) -> None:
        with tested.lock:
            held = tested.volumes[volume_id]
            held.put(offset, data)
            tested.volumes[volume_id] = held

    def size_of(volume_id: str) -> int | None:
        held = tested.volumes.get(volume_id)
        return None if held is None else held.size

    def exclusive(volume_id: str) -> int:
        others = {
            block
            for held in (*tested.volumes.values(), *tested.images.values())
            if held is not tested.volumes[volume_id]
            for block in held.blocks.values()
        }
        mine = tested.volumes[volume_id].blocks.values()
        return sum(BLOCK_SIZE for block in mine if block not in others)

    def add_image(pieces: Iterator[bytes]) -> Location:
        name = f"image-{len(tested.images)}"
        array_id = str(tested.backend.array_id)
        location = RbdLocation(array_id, "images", name, "snap")
        tested.images[location] = BlockMap.of(pieces)
        return location

    @contextlib.contextmanager
    def breaking() -> Iterator[None]:
        tested.failing = True
        try:
            yield
        finally:
            tested.failing = False

    return ArrayHarness(
        array=tested,
        other=type(tested)() if other is None else other,
        overwrite=overwrite,
        size_of=size_of,
        holds=lambda: frozenset(tested.volumes),
        exclusive=exclusive,
        transferred=lambda: tested.moved,
        add_image=add_image,
        remove_image=lambda location: tested.images.pop(location, None),
        breaking=breaking,
        reopen=lambda: tested,
        gib=tested.gib,
    )
