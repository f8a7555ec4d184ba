"""Time what moves or shares data: clones by reference, and downloads.

As root it works on an XFS of its own, mounted from a sparse file; without,
on the directory it is given, whatever that can do.  A clone is compared
with what no clone can do without: FICLONE, fsync and one SQLite commit.  A
download is compared with copying and hashing the same bytes one after the
other.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from _places import place, settle
from _timing import Row, Timing, arguments, ratio, report

from clonepolicy import Clone, Download, Outcome, execute
from clonepolicy.adapters.local import LocalCloud, VolumeRow, _operations
from clonepolicy.plan import CloneVolume, Step
from clonepolicy.ports import Observer

_MIB = 1 << 20
_GIB = 1 << 30
_FICLONE = 0x40049409
_EXTENTS = 16
_SIZES = (1, 4, 16)
_PROJECT = "p"
_PAUSE = 0.02
_AT_ONCE = ", at once"


# -- clones -----------------------------------------------------------------


class Watch(Observer):
    """Hears how long the array took for its clone."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.begin = self.array = 0.0

    def step_started(self, step: Step) -> None:
        """Begin to count at a clone."""
        if isinstance(step, CloneVolume):
            self.begin = time.perf_counter()

    def step_done(self, step: Step) -> None:
        """Count up to its end."""
        if isinstance(step, CloneVolume):
            self.array = time.perf_counter() - self.begin


class Executions:
    """Replaces `execute` in the cloud, to time it: decision to published."""

    def __init__(self) -> None:
        """Take its place."""
        self.last = 0.0
        vars(_operations)["execute"] = self._timed

    def _timed(self, *args: object, **options: object) -> Outcome:
        run: Callable[..., Outcome] = execute
        begin = time.perf_counter()
        try:
            return run(*args, **options)
        finally:
            self.last = time.perf_counter() - begin


class Bare:
    """FICLONE, fsync and one commit, in a WAL like the cloud's."""

    def __init__(self, directory: Path, synchronous: str) -> None:
        """Make a database."""
        self._directory = directory
        path = directory / f"bare-{synchronous}.sqlite"
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {synchronous}")
        self._db.execute("CREATE TABLE made (id TEXT PRIMARY KEY)")

    def clone(self, source: Path, pause: float) -> float:
        """Clone once; give the seconds it took."""
        name = str(uuid.uuid4())
        path = self._directory / name
        settle(self._directory, pause)
        begin = time.perf_counter()
        old = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        new = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        fcntl.ioctl(new, _FICLONE, old)
        os.fsync(new)
        os.close(new)
        os.close(old)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO made VALUES (?)", (name,))
        self._db.execute("COMMIT")
        took = time.perf_counter() - begin
        path.unlink()
        return took


