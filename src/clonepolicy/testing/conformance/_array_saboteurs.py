"""Arrays that break one promise each: the rows that must catch them.

Each is the model array with one sin, said in its docstring.
"""

from __future__ import annotations

import copy
import pickle
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, unquote

import attrs
from typing_extensions import override

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    FileLocation,
    Image,
    Location,
    NotFoundError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    UnavailableError,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters.memory import (
    BLOCK_SIZE,
    EVERYTHING,
    MEMORY_GIB,
    Block,
    BlockMap,
    MemoryArray,
)
from clonepolicy.testing.conformance._array_rows import ARRAYS
from clonepolicy.testing.conformance._bench import ArrayBench
from clonepolicy.testing.conformance._saboteur import Saboteur
from clonepolicy.testing.memory import memory_harness

ARRAY_SABOTEURS: list[Saboteur] = []
"""Every array that breaks a promise."""

T = TypeVar("T", bound=MemoryArray)


def _caught_by(*rows: str) -> Callable[[type[T]], type[T]]:
    def add(kind: type[T]) -> type[T]:
        ARRAY_SABOTEURS.append(
            Saboteur(
                name=kind.__name__,
                sin=(kind.__doc__ or "").strip(),
                table=ARRAYS,
                make=lambda: memory_harness(kind()),
                caught_by=frozenset(rows),
            )
        )
        return kind

    return add


# -- what every array does --------------------------------------------------


@_caught_by("declares-what-it-is")
class FromTheFuture(MemoryArray):
    """It was written for a version of the port that nobody knows yet."""

    API_VERSION: ClassVar[int] = 99


@_caught_by("declares-what-it-is")
class Boaster(MemoryArray):
    """Its class declares what the array cannot do."""

    CAPABILITIES: ClassVar[Backend] = Backend(clone_across_pools=True)


@_caught_by("is-one-array")
class Nameless(MemoryArray):
    """It has no identity."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = attrs.evolve(self.backend, array_id=None)


@_caught_by("is-one-array")
class Namesake(MemoryArray):
    """It calls itself by its driver's name, as every other one does."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = attrs.evolve(self.backend, array_id="model")


@_caught_by("is-one-array")
class Fickle(MemoryArray):
    """It is another array at each asking."""

    @override
    def get_backend(self) -> Backend:
        self.moved += 1
        return attrs.evolve(self.backend, array_id=f"model-{self.moved}")


@_caught_by("says-how-it-clones")
class Reticent(MemoryArray):
    """It does not say how it clones."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_kind=None)


@_caught_by("does-not-do-what-it-does-not-declare")
class HiddenTalent(MemoryArray):
    """It clones and grows, and does not say so."""

    DEFAULT: ClassVar[Backend] = Backend()

    @override
    def check_can(self, able: bool | None, what: str) -> None:
        pass


@_caught_by("gives-back-what-was-written")
class LosesTheTail(MemoryArray):
    """It loses the last block that is written."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        super().write(volume_id, size, image, data)
        blocks = self.volumes[volume_id].blocks
        blocks.pop(max(blocks, default=0), None)


@_caught_by("takes-no-more-than-fits")
class CutsToFit(MemoryArray):
    """It cuts off what does not fit."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        whole = b"".join(data)[: size * MEMORY_GIB]
        super().write(volume_id, size, image, iter((whole,)))


@_caught_by("lets-a-broken-stream-through")
class CallsItDone(MemoryArray):
    """It takes a stream that breaks off for one that ends."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        super().write(volume_id, size, image, _swallowed(data))


