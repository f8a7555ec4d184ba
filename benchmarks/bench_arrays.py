"""Time clones in real arrays, and creates of many volumes at once.

Ceph is a cluster of one node that the script starts; the files lie on an
XFS of the script's own.  A clone is compared with the bare calls that no
program can do without, and with importing the same data.  What clonepolicy
adds is everything from reading the facts to the end of the plan, with
images and volumes of the model in memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from _places import place, settle
from _plot import Figures, draw
from _requests import Requests
from _timing import Row, Timing, arguments, ratio, report

from clonepolicy import FileLocation, GiB, RbdLocation, Volume
from clonepolicy.adapters._files.sparse import can_reflink
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.adapters.reflink import ReflinkArray

sys.path.append(str(Path(__file__).parents[1] / "tests" / "arrays"))

from ceph import Cluster, missing_ceph, started

_FICLONE = 0x40049409
_EXTENTS = 16
_SPARSE = 20
"""How many times smaller an image's data is than the image."""
_PAUSE = 0.02
_TARGET = 1.2
_IN_FLIGHT = (1, 4, 16)
_BARE, _ARRAY, _WHOLE = "bare clone", "the array's clone", "all of clonepolicy"
_KINDS = ("of an image", "of a volume")

Case: TypeAlias = Callable[[Volume], object]
Source: TypeAlias = tuple[Volume, str]
Stored: TypeAlias = RbdLocation | FileLocation
Array: TypeAlias = RbdArray | ReflinkArray


@attrs.frozen(kw_only=True)
class Effort:
    """How much is done."""

    rounds: int
    sizes: tuple[int, ...]
    """Of images, in GiB."""
    creates: int
    repeats: int
    """How often an import, and many creates at once, are timed."""


def tell(what: str) -> None:
    """Say what comes next, where the figures do not go."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def take_turns(
    cases: Mapping[str, Case],
    requests: Requests,
    rounds: int,
    wait: Callable[[], None],
) -> dict[str, Timing]:
    """Have each case fill a volume, round by round; remove it again."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    gc.collect()
    gc.disable()
    try:
        for at in range(rounds + 2):
            for name, case in cases.items():
                volume = requests.volume()
                wait()
                begin = time.perf_counter()
                case(volume)
                took = time.perf_counter() - begin
                if at >= 2:  # noqa: PLR2004 - the first two warm it up
                    found[name].append(took)
                requests.remove(volume)
    finally:
        gc.enable()
    return {name: Timing(tuple(times)) for name, times in found.items()}


def seconds(name: str, timing: Timing) -> Row:
    """Give a case's own time."""
    return Row(
        name=name,
        value=timing.best * 1e3,
        unit="ms",
        note=f"median {timing.median * 1e3:.3g}",
    )


def cases_of_image(
    array: Array, requests: Requests, location: Stored, bare: Case
) -> dict[str, Case]:
    """Clone a stored image: barely, by the array, and by clonepolicy."""
    image_id = requests.image(location)
    return {
        f"{_BARE}, of an image": bare,
        f"{_ARRAY}, of an image": lambda volume: array.clone_image(
            volume.id, location
        ),
        f"{_WHOLE}, of an image": lambda volume: requests.fill(
            volume, image_id
        ),
    }


def cases_of_volume(
    array: Array, requests: Requests, source: Source, bare: Case
) -> dict[str, Case]:
    """Clone the volume behind an image in the same three ways."""
    volume, image_id = source
    return {
        f"{_BARE}, of a volume": bare,
        f"{_ARRAY}, of a volume": lambda new: array.clone_volume(
            new.id, volume
        ),
        f"{_WHOLE}, of a volume": lambda new: requests.fill(new, image_id),
    }


def compared(
    name: str, times: Mapping[str, Timing], kind: str
) -> Iterator[Row]:
    """Compare the three ways of cloning."""
    bare = times[f"{_BARE}, {kind}"]
    yield seconds(f"{name}, {_BARE}, {kind}", bare)
    for case in (_ARRAY, _WHOLE):
        yield ratio(
            f"{name}, {case} / bare, {kind}",
            *(times[f"{case}, {kind}"], bare, _TARGET),
        )


