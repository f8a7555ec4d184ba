"""A cloud undoes or finishes what was interrupted."""

import errno
import os
import sqlite3
import sys
import threading
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from clonepolicy import AdapterError, Volume, recover
from clonepolicy.adapters._files import paths, process_lock, sparse
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.plan import AddLocation, CloneVolume, PublishVolume, Step
from clonepolicy.ports import Observer
from local_support import (
    add_image,
    faults,
    make_volume,
    raising,
    register_image,
)

source = local_support.source
agreeing = local_support.agreeing


class _StopAt(Observer):
    """Raise an error when a step of a kind begins."""

    def __init__(self, kind: type[Step], error: BaseException) -> None:
        self._kind, self._error = kind, error

    def step_started(self, step: Step) -> None:
        if isinstance(step, self._kind):
            raise self._error


@pytest.mark.parametrize("kind", [CloneVolume, PublishVolume])
def test_an_interrupt_leaves_no_volume(
    kind: type[Step], tmp_path: Path, source: Path
) -> None:
    """KeyboardInterrupt passes through, and no unfinished volume stays."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        volume, image_id = register_image(cloud, source)
        with pytest.raises(KeyboardInterrupt):
            cloud.create_volume(
                image_id,
                name="v",
                project_id="p",
                size=1,
                observer=_StopAt(kind, KeyboardInterrupt()),
            )
        assert len(cloud.list_volumes()) == 2
        with pytest.raises(KeyboardInterrupt):
            cloud.upload_volume(
                volume.id,
                name="u",
                project_id="p",
                observer=_StopAt(AddLocation, KeyboardInterrupt()),
            )
        assert len(cloud.list_images()) == 2
        assert len(cloud.list_volumes()) == 2
    assert faults(root, source) == []


def test_a_plan_that_could_not_be_undone_is_recovered(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process recovers a plan that it could not undo."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        image_id = add_image(cloud, source)

        def broken(*_: object) -> None:
            message = "broken"
            raise OSError(5, message)

        with monkeypatch.context() as patch:
            patch.setattr("clonepolicy.adapters._files.sparse.fill", broken)
            patch.setattr("clonepolicy.adapters._files.paths.remove", broken)
            made = cloud.create_volume(
                image_id, name="v", project_id="p", size=1
            )
        assert made.outcome is not None
        assert not made.outcome.settled
        (outcome,) = recover(cloud.journal, cloud.ports("p", "pool1"))
        assert outcome.settled
        assert cloud.find_volume("v", "p").volume.status == "error"
    assert faults(root, source) == []


def test_the_plan_of_a_live_thread_is_not_interrupted(
    tmp_path: Path, source: Path
) -> None:
    """The plan of a live thread is not taken for interrupted."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)
        seen = []

        class Look(Observer):
            def step_started(self, _: Step) -> None:
                def look() -> None:
                    seen.append(cloud.journal.interrupted())

                thread = threading.Thread(target=look)
                thread.start()
                thread.join()

        made = cloud.create_volume(
            image_id, name="v", project_id="p", size=1, observer=Look()
        )
        assert made.outcome is not None
        assert str(made.outcome.attempt) == "download"
        assert seen == [(), ()]


def die(cloud: LocalCloud) -> None:
    """Free the lock and the catalogue, as the kernel does after a kill."""
    cloud._store.catalogue.close()
    held = cloud._store.lock._held
    if held is not None:
        os.close(held[1])


class DeadError(Exception):
    """Stands for a kill, in an observer."""


@pytest.mark.parametrize("began", ["image", "volume", "upload", "deleting"])
def test_unfinished_work_of_a_dead_process_is_settled(
    began: str, tmp_path: Path, source: Path
) -> None:
    """A volume in creation fails; other work is undone or finished."""
    root = tmp_path / "c"
    cloud = LocalCloud.init(root)
    image_id = add_image(cloud, source)
    volume = make_volume(cloud, image_id)
    ports, store = cloud.ports("p", "pool1"), cloud._store
    with store.catalogue.transaction("beginning") as db:
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
        # the first process is alive: its work is left alone
        assert other.recovered == ()
        statuses = {row.volume.status for row in other.list_volumes()}
        expected = {
            "image": {"available"},
            "volume": {"available", "creating"},
            "upload": {"uploading"},
            "deleting": {"deleting"},
        }
        assert expected[began] == statuses
    die(cloud)
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


