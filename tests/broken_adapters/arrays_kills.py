"""An array that does not find what a killed process left."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import uuid
from collections.abc import Iterator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs
from typing_extensions import override

from broken_adapters._registry import broken_array
from clonepolicy import Image
from clonepolicy.adapters.memory import BlockMap, MemoryArray
from clonepolicy.testing.conformance import ArrayHarness
from clonepolicy.testing.memory import memory_harness


class _Files(MutableMapping[Any, BlockMap]):
    """Keeps each value in a file, so that other processes find it."""

    def __init__(self, place: Path) -> None:
        place.mkdir(exist_ok=True)
        self.place = place

    def _path(self, key: object) -> Path:
        return self.place / quote(str(key), safe="")

    @override
    def __getitem__(self, key: object) -> BlockMap:
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None
        stored: BlockMap = pickle.loads(data)  # noqa: S301 - written below
        return stored

    @override
    def __setitem__(self, key: object, value: BlockMap) -> None:
        new = self.place.parent / str(uuid.uuid4())
        new.write_bytes(pickle.dumps(value))
        new.rename(self._path(key))

    @override
    def __delitem__(self, key: object) -> None:
        self[key]
        self._path(key).unlink()

    @override
    def __iter__(self) -> Iterator[str]:
        return (unquote(path.name) for path in self.place.iterdir())

    @override
    def __len__(self) -> int:
        return len(list(self.place.iterdir()))


def _in_files(kind: type[ForgetsTheDead]) -> ArrayHarness:
    place = Path(tempfile.mkdtemp())
    return attrs.evolve(
        memory_harness(kind(place), MemoryArray()),
        reopen=partial(kind, place),
        close=partial(shutil.rmtree, place),
    )


@broken_array(
    "discards-what-a-killed-write-left",
    "discards-what-a-killed-clone-left",
    "discards-what-a-killed-image-clone-left",
    "extends-again-after-a-killed-extension",
    make=_in_files,
)
class ForgetsTheDead(MemoryArray):
    """It begins volumes under random names that no later process knows."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.backend = attrs.evolve(self.backend, array_id=str(place))
        self.volumes = _Files(place / "volumes")
        self.images = _Files(place / "images")

    @override
    def put(self, volume_id: str, made: BlockMap) -> None:
        begun = str(uuid.uuid4())
        self.volumes[begun] = made
        # takes time, so that most kills come while this name exists
        for _ in range(20):
            made.size = len(b"".join(made.pieces()))
        super().put(volume_id, made)
        del self.volumes[begun]

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        self.check_target(volume_id)
        begun = str(uuid.uuid4())
        super().write(begun, size, image, data)
        self.volumes[volume_id] = self.volumes.pop(begun)

    @override
    def extend(self, volume_id: str, size: int) -> None:
        grown = BlockMap(0)
        for piece in self.volumes.pop(volume_id).pieces():
            grown.put(grown.size, piece)
            grown.size += len(piece)
        self.volumes[volume_id] = grown
        super().extend(volume_id, size)
