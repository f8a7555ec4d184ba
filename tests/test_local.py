"""A cloud in a directory: what its users get, and what they are refused."""

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from clonepolicy import (
    LIBERTY,
    AddLocation,
    CinderLocation,
    Clone,
    CloneKind,
    CloneVolume,
    Config,
    ConflictError,
    Download,
    FactError,
    GiB,
    IntegrityError,
    NotFoundError,
    Observer,
    PublishVolume,
    Quota,
    QuotaError,
    Reason,
    Refuse,
    Register,
    Step,
    UnavailableError,
    Upload,
    Volume,
    recover,
)
from clonepolicy.adapters.local import LocalCloud

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from local_support import MIB, content, faults, write_source

source, place = local_support.source, local_support.place
agreeing = local_support.agreeing
xfs, btrfs = local_support.xfs, local_support.btrfs


def _image(cloud: LocalCloud, source: Path, name: str = "image") -> str:
    return cloud.add_image(source, name=name, project_id="p").id


def _volume(
    cloud: LocalCloud, image_id: str, name: str = "v", size: int = 1
) -> Volume:
    made = cloud.create_volume(image_id, name=name, project_id="p", size=size)
    assert made.volume is not None
    assert made.volume.volume.status == "available"
    return made.volume.volume


def _registered(cloud: LocalCloud, source: Path) -> tuple[Volume, str]:
    volume = _volume(cloud, _image(cloud, source))
    made = cloud.upload_volume(volume.id, name="snap", project_id="p")
    assert isinstance(made.decision, Register)
    assert made.image is not None
    return volume, made.image.image.id


class _StopAt(Observer):
    """Raises where a step of a kind begins."""

    def __init__(self, kind: type[Step], error: BaseException) -> None:
        self._kind, self._error = kind, error

    def step_started(self, step: Step) -> None:
        if isinstance(step, self._kind):
            raise self._error


def test_what_was_uploaded_is_cloned(place: Path, source: Path) -> None:
    """The round trip keeps the bytes and the holes, on any file system."""
    with LocalCloud.init(place) as cloud:
        _, image_id = _registered(cloud, source)
        made = cloud.create_volume(
            image_id, name="clone", project_id="p", size=2
        )
        assert isinstance(made.decision, Clone)
        assert made.volume is not None
        assert content(source) == content(made.volume.path)
        assert 2 * GiB == made.volume.path.stat().st_size
        assert made.volume.bytes_on_disk < 4 * MIB
    assert faults(place, source) == []


def test_a_pool_says_how_it_clones(place: Path) -> None:
    """Reflinks are tried, not guessed; without them a clone is a copy."""
    with LocalCloud.init(place) as cloud:
        (pool,) = cloud.pools
        shares = place.parent.parent.name in {"xfs", "btrfs"}
        kind = CloneKind.COPY_ON_WRITE if shares else CloneKind.FULL_COPY
        assert kind == pool.backend.clone_kind
        assert shares == pool.backend.clone_across_pools
        assert [path.name for path in pool.path.iterdir()] == [".pool"]


def test_a_clone_shares_its_data(xfs: Path, tmp_path: Path) -> None:
    """A copy-on-write clone takes no room."""
    source = write_source(tmp_path / "s", 64 * MIB)
    with source.open("r+b") as file:
        file.write(os.urandom(48 * MIB))
    root = xfs / "sharing"
    with LocalCloud.init(root) as cloud:
        _, image_id = _registered(cloud, source)
        before = shutil.disk_usage(xfs).free
        for number in range(20):
            _volume(cloud, image_id, f"v{number}")
        assert before - shutil.disk_usage(xfs).free < 48 * MIB
    shutil.rmtree(root)


def test_pools_of_one_file_system_are_one_array(
    xfs: Path, tmp_path: Path, source: Path
) -> None:
    """Locality follows the file system, not the pool's name."""
    pools = {
        "a": xfs / "pool-a",
        "b": xfs / "pool-b",
        "far": tmp_path / "far",
    }
    with LocalCloud.init(tmp_path / "cloud", pools=pools) as cloud:
        image_id = _image(cloud, source)
        made = cloud.create_volume(
            image_id, name="v", project_id="p", size=1, pool="a"
        )
        assert made.volume is not None
        done = cloud.upload_volume(
            made.volume.volume.id, name="snap", project_id="p"
        )
        assert done.image is not None
        verdicts = {}
        for pool in (*pools, None):
            created = cloud.create_volume(
                done.image.image.id,
                name=f"from-{pool}",
                project_id="p",
                size=1,
                pool=pool,
            )
            verdicts[pool] = type(created.decision)
            assert created.volume is not None
            assert content(source) == content(created.volume.path)
        expected = {"a": Clone, "b": Clone, "far": Download, None: Clone}
        assert expected == verdicts
        reasons = {f.reason for f in created.decision.findings}
        assert Reason.DIFFERENT_ARRAY not in reasons
    assert faults(tmp_path / "cloud", source) == []


