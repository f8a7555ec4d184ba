"""A user of a cloud creates, uploads, finds and deletes."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from clonepolicy import (
    LIBERTY,
    Clone,
    CloneKind,
    Config,
    ConflictError,
    Download,
    FactError,
    GiB,
    IntegrityError,
    NotFoundError,
    Quota,
    QuotaError,
    Reason,
    Refuse,
    Upload,
)
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.plan import AddLocation, Step
from clonepolicy.ports import Observer
from local_support import (
    MIB,
    add_image,
    content,
    faults,
    make_volume,
    register_image,
    write_source,
)

source = local_support.source
place = local_support.place
agreeing = local_support.agreeing
xfs = local_support.xfs
btrfs = local_support.btrfs


def test_a_registered_image_is_cloned(place: Path, source: Path) -> None:
    """The clone has the bytes and the holes, on each file system."""
    with LocalCloud.init(place) as cloud:
        _, image_id = register_image(cloud, source)
        made = cloud.create_volume(
            image_id, name="clone", project_id="p", size=2
        )
        assert isinstance(made.decision, Clone)
        assert made.volume is not None
        assert content(source) == content(made.volume.path)
        assert 2 * GiB == made.volume.path.stat().st_size
        assert made.volume.bytes_on_disk < 4 * MIB
    assert faults(place, source) == []


def test_a_pools_backend_says_how_it_clones(place: Path) -> None:
    """The cloud tries reflinks; without them, a clone is a copy."""
    with LocalCloud.init(place) as cloud:
        (pool,) = cloud.pools
        shares = place.parent.parent.name in {"xfs", "btrfs"}
        kind = CloneKind.COPY_ON_WRITE if shares else CloneKind.FULL_COPY
        assert kind == pool.backend.clone_kind
        assert shares == pool.backend.clone_across_pools
        assert [path.name for path in pool.path.iterdir()] == [".pool"]


def test_a_clone_shares_its_data(xfs: Path, tmp_path: Path) -> None:
    """A copy-on-write clone takes no space."""
    source = write_source(tmp_path / "s", 64 * MIB)
    with source.open("r+b") as file:
        file.write(os.urandom(48 * MIB))
    root = xfs / "sharing"
    with LocalCloud.init(root) as cloud:
        _, image_id = register_image(cloud, source)
        before = shutil.disk_usage(xfs).free
        for number in range(20):
            make_volume(cloud, image_id, f"v{number}")
        assert before - shutil.disk_usage(xfs).free < 48 * MIB
    shutil.rmtree(root)


def test_pools_of_one_file_system_are_one_array(
    xfs: Path, tmp_path: Path, source: Path
) -> None:
    """Pools of one file system clone across each other."""
    pools = {
        "a": xfs / "pool-a",
        "b": xfs / "pool-b",
        "far": tmp_path / "far",
    }
    with LocalCloud.init(tmp_path / "cloud", pools=pools) as cloud:
        image_id = add_image(cloud, source)
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
    """The uploaded bytes come back, and their hash is checked."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = make_volume(cloud, add_image(cloud, source))
        cloud.set_config(Config())
        made = cloud.upload_volume(volume.id, name="bytes", project_id="p")
        assert isinstance(made.decision, Upload)
        assert made.image is not None
        assert made.image.image.os_hash_algo == "sha512"
        assert GiB == made.image.image.size
        assert made.image.locations == ()
        assert made.image.bytes_on_disk < 4 * MIB
        again = make_volume(cloud, made.image.image.id)
        path = cloud.find_volume(again.id, "p").path
        assert content(source) == content(path)


@pytest.mark.parametrize("change", ["flip", "short", "long"])
def test_a_damaged_image_fills_no_volume(
    change: str, tmp_path: Path, source: Path
) -> None:
    """A wrong hash, missing bytes and surplus bytes set status error."""
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        image_id = add_image(cloud, source)
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