def volume_of(cloud: LocalCloud, image_id: str, size: int) -> VolumeRow:
    """Make a volume in which a guest wrote as many pieces as in any other."""
    made = cloud.create_volume(
        image_id, name=f"{size}", project_id=_PROJECT, size=size
    )
    row = made.volume
    assert row is not None  # noqa: S101 - else it times nonsense
    with row.path.open("r+b") as file:
        for at in range(_EXTENTS):
            file.seek(at * size * _GIB // _EXTENTS)
            file.write(os.urandom(_MIB // 16))
        os.fsync(file.fileno())
    return row


def clones(cloud: LocalCloud, root: Path, rounds: int) -> list[Row]:
    """Time clones through the cloud and bare ones, in turns."""
    small = root / "small.img"
    small.write_bytes(os.urandom(_MIB // 16))
    seed = cloud.add_image(small, name="seed", project_id=_PROJECT).id
    images, sources = {}, {}
    for size in _SIZES:
        row = volume_of(cloud, seed, size)
        registered = cloud.upload_volume(
            row.volume.id, name=f"r{size}", project_id=_PROJECT
        ).image
        assert registered is not None  # noqa: S101 - else it times nonsense
        images[size], sources[size] = registered.image.id, row.path
    bare, full = Bare(root, "NORMAL"), Bare(root, "FULL")
    executions, watch = Executions(), Watch()
    found: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        found.setdefault(name, []).append(seconds)

    def turn(size: int, pause: float, suffix: str = "") -> None:
        note(f"bare {size}{suffix}", bare.clone(sources[size], pause))
        gc.collect()
        settle(root, pause)
        begin = time.perf_counter()
        made = cloud.create_volume(
            images[size],
            name="clone",
            project_id=_PROJECT,
            size=size,
            observer=watch,
        )
        note(f"create {size}{suffix}", time.perf_counter() - begin)
        note(f"execute {size}{suffix}", executions.last)
        note(f"array {size}{suffix}", watch.array)
        assert isinstance(made.decision, Clone)  # noqa: S101 - the same
        assert made.volume is not None  # noqa: S101 - the same
        cloud.delete_volume(made.volume.volume.id)

    for at in range(rounds + 2):
        if at == 2:  # noqa: PLR2004 - the first two warm it up
            found.clear()
        for size in _SIZES:
            turn(size, _PAUSE)
        turn(1, 0, _AT_ONCE)
        note("full 1", full.clone(sources[1], _PAUSE))
    times = {name: Timing(tuple(values)) for name, values in found.items()}
    return [*_clone_rows(times), *_size_rows(times)]


def _clone_rows(times: dict[str, Timing]) -> Iterator[Row]:
    for suffix in ("", _AT_ONCE):
        for name, words in (
            ("bare 1", "bare clone: FICLONE, fsync, commit"),
            ("array 1", "array clone"),
            ("execute 1", "decision to published"),
            ("create 1", "create_volume, whole"),
        ):
            timing = times[f"{name}{suffix}"]
            yield Row(
                name=f"{words}{suffix}",
                value=timing.best * 1e3,
                unit="ms",
                note=f"median {timing.median * 1e3:.3g}",
            )
        below = times[f"bare 1{suffix}"]
        target = 1.5 if suffix == "" else None
        for name, words in (
            ("array 1", "array clone / bare"),
            ("execute 1", "decision to published / bare"),
        ):
            above = times[f"{name}{suffix}"]
            yield ratio(f"{words}{suffix}", above, below, target)
    yield ratio(
        "decision to published / bare, commit synced",
        times["execute 1"],
        times["full 1"],
        None,
    )


def _size_rows(times: dict[str, Timing]) -> Iterator[Row]:
    least, *more = _SIZES
    for size in more:
        yield ratio(
            f"decision to published, {size} / {least} GiB",
            times[f"execute {size}"],
            times[f"execute {least}"],
            1.5,
        )


# -- downloads --------------------------------------------------------------


def random_file(path: Path, size: int) -> Path:
    """Write a file without holes."""
    with path.open("wb") as file:
        for _ in range(size // _MIB):
            file.write(os.urandom(_MIB))
        os.fsync(file.fileno())
    return path


def copy(source: Path, target: Path) -> float:
    """Copy through one buffer of 1 MiB, and fsync; give the seconds."""
    buffer = memoryview(bytearray(_MIB))
    begin = time.perf_counter()
    with source.open("rb", 0) as old, target.open("wb", 0) as new:
        while count := old.readinto(buffer):
            new.write(buffer[:count])
        os.fsync(new.fileno())
    took = time.perf_counter() - begin
    target.unlink()
    return took


def digest(piece: bytes, size: int) -> float:
    """Hash as many bytes from memory; give the seconds."""
    seen = hashlib.sha512()
    begin = time.perf_counter()
    for _ in range(size // len(piece)):
        seen.update(piece)
    seen.hexdigest()
    return time.perf_counter() - begin


def downloads(
    cloud: LocalCloud, root: Path, size: int, rounds: int
) -> list[Row]:
    """Time verified downloads, and copying and hashing, in turns."""
    source = random_file(root / "full.img", size)
    image = cloud.add_image(source, name="full", project_id=_PROJECT)
    assert image.os_hash_algo == "sha512"  # noqa: S101 - as it is hashed here
    executions, piece = Executions(), os.urandom(_MIB)
    copied, hashed, loaded = [], [], []
    for at in range(rounds + 1):
        settle(root)
        copied.append(copy(source, root / "copy.img"))
        hashed.append(digest(piece, size))
        settle(root)
        made = cloud.create_volume(
            image.id, name="full", project_id=_PROJECT, size=1
        )
        loaded.append(executions.last)
        assert isinstance(made.decision, Download)  # noqa: S101 - else it times nonsense
        assert made.volume is not None  # noqa: S101 - the same
        cloud.delete_volume(made.volume.volume.id)
        if at == 0:
            for values in (copied, hashed, loaded):
                values.clear()
    times = [Timing(tuple(values)) for values in (copied, hashed, loaded)]
    names = "copy", "sha512", "download with sha512"
    rows = [
        Row(
            name=f"{name}, {size // _MIB} MiB",
            value=size / _GIB / timing.best,
            unit="GiB/s",
            note=f"median {size / _GIB / timing.median:.3g}",
        )
        for name, timing in zip(names, times, strict=True)
    ]
    copying, hashing, loading = times
    by_medians = (copying.median + hashing.median) / loading.median
    rows.append(
        Row(
            name="download / (copy, then hash)",
            value=(copying.best + hashing.best) / loading.best,
            unit="x",
            target=0.85,
            at_least=True,
            note=f"by medians {by_medians:.3g}",
        )
    )
    return rows


def memory(cloud: LocalCloud, root: Path, size: int) -> Row:
    """See how much memory a process has at most that downloads an image."""
    source = random_file(root / f"memory-{size}.img", size)
    image = cloud.add_image(source, name=f"m{size}", project_id=_PROJECT)
    source.unlink()
    done = subprocess.run(  # noqa: S603 - this very script
        [sys.executable, __file__, "--child", str(root / "cloud"), image.id],
        check=True,
        capture_output=True,
        text=True,
    )
    cloud.delete_image(image.id)
    return Row(
        name=f"peak memory, download of {size // _MIB} MiB",
        value=int(done.stdout) / 1024,
        unit="MiB",
        target=64,
    )


def child(root: Path, image_id: str) -> None:
    """Download once, and print the most memory this process had, in KiB."""
    with LocalCloud(root) as cloud:
        made = cloud.create_volume(
            image_id, name="child", project_id=_PROJECT, size=4
        )
        assert isinstance(made.decision, Download)  # noqa: S101 - else it measures nonsense
        assert made.volume is not None  # noqa: S101 - the same
        cloud.delete_volume(made.volume.volume.id)
    # getrusage would count what the parent had before exec
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """Time everything and print it."""
    parser = arguments(__doc__)
    parser.add_argument("--directory", type=Path, help="where to work")
    parser.add_argument(
        "--mib", type=int, default=128, help="size of a download"
    )
    parser.add_argument("--child", nargs=2, help="for its own use")
    options = parser.parse_args()
    if options.child is not None:
        child(Path(options.child[0]), options.child[1])
        return
    with (
        place(options.directory) as (root, notes),
        LocalCloud.init(root / "cloud") as cloud,
    ):
        kind = cloud.pools[0].backend.clone_kind
        rows = []
        if kind == "copy-on-write":
            rows += clones(cloud, root, options.rounds)
        else:
            notes.append(f"NO REFLINKS ({kind}): clones were not timed")
        size = options.mib * _MIB
        rows += downloads(cloud, root, size, max(3, options.rounds // 2))
        rows += [memory(cloud, root, n * size) for n in (1, 8)]
    report(rows, notes, as_json=options.json)


if __name__ == "__main__":
    main()