def test_an_ordinary_upload_is_hashed_and_verified(
    tmp_path: Path, source: Path
) -> None:
    """Bytes that were uploaded come back, with their hash to check."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = _volume(cloud, _image(cloud, source))
        cloud.set_config(Config())
        made = cloud.upload_volume(volume.id, name="bytes", project_id="p")
        assert isinstance(made.decision, Upload)
        assert made.image is not None
        assert made.image.image.os_hash_algo == "sha512"
        assert GiB == made.image.image.size
        assert made.image.locations == ()
        assert made.image.bytes_on_disk < 4 * MIB
        again = _volume(cloud, made.image.image.id)
        path = cloud.find_volume(again.id, "p").path
        assert content(source) == content(path)


@pytest.mark.parametrize("change", ["flip", "short", "long"])
def test_bad_bytes_fill_no_volume(
    change: str, tmp_path: Path, source: Path
) -> None:
    """A wrong hash, missing and surplus bytes all end in status error."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        image_id = _image(cloud, source)
        path = root / "images" / image_id
        with path.open("r+b") as file:
            if change == "flip":
                file.seek(5000)
                file.write(b"X")
            else:
                size = 3 * MIB + (1 if change == "long" else -1)
                file.truncate(size)
        made = cloud.create_volume(image_id, name="v", project_id="p", size=1)
        assert made.outcome is not None
        assert made.outcome.attempt is None
        (failure,) = made.outcome.failures
        assert isinstance(failure.error, IntegrityError)
        assert made.volume is not None
        assert made.volume.volume.status == "error"
        assert not made.volume.path.exists()
        cloud.delete_volume(made.volume.volume.id)
        assert cloud.list_volumes() == ()


def test_a_refusal_leaves_nothing(tmp_path: Path, source: Path) -> None:
    """What is refused leaves no volume, no image, and the source as it was."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, write_source(tmp_path / "big", GiB + 1))
        made = cloud.create_volume(image_id, name="v", project_id="p", size=1)
        assert isinstance(made.decision, Refuse)
        assert made.volume is None
        assert cloud.list_volumes() == ()
        volume = _volume(cloud, _image(cloud, source))
        done = cloud.upload_volume(
            volume.id,
            name="u",
            project_id="p",
            container_format="compressed",
        )
        assert isinstance(done.decision, Refuse)
        assert done.image is None
        assert len(cloud.list_images()) == 2
        assert cloud.find_volume("v", "p").volume.status == "available"


def test_a_quota_holds(tmp_path: Path, source: Path) -> None:
    """The requester's quota refuses; the internal tenant's means bytes."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)
        cloud.set_quota("p", Quota(volumes=1))
        cloud.set_quota("cinder-internal", Quota(gigabytes=0))
        volume = _volume(cloud, image_id)
        made = cloud.create_volume(image_id, name="w", project_id="p", size=1)
        assert isinstance(made.decision, Refuse)
        done = cloud.upload_volume(volume.id, name="u", project_id="p")
        assert isinstance(done.decision, Upload)
        ports = cloud.ports("p", "pool1")
        with pytest.raises(QuotaError, match="no quota left"):
            ports.volumes.create_image_volume(
                ports.volumes.new_id(), volume.id, "cinder-internal"
            )