def sparse_file(path: Path, size: int) -> Path:
    """Write a file with some data in each of a few places."""
    with path.open("wb") as file:
        file.truncate(size * GiB)
        piece = size * GiB // _EXTENTS
        for at in range(_EXTENTS):
            file.seek(at * piece)
            file.write(os.urandom(piece // _SPARSE))
        os.fsync(file.fileno())
    return path


# -- many at once -----------------------------------------------------------


@attrs.frozen
class Batch:
    """Many volumes filled with some of them in flight."""

    wall: float
    latencies: tuple[float, ...]


def fill_many(
    case: Case, requests: Requests, count: int, in_flight: int
) -> Batch:
    """Fill volumes by threads; remove them again."""
    volumes = [requests.volume() for _ in range(count)]

    def timed(volume: Volume) -> float:
        begin = time.perf_counter()
        case(volume)
        return time.perf_counter() - begin

    gc.collect()
    with ThreadPoolExecutor(in_flight) as threads:
        begin = time.perf_counter()
        latencies = tuple(threads.map(timed, volumes))
        wall = time.perf_counter() - begin
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(requests.remove, volumes))
    return Batch(wall, latencies)


def many(
    name: str,
    requests: Requests,
    effort: Effort,
    *,
    image_id: str,
    bare: Case | None = None,
) -> tuple[list[Row], dict[int, float]]:
    """Create many volumes of one image; give how many a second, too."""
    cases: dict[str, Case] = {"creates": partial(create, requests, image_id)}
    if bare is not None:
        cases["bare clones"] = bare
    found: dict[tuple[str, int], list[Batch]] = {
        (case, number): [] for case in cases for number in _IN_FLIGHT
    }
    for at in range(effort.repeats):
        for (case, number), batches in found.items():
            tell(f"{name}: {case}, {number} in flight, repeat {at + 1}")
            batches.append(
                fill_many(cases[case], requests, effort.creates, number)
            )
    times = {
        key: Timing(tuple(batch.wall for batch in batches))
        for key, batches in found.items()
    }
    rows = [
        _rate(f"{name}, {case}, {number} in flight", batches)
        for (case, number), batches in found.items()
    ]
    for (case, number), timing in times.items():
        words = f"{name}, time of {case}, {number} in flight"
        if number > 1:
            rows.append(ratio(f"{words} / 1", timing, times[case, 1]))
        if case != "creates":
            above = times["creates", number]
            words = f"{name}, creates / {case}, {number} in flight"
            rows.append(ratio(words, above, timing))
    rates = {n: effort.creates / times["creates", n].best for n in _IN_FLIGHT}
    return rows, rates


def create(requests: Requests, image_id: str, volume: Volume) -> None:
    """Have clonepolicy fill a volume."""
    requests.fill(volume, image_id)


def _rate(name: str, batches: list[Batch]) -> Row:
    wall = min(batch.wall for batch in batches)
    latencies = sorted(chain(*(batch.latencies for batch in batches)))
    middle, late = (
        latencies[int(len(latencies) * part)] * 1e3 for part in (0.5, 0.99)
    )
    count = len(batches[0].latencies)
    return Row(
        name=name,
        value=count / wall,
        unit="/s",
        note=f"{count} in {wall:.2f} s; p50 {middle:.3g} ms, p99 {late:.3g}",
    )


# -- Ceph -------------------------------------------------------------------


@attrs.frozen
class Ceph:
    """A cluster, the array in it, and the bare calls."""

    cluster: Cluster
    array: RbdArray
    images: Any
    volumes: Any
    rbd: Any

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[Ceph]:
        """Start a cluster, and end it."""
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(started())
            array = RbdArray(
                rbd_pool="volumes",
                rbd_ceph_conf=cluster.conf,
                image_pools=frozenset({"images"}),
            )
            stack.enter_context(array)
            images, volumes = (
                stack.enter_context(cluster.connection.open_ioctx(name))
                for name in ("images", "volumes")
            )
            rbd = importlib.import_module("rbd")
            yield cls(cluster, array, images, volumes, rbd)

    def load(self, file: Path, pool: str, name: str) -> None:
        """Import a file as an image."""
        self.cluster.run(
            *("rbd", "import", "--no-progress", str(file), f"{pool}/{name}")
        )

    def imports(self, root: Path, effort: Effort) -> dict[int, Timing]:
        """Time imports; the last of each size stays, with a snapshot."""
        found: dict[int, list[float]] = {size: [] for size in effort.sizes}
        for at in range(effort.repeats):
            for size, times in found.items():
                tell(f"rbd: import of {size} GiB, repeat {at + 1}")
                file = sparse_file(root / "image", size)
                if at:
                    self.rbd.RBD().remove(self.images, image_name(size))
                begin = time.perf_counter()
                self.load(file, "images", image_name(size))
                times.append(time.perf_counter() - begin)
                file.unlink()
        for size in found:
            with self.rbd.Image(self.images, image_name(size)) as image:
                image.create_snap("snap")
                image.protect_snap("snap")
        return {size: Timing(tuple(times)) for size, times in found.items()}

    def location(self, size: int) -> RbdLocation:
        """Say where an image lies."""
        return RbdLocation(
            self.cluster.fsid, "images", image_name(size), "snap"
        )

    def bare_image(self, size: int, volume: Volume) -> None:
        """Clone an image's snapshot on open connections."""
        self.rbd.RBD().clone(
            *(self.images, image_name(size), "snap"),
            *(self.volumes, f"volume-{volume.id}"),
        )

    def by_command(self, size: int, volume: Volume) -> None:
        """Clone an image's snapshot by Ceph's own program."""
        self.cluster.run(
            *("rbd", "clone", f"images/{image_name(size)}@snap"),
            f"volumes/volume-{volume.id}",
        )

    def bare_volume(self, source: Volume, volume: Volume) -> None:
        """Take a snapshot of a volume, clone it, and remove it."""
        name = f"volume-{source.id}"
        with self.rbd.Image(self.volumes, name) as image:
            image.create_snap("bare")
            self.rbd.RBD().clone(
                *(self.volumes, name, "bare"),
                *(self.volumes, f"volume-{volume.id}"),
            )
            image.remove_snap("bare")

    def source(self, root: Path, requests: Requests, size: int) -> Source:
        """Make a volume with data of its own."""
        source = requests.source()
        file = sparse_file(root / "source", size)
        self.load(file, "volumes", f"volume-{source[0].id}")
        file.unlink()
        return source


def image_name(size: int) -> str:
    """Name the image of a size; it is a UUID."""
    return str(uuid.UUID(int=size, version=4))


def ceph_rows(root: Path, effort: Effort, figures: Figures) -> Iterator[Row]:
    """Time clones in Ceph."""
    with Ceph.start() as ceph:
        imports = ceph.imports(root, effort)
        for size, importing in imports.items():
            tell(f"rbd: clones of {size} GiB")
            requests = Requests(ceph.array, "images", size)
            cases = cases_of_image(
                *(ceph.array, requests, ceph.location(size)),
                partial(ceph.bare_image, size),
            )
            cases["rbd clone"] = partial(ceph.by_command, size)
            source = ceph.source(root, requests, size)
            cases |= cases_of_volume(
                *(ceph.array, requests, source),
                partial(ceph.bare_volume, source[0]),
            )
            times = take_turns(
                cases, requests, effort.rounds, lambda: time.sleep(_PAUSE)
            )
            requests.remove(source[0])
            name, whole = f"rbd {size} GiB", times[f"{_WHOLE}, {_KINDS[0]}"]
            for kind in _KINDS:
                yield from compared(name, times, kind)
            command = times["rbd clone"]
            yield seconds(f"{name}, the program rbd clone", command)
            yield ratio(f"{name}, {_WHOLE} / rbd clone", whole, command)
            yield seconds(f"{name}, {_WHOLE}", whole)
            yield seconds(f"{name}, rbd import", importing)
            yield ratio(f"{name}, rbd import / {_WHOLE}", importing, whole)
            figures.downloads[size] = importing.best
            figures.clones[size] = whole.best
        size = effort.sizes[0]
        requests = Requests(ceph.array, "images", size, in_threads=True)
        image_id = requests.image(ceph.location(size))
        bare = partial(ceph.bare_image, size)
        rows, rates = many(
            "rbd", requests, effort, image_id=image_id, bare=bare
        )
        figures.rates["rbd"] = rates
        yield from rows


# -- files ------------------------------------------------------------------


def bare_reflink(array: ReflinkArray, source: Path, volume: Volume) -> None:
    """Share a file's data, and sync the new file."""
    old = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    new = os.open(
        array.path(volume.id),
        os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
        0o600,
    )
    fcntl.ioctl(new, _FICLONE, old)
    os.fsync(new)
    os.close(new)
    os.close(old)


def reflink_rows(
    root: Path, effort: Effort, figures: Figures
) -> Iterator[Row]:
    """Time clones of files, each after a pause and at once."""
    array = ReflinkArray(made(root / "reflink"), images=[root])
    requests = Requests(array, str(root), 1)
    file = sparse_file(root / image_name(1), 1)
    location = FileLocation(str(file))
    source = requests.source()
    path = sparse_file(array.path(source[0].id), 1)
    cases = cases_of_image(
        *(array, requests, location), partial(bare_reflink, array, file)
    ) | cases_of_volume(
        *(array, requests, source), partial(bare_reflink, array, path)
    )
    for words, pause in (("", _PAUSE), (" at once", 0)):
        tell(f"reflink: clones{words}")
        wait = partial(settle, root, pause)
        times = take_turns(cases, requests, effort.rounds, wait)
        for kind in _KINDS:
            yield from compared(f"reflink{words}", times, kind)
    requests = Requests(array, str(root), 1, in_threads=True)
    rows, figures.rates["reflink"] = many(
        "reflink",
        *(requests, effort),
        image_id=requests.image(location),
        bare=partial(bare_reflink, array, file),
    )
    yield from rows


def qcow2_rows(root: Path, effort: Effort, figures: Figures) -> Iterator[Row]:
    """Time clones that rest on a file, many at once."""
    array = Qcow2Array(made(root / "qcow2"), images=[root])
    requests = Requests(array, str(root), 1, in_threads=True)
    location = FileLocation(str(sparse_file(root / image_name(2), 1)))
    rows, figures.rates["qcow2"] = many(
        "qcow2", requests, effort, image_id=requests.image(location)
    )
    yield from rows


def made(directory: Path) -> Path:
    """Make a directory."""
    directory.mkdir()
    return directory


def main() -> None:
    """Time everything and print it."""
    parser = arguments(__doc__)
    parser.add_argument("--directory", type=Path, help="where to work")
    parser.add_argument(
        "--quick", action="store_true", help="little of everything"
    )
    parser.add_argument("--plot", type=Path, help="an SVG to write")
    options = parser.parse_args()
    effort = Effort(
        rounds=min(3, options.rounds) if options.quick else options.rounds,
        sizes=(1,) if options.quick else (1, 4, 16),
        creates=20 if options.quick else 200,
        repeats=1 if options.quick else 3,
    )
    figures = Figures()
    rows: list[Row] = []
    with place(options.directory) as (root, notes):
        notes.append(f"load at the start {os.getloadavg()[0]:.1f}")
        missing = missing_ceph()
        if missing is None:
            rows += ceph_rows(root, effort, figures)
        else:
            notes.append(f"NO CEPH ({missing}): rbd was not timed")
        if can_reflink(root):
            rows += reflink_rows(root, effort, figures)
        else:
            notes.append("NO REFLINKS: reflink was not timed")
        if shutil.which("qemu-img") is not None:
            rows += qcow2_rows(root, effort, figures)
        else:
            notes.append("NO qemu-img: qcow2 was not timed")
    if options.plot is not None:
        if figures.whole:
            draw(options.plot, figures)
        else:
            notes.append("NOT PLOTTED: not all arrays were timed")
    report(rows, notes, as_json=options.json)


if __name__ == "__main__":
    main()
