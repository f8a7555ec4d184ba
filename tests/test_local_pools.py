"""The pools of a local cloud: how each clones, and where a volume goes."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path

import attrs
import pytest
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from cli_support import MIB, run, run_json
from clonepolicy import CloneKind, GiB, Register, UnavailableError
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.adapters.local._store import Store
from clonepolicy.cli._report import Meter, _advance
from local_support import add_image

source = local_support.source
xfs = local_support.xfs


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """A cloud with three pools."""
    root = tmp_path / "c"
    LocalCloud.init(root, pools={"a": None, "b": None, "c": None}).close()
    return root


def share(
    monkeypatch: pytest.MonkeyPatch, arrays: dict[str, str | None]
) -> None:
    """Have pools on other arrays; None: the pool's has no reflinks."""
    real = Store.backend

    def backend(store: Store, pool: str) -> object:
        array = arrays[pool]
        kind = CloneKind.FULL_COPY if array is None else "copy-on-write"
        return attrs.evolve(
            real(store, pool),
            array_id=array or f"own-{pool}",
            clone_kind=CloneKind(kind),
            clone_across_pools=array is not None,
        )

    monkeypatch.setattr(Store, "backend", backend)


def free(monkeypatch: pytest.MonkeyPatch, rooms: dict[str, int]) -> None:
    """Have pools with so many free bytes."""
    monkeypatch.setattr(Store, "free", lambda _store, pool: rooms[pool])


def registered(cloud: LocalCloud, source: Path, pool: str) -> str:
    """Make an image whose data is a volume in a pool; return its id."""
    volume = cloud.create_volume(
        add_image(cloud, source), name="w", project_id="p", size=1, pool=pool
    ).volume
    assert volume is not None
    made = cloud.upload_volume(volume.volume.id, name="g", project_id="p")
    assert isinstance(made.decision, Register)
    assert made.image is not None
    return made.image.image.id


def pool_of_new(cloud: LocalCloud, image_id: str) -> str | None:
    """Return the pool of a volume whose user names none."""
    made = cloud.create_volume(image_id, name="n", project_id="p", size=1)
    assert made.volume is not None
    assert made.volume.volume.host is not None
    return made.volume.volume.host.pool


