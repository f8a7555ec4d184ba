# ruff: noqa: ANN401 - librbd's bindings have no types
"""`RbdArray` opens a pool, and extends, reads, writes and discards volumes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_module
import rbd_support
from ceph import Cluster
from rbd_support import (
    MIB,
    format_2,
    image_record,
    open_again,
    opened,
    pieces_of,
    pool_of,
)

from clonepolicy import (
    Backend,
    CloneKind,
    ConflictError,
    FactError,
    GiB,
    IntegrityError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.ports import StoredVolume
from clonepolicy.testing.conformance import Fixture
from clonepolicy.testing.conformance._fixture import Content

ceph = ceph_module.ceph
harness = rbd_support.harness
fixture = rbd_support.fixture


@pytest.mark.parametrize("name", ["rados", "rbd"])
def test_without_librbd_the_error_names_the_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module can be imported, but no array can be opened."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match="python3-rbd"):
        RbdArray(rbd_pool="volumes")


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_is_at_least_one(depth: int) -> None:
    """A clone has at least one ancestor."""
    with pytest.raises(FactError, match="rbd_max_clone_depth"):
        RbdArray(rbd_pool="volumes", rbd_max_clone_depth=depth)


def test_the_arrays_identity_is_the_clusters(ceph: Cluster) -> None:
    """All pools of a cluster are one array with the declared capabilities."""
    with RbdArray(rbd_pool="volumes", rbd_ceph_conf=ceph.conf) as array:
        expected = Backend(
            array_id=ceph.fsid,
            can_clone=True,
            clone_kind=CloneKind.COPY_ON_WRITE,
            image_clone_kind=CloneKind.COPY_ON_WRITE,
            can_extend=True,
            clone_while_uploading=True,
            clone_in_use=True,
            image_schemes=frozenset({"rbd"}),
        )
        assert expected == array.get_backend()
        array.close()


def test_a_missing_cluster_or_pool_is_an_adapter_error(
    ceph: Cluster, tmp_path: Path
) -> None:
    """A missing file, a missing pool and a missing monitor."""
    with pytest.raises(NotFoundError, match="opening pool volumes"):
        RbdArray(rbd_pool="volumes", rbd_ceph_conf=tmp_path / "none")
    with pytest.raises(NotFoundError, match="opening pool nowhere"):
        RbdArray(rbd_pool="nowhere", rbd_ceph_conf=ceph.conf)
    conf = tmp_path / "ceph.conf"
    conf.write_text(
        "[global]\nmon_host = [v2:127.0.0.1:1]\n"
        "auth_client_required = none\n[client]\nerr_to_stderr = false\n"
    )
    with pytest.raises(UnavailableError, match="does not answer"):
        RbdArray(
            rbd_pool="volumes", rbd_ceph_conf=conf, rados_connect_timeout=1
        )


def test_new_space_is_zero_even_if_the_parent_has_data(
    fixture: Fixture,
) -> None:
    """Extending a shrunk clone does not show the parent's data again."""
    source = fixture.volume(2)
    clone = fixture.clone(source)
    with opened(fixture, clone) as image:
        image.resize(GiB)
    islands = fixture.expected[clone.id].islands
    content = Content(3 * GiB, [i for i in islands if i[0] < GiB])
    assert len(content.islands) < len(islands)
    fixture.array.extend(clone.id, 3)
    fixture.expected[clone.id] = content
    fixture.require_intact(source, clone)


@format_2
def test_a_volume_is_grown_and_never_shrunk(fixture: Fixture) -> None:
    """Extending to the present size does nothing."""
    volume = fixture.volume(2)
    with pytest.raises(ConflictError, match="more than 1 GiB"):
        fixture.array.extend(volume.id, 1)
    fixture.array.extend(volume.id, 2)
    fixture.require_intact(volume)
    with pytest.raises(NotFoundError):
        fixture.array.extend(fixture.record().id, 2)


def test_stat_counts_all_clones_of_a_volume(fixture: Fixture) -> None:
    """Clones of snapshots in the trash and of others' snapshots count."""
    source = fixture.volume()
    assert StoredVolume(size=GiB, clones=0) == fixture.array.stat(source.id)
    fixture.clone(source)
    fixture.clone(source)
    other = fixture.target()
    pool = pool_of(fixture)
    with opened(fixture, source) as image:
        image.create_snap("theirs")
        image.protect_snap("theirs")
    pool.rbd.RBD().clone(
        *(pool.objects, f"volume-{source.id}", "theirs"),
        *(pool.objects, f"volume-{other.id}"),
    )
    assert StoredVolume(size=GiB, clones=3) == fixture.array.stat(source.id)
    fixture.array.discard(other.id)
    assert StoredVolume(size=GiB, clones=2) == fixture.array.stat(source.id)
    assert None is fixture.array.stat(other.id)
    with opened(fixture, source) as image:
        image.unprotect_snap("theirs")
        image.remove_snap("theirs")