def test_a_refusal_changes_nothing(tmp_path: Path, source: Path) -> None:
    """A refusal creates no volume and no image, and changes no source."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, write_source(tmp_path / "big", GiB + 1))
        made = cloud.create_volume(image_id, name="v", project_id="p", size=1)
        assert isinstance(made.decision, Refuse)
        assert made.volume is None
        assert cloud.list_volumes() == ()
        volume = make_volume(cloud, add_image(cloud, source))
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


def test_quotas_are_kept(tmp_path: Path, source: Path) -> None:
    """Without an image volume's quota, an upload sends the bytes."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)
        cloud.set_quota("p", Quota(volumes=1))
        cloud.set_quota("cinder-internal", Quota(gigabytes=0))
        volume = make_volume(cloud, image_id)
        made = cloud.create_volume(image_id, name="w", project_id="p", size=1)
        assert isinstance(made.decision, Refuse)
        done = cloud.upload_volume(volume.id, name="u", project_id="p")
        assert isinstance(done.decision, Upload)
        ports = cloud.ports("p", "pool1")
        with pytest.raises(QuotaError, match="no quota left"):
            ports.volumes.create_image_volume(
                ports.volumes.new_id(), volume.id, "cinder-internal"
            )


def test_a_project_sees_its_own_and_public_images(
    tmp_path: Path, source: Path
) -> None:
    """A private image of another project is not found."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        mine = add_image(cloud, source, "mine")
        public = cloud.add_image(
            source, name="all", project_id="p", visibility="public"
        )
        assert [public.id] == [r.image.id for r in cloud.list_images("q")]
        assert len(cloud.list_images()) == 2
        with pytest.raises(NotFoundError):
            cloud.create_volume(mine, name="v", project_id="q", size=1)
        with pytest.raises(NotFoundError):
            cloud.find_image("mine", "q")
        volume = make_volume(cloud, mine)
        with pytest.raises(NotFoundError, match="has no volume"):
            cloud.upload_volume(volume.id, name="u", project_id="q")


def test_ids_prefixes_and_names_find_one_thing(
    tmp_path: Path, source: Path
) -> None:
    """An id, at least 8 characters of it, or a unique name finds the thing."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        first = add_image(cloud, source, "twice")
        add_image(cloud, source, "twice")
        volume = make_volume(cloud, first, "v")
        assert first == cloud.find_image(first, "p").image.id
        assert first == cloud.find_image(first[:8], "p").image.id
        assert volume.id == cloud.find_volume("v", "p").volume.id
        with pytest.raises(ConflictError, match="2 images"):
            cloud.find_image("twice", "p")
        with pytest.raises(NotFoundError, match="list the images"):
            cloud.find_image(first[:7], "p")
        with pytest.raises(NotFoundError):
            cloud.find_volume("v", "q")


def test_a_volume_with_an_images_data_is_not_deleted(
    tmp_path: Path, source: Path
) -> None:
    """A volume with an image's data is deleted with the image, not before."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume, image_id = register_image(cloud, source)
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


def test_a_volume_not_made_for_an_image_survives_it(
    tmp_path: Path, source: Path
) -> None:
    """Deleting an image deletes only a volume that was made for it."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        _, image_id = register_image(cloud, source)
        (url,) = cloud.find_image(image_id, "p").locations
        backing = url.removeprefix("cinder://")
        ports = cloud.ports("p", "pool1")
        ports.volumes.set_metadata(backing, "glance_image_id", "another")
        cloud.delete_image(image_id)
        kept = cloud.find_volume(backing, None)
        assert kept.volume.status == "available"


def test_a_volume_has_one_upload_at_a_time(
    tmp_path: Path, source: Path
) -> None:
    """A volume that is uploading can be neither uploaded again nor deleted."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        volume = make_volume(cloud, add_image(cloud, source))

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


def test_a_failed_volume_is_uploaded_under_no_policy(
    tmp_path: Path, source: Path
) -> None:
    """The ports refuse a volume without data even if no rule does."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image_id = add_image(cloud, source)
        volume = make_volume(cloud, image_id)
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


def test_progress_is_reported(tmp_path: Path, source: Path) -> None:
    """Adding an image reports its progress up to the end."""
    reports: list[tuple[int, int]] = []
    with LocalCloud.init(tmp_path / "c") as cloud:
        cloud.add_image(
            source,
            name="a",
            project_id="p",
            progress=lambda done, size: reports.append((done, size)),
        )
    assert reports[-1] == (3 * MIB, 3 * MIB)
    assert sorted(reports) == reports


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("type_volumes", Quota(type_volumes=1)),
        ("type_gigabytes", Quota(type_gigabytes=1)),
    ],
)
def test_a_quota_of_a_volume_type_is_refused(
    tmp_path: Path, name: str, limit: Quota
) -> None:
    """A local cloud has no volume types."""
    with (
        LocalCloud.init(tmp_path / "c") as cloud,
        pytest.raises(FactError, match="no volume types") as caught,
    ):
        cloud.set_quota("p", limit)
    assert caught.value.field == f"Quota.{name}"