def test_a_project_sees_its_own_and_the_public(
    tmp_path: Path, source: Path
) -> None:
    """Another project's private image does not exist."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        mine = _image(cloud, source, "mine")
        public = cloud.add_image(
            source, name="all", project_id="p", visibility="public"
        )
        assert [public.id] == [r.image.id for r in cloud.list_images("q")]
        assert len(cloud.list_images()) == 2
        with pytest.raises(NotFoundError):
            cloud.create_volume(mine, name="v", project_id="q", size=1)
        with pytest.raises(NotFoundError):
            cloud.find_image("mine", "q")
        volume = _volume(cloud, mine)
        with pytest.raises(NotFoundError, match="has no volume"):
            cloud.upload_volume(volume.id, name="u", project_id="q")


def test_names_and_prefixes_find_one_or_say_why(
    tmp_path: Path, source: Path
) -> None:
    """An id, 8 of its letters or more, or a name that only one has."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        first = _image(cloud, source, "twice")
        _image(cloud, source, "twice")
        volume = _volume(cloud, first, "v")
        assert first == cloud.find_image(first, "p").image.id
        assert first == cloud.find_image(first[:8], "p").image.id
        assert volume.id == cloud.find_volume("v", "p").volume.id
        with pytest.raises(ConflictError, match="2 images"):
            cloud.find_image("twice", "p")
        with pytest.raises(NotFoundError, match="list the images"):
            cloud.find_image(first[:7], "p")
        with pytest.raises(NotFoundError):
            cloud.find_volume("v", "q")


def test_deleting_respects_what_names_a_volume(
    tmp_path: Path, source: Path
) -> None:
    """An image's data outlives the image by nothing, and never less."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume, image_id = _registered(cloud, source)
        (url,) = cloud.find_image(image_id, "p").locations
        backing = url.removeprefix("cinder://")
        with pytest.raises(ConflictError, match=image_id):
            cloud.delete_volume(backing)
        ports = cloud.ports("p", "pool1")
        with pytest.raises(ConflictError, match=image_id):
            ports.volumes.unpublish(backing)
        with pytest.raises(ConflictError):
            ports.array.discard(backing)
        cloud.delete_image(image_id)
        assert [volume.id] == [r.volume.id for r in cloud.list_volumes()]
        for missing in (image_id, backing):
            with pytest.raises(NotFoundError):
                cloud.delete_image(missing)
            with pytest.raises(NotFoundError):
                cloud.delete_volume(missing)
    assert faults(tmp_path / "c", source) == []


def test_a_volume_that_is_not_the_images_own_survives_it(
    tmp_path: Path, source: Path
) -> None:
    """Only what was made to be an image's data goes with the image."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        _, image_id = _registered(cloud, source)
        (url,) = cloud.find_image(image_id, "p").locations
        backing = url.removeprefix("cinder://")
        ports = cloud.ports("p", "pool1")
        ports.volumes.set_metadata(backing, "glance_image_id", "another")
        cloud.delete_image(image_id)
        kept = cloud.find_volume(backing, None)
        assert kept.volume.status == "available"


def test_a_copy_of_what_is_written_to_is_refused(
    tmp_path: Path, source: Path
) -> None:
    """Files that share are cloned at one instant, those copied are not."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = _volume(cloud, _image(cloud, source))
        used = attrs.evolve(volume, status="in-use")
        ports = cloud.ports("p", "pool1")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        kind = ports.array.get_backend().clone_kind
        if kind is CloneKind.COPY_ON_WRITE:
            ports.array.clone_volume(made, used)
            return
        with pytest.raises(ConflictError, match="cloned when it is available"):
            ports.array.clone_volume(made, used)
        assert not cloud.find_volume(made, "p").path.exists()


def test_publishing_takes_a_whole_volume(tmp_path: Path, source: Path) -> None:
    """Neither a missing file nor a short one becomes available."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = _volume(cloud, _image(cloud, source))
        ports = cloud.ports("p", "pool1")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        with pytest.raises(ConflictError, match="no data"):
            ports.volumes.publish(made)
        ports.array.clone_volume(made, volume)
        path = cloud.find_volume(made, "p").path
        os.truncate(path, GiB - 1)
        with pytest.raises(ConflictError, match="instead of"):
            ports.volumes.publish(made)
        with pytest.raises(ConflictError, match="more than"):
            ports.array.extend(made, 0)
        ports.array.extend(made, 1)
        ports.volumes.publish(made)
        ports.volumes.publish(made)
        with pytest.raises(ConflictError, match="only a volume in creation"):
            ports.array.extend(made, 2)


