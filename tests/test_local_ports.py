"""The ports of a local cloud keep its volumes and images consistent."""

import errno
import os
import sys
import uuid
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from clonepolicy import (
    CinderLocation,
    CloneKind,
    ConflictError,
    FileLocation,
    GiB,
    Image,
    IntegrityError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    execute,
)
from clonepolicy.adapters._files import sparse
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.adapters.local._images import insert_image
from local_support import (
    add_image,
    faults,
    make_volume,
    raising,
    register_image,
)

source = local_support.source
agreeing = local_support.agreeing


def test_a_source_in_use_is_cloned_by_reflink_only(
    tmp_path: Path, source: Path
) -> None:
    """A reflink takes one instant; a copy could mix old and new data."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = make_volume(cloud, add_image(cloud, source))
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


def test_only_a_whole_volume_is_published(
    tmp_path: Path, source: Path
) -> None:
    """A volume with a missing or a short file does not become available."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = make_volume(cloud, add_image(cloud, source))
        ports = cloud.ports("p", "pool1")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        with pytest.raises(ConflictError, match="is missing"):
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


def test_a_full_file_system_is_not_probed_to_extend_or_discard(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a killed plan is finished, or undone, while no space is left."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = make_volume(cloud, add_image(cloud, source))
        ports = cloud.ports("p", "pool1")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        ports.array.clone_volume(made, volume)
        cloud._store._arrays.clear()  # as in a new process
        monkeypatch.setattr(sparse, "can_reflink", raising(errno.ENOSPC))
        with pytest.raises(UnavailableError, match="no space left"):
            ports.array.get_backend()
        ports.array.extend(made, 2)
        assert cloud.find_volume(made, "p").path.stat().st_size == 2 * GiB
        ports.array.discard(made)
        assert not cloud.find_volume(made, "p").path.exists()


def test_locations_are_added_and_withdrawn_repeatedly(
    tmp_path: Path, source: Path
) -> None:
    """Registering and withdrawing a location may be repeated."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        _, image_id = register_image(cloud, source)
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
            images.add_location(add_image(cloud, source, "b"), location)
        images.add_location(image_id, location)
        with pytest.raises(ConflictError, match="only a queued"):
            images.upload(image_id, iter([b"x"]))


def test_ports_refuse_wrong_states(tmp_path: Path, source: Path) -> None:
    """Each error names the thing and its state."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)
        volume = make_volume(cloud, image_id)
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
    """Storing the image fails, and its file is removed."""
    with LocalCloud.init(tmp_path / "c") as cloud:

        def delete(_done: int, _size: int) -> None:
            with cloud._store.catalogue.transaction("deleting") as db:
                db.execute("DELETE FROM image")

        with pytest.raises(NotFoundError, match="deleted"):
            cloud.add_image(source, name="i", project_id="p", progress=delete)
    assert faults(tmp_path / "c") == []


def test_more_data_than_room_is_refused(tmp_path: Path, source: Path) -> None:
    """The array checks the data's size itself."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.find_image(add_image(cloud, source), "p").image
        volume = make_volume(cloud, image.id)
        ports = cloud.ports("p", "pool1")
        made = ports.volumes.new_id()
        ports.volumes.create_image_volume(made, volume.id, "p")
        with pytest.raises(IntegrityError, match="more data"):
            ports.array.write(made, 0, image, iter([b"x"]))


def test_public_ports_and_journal_carry_out_a_plan(
    tmp_path: Path, source: Path
) -> None:
    """`execute` works with the cloud's public ports and journal."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)
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
        assert str(outcome.attempt) == "download"
        assert cloud.config.image_upload_use_cinder_backend
        assert cloud.journal.interrupted() == ()
    assert faults(tmp_path / "c", source) == []


def test_an_image_in_an_unsupported_container_stays_queued(
    tmp_path: Path,
) -> None:
    """Uploading to it fails before anything is stored."""
    image_id = str(uuid.uuid4())
    image = Image(
        id=image_id,
        status="queued",
        owner="p",
        disk_format="raw",
        container_format="ova",
    )
    with LocalCloud.init(tmp_path / "c") as cloud:
        store, images = cloud._store, cloud.ports("p", "pool1").images
        with store.catalogue.transaction("inserting") as db:
            insert_image(store, db, image, "i")
        with pytest.raises(UnsupportedError, match="use bare"):
            images.upload(image_id, iter([b"data"]))
        assert images.get_image(image_id).status == "queued"
        images.discard(image_id)
