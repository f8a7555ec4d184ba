"""Making and opening a cloud, and the arguments of its methods."""

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from clonepolicy import (
    CinderLocation,
    ConflictError,
    FactError,
    NotFoundError,
    Quota,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.local import LocalCloud
from local_support import (
    add_image,
    faults,
    make_volume,
)

source, btrfs = local_support.source, local_support.btrfs
agreeing = local_support.agreeing


def test_a_cloud_is_made_once_and_in_empty_directories(tmp_path: Path) -> None:
    """Init overwrites neither a cloud nor other files."""
    with pytest.raises(NotFoundError, match="make one with"):
        LocalCloud(tmp_path / "c")
    LocalCloud.init(tmp_path / "c").close()
    with pytest.raises(ConflictError, match="already"):
        LocalCloud.init(tmp_path / "c")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConflictError, match="not empty"):
        LocalCloud.init(tmp_path / "full")
    with pytest.raises(ConflictError, match="not empty"):
        LocalCloud.init(tmp_path / "d", pools={"a": tmp_path / "full"})
    with pytest.raises(FactError):
        LocalCloud.init(tmp_path / "e", pools={"a/b": None})
    db = sqlite3.connect(tmp_path / "c" / "catalogue.sqlite")
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(NotFoundError, match="version 9"):
        LocalCloud(tmp_path / "c")