@pytest.mark.parametrize("kind", [CloneVolume, PublishVolume])
def test_an_interrupt_leaves_no_volume(
    kind: type[Step], tmp_path: Path, source: Path
) -> None:
    """Ctrl-C passes through, and what was begun is gone."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        volume, image_id = _registered(cloud, source)
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


def test_an_upload_at_a_time(tmp_path: Path, source: Path) -> None:
    """A volume that is uploading is not uploaded once more."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = _volume(cloud, _image(cloud, source))

        class Again(Observer):
            def step_started(self, step: Step) -> None:
                if isinstance(step, AddLocation):
                    with pytest.raises(ConflictError, match="uploaded"):
                        cloud.upload_volume(
                            volume.id, name="u", project_id="p"
                        )
                    with pytest.raises(ConflictError, match="is uploading"):
                        cloud.delete_volume(volume.id)
                    with pytest.raises(ConflictError, match="being stored"):
                        cloud.delete_image(step.image_id)

        done = cloud.upload_volume(
            volume.id, name="u", project_id="p", observer=Again()
        )
        assert done.outcome is not None
        assert done.outcome.failures == ()


def test_a_failed_volume_is_not_uploaded_under_any_policy(
    tmp_path: Path, source: Path
) -> None:
    """A policy without rules finds the ports refuse what has no data."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)
        volume = _volume(cloud, image_id)
        path = cloud.find_volume(volume.id, "p").path
        path.unlink()
    with LocalCloud(tmp_path / "c") as cloud:
        assert cloud.find_volume("v", "p").volume.status == "error"
        done = cloud.upload_volume(
            volume.id, name="u", project_id="p", policy=LIBERTY
        )
        assert done.outcome is not None
        assert done.outcome.attempt is None
        assert done.image is None
        assert len(cloud.list_images()) == 1
        assert len(cloud.list_volumes()) == 1


def test_what_could_not_be_undone_is_recovered(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unsettled plan is taken up by the same process, or the next."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        image_id = _image(cloud, source)

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


def test_an_own_execution_in_another_thread_is_left_alone(
    tmp_path: Path, source: Path
) -> None:
    """Whoever is at work in this process is not interrupted either."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)
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
        assert made.outcome.attempt == "download"
        assert seen == [(), ()]


def test_locations_behave(tmp_path: Path, source: Path) -> None:
    """Registering and withdrawing may be repeated; nothing dangles."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        _, image_id = _registered(cloud, source)
        images = cloud.ports("p", "pool1").images
        (location,) = images.get_locations(image_id)
        assert isinstance(location, CinderLocation)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        images.withdraw_location(image_id, location)
        images.withdraw_location(image_id, location)
        with pytest.raises(ConflictError):
            images.verify_location(image_id, location)
        assert images.get_image(image_id).status == "queued"
        nothing = CinderLocation("0" * 8 + "-0000-0000-0000-" + "0" * 12)
        with pytest.raises(NotFoundError):
            images.add_location(image_id, nothing)
        with pytest.raises(ConflictError, match="only a queued"):
            images.add_location(_image(cloud, source, "b"), location)
        images.add_location(image_id, location)
        with pytest.raises(ConflictError, match="only a queued"):
            images.upload(image_id, iter([b"x"]))


def test_a_cloud_is_made_once_and_in_empty_places(tmp_path: Path) -> None:
    """Neither a cloud nor somebody's files are written over."""
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


def test_what_is_asked_wrongly_is_told(tmp_path: Path, source: Path) -> None:
    """Each refusal names the thing."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        with pytest.raises(NotFoundError, match="no file"):
            cloud.add_image(tmp_path / "no", name="a", project_id="p")
        with pytest.raises(NotFoundError, match="regular"):
            cloud.add_image(tmp_path, name="a", project_id="p")
        with pytest.raises(FactError, match="visibility"):
            cloud.add_image(
                source, name="a", project_id="p", visibility="secret"
            )
        with pytest.raises(NotFoundError, match="the pools are: pool1"):
            cloud.ports("p", "pool9")
        ports = cloud.ports("p", "pool1")
        location = CinderLocation(ports.volumes.new_id())
        assert ports.array.find_image(location) is None
        with pytest.raises(NotFoundError):
            ports.volumes.set_readonly("no")
        with pytest.raises(NotFoundError):
            ports.volumes.set_metadata("no", "a", "b")
        volume = _volume(cloud, _image(cloud, source))
        with pytest.raises(NotFoundError, match="no pool"):
            ports.volumes.get_backend(attrs.evolve(volume, host=None))


def test_a_pool_that_is_not_mounted_is_not_an_empty_one(
    tmp_path: Path, source: Path
) -> None:
    """The cloud does not open, and loses nothing by it."""
    pool, away = tmp_path / "pool", tmp_path / "away"
    with LocalCloud.init(tmp_path / "c", pools={"a": pool}) as cloud:
        _volume(cloud, _image(cloud, source))
    pool.rename(away)
    pool.mkdir()
    with pytest.raises(UnavailableError, match="mount"):
        LocalCloud(tmp_path / "c")
    pool.rmdir()
    away.rename(pool)
    assert faults(tmp_path / "c", source) == []


def test_a_broken_catalogue_is_told(tmp_path: Path) -> None:
    """What is no catalogue does not open, as an adapter's error."""
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