def _swallowed(data: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from data
    except Exception:  # noqa: BLE001 - this is the sin
        return


@_caught_by("takes-no-data-for-what-it-is-not")
class TakesAnything(MemoryArray):
    """It takes any data for raw, whatever it is said to be."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        raw = attrs.evolve(image, disk_format="raw", container_format="bare")
        super().write(volume_id, size, raw, data)


@_caught_by("fills-many-at-once")
class SharesABuffer(MemoryArray):
    """It puts together in one place what is written to several volumes."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        self.pieces = list(data)
        time.sleep(0.005)
        super().write(volume_id, size, image, iter(self.pieces))


@_caught_by("reads-several-in-turns")
class ReadsWithOneHead(MemoryArray):
    """All readings go on where any of them was."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    @override
    def read(self, volume_id: str) -> Iterator[bytes]:
        held, self.at = self.volume(volume_id), 0
        while self.at < held.size:
            block = held.blocks.get(self.at // BLOCK_SIZE)
            self.at += BLOCK_SIZE
            yield bytes(BLOCK_SIZE) if block is None else block.data


@_caught_by("fails-to-write-without-harm")
class StaysLocked(MemoryArray):
    """A volume whose writing failed can neither be filled nor discarded."""

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        try:
            super().write(volume_id, size, image, data)
        except UnavailableError:
            self.locked.add(volume_id)
            raise

    @override
    def discard(self, volume_id: str) -> None:
        if volume_id in self.locked:
            message = f"volume {volume_id} is locked"
            raise ConflictError(message)
        super().discard(volume_id)


@_caught_by("writes-over-nothing", "clones-over-nothing")
class WritesOver(MemoryArray):
    """It gives new data to a volume that has some."""

    @override
    def check_target(self, volume_id: str) -> None:
        self.volumes.pop(volume_id, None)


@_caught_by("knows-nothing-of-a-missing-volume")
class ReadsAnything(MemoryArray):
    """It gives no data, and no error, of a volume that is not there."""

    @override
    def read(self, volume_id: str) -> Iterator[bytes]:
        if volume_id in self.volumes:
            yield from super().read(volume_id)


@_caught_by("stat-agrees-with-the-arrays-own-tools")
class Remembers(MemoryArray):
    """It tells the size that a volume had at first."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, StoredVolume] = {}

    @override
    def stat(self, volume_id: str) -> StoredVolume | None:
        found = super().stat(volume_id)
        return found and self.seen.setdefault(volume_id, found)


@_caught_by("discards-once-and-again")
class DiscardsOnce(MemoryArray):
    """It fails to discard what is discarded already."""

    @override
    def discard(self, volume_id: str) -> None:
        self.volume(volume_id)
        super().discard(volume_id)


@_caught_by("discards-once-and-again")
class KeepsTheTrash(MemoryArray):
    """It keeps, under another name, what it discards."""

    @override
    def discard(self, volume_id: str) -> None:
        if volume_id in self.volumes:
            self.volumes[f"trash-{volume_id}"] = self.volume(volume_id)
        super().discard(volume_id)


@_caught_by("keeps-any-id-apart")
class Traverses(MemoryArray):
    """It takes an id for a path, and discards what that leads to."""

    @override
    def discard(self, volume_id: str) -> None:
        super().discard(volume_id.rpartition("/")[2])


@_caught_by("keeps-any-id-apart")
class CaseBlind(MemoryArray):
    """It takes ids that differ in case for one."""

    @override
    def stat(self, volume_id: str) -> StoredVolume | None:
        return super().stat(volume_id.lower())


@_caught_by("finds-no-image-elsewhere")
class FindsEverything(MemoryArray):
    """It finds an image wherever it is told to look."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        return super().find_image(location) or StoredImage(size=1)


@_caught_by("finds-no-image-elsewhere")
class ChokesOnForeigners(MemoryArray):
    """It fails where a location is not of its kind."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        if not isinstance(location, RbdLocation):
            message = f"{location} is not rbd://"
            raise UnsupportedError(message)
        return super().find_image(location)


# -- growing ----------------------------------------------------------------


@_caught_by("grows-and-keeps")
class GrowsDirt(MemoryArray):
    """What it grows by holds what lay there before."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        end = self.volume(volume_id).size
        super().extend(volume_id, size)
        if size * MEMORY_GIB > end:
            self.volume(volume_id).put(end, b"dirt")


@_caught_by("grows-and-keeps")
class GrowsOnce(MemoryArray):
    """It fails to grow a volume to the size that it has."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        if self.volume(volume_id).size == size * MEMORY_GIB:
            message = "it has that size"
            raise ConflictError(message)
        super().extend(volume_id, size)


@_caught_by("never-shrinks")
class Shrinks(MemoryArray):
    """It takes any size for one to be brought about."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        held = self.volume(volume_id)
        held.size = min(held.size, size * MEMORY_GIB)
        super().extend(volume_id, size)


@_caught_by("grows-nothing-out-of-nothing")
class GrowsNothing(MemoryArray):
    """It makes a volume of zeros by growing one that is not there."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        self.volumes.setdefault(volume_id, BlockMap(0))
        super().extend(volume_id, size)


@_caught_by("fails-to-grow-without-harm")
class LosesItByGrowing(MemoryArray):
    """Growth that fails costs the data."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        try:
            super().extend(volume_id, size)
        except UnavailableError:
            self.volume(volume_id).blocks.clear()
            raise


# -- clones -----------------------------------------------------------------


@_caught_by("clones-every-byte", "clones-every-byte-of-an-image")
class ClonesTheHead(MemoryArray):
    """It clones all blocks but the last."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        made = super().cloned(held, parent)
        made.blocks.pop(max(made.blocks, default=0), None)
        return made


@_caught_by("keeps-writes-apart", "never-writes-to-an-image")
class Aliases(MemoryArray):
    """Its clone is the source by another name."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        return held


@_caught_by("grows-a-clone")
class SeesItsParent(MemoryArray):
    """A clone that grows shows what its source has there by then."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        held = self.volume(volume_id)
        ghost = {
            MEMORY_GIB // BLOCK_SIZE: Block(b"ghost".ljust(BLOCK_SIZE, b"\0"))
        }
        super().extend(volume_id, size)
        if held.parent is not None:
            held.blocks = {**ghost, **held.blocks}


@_caught_by("clones-what-grew")
class ClonesTheFirstSize(MemoryArray):
    """It clones as much of a volume as that had at first."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, int] = {}

    @override
    def extend(self, volume_id: str, size: int) -> None:
        self.first.setdefault(volume_id, self.volume(volume_id).size)
        super().extend(volume_id, size)

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        made = super().cloned(held, parent)
        made.size = self.first.get(parent, made.size)
        return made


@_caught_by("clones-and-grows-clones-of-images")
class KeepsImagesSmall(MemoryArray):
    """What was cloned from an image does not grow."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        if "://" in (self.volume(volume_id).parent or ""):
            message = f"volume {volume_id} is an image"
            raise ConflictError(message)
        super().extend(volume_id, size)


@_caught_by("clones-no-missing-source", "clones-no-missing-image")
class ClonesNothing(MemoryArray):
    """It makes a volume of zeros where there is no source."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        try:
            super().clone_volume(volume_id, source)
        except NotFoundError:
            self.volumes[volume_id] = BlockMap(source.size * MEMORY_GIB)

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        try:
            super().clone_image(volume_id, location)
        except NotFoundError:
            self.volumes[volume_id] = BlockMap(MEMORY_GIB)


@_caught_by("clones-no-busy-source")
class Impatient(MemoryArray):
    """It clones a source whatever goes on with it."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        super().clone_volume(
            volume_id, attrs.evolve(source, status="available")
        )


