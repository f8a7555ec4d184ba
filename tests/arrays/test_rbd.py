# ruff: noqa: ANN401 - librbd's bindings have no types
"""What the array in Ceph promises, held to a real cluster.

As a program: work on the array and die of SIGKILL, again and again.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_module
import harness_rbd
from ceph import Cluster

from clonepolicy import (
    AdapterError,
    Backend,
    CloneKind,
    ConflictError,
    FactError,
    FileLocation,
    ForbiddenError,
    GiB,
    Image,
    IntegrityError,
    LeftBehindError,
    Location,
    NotFoundError,
    RbdLocation,
    StoredImage,
    StoredVolume,
    UnavailableError,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters import rbd as adapter
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.adapters.rbd import _pool as pool_module
from clonepolicy.adapters.rbd import _snapshots as snapshots
from clonepolicy.testing.conformance import ArrayHarness, Fixture
from clonepolicy.testing.conformance._content import Content

ceph = ceph_module.ceph

MIB = 1 << 20
_DEEP = os.environ.get("CLONEPOLICY_PROFILE") == "deep"


@pytest.fixture(scope="session", params=["1", "2"], ids="format-{}".format)
def bench(
    ceph: Cluster, request: pytest.FixtureRequest
) -> Iterator[ArrayHarness]:
    """Give an array whose clones are of the one or the other format."""
    conf = ceph.conf_with(rbd_default_clone_format=request.param)
    found = harness_rbd.make_harness(ceph, conf)
    yield found
    found.close()


@pytest.fixture
def fixture(bench: ArrayHarness) -> Iterator[Fixture]:
    """Give an array, and see that nothing stays in it."""
    with Fixture(bench) as found:
        yield found
    assert found.before == set(bench.holds())


def _only(number: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "bench", [number], indirect=True, ids=[f"format-{number}"]
    )


format_1, format_2 = _only("1"), _only("2")


def _pool(fixture: Fixture) -> Any:
    assert isinstance(fixture.array, RbdArray)
    return fixture.array._pool


def _another(ceph: Cluster, fixture: Fixture, **options: Any) -> RbdArray:
    """Open the same array once more, with other options."""
    pool = _pool(fixture).objects.get_pool_name()
    images = fixture.array._image_pools  # type: ignore[attr-defined]
    more = {"rbd_ceph_conf": ceph.conf, "image_pools": images, **options}
    return RbdArray(rbd_pool=pool, **more)


@contextlib.contextmanager
def _opened(fixture: Fixture, volume: Volume) -> Iterator[Any]:
    """Open a volume as a guest's hypervisor would."""
    with _pool(fixture).opened(volume.id) as image:
        yield image


def _ancestors(fixture: Fixture, volume: Volume) -> int:
    """Count what an image hangs on, up to ten."""
    with _opened(fixture, volume) as image:
        return next(
            count
            for count in itertools.count()
            if not _pool(fixture).has_ancestors(image, count + 1)
        )


def _objects(fixture: Fixture) -> set[str]:
    """Name every object in the pool that some volume needs."""
    lists = {"rbd_directory", "rbd_children", "rbd_info", "rbd_trash"}
    found = {entry.key for entry in _pool(fixture).objects.list_objects()}
    return found - lists - harness_rbd.OWN


# -- opening ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["rados", "rbd"])
def test_without_librbd_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module can be imported; an array cannot be opened."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match="python3-rbd"):
        RbdArray(rbd_pool="volumes")


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_is_at_least_one(depth: int) -> None:
    """No clone could hang on nothing."""
    with pytest.raises(FactError, match="rbd_max_clone_depth"):
        RbdArray(rbd_pool="volumes", rbd_max_clone_depth=depth)


def test_its_identity_is_the_clusters(ceph: Cluster) -> None:
    """All pools of a cluster are one array, and it can what it declares."""
    with RbdArray(rbd_pool="volumes", rbd_ceph_conf=ceph.conf) as array:
        expected = Backend(
            array_id=ceph.fsid,
            can_clone=True,
            clone_kind=CloneKind.COPY_ON_WRITE,
            image_clone_kind=CloneKind.COPY_ON_WRITE,
            can_extend=True,
            clone_while_uploading=True,
            image_schemes=frozenset({"rbd"}),
        )
        assert expected == array.get_backend()
        array.close()


