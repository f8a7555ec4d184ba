"""What opening a cloud puts in order, and what the files' layer says."""

import errno
import fcntl
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    FileLocation,
    IntegrityError,
    NotFoundError,
    Observer,
    Step,
    UnavailableError,
    UnsupportedError,
    Volume,
    execute,
)
from clonepolicy.adapters._files import paths, reflinks, sparse
from clonepolicy.adapters.local import LocalCloud, _process_lock, _store
from clonepolicy.adapters.local._errors import translate_errors

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from local_support import MIB, content, faults, write_source

source = local_support.source
agreeing = local_support.agreeing


def _image(cloud: LocalCloud, source: Path) -> str:
    return cloud.add_image(source, name="i", project_id="p").id


def _volume(cloud: LocalCloud, image_id: str) -> Volume:
    made = cloud.create_volume(image_id, name="v", project_id="p", size=1)
    assert made.volume is not None
    return made.volume.volume


def _die(cloud: LocalCloud) -> None:
    """Let go of everything as the kernel does for the dead."""
    cloud._store.catalogue.close()
    os.close(cloud._store.lock._fd)


class _Dead(Exception):  # noqa: N818 - not an error of anything
    """Stands for a kill in an observer."""


@pytest.mark.parametrize("began", ["image", "volume", "upload", "deleting"])
def test_what_the_dead_left_outside_a_plan_is_settled(
    began: str, tmp_path: Path, source: Path
) -> None:
    """A volume in creation fails; the rest goes, or is as it was."""
    root = tmp_path / "c"
    cloud = LocalCloud.init(root)
    image_id = _image(cloud, source)
    volume = _volume(cloud, image_id)
    ports, store = cloud.ports("p", "pool1"), cloud._store
    with store.catalogue.transaction("half a work") as db:
        match began:
            case "image":
                db.execute(
                    "UPDATE image SET status = 'saving', token = ?",
                    (store.lock.token,),
                )
            case "volume":
                pass
            case "upload":
                db.execute(
                    "UPDATE volume SET status = 'uploading', token = ?, "
                    "previous_status = 'available'",
                    (store.lock.token,),
                )
            case _:
                db.execute(
                    "UPDATE volume SET status = 'deleting', token = ?",
                    (store.lock.token,),
                )
    made = ports.volumes.new_id()
    if began == "volume":
        ports.volumes.create_image_volume(made, volume.id, "p")
        ports.array.clone_volume(made, volume)
    with LocalCloud(root) as other:
        # the first is alive, and its work its own
        assert other.recovered == ()
        statuses = {row.volume.status for row in other.list_volumes()}
        expected = {
            "image": {"available"},
            "volume": {"available", "creating"},
            "upload": {"uploading"},
            "deleting": {"deleting"},
        }
        assert expected[began] == statuses
    _die(cloud)
    with LocalCloud(root) as other:
        statuses = {row.volume.status for row in other.list_volumes()}
        settled = {
            "image": {"available"},
            "volume": {"available", "error"},
            "upload": {"available"},
            "deleting": set(),
        }
        assert settled[began] == statuses
        assert (began != "image") == bool(other.list_images())
    assert faults(root, source) == []


def test_a_dead_plan_is_recovered_once(tmp_path: Path, source: Path) -> None:
    """Whoever opens the cloud first finishes it and is told how."""
    root = tmp_path / "c"
    cloud = LocalCloud.init(root)
    volume = _volume(cloud, _image(cloud, source))
    _register_and_die(cloud, volume)
    with LocalCloud(root) as first, LocalCloud(root) as second:
        (outcome,) = first.recovered
        assert outcome.settled
        assert second.recovered == ()
    assert faults(root, source) == []


def _register_and_die(cloud: LocalCloud, volume: Volume) -> None:
    class Kill(Observer):
        def step_started(self, step: Step) -> None:
            if type(step).__name__ == "SetVolumeReadonly":
                _die(cloud)
                raise _Dead

    with pytest.raises((_Dead, sqlite3.Error, AdapterError)):
        cloud.upload_volume(
            volume.id, name="u", project_id="p", observer=Kill()
        )