@_caught_by("clones-a-source-in-use-or-refuses-it")
class TearsWhatIsInUse(MemoryArray):
    """Its clone of a source in use lacks what was not yet written."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        super().clone_volume(volume_id, source)
        if source.status == "in-use":
            self.volume(volume_id).blocks.popitem()


@_caught_by("clones-a-source-in-use-at-one-instant")
class CopiesPieceByPiece(MemoryArray):
    """It clones a source in use from the beginning to the end."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        made = super().cloned(held, parent)
        self.lock.release()
        time.sleep(0.02)
        self.lock.acquire()
        later = super().cloned(held, parent).blocks
        half = held.size // BLOCK_SIZE // 2
        made.blocks |= {at: later[at] for at in later if at >= half}
        return made


@_caught_by("clones-while-uploading")
class BusyWhileUploading(MemoryArray):
    """It declares to clone while uploading, and does not."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        if source.status == "uploading":
            message = "wait for the upload"
            raise ConflictError(message)
        super().clone_volume(volume_id, source)


@_caught_by("clones-no-source-of-another-size")
class Truncates(MemoryArray):
    """It makes the clone as large as the record says, by cutting."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        has = self.volume(source.id).size // MEMORY_GIB
        super().clone_volume(volume_id, attrs.evolve(source, size=has))
        self.volume(volume_id).size = source.size * MEMORY_GIB


