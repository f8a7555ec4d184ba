"""Whatever happens to a cloud, reading it loses nothing, and names it."""

import json
import os
import re
import sqlite3
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest
from click.testing import Result

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
import local_support
from clonepolicy import (
    AdapterError,
    Clone,
    ConflictError,
    NotFoundError,
    Refuse,
    UnavailableError,
)
from clonepolicy.adapters import _sizes
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local import LocalCloud, Problem
from local_damage import DAMAGES, Damager, inventory, records
from local_support import (
    MIB,
    add_image,
    content,
    faults,
    killed,
    make_volume,
    register_image,
)

source = local_support.source
_READING = (
    *("image list", "image list --all --json", "volume list --all"),
    *("volume list --json", "image show image", "volume show v --json"),
    *("image show no", "volume show no", "check", "check --json"),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a GiB 4 MiB."""
    monkeypatch.setattr(_sizes, "GiB", 4 * MIB)


def run(root: Path, line: str) -> Result:
    """Run a command in this process."""
    words = [*line.split(), "--root", str(root)]
    if words[0] != "check":
        words += ["--project", "p"]
    return cli_support.run(*words)


def make(root: Path, source: Path) -> tuple[str, str]:
    """Make a cloud with a volume and a registered image; return both ids."""
    pools = {"a": None, "b": root.with_name("b")}
    with LocalCloud.init(root, pools=pools) as cloud:
        volume, image_id = register_image(cloud, source)
    return volume.id, image_id


Existing: TypeAlias = tuple[Path, str, str]


@pytest.fixture
def existing(tmp_path: Path, source: Path) -> Existing:
    """Make a cloud; return its root, and the ids of a volume and an image."""
    root = tmp_path / "c"
    return root, *make(root, source)


def damaged(root: Path, source: Path, seed: int, times: int) -> Damager:
    """Make a cloud and damage it."""
    make(root, source)
    pools = [root / "pools" / "a", root.with_name("b")]
    damager = Damager(root, pools, seed)
    for _ in range(times):
        damager.damage()
    return damager


def check_reading(root: Path, source: Path, seed: int) -> None:
    """Read a damaged cloud in all ways: nothing is changed or lost."""
    damager = damaged(root, source, seed, 1 + seed % 4)
    before = inventory(root.parent), records(root)
    for line in _READING:
        done = run(root, line)
        assert done.exit_code in {0, 1, 4, 5}, (line, damager.done, done)
        assert done.exception is None or isinstance(
            done.exception, SystemExit | AdapterError
        ), (line, damager.done, done.exception)
        told = done.stderr.splitlines()
        assert all(
            re.match(r"warning: |error: |\{\"error\"", one) for one in told
        ), (line, damager.done, told)
    assert (inventory(root.parent), records(root)) == before, damager.done


@pytest.mark.parametrize("seed", range(10))
def test_reading_a_damaged_cloud_changes_nothing(
    seed: int, tmp_path: Path, source: Path
) -> None:
    """Every byte of every file, and every record, is found again."""
    check_reading(tmp_path / "c", source, seed)


@pytest.mark.deep
def test_reading_many_damaged_clouds_changes_nothing(
    tmp_path: Path, source: Path
) -> None:
    """The same for each kind of damage, many times."""
    for seed in range(100, 700):
        place = tmp_path / str(seed)
        place.mkdir()
        check_reading(place / "c", source, seed)


@pytest.mark.parametrize("name", sorted({*DAMAGES} - {"an impossible value"}))
def test_each_kind_of_damage_is_named(
    name: str, tmp_path: Path, existing: Existing
) -> None:
    """`check` names it in one line, with what to do."""
    root, *_ = existing
    damager = Damager(root, [root / "pools" / "a", tmp_path / "b"], 2)
    damager.done.append(name)
    DAMAGES[name](damager)
    with LocalCloud(root) as cloud:
        found = cloud.check()
    assert found
    for problem in found:
        assert "\n" not in str(problem)
        assert problem.remedy
    done = run(root, "check --json")
    assert done.exit_code == 1
    assert [attrs.asdict(one) for one in found] == json.loads(done.stdout)[
        "problems"
    ]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("volume", "created_at", "yesterday"),
        ("volume", "size", -1),
        ("volume", "size", "x"),
        ("volume", "name", b"\xff"),
        ("volume", "project_id", b"\xff"),
        ("volume", "status", "dancing"),
        ("volume", "status", "creating"),
        ("volume", "id", "../../outside"),
        ("image", "updated_at", "2026-13-45"),
        ("image", "min_disk", "x"),
        ("image", "size", -1),
        ("image", "id", b"\xff"),
        ("quota", "volumes", "many"),
        ("config", "value", '{"nope": 1}'),
    ],
)
def test_a_record_that_cannot_be_is_named_and_removed(
    table: str, column: str, value: object, existing: Existing
) -> None:
    """Other records are used meanwhile; then what the remedy says works."""
    root, volume_id, _ = existing
    db = sqlite3.connect(root / "catalogue.sqlite", isolation_level=None)
    db.execute("INSERT INTO quota VALUES ('q', 1, 1, 1)")
    where = {"volume": f"id = '{volume_id}'", "image": "name = 'image'"}
    db.execute(
        f"UPDATE {table} SET {column} = ? WHERE {where.get(table, True)}",  # noqa: S608 - our own names
        (value,),
    )
    db.close()
    with LocalCloud(root) as cloud:
        names = {row.name for row in cloud.list_images()}
        assert names == ({"snap"} if table == "image" else {"snap", "image"})
        first, *_ = cloud.check()
        if "volume delete" in first.remedy:
            cloud.adopt_volume(volume_id, name="x", project_id="p")
        while found := [p for p in cloud.check() if p.discardable]:
            cloud.discard(found[0].where)
        assert cloud.check() == ()


def test_a_file_that_does_not_fit_is_taken_back(
    source: Path, existing: Existing
) -> None:
    """Adopting adds zeros and loses no byte; the clone path works again."""
    root, volume_id, _ = existing
    with LocalCloud(root) as cloud:
        path = cloud.find_volume(volume_id, "p").path
        with path.open("ab") as file:
            file.write(b"x")
        assert cloud.find_volume("v", "p").volume.status == "error"
        with pytest.raises(AdapterError, match="damaged"):
            list(cloud.ports("p", "a").array.read(volume_id))
        made = cloud.adopt_volume(volume_id, name="other", project_id="q")
        assert (made.name, made.volume.status) == ("v", "available")
        assert made.volume.project_id == "p"
        assert made.volume.size == 2
        assert path.stat().st_size == 8 * MIB
        assert content(path) == {**content(source), 4 * MIB: b"x"}
        with pytest.raises(ConflictError, match="fits its record"):
            cloud.adopt_volume(volume_id, name="other", project_id="q")
        assert cloud.check() == ()


def test_the_volume_of_an_image_is_taken_back_with_the_image(
    existing: Existing,
) -> None:
    """An image whose volume lost a byte, or won one, is cloned again."""
    root, _, image_id = existing
    for change, size in ((-1, 1), (1, 2)):
        with LocalCloud(root) as cloud:
            (url,) = cloud.find_image(image_id, "p").locations
            backing = url.removeprefix("cinder://")
            path = cloud.find_volume(backing, None).path
            os.truncate(path, path.stat().st_size + change)
            made = cloud.create_volume(
                image_id, name="n", project_id="p", size=size
            )
            assert isinstance(made.decision, Refuse)
            cloud.adopt_volume(backing, name="b", project_id="p")
            made = cloud.create_volume(
                image_id, name="y", project_id="p", size=size
            )
            assert isinstance(made.decision, Clone)
            assert made.outcome is not None
            assert made.outcome.attempt is not None
            assert list(cloud.ports("p", "a").images.download(image_id))
            assert cloud.check() == ()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "missing"])
def test_what_is_not_a_volumes_file_is_not_used(
    kind: str, tmp_path: Path, source: Path, existing: Existing
) -> None:
    """A link is not followed, a pipe is not waited for."""
    root, volume_id, _ = existing
    outside = tmp_path / "outside"
    outside.write_bytes(bytes(4 * MIB))
    with LocalCloud(root) as cloud:
        path = cloud.find_volume(volume_id, "p").path
        path.rename(tmp_path / "kept")
        makers: dict[str, Callable[[], object]] = {
            "link": lambda: path.symlink_to(outside),
            "pipe": lambda: os.mkfifo(path),
            "directory": path.mkdir,
            "missing": lambda: None,
        }
        makers[kind]()
        made = cloud.upload_volume(volume_id, name="u", project_id="p")
        assert made.image is None
        with pytest.raises(AdapterError):
            list(cloud.ports("p", "a").array.read(volume_id))
        with pytest.raises(NotFoundError, match="no pool has"):
            cloud.adopt_volume(volume_id, name="x", project_id="p")
        (problem,) = cloud.check()
        assert str(path) == problem.where
        with pytest.raises(ConflictError, match="file of volume v"):
            cloud.discard(problem.where)
        if kind == "directory":
            with pytest.raises(ConflictError, match="move it away"):
                cloud.delete_volume(volume_id)
            path.rmdir()
        (tmp_path / "kept").rename(path)
        assert cloud.find_volume("v", "p").volume.status == "available"
    assert outside.read_bytes() == bytes(4 * MIB)
    assert faults(root, source) == []


def test_files_without_a_record_stay_until_they_are_removed(
    source: Path, existing: Existing
) -> None:
    """They are named; each is taken back, or discarded."""
    root, volume_id, _ = existing
    with LocalCloud(root) as cloud:
        pool = cloud.find_volume(volume_id, "p").path.parent
        image_id = cloud.find_image("image", "p").image.id
    stray = f"{volume_id[:-4]}0000"
    path, other = pool / f"volume-{stray}", root / "images" / stray
    notes = pool / "notes.txt"
    path.write_bytes(source.read_bytes())
    other.write_bytes(b"bytes of an image")
    notes.touch()
    (pool / "lost+found").mkdir()
    with LocalCloud(root) as cloud:
        told = {problem.where: problem for problem in cloud.check()}
        assert set(told) == {str(path), str(other), str(notes)}
        with pytest.raises(ConflictError, match="move it away"):
            cloud.discard(str(notes))
        with pytest.raises(NotFoundError, match="nothing wrong"):
            cloud.discard(str(root / "images" / image_id))
        cloud.discard(str(other))
        made = cloud.adopt_volume(stray, name="back", project_id="p")
        assert content(source) == content(made.path)
        notes.unlink()
        assert cloud.check() == ()
        for place in (pool, cloud.pools[0].path, cloud.pools[1].path):
            (place / f"volume-{stray[:-1]}1").write_bytes(b"x")
        with pytest.raises(ConflictError, match="several pools"):
            cloud.adopt_volume(f"{stray[:-1]}1", name="b", project_id="p")


def test_a_volume_that_is_being_made_is_not_adopted(
    existing: Existing,
) -> None:
    """A live process works on it."""
    root, volume_id, _ = existing
    with LocalCloud(root) as cloud, LocalCloud(root) as other:
        ports = cloud.ports("p", "a")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume_id, "p")
        ports.array.clone_volume(made, ports.volumes.get_volume(volume_id))
        with pytest.raises(ConflictError, match="wait until"):
            other.adopt_volume(made, name="x", project_id="p")
        assert other.check() == ()


def test_what_is_being_discarded_is_not_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one waits for the other, and fails: no record loses its file."""
    root = tmp_path / "c"
    stray_id = str(uuid.UUID(int=7))
    with LocalCloud.init(root) as cloud, LocalCloud(root) as other:
        stray = cloud.pools[0].path / f"volume-{stray_id}"
        stray.write_bytes(b"x")
        refused = []

        def adopt() -> None:
            try:
                other.adopt_volume(stray_id, name="v", project_id="p")
            except NotFoundError:
                refused.append(stray_id)

        late, remove = threading.Thread(target=adopt), paths.remove

        def remove_late(path: Path) -> bool:
            if path == stray:
                late.start()
                late.join(0.5)
            return remove(path)

        monkeypatch.setattr(paths, "remove", remove_late)
        cloud.discard(str(stray))
        late.join()
        assert refused == [stray_id]
        assert cloud.list_volumes() == ()
        assert cloud.check() == ()


def test_a_remedy_killed_at_any_call_can_be_repeated(
    source: Path, existing: Existing
) -> None:
    """No byte is lost, and the next attempt ends what the last began."""
    root, volume_id, _ = existing
    with LocalCloud(root) as cloud:
        path = cloud.find_volume(volume_id, "p").path
    stray = path.with_name(f"volume-{uuid.UUID(int=7)}")
    kept = content(source)

    def remedy() -> None:
        with LocalCloud(root) as cloud:
            for problem in cloud.check():
                if problem.discardable:
                    cloud.discard(problem.where)
                else:
                    cloud.adopt_volume(volume_id, name="x", project_id="p")

    died, call = True, 1
    while died:
        kept[path.stat().st_size] = b"x"
        with path.open("ab") as file:
            file.write(b"x")
        stray.write_bytes(b"x")
        died = killed(remedy, call)
        assert content(path) == kept
        remedy()
        assert content(path) == kept
        assert faults(root) == []
        call += 7
    assert call > 20


def test_a_failed_volume_with_a_file_is_kept(existing: Existing) -> None:
    """Repair once removed it; now only deleting does."""
    root, volume_id, _ = existing
    with LocalCloud(root) as cloud:
        cloud._store.catalogue.execute(
            "failing", "UPDATE volume SET status = 'error'"
        )
        with pytest.raises(ConflictError, match="has data"):
            cloud.ports("p", "a").array.discard(volume_id)
    with LocalCloud(root) as cloud:
        assert len(cloud.check()) == 2
        cloud.adopt_volume(volume_id, name="x", project_id="p")
        assert cloud.find_volume("v", "p").volume.status == "available"


def test_a_plan_in_an_unmounted_pool_waits(
    tmp_path: Path, existing: Existing
) -> None:
    """What cannot be repaired now is told, and repaired later."""
    root, volume_id, _ = existing
    gone = str(uuid.uuid4())
    with LocalCloud(root) as cloud:
        path = cloud.find_volume(volume_id, "p").path
        cloud._store.catalogue.execute(
            "dying",
            "UPDATE volume SET status = 'creating', token = ? WHERE id = ?",
            *(gone, volume_id),
        )
    pool, away = path.parent, tmp_path / "away"
    pool.rename(away)
    with LocalCloud(root) as cloud:
        told = [str(problem) for problem in cloud.check()]
        assert any("not repaired after a crash" in text for text in told)
        with pytest.raises(UnavailableError):
            cloud.ports("p", "a" if pool.name == "a" else "b")
    assert (away / path.name).exists()
    away.rename(pool)
    with LocalCloud(root) as cloud:
        assert cloud.find_volume("v", "p").volume.status == "error"
        assert not path.exists()


def test_a_problem_is_one_line() -> None:
    """Where, what, and the remedy."""
    assert str(Problem("a", "b", "c")) == "a: b; c"


def test_each_command_names_three_problems_at_most(existing: Existing) -> None:
    """`clonepolicy check` names all; discarding ends that."""
    root, *_ = existing
    for _ in range(5):
        (root / "images" / str(uuid.uuid4())).write_bytes(b"x")
    done = run(root, "image list")
    assert done.exit_code == 0
    assert done.stderr.count("warning: ") == 4
    assert "5 problems; see clonepolicy check" in done.stderr
    done = run(root, "check")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    for line in lines:
        where = line.partition(": ")[0]
        words = ["discard", where, "--root", str(root)]
        assert cli_support.run(*words).exit_code == 0
        assert cli_support.run(*words).exit_code == 4
    done = run(root, "check")
    assert (done.exit_code, done.stdout) == (0, "everything fits\n")


def test_the_command_adopt_takes_a_volume_back(
    source: Path, existing: Existing
) -> None:
    """The command that `check` names works as it is written."""
    root, volume_id, _ = existing
    with LocalCloud(root) as cloud:
        path = cloud.find_volume(volume_id, "p").path
        add_image(cloud, source, "more")
        make_volume(cloud, cloud.find_image("more", "p").image.id, "w")
    os.truncate(path, 4 * MIB + 1)
    with LocalCloud(root) as cloud:
        (problem,) = cloud.check()
    (line,) = re.findall(r"clonepolicy (volume adopt [^,]*)", problem.remedy)
    words = [*line.split(), "--root", str(root), "--json"]
    done = cli_support.run(*words)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["volume"]["status"] == "available"
    assert run(root, "check").exit_code == 0