def test_a_work_that_cannot_be_undone_now_is_undone_later(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while nothing can be removed leaves it to the next to open."""
    root = tmp_path / "c"

    class Stop(Observer):
        def step_started(self, step: Step) -> None:
            if type(step).__name__ == "AddLocation":
                raise KeyboardInterrupt

    with LocalCloud.init(root) as cloud:
        volume = _volume(cloud, _image(cloud, source))
        with monkeypatch.context() as patch:
            patch.setattr(paths, "remove", _raising(errno.EIO))
            with pytest.raises(KeyboardInterrupt):
                cloud.upload_volume(
                    volume.id, name="u", project_id="p", observer=Stop()
                )
        assert len(cloud.list_images()) == 2
    with LocalCloud(root) as cloud:
        (outcome,) = cloud.recovered
        assert outcome.settled
    assert faults(root, source) == []


def test_a_volume_is_looked_at_twice_before_it_fails(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process just completed does not count as broken."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        _volume(cloud, _image(cloud, source))
    answers = iter([False, True])
    monkeypatch.setattr(_store.Store, "is_whole", lambda *_: next(answers))
    with LocalCloud(tmp_path / "c") as cloud:
        assert cloud.find_volume("v", "p").volume.status == "available"


def test_an_owner_is_alive_as_long_as_it_holds_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was tidied away while it was made is not kept."""
    answers = iter([False, True])
    monkeypatch.setattr(_process_lock, "_is_at", lambda *_: next(answers))
    owner = _process_lock.ProcessLock.acquire(tmp_path)
    other = attrs.evolve(owner, token="other")  # noqa: S106 - no secret
    assert not other.is_dead(owner.token)
    assert not other.is_dead("other")
    assert other.is_dead("gone")
    monkeypatch.undo()
    other.remove_stale()
    assert [p.name for p in tmp_path.iterdir()] == [owner.token]
    assert not _process_lock._is_at(owner._fd, tmp_path / "gone")
    owner.release()


def test_a_cloud_without_its_directories_does_not_open(
    tmp_path: Path,
) -> None:
    """That is told as an adapter's error, and nothing is kept open."""
    LocalCloud.init(tmp_path / "c").close()
    (tmp_path / "c" / "run").rmdir()
    with pytest.raises(NotFoundError):
        LocalCloud(tmp_path / "c")


def test_strays_go_and_what_is_not_ours_stays(
    tmp_path: Path, source: Path
) -> None:
    """Files by our names without a record; no others."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        volume = _volume(cloud, _image(cloud, source))
        pool = cloud.pools[0].path
    stray = pool / f"volume-{volume.id[:-4]}0000"
    stray.touch()
    (root / "images" / "stray").touch()
    (pool / "notes.txt").touch()
    LocalCloud(root).close()
    assert not stray.exists()
    assert (pool / "notes.txt").exists()
    (pool / "notes.txt").unlink()
    assert faults(root, source) == []


def test_a_file_without_a_name_leaves_none_or_one_that_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system cannot do without, death leaves a stray."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        pool = cloud.pools[0].path
    really = os.open

    def open_(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no O_TMPFILE")
        return really(path, flags, *more)

    monkeypatch.setattr(os, "open", open_)
    with paths.unnamed(pool) as fd:
        assert os.fstat(fd).st_nlink == 0
    with monkeypatch.context() as patch:
        patch.setattr(paths, "remove", _raising(errno.EIO))
        for use in (
            paths.unnamed(pool).__enter__,
            lambda: reflinks.can_reflink(pool),
        ):
            with pytest.raises(OSError, match="injected"):
                use()
    assert len(list(pool.glob(".spool-*"))) == 2
    LocalCloud(root).close()
    assert [".pool"] == [path.name for path in pool.iterdir()]


def test_ports_refuse_what_the_state_forbids(
    tmp_path: Path, source: Path
) -> None:
    """Each with the thing and its state in the message."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)
        volume = _volume(cloud, image_id)
        ports = cloud.ports("p", "pool1")
        with pytest.raises(UnsupportedError, match="download it"):
            ports.array.clone_image("v", FileLocation("/a"))
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        with pytest.raises(ConflictError, match="creating"):
            ports.array.clone_volume(
                made, attrs.evolve(volume, id=made, status="creating")
            )
        ports.array.clone_volume(made, volume)
        with pytest.raises(ConflictError, match="discard it first"):
            ports.volumes.delete_image_volume(made)
        ports.array.discard(made)
        ports.array.discard(made)
        ports.volumes.fail(made)
        with pytest.raises(ConflictError, match="is error"):
            ports.volumes.publish(made)
        ports.volumes.delete_image_volume(made)
        ports.volumes.delete_image_volume(made)
        images = cloud._store.catalogue
        with images.transaction("queueing") as db:
            db.execute("UPDATE image SET status = 'queued'")
        with pytest.raises(ConflictError, match="has no data"):
            list(ports.images.download(image_id))
        with images.transaction("failing") as db:
            db.execute("UPDATE volume SET status = 'error'")
        with pytest.raises(ConflictError, match="is error"):
            ports.images.add_location(image_id, CinderLocation(volume.id))


def test_an_image_deleted_while_it_is_stored_stays_deleted(
    tmp_path: Path, source: Path
) -> None:
    """Storing it fails, and its file goes."""
    with LocalCloud.init(tmp_path / "c") as cloud:

        def delete(_done: int, _size: int) -> None:
            with cloud._store.catalogue.transaction("deleting") as db:
                db.execute("DELETE FROM image")

        with pytest.raises(NotFoundError, match="deleted"):
            cloud.add_image(source, name="i", project_id="p", progress=delete)
    assert faults(tmp_path / "c") == []


def test_more_data_than_room_is_refused(tmp_path: Path, source: Path) -> None:
    """The array does not trust what the catalogue says of the size."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.find_image(_image(cloud, source), "p").image
        volume = _volume(cloud, image.id)
        ports = cloud.ports("p", "pool1")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        with pytest.raises(IntegrityError, match="more data"):
            ports.array.write(made, 0, image, iter([b"x"]))


def _sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.DatabaseError("said")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (sqlite3.IntegrityError("k"), ConflictError, "forbids"),
        (sqlite3.OperationalError("locked"), UnavailableError, "try again"),
        (OSError(errno.ENOENT, ""), NotFoundError, "does not exist"),
        (OSError(errno.EEXIST, ""), ConflictError, "already"),
        (OSError(errno.ENOSPC, ""), UnavailableError, "no space left"),
        (OSError(errno.EFBIG, ""), UnavailableError, "a file that large"),
        (OSError(errno.EACCES, "no"), UnavailableError, "who may read"),
        (OSError(errno.EROFS, "ro"), UnavailableError, "mount"),
        (OSError(errno.EIO, "I/O"), UnavailableError, "I/O"),
        (_sqlite(sqlite3.SQLITE_NOTADB), UnavailableError, "restore"),
        (_sqlite(sqlite3.SQLITE_CORRUPT_INDEX), UnavailableError, "restore"),
        (_sqlite(sqlite3.SQLITE_FULL), UnavailableError, "no space left"),
        (_sqlite(sqlite3.SQLITE_READONLY), UnavailableError, "who may read"),
    ],
)
def test_only_adapter_errors_come_out(
    error: Exception, kind: type[AdapterError], why: str
) -> None:
    """Each says what was done, and where it can, what to do."""
    with (
        pytest.raises(kind, match=f"^filling: .*{why}"),
        translate_errors("filling"),
    ):
        raise error


def _raising(number: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(number, "injected")

    return fail


def test_sharing_fails_honestly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files cannot share data that is said; other errors are told."""
    one, two = paths.create(tmp_path / "1"), paths.create(tmp_path / "2")
    monkeypatch.setattr(fcntl, "ioctl", _raising(errno.EXDEV))
    with pytest.raises(UnsupportedError, match="one file system"):
        reflinks.reflink(one, two)
    assert not reflinks.can_reflink(tmp_path)
    assert reflinks.file_system_id(tmp_path).startswith("dev-")
    monkeypatch.setattr(fcntl, "ioctl", _raising(errno.EIO))
    for ask in (
        lambda: reflinks.reflink(one, two),
        lambda: reflinks.can_reflink(tmp_path),
    ):
        with pytest.raises(OSError, match="injected"):
            ask()
    os.close(one)
    os.close(two)


def test_copying_falls_back_and_notices_a_shorter_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without copy_file_range by reading and writing; never too little."""
    source = write_source(tmp_path / "s")
    old = paths.open_read(source)
    new = paths.create(tmp_path / "t")
    monkeypatch.setattr(os, "copy_file_range", _raising(errno.EXDEV))
    sparse.copy(old, new)
    assert content(source) == content(tmp_path / "t")
    assert (tmp_path / "t").stat().st_size == 3 * MIB
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 0)
    with pytest.raises(IntegrityError, match="shorter"):
        sparse.copy(old, new)
    monkeypatch.setattr(os, "copy_file_range", _raising(errno.EIO))
    with pytest.raises(OSError, match="injected"):
        sparse.copy(old, new)
    source.write_bytes(b"x" * 3 * MIB)
    pieces = sparse.stream(old, 3 * MIB)
    next(pieces)
    os.truncate(source, MIB)
    assert list(pieces) == []
    monkeypatch.setattr(os, "lseek", _raising(errno.EIO))
    with pytest.raises(OSError, match="injected"):
        list(sparse.stream(old, 3 * MIB))
    os.close(old)
    os.close(new)


def test_ports_serve_an_execution_with_the_public_journal(
    tmp_path: Path, source: Path
) -> None:
    """What the cloud does for its users, others can do by its ports."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)
        made = cloud.create_volume(image_id, name="v", project_id="p", size=1)
        ports = cloud.ports("p", "pool1")
        volume_id = ports.volumes.new_id()
        assert made.volume is not None
        ports.volumes.create_image_volume(
            volume_id, made.volume.volume.id, "p"
        )
        plan = attrs.evolve(
            made.decision.plan,
            attempts=tuple(
                attrs.evolve(
                    attempt,
                    steps=tuple(
                        attrs.evolve(step, volume_id=volume_id)  # type: ignore[arg-type]
                        for step in attempt.steps
                    ),
                )
                for attempt in made.decision.plan.attempts
            ),
        )
        outcome = execute(plan, ports, journal=cloud.journal)
        assert outcome.attempt == "download"
        assert cloud.config.image_upload_use_cinder_backend
        assert cloud.journal.interrupted() == ()
    assert faults(tmp_path / "c", source) == []