@_caught_by("clones-nothing-from-another-array")
class ReachesAcross(MemoryArray):
    """It finds a source on whatever array has it."""

    everywhere: ClassVar[dict[str, BlockMap]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.volumes = _Shared(self.everywhere)

    @override
    def volume(self, volume_id: str) -> BlockMap:
        return self.volumes.get(volume_id) or self.everywhere[volume_id]


class _Shared(dict[str, BlockMap]):
    """Tells everybody of what is put into it."""

    def __init__(self, everywhere: dict[str, BlockMap]) -> None:
        super().__init__()
        self.everywhere = everywhere

    @override
    def __setitem__(self, key: str, value: BlockMap) -> None:
        super().__setitem__(key, value)
        self.everywhere[key] = value


@_caught_by("clones-anew-after-discard", "discards-no-data-of-clones")
class LeavesSnapshots(MemoryArray):
    """The snapshot that a clone was made by stays for ever."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        super().clone_volume(volume_id, source)
        self.volumes[f"snapshot-of-{source.id}"] = self.volume(source.id)


@_caught_by("clones-clones")
class ClonesTheEldest(MemoryArray):
    """A clone of a clone is one of what that was made of."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        eldest = held
        while eldest.parent is not None and eldest.parent in self.volumes:
            eldest = self.volumes[eldest.parent]
        return super().cloned(eldest, parent)


@_caught_by("clones-many-at-once")
class OneAtATime(MemoryArray):
    """It refuses to clone a source that is just being cloned."""

    def __init__(self) -> None:
        super().__init__()
        self.cloning = threading.Lock()

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        if not self.cloning.acquire(blocking=False):
            message = "the source is being cloned"
            raise ConflictError(message)
        try:
            time.sleep(0.005)
            super().clone_volume(volume_id, source)
        finally:
            self.cloning.release()


class LocksForItselfAlone(MemoryArray):
    """Its lock on a source is none for who opened the array again."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots: set[str] = set()
        self.cloning = threading.Lock()

    def again(self) -> MemoryArray:
        """Open the same array, with another lock."""
        opened = copy.copy(self)
        opened.cloning = threading.Lock()
        return opened

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        with self.cloning:
            if source.id in self.snapshots:
                message = f"volume {source.id} has the snapshot"
                raise ConflictError(message)
            self.snapshots.add(source.id)
            time.sleep(0.005)
            super().clone_volume(volume_id, source)
            self.snapshots.remove(source.id)


def _opened_again() -> ArrayBench:
    array = LocksForItselfAlone()
    return attrs.evolve(memory_harness(array), again=array.again)


ARRAY_SABOTEURS.append(
    Saboteur(
        name=LocksForItselfAlone.__name__,
        sin=LocksForItselfAlone.__doc__ or "",
        table=ARRAYS,
        make=_opened_again,
        caught_by=frozenset({"clones-at-once-as-several-processes"}),
    )
)


@_caught_by("discards-no-data-of-clones")
class TakesClonesAlong(MemoryArray):
    """What a source shared with its clones goes with it."""

    @override
    def discard(self, volume_id: str) -> None:
        for held in self.volumes.values():
            if held.parent == volume_id:
                held.blocks.clear()
        super().discard(volume_id)


@_caught_by(
    "fails-to-clone-without-trace", "fails-to-clone-an-image-without-trace"
)
class LeavesTheHalf(MemoryArray):
    """A clone that fails stays, half made."""

    @override
    def put(self, volume_id: str, made: BlockMap) -> None:
        self.volumes[volume_id] = made
        self.fail_if_asked()


@_caught_by("fails-to-clone-without-trace")
class LeaksItsClients(MemoryArray):
    """Its client library's own error comes out."""

    @override
    def fail_if_asked(self) -> None:
        if self.failing:
            message = "rados: errno 5"
            raise OSError(message)


@_caught_by("fails-to-clone-without-trace")
class SwallowsErrors(MemoryArray):
    """It says nothing where it fails."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        try:
            super().clone_volume(volume_id, source)
        except UnavailableError:
            return


@_caught_by("tells-its-limit-before-it-is-hit")
class CountsNothing(MemoryArray):
    """It has a limit, and does not count towards it."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def stat(self, volume_id: str) -> StoredVolume | None:
        found = super().stat(volume_id)
        return found and attrs.evolve(found, clones=0)


@_caught_by("tells-its-limit-before-it-is-hit")
class ForgetsItsLimit(MemoryArray):
    """It declares a limit that it does not keep."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def check_limit(self, parent: str) -> None:
        pass


@_caught_by("tells-the-limit-of-an-image-before-it-is-hit")
class CountsNoClonesOfImages(MemoryArray):
    """It counts the clones of volumes alone."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=2)

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        found = super().find_image(location)
        return found and attrs.evolve(found, clones=None)


@_caught_by("does-not-do-what-it-does-not-declare")
class ClonesBeyondNone(MemoryArray):
    """It declares that a source may have no clones, and clones."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(EVERYTHING, clone_limit=0)

    @override
    def check_limit(self, parent: str) -> None:
        pass


# -- kills ------------------------------------------------------------------


class _Files(MutableMapping[Any, BlockMap]):
    """Keeps each value in a file, for every process that looks there."""

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


class ForgetsTheDead(MemoryArray):
    """What it begins bears a name that dies with the process."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.backend = attrs.evolve(self.backend, array_id=str(place))
        self.volumes = _Files(place / "volumes")
        self.images = _Files(place / "images")

    @override
    def put(self, volume_id: str, made: BlockMap) -> None:
        begun = str(uuid.uuid4())
        self.volumes[begun] = made
        # so that it is there most of the time
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


def _in_files() -> ArrayBench:
    place = Path(tempfile.mkdtemp())
    return attrs.evolve(
        memory_harness(ForgetsTheDead(place), MemoryArray()),
        again=partial(ForgetsTheDead, place),
        close=partial(shutil.rmtree, place),
    )


ARRAY_SABOTEURS.append(
    Saboteur(
        name=ForgetsTheDead.__name__,
        sin=ForgetsTheDead.__doc__ or "",
        table=ARRAYS,
        make=_in_files,
        caught_by=frozenset(
            {
                "leaves-nothing-of-a-killed-write",
                "leaves-nothing-of-a-killed-clone",
                "leaves-nothing-of-a-killed-clone-of-an-image",
                "grows-again-after-a-kill",
            }
        ),
    )
)


# -- how a clone is made ----------------------------------------------------


@_caught_by("shares-its-data", "clones-images-as-it-says")
class CopiesInSecret(MemoryArray):
    """It declares copy-on-write, and copies."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        return held.copied(parent)


@_caught_by("takes-no-longer-for-more", "takes-no-longer-for-a-larger-image")
class TakesItsTime(MemoryArray):
    """Its clones share, after reading all that they share."""

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        time.sleep(0.0005 * len(held.blocks))
        return super().cloned(held, parent)


@_caught_by("copies-if-it-says-so")
class SharesInSecret(MemoryArray):
    """It declares full copies, and shares."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(
        EVERYTHING, clone_kind=CloneKind.FULL_COPY
    )

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        return held.shared(parent)


