"""`RbdArray` clones volumes."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_module
import rbd_support
from ceph import Cluster
from rbd_support import (
    MIB,
    ancestors,
    format_1,
    format_2,
    open_again,
    opened,
    pool_of,
    start_worker,
)

from clonepolicy import GiB, UnavailableError
from clonepolicy.adapters.rbd import _pool as pool_module
from clonepolicy.ports import StoredVolume
from clonepolicy.testing.conformance import Fixture
from clonepolicy.testing.conformance._fixture import Content

ceph = ceph_module.ceph
harness = rbd_support.harness
fixture = rbd_support.fixture


def test_a_clone_is_equal_and_independent(fixture: Fixture) -> None:
    """Neither side sees what is written to the other."""
    source = fixture.volume()
    clone = fixture.clone(source)
    fixture.overwrite(source, 0, 1)
    fixture.overwrite(clone, GiB // 2, 2)
    fixture.require_intact(source, clone)


@format_2
def test_a_clone_of_format_2_leaves_no_visible_snapshot(
    fixture: Fixture,
) -> None:
    """The snapshot is in the trash until the clone is discarded."""
    source = fixture.volume()
    first, second = fixture.clone(source), fixture.clone(source)
    names = {f"volume-{v.id}" for v in (source, first, second)}
    assert names == set(fixture.harness.holds())
    with opened(fixture, source) as image:
        assert 2 == len(list(image.list_snaps()))
    fixture.array.discard(first.id)
    fixture.array.discard(second.id)
    with opened(fixture, source) as image:
        assert [] == list(image.list_snaps())


@format_1
def test_a_clone_of_format_1_keeps_its_snapshot_until_it_is_discarded(
    fixture: Fixture,
) -> None:
    """The snapshot is protected and named after the clone."""
    source = fixture.volume()
    first, second = fixture.clone(source), fixture.clone(source)
    for clones in ([first, second], [second], []):
        with opened(fixture, source) as image:
            snapshots = {s["name"] for s in image.list_snaps()}
            assert all(map(image.is_protected_snap, snapshots))
        assert {f"clone-{clone.id}" for clone in clones} == snapshots
        if clones:
            fixture.array.discard(clones[0].id)


@format_1
def test_discarding_a_flattened_clone_removes_its_snapshot(
    fixture: Fixture,
) -> None:
    """Others flatten it; it is discarded before or after its source."""
    source = fixture.volume()
    first, second = fixture.clone(source), fixture.clone(source)
    for clone in (first, second):
        with opened(fixture, clone) as image:
            image.flatten()
    fixture.array.discard(first.id)
    fixture.array.discard(source.id)
    fixture.require_intact(second)
    fixture.array.discard(second.id)


def test_clones_have_no_more_ancestors_than_the_depth(
    ceph: Cluster, fixture: Fixture
) -> None:
    """The clone of a source with the most ancestors is flattened."""
    with open_again(ceph, fixture, rbd_max_clone_depth=2) as array:
        shallow = Fixture(
            attrs.evolve(fixture.harness, array=array), fixture.expected
        )
        line = [fixture.volume()]
        for seed in range(4):
            line.append(shallow.clone(line[-1]))
            fixture.overwrite(line[-1], 8 * MIB * seed, seed)
    assert [0, 1, 2, 0, 1] == [ancestors(fixture, v) for v in line]
    fixture.require_intact(*line)


def test_with_a_depth_of_one_a_clone_of_a_clone_is_flattened(
    ceph: Cluster, fixture: Fixture
) -> None:
    """Images in other pools count as ancestors too."""
    content = Content.make(GiB, 4 * MIB, "image")
    location = fixture.image(content)
    with open_again(ceph, fixture, rbd_max_clone_depth=1) as array:
        first, second = fixture.target(), fixture.target()
        array.clone_image(first.id, location)
        array.clone_volume(second.id, attrs.evolve(first, status="available"))
    for volume, count in ((first, 1), (second, 0)):
        fixture.expected[volume.id] = content
        assert count == ancestors(fixture, volume)
        fixture.require_intact(volume)
    fixture.array.discard(second.id)


def test_a_flattened_clone_leaves_no_snapshot_behind(
    ceph: Cluster, fixture: Fixture
) -> None:
    """The source keeps neither a snapshot nor a note, in either format."""
    line = [fixture.volume()]
    line.append(fixture.clone(line[0]))
    with open_again(ceph, fixture, rbd_max_clone_depth=1) as array:
        flat = fixture.target()
        array.clone_volume(flat.id, line[1])
    with opened(fixture, line[1]) as image:
        assert [] == list(image.list_snaps())
    assert f"clonepolicy.source.{flat.id}" not in fixture.harness.holds()


def test_a_source_in_use_is_cloned(fixture: Fixture) -> None:
    """The clone has the data of one instant; a guest may write on."""
    source = fixture.volume()
    content = fixture.expected[source.id]
    with opened(fixture, source) as guest:
        guest.write(b"before", 64 * MIB)
        guest.flush()
        content.put(64 * MIB, b"before")
        clone = fixture.clone(attrs.evolve(source, status="in-use"))
        guest.write(b"after!", 64 * MIB)
    content.put(64 * MIB, b"after!")
    fixture.require_intact(source, clone)


def test_threads_clone_one_source_at_once(fixture: Fixture) -> None:
    """Eight threads clone one source over one connection."""
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
    """Two processes clone with four threads each."""
    source = fixture.volume()
    targets = [fixture.target() for _ in range(8)]
    workers = [
        start_worker(ceph, fixture, "clone", source.id, *(t.id for t in half))
        for half in (targets[:4], targets[4:])
    ]
    for worker in workers:
        with worker:
            output = worker.communicate(timeout=300)
        assert (0, ("", "")) == (worker.returncode, output)
    for target in targets:
        fixture.expected[target.id] = fixture.expected[source.id].copy()
    fixture.require_intact(source, *targets)
    assert StoredVolume(size=GiB, clones=8) == fixture.array.stat(source.id)


@format_2
def test_a_clone_waits_for_another_of_the_same_source(
    ceph: Cluster, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends with an error, or when the other's lock has expired."""
    source, target = fixture.volume(), fixture.target()
    with open_again(ceph, fixture) as other, other._pool.locked(source.id):
        monkeypatch.setattr(pool_module, "_LOCKED", 0)
        with pytest.raises(UnavailableError, match="has it open"):
            fixture.array.clone_volume(target.id, source)
    monkeypatch.setattr(pool_module, "_LOCKED", 5)
    dying = pool_of(fixture).locked(source.id)
    dying.__enter__()
    fixture.require_intact(source, fixture.clone(source))
    dying.__exit__(None, None, None)