@pytest.mark.parametrize(
    "place",
    [
        *("c", "", "c/images", "c/run", "c/reserve", "c/catalogue.sqlite"),
        *("b", "b/below", "link"),
    ],
)
def test_a_pool_is_apart_from_all_else(place: str, tmp_path: Path) -> None:
    """Otherwise what is of one would seem a stray file of the other."""
    (tmp_path / "link").symlink_to("b")
    pools = {"b": tmp_path / "b", "a": tmp_path / place}
    assert "apart" in fact_error(
        "pools", lambda: LocalCloud.init(tmp_path / "c", pools=pools)
    )
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_on_btrfs_a_write_ahead_log_is_converted(
    how: str, btrfs: Path, source: Path
) -> None:
    """Earlier releases kept one there; it maps memory from a file."""
    root = btrfs / how
    with LocalCloud.init(root) as cloud:
        make_volume(cloud, add_image(cloud, source))
    child = os.fork()
    if child == 0:
        db = sqlite3.connect(root / "catalogue.sqlite", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE volume SET name = 'renamed'")
        if how == "closed":
            db.close()
        os._exit(0)
    os.waitpid(child, 0)
    log = root / "catalogue.sqlite-wal"
    assert log.exists() == (how == "killed")
    with LocalCloud(root) as cloud:
        assert cloud.find_volume("renamed", "p").name == "renamed"
        add_image(cloud, source, "another")
        assert not log.exists()
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        assert str(root) not in maps
    assert faults(root, source) == []


def test_wrong_arguments_are_named(tmp_path: Path, source: Path) -> None:
    """Each error names the wrong argument."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        with pytest.raises(NotFoundError, match="no does not exist"):
            cloud.add_image(tmp_path / "no", name="a", project_id="p")
        with pytest.raises(ConflictError, match="regular"):
            cloud.add_image(tmp_path, name="a", project_id="p")
        with pytest.raises(FactError, match="visibility"):
            cloud.add_image(
                source, name="a", project_id="p", visibility="secret"
            )
        with pytest.raises(NotFoundError, match="the pools are: pool1"):
            cloud.ports("p", "pool9")
        ports = cloud.ports("p", "pool1")
        location = CinderLocation(ports.volumes.new_id())
        with pytest.raises(UnsupportedError):
            ports.array.find_image(location=location)
        with pytest.raises(NotFoundError):
            ports.volumes.set_readonly("no")
        with pytest.raises(NotFoundError):
            ports.volumes.set_metadata("no", "a", "b")
        volume = make_volume(cloud, add_image(cloud, source))
        with pytest.raises(NotFoundError, match="no pool"):
            ports.volumes.get_backend(attrs.evolve(volume, host=None))


def test_a_pool_that_is_not_mounted_is_named(
    tmp_path: Path, source: Path
) -> None:
    """Its volumes cannot be used meanwhile, and nothing is lost."""
    pool, away = tmp_path / "pool", tmp_path / "away"
    with LocalCloud.init(tmp_path / "c", pools={"a": pool}) as cloud:
        make_volume(cloud, add_image(cloud, source))
    pool.rename(away)
    pool.mkdir()
    with LocalCloud(tmp_path / "c") as cloud:
        (problem,) = cloud.check()
        assert str(pool) == problem.where
        assert problem.remedy.startswith("mount")
        assert not problem.discardable
        assert cloud.pools == ()
        (row,) = cloud.list_volumes()
        assert row.volume.status == "error"
        image_id = cloud.find_image("image", "p").image.id
        for call in (
            lambda: cloud.create_volume(image_id, **_NAMED, size=1),
            lambda: cloud.delete_volume(row.volume.id),
        ):
            with pytest.raises(UnavailableError, match="mount"):
                call()
    pool.rmdir()
    away.rename(pool)
    assert faults(tmp_path / "c", source) == []


def test_a_damaged_catalogue_is_refused(tmp_path: Path) -> None:
    """A damaged catalogue raises an adapter's error with the remedy."""
    LocalCloud.init(tmp_path / "c").close()
    (tmp_path / "c" / "catalogue.sqlite").write_bytes(b"no" * 5000)
    with pytest.raises(
        UnavailableError, match=r"the cloud's catalogue.*resto"
    ):
        LocalCloud(tmp_path / "c")
    (tmp_path / "c" / "catalogue.sqlite").write_bytes(b"")
    with pytest.raises(
        UnavailableError, match=r"the cloud's catalogue.*resto"
    ):
        LocalCloud(tmp_path / "c")


_BAD_NAMES = ("", "a\nb", "a\x1b[31m", "x\udcff", "n" * 256)


def fact_error(field: str, call: Callable[[], object]) -> str:
    """Check that a call raises `FactError`; return its message."""
    with pytest.raises(FactError) as caught:
        call()
    assert field == caught.value.field
    return str(caught.value)


@pytest.mark.parametrize("name", _BAD_NAMES)
def test_a_name_is_one_line_of_printable_text(
    name: str, tmp_path: Path, source: Path
) -> None:
    """Names of images, volumes and projects are checked first."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)
        volume_id = make_volume(cloud, image_id).id
        add, create = cloud.add_image, cloud.create_volume
        upload = cloud.upload_volume
        calls: tuple[Callable[[], object], ...] = (
            lambda: add(source, name=name, project_id="p"),
            lambda: create(image_id, name=name, project_id="p", size=1),
            lambda: upload(volume_id, name=name, project_id="p"),
        )
        for call in calls:
            assert "printable" in fact_error("name", call)
        calls = (
            lambda: add(source, name="a", project_id=name),
            lambda: create(image_id, name="a", project_id=name, size=1),
            lambda: upload(volume_id, name="a", project_id=name),
            lambda: cloud.list_volumes(name),
            lambda: cloud.list_images(name),
            lambda: cloud.find_volume("v", name),
            lambda: cloud.find_image("v", name),
            lambda: cloud.set_quota(name, Quota()),
        )
        for call in calls:
            fact_error("project_id", call)
        for field in ("disk_format", "container_format"):
            more: dict[str, Any] = {field: name}
            fact_error(field, lambda: add(source, **_NAMED, **more))  # noqa: B023 - called at once
            fact_error(field, lambda: upload(volume_id, **_NAMED, **more))  # noqa: B023 - called at once
        assert len(cloud.list_images()) == len(cloud.list_volumes()) == 1
    assert faults(tmp_path / "c", source) == []


_NAMED: dict[str, Any] = {"name": "a", "project_id": "p"}


@pytest.mark.parametrize("size", [-1, 2**33, 10**20, 1.5])
def test_a_size_must_fit_in_a_file(
    size: Any,  # noqa: ANN401 - wrong on purpose
    tmp_path: Path,
    source: Path,
) -> None:
    """The largest size is one GiB below 2**63 bytes."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)

        message = fact_error(
            "size",
            lambda: cloud.create_volume(image_id, **_NAMED, size=size),
        )
        assert "8589934591" in message
        fact_error(
            "min_disk",
            lambda: cloud.add_image(source, **_NAMED, min_disk=size),
        )
        if size == 10**20:
            fact_error("Quota.gigabytes", lambda: Quota(gigabytes=size))
        assert cloud.list_volumes() == ()
        made = cloud.create_volume(image_id, **_NAMED, size=2**33 - 1)
        assert made.volume is not None
    assert faults(tmp_path / "c") == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The error names the directory."""
    with pytest.raises(UnavailableError, match="/proc/x cannot be made"):
        LocalCloud.init(Path("/proc/x"))
    (tmp_path / "file").touch()
    with pytest.raises(ConflictError, match="file is not a directory"):
        LocalCloud.init(tmp_path / "file")
    with pytest.raises(UnavailableError, match="cannot be made"):
        LocalCloud.init(tmp_path / "file" / "below")
    pools = {"a": None, "b": Path("/proc/x")}
    with pytest.raises(UnavailableError, match="/proc/x cannot be made"):
        LocalCloud.init(tmp_path / "again", pools=pools)
    LocalCloud.init(tmp_path / "again").close()
    odd = {"a": tmp_path / "x\udcff"}
    assert "text" in fact_error(
        "pools", lambda: LocalCloud.init(tmp_path / "c", pools=odd)
    )


def test_a_cloud_that_cannot_be_written_is_read(source: Path) -> None:
    """A user without write permission can list, and change nothing."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        root = Path(name) / "c"
        with LocalCloud.init(root) as cloud:
            image_id = add_image(cloud, source)
            volume = make_volume(cloud, image_id)
        for place in (root / "run", root):
            place.chmod(0o555)
        (root / "catalogue.sqlite").chmod(0o444)
        files = [root / "images" / image_id]
        files.append(root / "pools" / "pool1" / f"volume-{volume.id}")
        for path in files:
            path.chmod(0)
        me = os.geteuid()
        try:
            if me == 0:
                os.seteuid(65534)
            with LocalCloud(root) as cloud:
                assert [image_id] == [r.image.id for r in cloud.list_images()]
                (row,) = cloud.list_volumes()
                assert row.volume.status == "error"
                told = {p.where: p.message for p in cloud.check()}
                assert set(map(str, files)) == set(told)
                assert all("cannot be read" in why for why in told.values())
                with pytest.raises(UnavailableError, match="check who may"):
                    cloud.delete_volume(row.volume.id)
        finally:
            os.seteuid(me)
            root.chmod(0o755)
            (root / "run").chmod(0o755)


def test_a_cloud_without_its_directories_is_read(
    tmp_path: Path, source: Path
) -> None:
    """A missing directory is named; only what needs it fails."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        add_image(cloud, source)
    for name in ("run", "images"):
        (root / name).rename(tmp_path / name)
        with LocalCloud(root) as cloud:
            assert len(cloud.list_images()) == 1
            missing = [p for p in cloud.check() if "mkdir" in p.remedy]
            assert [str(root / name)] == [p.where for p in missing]
            with pytest.raises(NotFoundError, match="does not exist"):
                add_image(cloud, source, "another")
        (tmp_path / name).rename(root / name)
    assert faults(root, source) == []