@_caught_by(
    "moves-no-bytes-through-the-client",
    "moves-no-bytes-of-images-through-the-client",
)
class CopiesByHand(MemoryArray):
    """It declares that the array copies, and reads and writes all data."""

    DEFAULT: ClassVar[Backend] = attrs.evolve(
        EVERYTHING,
        clone_kind=CloneKind.OFFLOADED_COPY,
        image_clone_kind=CloneKind.OFFLOADED_COPY,
    )

    @override
    def cloned(self, held: BlockMap, parent: str) -> BlockMap:
        self.moved += len(held.blocks) * BLOCK_SIZE
        return super().cloned(held, parent)


ARRAY_SABOTEURS.append(
    Saboteur(
        name="MeasuresNothing",
        sin="Its bench finds that no volume takes any space.",
        table=ARRAYS,
        make=lambda: attrs.evolve(memory_harness(), exclusive=lambda _: 0),
        caught_by=frozenset({"measures-what-is-written"}),
    )
)
ARRAY_SABOTEURS.append(
    Saboteur(
        name="ForgetsEverything",
        sin="Opened again, it is another array on which nothing is.",
        table=ARRAYS,
        make=lambda: attrs.evolve(memory_harness(), again=MemoryArray),
        caught_by=frozenset({"is-the-same-array-when-opened-again"}),
    )
)


# -- stored images ----------------------------------------------------------


@_caught_by("finds-its-images")
class RoundsDown(MemoryArray):
    """It tells the whole GiB that fit into an image."""

    @override
    def find_image(self, location: Location) -> StoredImage | None:
        found = super().find_image(location)
        whole = self.images[location].size // MEMORY_GIB if found else 0
        return found and attrs.evolve(found, size=whole)


@_caught_by("clones-every-byte-of-an-image")
class StopsShort(MemoryArray):
    """The clone of an image ends where the image does."""

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        super().clone_image(volume_id, location)
        self.volume(volume_id).size = self.images[location].size


@_caught_by("clones-images-over-nothing")
class ReplacesByImages(MemoryArray):
    """An image takes the place of what a volume has."""

    @override
    def clone_image(
        self, volume_id: str, location: RbdLocation | FileLocation
    ) -> None:
        self.discard(volume_id)
        super().clone_image(volume_id, location)