@format_2
def test_holes_are_not_read(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large volume, only existing objects are read."""
    rbd = pool_of(fixture).rbd
    asked: list[int] = []

    def read(image: Any, offset: int, length: int) -> Any:
        asked.append(length)
        return whole.read(image, offset, length)

    source = fixture.volume(100)
    clone = fixture.clone(source)
    whole = rbd.Image
    monkeypatch.setattr(rbd, "Image", type("Image", (whole,), {"read": read}))
    seen = 0
    for piece in fixture.array.read(clone.id):
        seen += len(piece)
    assert 100 * GiB == seen
    # the data is at three places, and each may touch one object more
    assert sum(asked) <= fixture.data + 3 * 4 * MIB


@format_2
def test_reading_a_missing_volume_fails(fixture: Fixture) -> None:
    """The first piece raises the error."""
    with pytest.raises(NotFoundError):
        next(fixture.array.read(fixture.record().id))


def test_a_source_of_clones_is_not_discarded(fixture: Fixture) -> None:
    """The error names the clones, and nothing is removed."""
    source = fixture.volume()
    clones = [fixture.clone(source) for _ in range(2)]
    held = fixture.harness.holds()
    with pytest.raises(ConflictError) as caught:
        fixture.array.discard(source.id)
    assert all(clone.id in str(caught.value) for clone in clones)
    assert held == fixture.harness.holds()
    fixture.require_intact(source, *clones)


@format_2
def test_a_volume_with_others_snapshots_is_not_discarded(
    fixture: Fixture,
) -> None:
    """The array does not remove snapshots that it did not take."""
    volume = fixture.volume()
    with opened(fixture, volume) as image:
        image.create_snap("theirs")
    with pytest.raises(ConflictError, match="that others took"):
        fixture.array.discard(volume.id)
    fixture.require_intact(volume)
    with opened(fixture, volume) as image:
        image.remove_snap("theirs")


@format_2
def test_discarding_waits_until_a_volume_is_closed(
    ceph: Cluster, fixture: Fixture
) -> None:
    """If the wait is too long, the volume stays as it is."""
    volume = fixture.volume()
    hasty = {"rados_connection_retries": 1, "rados_connection_interval": 0.1}
    with open_again(ceph, fixture, **hasty) as array, opened(fixture, volume):
        with pytest.raises(UnavailableError, match="has it open"):
            array.discard(volume.id)
        fixture.require_intact(volume)
    closed = threading.Event()
    with ThreadPoolExecutor(1) as thread, opened(fixture, volume):
        done = thread.submit(fixture.array.discard, volume.id)
        done.add_done_callback(lambda _: closed.set())
        assert not closed.wait(0.5)
    done.result()
    fixture.require_absent(volume)


@format_2
def test_zeros_are_not_written(fixture: Fixture) -> None:
    """Only objects with other bytes than zeros are created."""
    volume = fixture.target()
    content = Content(GiB // 4)
    content.put(5 * MIB, b"data")
    fixture.write(volume, content)
    fixture.expected[volume.id] = content.copy(GiB)
    fixture.require_intact(volume)
    assert fixture.harness.exclusive is not None
    assert 0 < fixture.harness.exclusive(volume.id) <= 4 * MIB


@pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not installed"
)
@format_2
@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vdi"])
def test_other_formats_are_converted(
    disk_format: str, ceph: Cluster, fixture: Fixture, tmp_path: Path
) -> None:
    """Conversion uses unnamed files, so that none can stay."""
    content = Content.make(64 * MIB, 4 * MIB, disk_format)
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(b"".join(content.pieces()))
    command = ["qemu-img", "convert", "-O", disk_format]
    subprocess.run([*command, str(plain), str(packed)], check=True)
    place = tmp_path / "place"
    place.mkdir()
    volume = fixture.target()
    with open_again(ceph, fixture, image_conversion_dir=place) as array:
        image = image_record(disk_format, packed.stat().st_size)
        array.write(volume.id, 1, image, pieces_of(packed))
        fixture.expected[volume.id] = content.copy(GiB)
        fixture.require_intact(volume)
        for wrong, kind in (
            ("raw", IntegrityError),
            ("ova", UnsupportedError),
        ):
            image, target = image_record(wrong, 1), fixture.target()
            with pytest.raises(kind):
                array.write(target.id, 1, image, pieces_of(packed))
    assert [] == list(place.iterdir())