def test_no_cluster_and_no_pool_are_errors_of_our_own(
    ceph: Cluster, tmp_path: Path
) -> None:
    """A file, a pool and a monitor that are not there."""
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


# -- clones of volumes ------------------------------------------------------


def test_a_clone_is_equal_and_apart(fixture: Fixture) -> None:
    """It has the bytes, and neither side sees what the other writes."""
    source = fixture.volume()
    clone = fixture.clone(source)
    fixture.overwrite(source, 0, 1)
    fixture.overwrite(clone, GiB // 2, 2)
    fixture.require_intact(source, clone)


@format_2
def test_a_clone_of_format_2_leaves_no_snapshot_to_be_seen(
    fixture: Fixture,
) -> None:
    """The snapshot goes to the trash, and with the last clone from there."""
    source = fixture.volume()
    first, second = fixture.clone(source), fixture.clone(source)
    names = {f"volume-{v.id}" for v in (source, first, second)}
    assert names == set(fixture.harness.holds())
    with _opened(fixture, source) as image:
        assert 2 == len(list(image.list_snaps()))
    fixture.array.discard(first.id)
    fixture.array.discard(second.id)
    with _opened(fixture, source) as image:
        assert [] == list(image.list_snaps())


@format_1
def test_a_clone_of_format_1_keeps_its_snapshot_as_long_as_it_lives(
    fixture: Fixture,
) -> None:
    """It is protected, named after the clone, and goes with it."""
    source = fixture.volume()
    first, second = fixture.clone(source), fixture.clone(source)
    for clones in ([first, second], [second], []):
        with _opened(fixture, source) as image:
            snapshots = {s["name"] for s in image.list_snaps()}
            assert all(map(image.is_protected_snap, snapshots))
        assert {f"clone-{clone.id}" for clone in clones} == snapshots
        if clones:
            fixture.array.discard(clones[0].id)


@format_1
def test_a_kept_snapshot_goes_though_the_clone_was_flattened(
    fixture: Fixture,
) -> None:
    """By somebody else, and after or before its source was discarded."""
    source = fixture.volume()
    first, second = fixture.clone(source), fixture.clone(source)
    for clone in (first, second):
        with _opened(fixture, clone) as image:
            image.flatten()
    fixture.array.discard(first.id)
    fixture.array.discard(source.id)
    fixture.require_intact(second)
    fixture.array.discard(second.id)


def test_clones_hang_on_no_more_than_the_depth(
    ceph: Cluster, fixture: Fixture
) -> None:
    """The clone of a source that hangs on as many is flattened."""
    with _another(ceph, fixture, rbd_max_clone_depth=2) as array:
        shallow = Fixture(
            attrs.evolve(fixture.harness, array=array), fixture.expected
        )
        line = [fixture.volume()]
        for seed in range(4):
            line.append(shallow.clone(line[-1]))
            fixture.overwrite(line[-1], 8 * MIB * seed, seed)
    assert [0, 1, 2, 0, 1] == [_ancestors(fixture, v) for v in line]
    fixture.require_intact(*line)


def test_a_depth_of_one_is_no_clone_of_a_clone(
    ceph: Cluster, fixture: Fixture
) -> None:
    """Images count too, in whichever pool they lie."""
    content = Content.make(GiB, 4 * MIB, "image")
    location = fixture.image(content)
    with _another(ceph, fixture, rbd_max_clone_depth=1) as array:
        first, second = fixture.target(), fixture.target()
        array.clone_image(first.id, location)
        array.clone_volume(second.id, attrs.evolve(first, status="available"))
    for volume, ancestors in ((first, 1), (second, 0)):
        fixture.expected[volume.id] = content
        assert ancestors == _ancestors(fixture, volume)
        fixture.require_intact(volume)
    fixture.array.discard(second.id)


def test_a_flattened_clone_leaves_no_snapshot_behind(
    ceph: Cluster, fixture: Fixture
) -> None:
    """Nothing hangs on it, in either format."""
    line = [fixture.volume()]
    line.append(fixture.clone(line[0]))
    with _another(ceph, fixture, rbd_max_clone_depth=1) as array:
        flat = fixture.target()
        array.clone_volume(flat.id, line[1])
    with _opened(fixture, line[1]) as image:
        assert [] == list(image.list_snaps())
    assert f"clonepolicy.source.{flat.id}" not in fixture.harness.holds()


def test_a_source_in_use_is_cloned(fixture: Fixture) -> None:
    """A guest holds its lock and writes on; all of that is later."""
    source = fixture.volume()
    content = fixture.expected[source.id]
    with _opened(fixture, source) as guest:
        guest.write(b"before", 64 * MIB)
        guest.flush()
        content.put(64 * MIB, b"before")
        clone = fixture.clone(attrs.evolve(source, status="in-use"))
        guest.write(b"after!", 64 * MIB)
    content.put(64 * MIB, b"after!")
    fixture.require_intact(source, clone)


def test_many_clones_at_once_are_all_whole(fixture: Fixture) -> None:
    """Eight threads, one source, one connection."""
    source = fixture.volume()
    targets = [fixture.target() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for target in targets:
            fixture.expected[target.id] = fixture.expected[source.id].copy()
            threads.submit(fixture.array.clone_volume, target.id, source)
    fixture.require_intact(source, *targets)
    assert StoredVolume(size=GiB, clones=8) == fixture.array.stat(source.id)


def test_processes_clone_one_source_at_once(
    ceph: Cluster, fixture: Fixture
) -> None:
    """Two processes of four threads each."""
    source = fixture.volume()
    targets = [fixture.target() for _ in range(8)]
    workers = [
        _program(ceph, fixture, "clone", source.id, *(t.id for t in half))
        for half in (targets[:4], targets[4:])
    ]
    for worker in workers:
        with worker:
            said = worker.communicate(timeout=300)
        assert (0, ("", "")) == (worker.returncode, said)
    for target in targets:
        fixture.expected[target.id] = fixture.expected[source.id].copy()
    fixture.require_intact(source, *targets)
    assert StoredVolume(size=GiB, clones=8) == fixture.array.stat(source.id)


@format_2
def test_a_source_that_another_clones_is_waited_for(
    ceph: Cluster, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it takes too long, or whoever does it must have died."""
    source, target = fixture.volume(), fixture.target()
    with _another(ceph, fixture) as other, other._pool.alone(source.id):
        monkeypatch.setattr(pool_module, "_LOCKED", 0)
        with pytest.raises(UnavailableError, match="open elsewhere"):
            fixture.array.clone_volume(target.id, source)
    monkeypatch.setattr(pool_module, "_LOCKED", 5)
    dying = _pool(fixture).alone(source.id)
    dying.__enter__()
    fixture.require_intact(source, fixture.clone(source))
    dying.__exit__(None, None, None)


# -- clones of images -------------------------------------------------------


def test_an_image_is_never_cut(fixture: Fixture) -> None:
    """Its size is rounded up, and zeros follow its last byte."""
    content = Content.make(GiB + GiB // 2, 4 * MIB, "image")
    location = fixture.image(content)
    assert StoredImage(size=2) == fixture.array.find_image(location)
    target = fixture.target(2)
    fixture.array.clone_image(target.id, location)
    fixture.expected[target.id] = content.copy(2 * GiB)
    fixture.require_intact(target)


@format_2
def test_each_snapshot_has_its_own_size(
    ceph: Cluster, fixture: Fixture
) -> None:
    """As large as the image was then, whatever became of that."""
    first = fixture.image(Content(GiB))
    assert isinstance(first, RbdLocation)
    names = ("snap", "Schnappschuß", "x" * 200)
    with harness_rbd.opened(ceph, first.pool, first.image) as image:
        for size, name in enumerate(names[1:], 2):
            image.resize(size * GiB)
            image.create_snap(name)
        image.resize(9 * GiB)
    for size, name in enumerate(names, 1):
        location = attrs.evolve(first, snapshot=name)
        assert StoredImage(size=size) == fixture.array.find_image(location)
        target = fixture.target(size)
        fixture.array.clone_image(target.id, location)
        fixture.require_size(target.id, size * GiB)


@format_2
def test_an_image_may_hang_on_one_in_a_namespace(
    ceph: Cluster, fixture: Fixture
) -> None:
    """It is found, and its clone hangs on both."""
    rbd, location = _pool(fixture).rbd, fixture.image(Content(GiB))
    assert isinstance(location, RbdLocation)
    with (
        ceph.connection.open_ioctx(location.pool) as pool,
        ceph.connection.open_ioctx(location.pool) as inner,
    ):
        rbd.RBD().namespace_create(pool, "inner")
        inner.set_namespace("inner")
        rbd.RBD().create(inner, "parent", GiB)
        with rbd.Image(inner, "parent") as parent:
            parent.create_snap("snap")
            rbd.RBD().clone(inner, "parent", "snap", pool, "child")
            with rbd.Image(pool, "child") as child:
                child.create_snap("snap")
                there = attrs.evolve(location, image="child")
                assert StoredImage(size=1) == fixture.array.find_image(there)
                target = fixture.target()
                fixture.array.clone_image(target.id, there)
                fixture.require_size(target.id, GiB)
                fixture.array.discard(target.id)
                child.remove_snap("snap")
            rbd.RBD().remove(pool, "child")
            parent.remove_snap("snap")
        rbd.RBD().remove(inner, "parent")
        rbd.RBD().namespace_remove(pool, "inner")


@format_2
def test_a_snapshot_that_goes_meanwhile_hides_no_other(
    ceph: Cluster, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list of snapshots and their names, one is removed."""
    location = fixture.image(Content(GiB))
    assert isinstance(location, RbdLocation)
    ask = snapshots._ask

    def remove_late(pool: Any, key: str, method: str, *data: bytes) -> bytes:
        if method == "get_snapshot_name":
            with contextlib.suppress(_pool(fixture).rbd.ImageNotFound):
                image.remove_snap("late")
        return ask(pool, key, method, *data)

    with (
        harness_rbd.opened(ceph, location.pool, location.image) as image,
        monkeypatch.context() as patch,
    ):
        image.create_snap("late")
        patch.setattr(snapshots, "_ask", remove_late)
        assert StoredImage(size=1) == fixture.array.find_image(location)
    gone = attrs.evolve(location, snapshot="late")
    assert None is fixture.array.find_image(gone)


@format_2
def test_only_images_of_the_clusters_listed_pools_are_found(
    ceph: Cluster, fixture: Fixture
) -> None:
    """Whatever else a location says, it is nothing, and nothing is made."""
    found = fixture.image(Content(GiB))
    assert isinstance(found, RbdLocation)
    volume = fixture.volume()
    with _opened(fixture, volume) as image:
        image.create_snap("snap")
    volumes = _pool(fixture).objects.get_pool_name()
    wrong: list[Location] = [
        attrs.evolve(found, fsid=str(uuid.uuid4())),
        attrs.evolve(found, pool="images"),
        attrs.evolve(found, pool="nowhere"),
        attrs.evolve(found, pool=volumes, image=f"volume-{volume.id}"),
        attrs.evolve(found, image=str(uuid.uuid4())),
        attrs.evolve(found, image=f"{found.image}\0"),
        attrs.evolve(found, image=""),
        attrs.evolve(found, image="\ud800"),
        attrs.evolve(found, snapshot="another"),
        attrs.evolve(found, snapshot="snap\0"),
        attrs.evolve(found, snapshot=""),
        FileLocation(f"/{found.image}"),
    ]
    target = fixture.target()
    for location in wrong:
        assert None is fixture.array.find_image(location)
        assert isinstance(location, (RbdLocation, FileLocation))
        with pytest.raises(NotFoundError):
            fixture.array.clone_image(target.id, location)
    fixture.require_absent(target)
    with _another(ceph, fixture, image_pools={"images", "nowhere"}) as array:
        missing = attrs.evolve(found, pool="nowhere")
        assert None is array.find_image(missing)
    with _opened(fixture, volume) as image:
        image.remove_snap("snap")


def test_an_unprotected_snapshot_does_for_format_2_alone(
    fixture: Fixture, request: pytest.FixtureRequest
) -> None:
    """Format 1 says what to do, and leaves nothing."""
    content = Content.make(GiB, 4 * MIB, "image")
    location = fixture.image(content)
    assert isinstance(location, RbdLocation)
    with (
        _pool(fixture).cluster.open_ioctx(location.pool) as pool,
        _pool(fixture).rbd.Image(pool, location.image) as image,
    ):
        image.unprotect_snap(location.snapshot)
    target = fixture.target()
    if "format-1" in request.node.name:
        with pytest.raises(UnsupportedError, match="protect the snapshot"):
            fixture.array.clone_image(target.id, location)
        fixture.require_absent(target)
    else:
        fixture.array.clone_image(target.id, location)
        fixture.expected[target.id] = content
        fixture.require_intact(target)


# -- growing, telling, reading ----------------------------------------------


def test_new_space_is_zero_where_the_parent_has_data(fixture: Fixture) -> None:
    """A clone that was once cut shows nothing again of what was cut off."""
    source = fixture.volume(2)
    clone = fixture.clone(source)
    with _opened(fixture, clone) as image:
        image.resize(GiB)
    islands = fixture.expected[clone.id].islands
    content = Content(3 * GiB, [i for i in islands if i[0] < GiB])
    assert len(content.islands) < len(islands)
    fixture.array.extend(clone.id, 3)
    fixture.expected[clone.id] = content
    fixture.require_intact(source, clone)


@format_2
def test_a_volume_is_grown_and_never_shrunk(fixture: Fixture) -> None:
    """The size that it has is a size to grow to."""
    volume = fixture.volume(2)
    with pytest.raises(ConflictError, match="more than 1 GiB"):
        fixture.array.extend(volume.id, 1)
    fixture.array.extend(volume.id, 2)
    fixture.require_intact(volume)
    with pytest.raises(NotFoundError):
        fixture.array.extend(fixture.record().id, 2)


def test_stat_counts_all_that_hangs_on_a_volume(fixture: Fixture) -> None:
    """On snapshots in the trash, and on somebody else's."""
    source = fixture.volume()
    assert StoredVolume(size=GiB, clones=0) == fixture.array.stat(source.id)
    fixture.clone(source)
    fixture.clone(source)
    other = fixture.target()
    pool = _pool(fixture)
    with _opened(fixture, source) as image:
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
    with _opened(fixture, source) as image:
        image.unprotect_snap("theirs")
        image.remove_snap("theirs")


@format_2
def test_holes_cost_no_reading(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large volume only the objects are read that are there."""
    rbd = _pool(fixture).rbd
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
    # the data lies at three places, and each may touch one object more
    assert sum(asked) <= fixture.data + 3 * 4 * MIB


@format_2
def test_what_is_not_there_is_not_read(fixture: Fixture) -> None:
    """It says so with the first piece."""
    with pytest.raises(NotFoundError):
        next(fixture.array.read(fixture.record().id))


# -- discarding -------------------------------------------------------------


def test_a_source_of_clones_is_not_discarded(fixture: Fixture) -> None:
    """The error names them, and nothing is removed."""
    source = fixture.volume()
    clones = [fixture.clone(source) for _ in range(2)]
    held = fixture.harness.holds()
    with pytest.raises(ConflictError) as caught:
        fixture.array.discard(source.id)
    assert all(clone.id in str(caught.value) for clone in clones)
    assert held == fixture.harness.holds()
    fixture.require_intact(source, *clones)


@format_2
def test_somebody_elses_snapshot_keeps_a_volume(fixture: Fixture) -> None:
    """It is not the array's to remove."""
    volume = fixture.volume()
    with _opened(fixture, volume) as image:
        image.create_snap("theirs")
    with pytest.raises(ConflictError, match="somebody else's"):
        fixture.array.discard(volume.id)
    fixture.require_intact(volume)
    with _opened(fixture, volume) as image:
        image.remove_snap("theirs")


@format_2
def test_an_open_volume_is_waited_for(ceph: Cluster, fixture: Fixture) -> None:
    """And stays as it is when that takes too long."""
    volume = fixture.volume()
    hasty = {"rados_connection_retries": 1, "rados_connection_interval": 0.1}
    with _another(ceph, fixture, **hasty) as array, _opened(fixture, volume):
        with pytest.raises(UnavailableError, match="open elsewhere"):
            array.discard(volume.id)
        fixture.require_intact(volume)
    closed = threading.Event()
    with ThreadPoolExecutor(1) as thread, _opened(fixture, volume):
        done = thread.submit(fixture.array.discard, volume.id)
        done.add_done_callback(lambda _: closed.set())
        assert not closed.wait(0.5)
    done.result()
    fixture.require_absent(volume)


# -- writing ----------------------------------------------------------------


def _image(disk_format: str, size: int) -> Image:
    return Image(
        id=str(uuid.uuid4()),
        status="active",
        disk_format=disk_format,
        container_format="bare",
        size=size,
    )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(64 * 1024):
            yield piece


@format_2
def test_zeros_are_not_written(fixture: Fixture) -> None:
    """Only objects that are not all zeros come to be."""
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
def test_other_formats_are_unpacked(
    disk_format: str, ceph: Cluster, fixture: Fixture, tmp_path: Path
) -> None:
    """In files without a name, so that nothing can stay."""
    content = Content.make(64 * MIB, 4 * MIB, disk_format)
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(b"".join(content.pieces()))
    command = ["qemu-img", "convert", "-O", disk_format]
    subprocess.run([*command, str(plain), str(packed)], check=True)
    place = tmp_path / "place"
    place.mkdir()
    volume = fixture.target()
    with _another(ceph, fixture, image_conversion_dir=place) as array:
        image = _image(disk_format, packed.stat().st_size)
        array.write(volume.id, 1, image, _pieces(packed))
        fixture.expected[volume.id] = content.copy(GiB)
        fixture.require_intact(volume)
        for wrong, kind in (
            ("raw", IntegrityError),
            ("ova", UnsupportedError),
        ):
            image, target = _image(wrong, 1), fixture.target()
            with pytest.raises(kind):
                array.write(target.id, 1, image, _pieces(packed))
    assert [] == list(place.iterdir())


# -- errors -----------------------------------------------------------------


@format_2
@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOENT, NotFoundError, "not there"),
        (errno.EEXIST, ConflictError, "discard it first"),
        (errno.ENOTEMPTY, ConflictError, "snapshots"),
        (errno.EBUSY, UnavailableError, "open elsewhere"),
        (errno.EPERM, ForbiddenError, "rbd_user"),
        (errno.EACCES, ForbiddenError, "rbd_user"),
        (errno.ENOSPC, UnavailableError, "no space left"),
        (errno.EDQUOT, UnavailableError, "no space left"),
        (errno.ETIMEDOUT, UnavailableError, "does not answer"),
        (errno.ENOTCONN, UnavailableError, "does not answer"),
        (errno.ESHUTDOWN, UnavailableError, "open the array again"),
        (errno.EOPNOTSUPP, UnsupportedError, "cannot"),
        (errno.EIO, UnavailableError, "does not do it"),
        (None, UnavailableError, "does not do it"),
    ],
)
def test_every_error_is_one_of_ours(
    number: int | None,
    kind: type[AdapterError],
    words: str,
    fixture: Fixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Librbd's own text is in it, and the remedy."""
    rbd = _pool(fixture).rbd
    error = rbd.Error("told") if number is None else _error(rbd, number)
    monkeypatch.setattr(rbd.RBD, "create", mock.Mock(side_effect=error))
    with pytest.raises(kind, match=words) as caught:
        fixture.write(fixture.target(), Content(MIB))
    assert kind is type(caught.value)
    assert "told" in str(caught.value)


def _error(module: Any, number: int) -> Exception:
    error: Exception = module.OSError("told", errno=number)
    return error


@format_2
def test_a_silent_cluster_is_not_waited_for_for_ever(
    ceph: Cluster, fixture: Fixture
) -> None:
    """After rados_connect_timeout it is unavailable."""
    volume = fixture.volume()
    with _another(ceph, fixture, rados_connect_timeout=1) as array:
        ceph.tell("osd pause")
        try:
            with pytest.raises(UnavailableError, match="does not answer"):
                array.stat(volume.id)
        finally:
            ceph.tell("osd unpause")
    fixture.require_intact(volume)


@pytest.mark.parametrize(
    ("bench", "broken"),
    [
        ("1", "RBD.clone"),
        ("1", "Image.protect_snap"),
        ("2", "RBD.clone"),
        ("2", "Image.create_snap"),
        ("2", "Image.remove_snap2"),
    ],
    indirect=["bench"],
)
def test_a_clone_that_fails_is_undone(
    broken: str, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call did its work and failed."""
    source, target = fixture.volume(), fixture.target()
    held = fixture.harness.holds()
    with monkeypatch.context() as patch:
        _break(_pool(fixture).rbd, broken, patch, once=True)
        with pytest.raises(UnavailableError):
            fixture.array.clone_volume(target.id, source)
    assert held == fixture.harness.holds()
    fixture.require_intact(source)


@pytest.mark.parametrize("broken", ["RBD.clone", "Image.resize"])
def test_a_clone_of_an_image_that_fails_is_undone(
    broken: str, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever call did its work and failed."""
    location, target = fixture.image(Content(GiB + 512)), fixture.target()
    with monkeypatch.context() as patch:
        _break(_pool(fixture).rbd, broken, patch, once=True)
        with pytest.raises(UnavailableError):
            fixture.array.clone_image(target.id, location)
    fixture.require_unchanged()


def test_a_clone_that_cannot_be_undone_is_left_behind(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is to be tried; discarding it later is enough."""
    source, target = fixture.volume(), fixture.target()
    held = fixture.harness.holds()
    with monkeypatch.context() as patch:
        for name in ("RBD.clone", "RBD.remove"):
            _break(_pool(fixture).rbd, name, patch)
        with pytest.raises(LeftBehindError, match=target.id):
            fixture.array.clone_volume(target.id, source)
    fixture.array.discard(target.id)
    assert held == fixture.harness.holds()


def test_a_volume_that_is_there_survives_a_failing_clone(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing removes only what was made, even where two make the same."""
    source, other = fixture.volume(), fixture.volume()
    location = fixture.image(Content(GiB))
    never = mock.Mock(return_value=False)
    for known in (True, False):
        with monkeypatch.context() as patch:
            if not known:
                patch.setattr(type(_pool(fixture)), "has", never)
            with pytest.raises(ConflictError):
                fixture.array.clone_volume(other.id, source)
            with pytest.raises(ConflictError):
                fixture.array.clone_image(other.id, location)
    fixture.require_intact(source, other)


def _break(
    rbd: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    once: bool = False,
) -> None:
    """Let a call of librbd do its work, and fail thereafter."""
    kind, method = name.split(".")
    call = getattr(getattr(rbd, kind), method)
    failures: list[str] = []

    def fail(*args: Any, **more: Any) -> Any:
        done = call(*args, **more)
        if once and failures:
            return done
        failures.append(name)
        raise rbd.OSError("broken", errno=errno.EIO)

    if kind == "Image":
        broken = type("Image", (rbd.Image,), {method: fail})
        monkeypatch.setattr(rbd, "Image", broken)
    else:
        monkeypatch.setattr(rbd.RBD, method, fail)


# -- kills ------------------------------------------------------------------


def _program(
    ceph: Cluster, fixture: Fixture, *arguments: str
) -> subprocess.Popen[str]:
    """Start this file as a program on the same array."""
    pool = _pool(fixture)
    options = {
        "rbd_pool": pool.objects.get_pool_name(),
        "rbd_ceph_conf": pool.cluster.conffile,
        "image_pools": sorted(fixture.array._image_pools),  # type: ignore[attr-defined]
    }
    path = os.pathsep.join(filter(None, (str(ceph.bindings), *sys.path)))
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(options), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", ["lines", "moments"])
@pytest.mark.parametrize(
    "action", ["clone_volume", "clone_image", "write", "extend", "discard"]
)
def test_a_kill_at_any_instant_leaves_what_discard_removes(
    action: str, how: str, ceph: Cluster, fixture: Fixture
) -> None:
    """Between any two calls of librbd, and within them.

    Every line and many moments in the deep profile, a few else.
    """
    location = fixture.image(Content.make(GiB + 512, MIB, "image"))
    before = _objects(fixture)
    worker = _program(ceph, fixture, "kill", action, how, str(location))
    told, said = worker.communicate(timeout=3000)
    assert (0, "") == (worker.returncode, said)
    jobs = json.loads(told)
    assert sum(job["killed"] for job in jobs) > 2
    assert not all(job["killed"] for job in jobs)
    for job in jobs:
        if action == "extend":
            (found,) = [s for s in [fixture.array.stat(job["target"])] if s]
            assert found.size in {GiB, 3 * GiB}
        fixture.array.discard(job["target"])
        fixture.array.discard(job["target"])
    for job in jobs:
        if job["source"] is not None:
            content = _source_content(job["source"]).copy(GiB)
            content.compare(fixture.array.read(job["source"]), "the source")
            fixture.array.discard(job["source"])
    assert before == _objects(fixture)


def _source_content(volume_id: str) -> Content:
    return Content.make(8 * MIB, MIB, volume_id)


class _Worker:
    """What is done in the processes that are killed."""

    def __init__(self, array: RbdArray, location: RbdLocation) -> None:
        """Make ids for one action."""
        self.array, self.location = array, location
        self.target, self.source = str(uuid.uuid4()), str(uuid.uuid4())

    def write(self, volume_id: str) -> None:
        """Write a volume."""
        content = _source_content(volume_id)
        image = _image("raw", content.size)
        self.array.write(volume_id, 1, image, content.pieces())

    def clone(self) -> None:
        """Clone the source to the target."""
        record = Volume(
            id=self.source, project_id="p", size=1, status="available"
        )
        self.array.clone_volume(self.target, record)

    def prepare(self, action: str) -> None:
        """Make what an action begins with."""
        if action in {"clone_volume", "discard", "extend"}:
            self.write(self.source)
        if action in {"discard", "extend"}:
            self.clone()

    def act(self, action: str) -> None:
        """Do what is killed."""
        if action == "clone_volume":
            self.clone()
        elif action == "clone_image":
            self.array.clone_image(self.target, self.location)
        elif action == "write":
            self.write(self.target)
        elif action == "extend":
            self.array.extend(self.target, 3)
        else:
            self.array.discard(self.target)


def _die_at_line(line: int) -> None:
    """Let this process die before a line of the adapter is begun."""
    place, left = str(Path(adapter.__file__).parent), line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(place):
            return None
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def _job(
    options: dict[str, Any],
    action: str,
    location: RbdLocation,
    line: int | None,
    moment: float | None,
) -> dict[str, Any]:
    """Do an action in a process of its own, and kill it."""
    ready, begun = os.pipe()
    told, telling = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            worker = _Worker(RbdArray(**options), location)
            worker.prepare(action)
            os.write(
                telling, json.dumps([worker.target, worker.source]).encode()
            )
            os.write(begun, b"!")
            if line is not None:
                _die_at_line(line)
            worker.act(action)
            sys.settrace(None)
            code = 0
        finally:
            os._exit(code)
    os.close(begun)
    os.close(telling)
    assert b"!" == os.read(ready, 1)
    start = time.monotonic()
    if moment is not None:
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    target, source = json.loads(os.read(told, 1000))
    os.close(ready)
    os.close(told)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return {
        "target": target,
        "source": source if action not in {"write", "clone_image"} else None,
        "killed": bool(status),
        "took": time.monotonic() - start,
    }


def _kill(
    options: dict[str, Any], action: str, how: str, location: RbdLocation
) -> list[dict[str, Any]]:
    """Kill an action at lines, or at moments, until it outlives that."""
    if how == "lines":
        jobs = []
        for line in itertools.count(1, 1 if _DEEP else 8):
            jobs.append(_job(options, action, location, line, None))
            if not jobs[-1]["killed"]:
                break
        return jobs
    whole = _job(options, action, location, None, None)
    count = 60 if _DEEP else 6
    return [
        whole,
        *(
            _job(options, action, location, None, whole["took"] * at / count)
            for at in range(count)
        ),
    ]


def _main(options: dict[str, Any], action: str, *more: str) -> None:
    options["image_pools"] = frozenset(options["image_pools"])
    if action == "kill":
        # a connection does not outlive forking, so there is none here yet
        for name in ("rados", "rbd"):
            importlib.import_module(name)
        pool_module._LOCKED = 3
        what, how, location = more
        _, _, *parts = location.split("/")
        jobs = _kill(options, what, how, RbdLocation(*parts))
        sys.stdout.write(json.dumps(jobs))
        return
    source, *targets = more
    record = Volume(id=source, project_id="p", size=1, status="available")
    with RbdArray(**options) as array, ThreadPoolExecutor(4) as threads:
        for done in [
            threads.submit(array.clone_volume, target, record)
            for target in targets
        ]:
            done.result()


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]), *sys.argv[2:])