def test_without_a_source_a_volume_goes_where_its_clones_are_reflinks(
    cloud: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More free space elsewhere does not count, and too little here does."""
    share(monkeypatch, {"a": None, "b": "xfs", "c": None})
    free(monkeypatch, {"a": 3 * GiB, "b": GiB, "c": 4 * GiB})
    with LocalCloud(cloud) as opened:
        image = add_image(opened, source)
        assert pool_of_new(opened, image) == "b"
        free(monkeypatch, {"a": 3 * GiB, "b": 1, "c": 4 * GiB})
        assert pool_of_new(opened, image) == "c"


def test_a_volume_goes_where_it_is_a_reflink_of_its_source(
    cloud: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First to the source's own pool, or else to one of the same array."""
    share(monkeypatch, {"a": "one", "b": "two", "c": "two"})
    free(monkeypatch, {"a": 9 * GiB, "b": GiB, "c": 2 * GiB})
    with LocalCloud(cloud) as opened:
        image = registered(opened, source, "b")
        assert pool_of_new(opened, image) == "b"


def test_a_volume_goes_to_its_source_if_no_pool_has_reflinks(
    cloud: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full copy moves no data through the services."""
    share(monkeypatch, dict.fromkeys("abc"))
    free(monkeypatch, {"a": 9 * GiB, "b": GiB, "c": 2 * GiB})
    with LocalCloud(cloud) as opened:
        image = registered(opened, source, "b")
        assert pool_of_new(opened, image) == "b"


def test_an_image_in_a_pool_that_is_not_there_is_an_error_about_the_pool(
    cloud: Path, source: Path
) -> None:
    """No volume is made elsewhere, because no data can be read."""
    with LocalCloud(cloud) as opened:
        image = registered(opened, source, "b")
    (cloud / "pools" / "b").rename(cloud / "away")
    with LocalCloud(cloud) as opened:
        assert {"b"} == opened.absent_pools.keys()
        with pytest.raises(UnavailableError, match="pool b is not"):
            pool_of_new(opened, image)
        assert {"w"} >= {row.name for row in opened.list_volumes("p")}


def test_a_pool_that_cannot_be_tried_has_no_reflinks(
    cloud: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full file system cannot be tried; another pool is taken."""
    real = Store.backend

    def backend(store: Store, pool: str) -> object:
        if pool == "a":
            message = "full"
            raise UnavailableError(message)
        return real(store, pool)

    monkeypatch.setattr(Store, "backend", backend)
    free(monkeypatch, {"a": 0, "b": GiB, "c": 2 * GiB})
    with LocalCloud(cloud) as opened:
        assert pool_of_new(opened, add_image(opened, source)) == "c"


def test_a_clone_on_real_reflinks_copies_nothing(
    tmp_path: Path, xfs: Path
) -> None:
    """The volumes go to the pool on XFS, and each clone shares its data."""
    root, disk = ("--root", str(tmp_path / "c")), tmp_path / "disk"
    disk.write_bytes(b"data" * MIB)
    pools = ("--pool", "slow", "--pool", f"fast={xfs / 'fast'}")
    run("init", str(tmp_path / "c"), *pools)
    run("image", "add", str(disk), "--name", "base", *root)
    create = ("volume", "create", "--size", "1", *root, "--image")
    run_json(*create, "base", "--name", "work")
    made = [
        run_json("volume", "upload", "work", "--name", "gold", *root),
        run_json(*create, "gold"),
    ]

    assert "local@files#fast" == made[1]["volume"]["host"]
    for each in made:
        assert ("copy-on-write", 0, 0) == (
            each["clone_kind"],
            each["bytes_copied"],
            each["bytes_moved"],
        )
    assert "full copy" not in run(*create, "gold").stdout


def test_pool_list_says_how_each_pool_clones(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its free space, on a narrow terminal too."""
    share(monkeypatch, {"a": "xfs", "b": None, "c": "xfs"})
    rows = run_json("pool", "list", "--root", str(cloud))["pools"]

    assert [
        ("a", "copy-on-write", "xfs"),
        ("b", "full-copy", "own-b"),
        ("c", "copy-on-write", "xfs"),
    ] == [(r["name"], r["clone_kind"], r["array_id"]) for r in rows]
    assert all(r["free"] > 0 and r["problem"] is None for r in rows)
    narrow = run("pool", "list", "--root", str(cloud), columns=50).stdout
    assert max(map(len, narrow.splitlines())) <= 50
    for text in ("a ", "copy-on-write", "full-copy", "--long shows all"):
        assert text in narrow
    full = run("pool", "list", "--long", "--root", str(cloud)).stdout
    assert str(cloud / "pools" / "b") in full


def test_pool_list_names_a_pool_that_is_not_there(cloud: Path) -> None:
    """In the list and in JSON."""
    (cloud / "pools" / "b").rename(cloud / "away")
    shown = run("pool", "list", "--root", str(cloud))
    listed = run("pool", "list", "--root", str(cloud), "--json")

    assert "mount its file system" in shown.stdout
    rows = json.loads(listed.stdout)["pools"]
    assert ["b"] == [row["name"] for row in rows if row["problem"]]


def test_a_full_copy_is_told_with_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a clone and of a registration, in text and in JSON."""
    monkeypatch.setattr(sparse, "can_reflink", lambda _directory: False)
    root, disk = ("--root", str(tmp_path / "c")), tmp_path / "disk"
    with disk.open("wb") as file:
        file.write(b"data" * (MIB // 4))
        file.truncate(8 * MIB)
    run("init", str(tmp_path / "c"))
    run("image", "add", str(disk), "--name", "base", *root)
    create = ("volume", "create", "--size", "1", *root, "--image")
    downloaded = run_json(*create, "base", "--name", "work")
    registered = run_json("volume", "upload", "work", "--name", "gold", *root)
    cloned = run_json(*create, "gold")
    shown = run(*create, "gold").stdout

    keys = ("clone_kind", "bytes_copied")
    assert [(None, 0), ("full-copy", MIB), ("full-copy", MIB)] == [
        tuple(made[key] for key in keys)
        for made in (downloaded, registered, cloned)
    ]
    assert (0, 0) == (registered["bytes_moved"], cloned["bytes_moved"])
    assert "The clone is a full copy of 1.0 MiB" in shown
    assert "0 B moved, 1.0 MiB copied" in shown


def test_a_copy_moves_the_bar_to_its_end() -> None:
    """Holes are not copied, so the bar learns how much is left."""
    with Progress(disable=True) as bars:
        task = bars.add_task("copying", total=1000)
        meter = Meter(partial(_advance, bars, task))
        seen = []
        for count, left in ((30, 10), (10, 0)):
            meter.copied(count, left)
            seen.append((bars.tasks[0].completed, bars.tasks[0].total))

    assert [(30, 40), (40, 40)] == seen
    assert (40, 0) == (meter.bytes_copied, meter.bytes_moved)


def test_a_copy_tells_its_progress_without_the_holes(tmp_path: Path) -> None:
    """In pieces, the last of which leaves nothing."""
    size = 3 * sparse._AT_ONCE
    told: list[tuple[int, int]] = []
    with (
        paths.unnamed(tmp_path) as origin,
        paths.unnamed(tmp_path) as target,
    ):
        for start in (0, 4 * size):
            for at in range(start, start + size, MIB):
                os.pwrite(origin, b"x" * MIB, at)
        sparse.copy(origin, target, lambda *each: told.append(each))
        copied = os.fstat(target)

    assert (5 * size, 2 * size) == (copied.st_size, sum(n for n, _ in told))
    assert len(told) >= 6
    lefts = [left for _, left in told]
    assert sorted(lefts, reverse=True) == lefts
    assert 0 == lefts[-1]
