"""A cloud and an array in memory: models of the ports' contract."""

from clonepolicy.adapters.memory._array import (
    BLOCK_SIZE,
    EVERYTHING,
    MEMORY_GIB,
    Block,
    BlockMap,
    MemoryArray,
)
from clonepolicy.adapters.memory._cloud import (
    MemoryCloud,
    MemoryJournal,
    leftovers,
    named_ids,
)
from clonepolicy.adapters.memory._services import MemoryImages, MemoryVolumes
from clonepolicy.adapters.memory._state import (
    ARRAY,
    CONFIG,
    GLANCE,
    INTERNAL,
    POOL,
    ImageRow,
    Registration,
    VolumeRow,
)

__all__ = [
    "ARRAY",
    "BLOCK_SIZE",
    "CONFIG",
    "EVERYTHING",
    "GLANCE",
    "INTERNAL",
    "MEMORY_GIB",
    "POOL",
    "Block",
    "BlockMap",
    "ImageRow",
    "MemoryArray",
    "MemoryCloud",
    "MemoryImages",
    "MemoryJournal",
    "MemoryVolumes",
    "Registration",
    "VolumeRow",
    "leftovers",
    "named_ids",
]