def test_the_plan_of_a_dead_process_is_recovered_once(
    tmp_path: Path, source: Path
) -> None:
    """The first process to open the cloud recovers the plan."""
    root = tmp_path / "c"
    cloud = LocalCloud.init(root)
    volume = make_volume(cloud, add_image(cloud, source))
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
                die(cloud)
                raise DeadError

    with pytest.raises((DeadError, sqlite3.Error, AdapterError)):
        cloud.upload_volume(
            volume.id, name="u", project_id="p", observer=Kill()
        )


def test_an_operation_that_cannot_be_undone_now_is_undone_later(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If undoing fails after an interrupt, the next process undoes it."""
    root = tmp_path / "c"

    class Stop(Observer):
        def step_started(self, step: Step) -> None:
            if type(step).__name__ == "AddLocation":
                raise KeyboardInterrupt

    with LocalCloud.init(root) as cloud:
        volume = make_volume(cloud, add_image(cloud, source))
        with monkeypatch.context() as patch:
            patch.setattr(paths, "remove", raising(errno.EIO))
            with pytest.raises(KeyboardInterrupt):
                cloud.upload_volume(
                    volume.id, name="u", project_id="p", observer=Stop()
                )
        assert len(cloud.list_images()) == 2
    with LocalCloud(root) as cloud:
        (outcome,) = cloud.recovered
        assert outcome.settled
    assert faults(root, source) == []


def test_a_process_is_alive_while_it_holds_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock file that was removed while it was made is not used."""
    lock, other = (process_lock.ProcessLock(tmp_path) for _ in range(2))
    assert list(tmp_path.iterdir()) == []
    answers = iter([False, True])
    monkeypatch.setattr(process_lock, "_is_at", lambda *_: next(answers))
    token = lock.token
    monkeypatch.undo()
    assert not other.is_dead(token)
    assert not other.is_dead(other.token)
    other.release()
    gone = str(uuid.uuid4())
    assert other.is_dead(gone)
    other.remove_stale()
    assert [p.name for p in tmp_path.iterdir()] == [token]
    assert not process_lock._is_at(lock._held[1], tmp_path / "gone")  # type: ignore[index]
    lock.release()


@pytest.mark.parametrize("token", ["", "..", "a", "../images", None, 7, b"x"])
def test_what_no_process_wrote_is_no_token(
    token: object, tmp_path: Path
) -> None:
    """A damaged record is not taken for the work of a dead process."""
    assert not process_lock.ProcessLock(tmp_path).is_dead(token)


@pytest.mark.parametrize("kind", ["fifo", "link", "data"])
def test_only_a_lock_file_is_removed_as_one(kind: str, tmp_path: Path) -> None:
    """Whatever else has a token's name stays, and is not waited for."""
    path = tmp_path / str(uuid.uuid4())
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(tmp_path / "nothing")
        case _:
            path.write_text("data")
    process_lock.ProcessLock(tmp_path).remove_stale()
    assert [path] == list(tmp_path.iterdir())


def test_unnamed_files_leave_nothing_or_are_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without O_TMPFILE, a kill leaves a file; opening removes it."""
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
        patch.setattr(paths, "remove", raising(errno.EIO))
        for use in (
            paths.unnamed(pool).__enter__,
            lambda: sparse.can_reflink(pool),
        ):
            with pytest.raises(OSError, match="injected"):
                use()
    assert len(list(pool.glob(".spool-*"))) == 2
    LocalCloud(root).close()
    assert [".pool"] == [path.name for path in pool.iterdir()]


def test_a_lock_file_that_cannot_be_removed_does_not_hinder_closing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next repair removes it."""
    root = tmp_path / "c"
    with monkeypatch.context() as broken, LocalCloud.init(root) as cloud:
        add_image(cloud, source)
        broken.setattr(Path, "unlink", local_support.raising(errno.EIO))
        cloud.close()
    assert len(list((root / "run").iterdir())) == 1
    LocalCloud(root).close()
    assert list((root / "run").iterdir()) == []
    assert faults(root, source) == []