def test_progress_is_told(tmp_path: Path, source: Path) -> None:
    """Adding an image tells how far it is, up to the end."""
    told: list[tuple[int, int]] = []
    with LocalCloud.init(tmp_path / "c") as cloud:
        cloud.add_image(
            source,
            name="a",
            project_id="p",
            progress=lambda done, size: told.append((done, size)),
        )
    assert told[-1] == (3 * MIB, 3 * MIB)
    assert sorted(told) == told


_BAD_NAMES = ("", "a\nb", "a\x1b[31m", "x\udcff", "n" * 256)


def _fact(field: str, call: Callable[[], object]) -> str:
    with pytest.raises(FactError) as caught:
        call()
    assert field == caught.value.field
    return str(caught.value)


@pytest.mark.parametrize("name", _BAD_NAMES)
def test_a_name_is_one_line_of_text(
    name: str, tmp_path: Path, source: Path
) -> None:
    """Of images, volumes and projects alike, before anything is done."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)
        volume_id = _volume(cloud, image_id).id
        add, create = cloud.add_image, cloud.create_volume
        upload = cloud.upload_volume
        calls: tuple[Callable[[], object], ...] = (
            lambda: add(source, name=name, project_id="p"),
            lambda: create(image_id, name=name, project_id="p", size=1),
            lambda: upload(volume_id, name=name, project_id="p"),
        )
        for call in calls:
            assert "printable" in _fact("name", call)
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
            _fact("project_id", call)
        for field in ("disk_format", "container_format"):
            more: dict[str, Any] = {field: name}
            _fact(field, lambda: add(source, **_NAMED, **more))  # noqa: B023 - called at once
            _fact(field, lambda: upload(volume_id, **_NAMED, **more))  # noqa: B023 - called at once
        assert len(cloud.list_images()) == len(cloud.list_volumes()) == 1
    assert faults(tmp_path / "c", source) == []


_NAMED: dict[str, Any] = {"name": "a", "project_id": "p"}


@pytest.mark.parametrize("size", [-1, 2**33, 10**20, 1.5])
def test_sizes_are_within_what_files_can_have(
    size: Any,  # noqa: ANN401 - wrong on purpose
    tmp_path: Path,
    source: Path,
) -> None:
    """The largest is one GiB less than 2**63 bytes."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = _image(cloud, source)

        told = _fact(
            "size",
            lambda: cloud.create_volume(image_id, **_NAMED, size=size),
        )
        assert "8589934591" in told
        _fact(
            "min_disk",
            lambda: cloud.add_image(source, **_NAMED, min_disk=size),
        )
        if size == 10**20:
            _fact(
                "gigabytes",
                lambda: cloud.set_quota("p", Quota(gigabytes=size)),
            )
        assert cloud.list_volumes() == ()
        made = cloud.create_volume(image_id, **_NAMED, size=2**33 - 1)
        assert made.volume is not None
    assert faults(tmp_path / "c") == []


def test_what_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The directory, not some data."""
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
    assert "text" in _fact(
        "pools", lambda: LocalCloud.init(tmp_path / "c", pools=odd)
    )


def test_a_cloud_that_cannot_be_written_says_so(source: Path) -> None:
    """One message, with what to do; a user without rights is enough."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        root = Path(name) / "c"
        with LocalCloud.init(root) as cloud:
            _image(cloud, source)
        for place in (root / "run", root):
            place.chmod(0o555)
        me = os.geteuid()
        try:
            if me == 0:
                os.seteuid(65534)
            with pytest.raises(UnavailableError, match="cannot be written"):
                LocalCloud(root)
        finally:
            os.seteuid(me)
            root.chmod(0o755)
            (root / "run").chmod(0o755)
