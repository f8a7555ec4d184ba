# ruff: noqa: ANN401 - librbd's bindings have no types
"""`RbdArray` clones stored images."""

from __future__ import annotations

import contextlib
import sys
import uuid
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_module
import harness_rbd
import rbd_support
from ceph import Cluster
from rbd_support import MIB, format_2, open_again, opened, pool_of

from clonepolicy import (
    FileLocation,
    GiB,
    Location,
    NotFoundError,
    RbdLocation,
    UnsupportedError,
)
from clonepolicy.adapters.rbd import _pool as snapshots
from clonepolicy.ports import StoredImage
from clonepolicy.testing.conformance import Fixture
from clonepolicy.testing.conformance._fixture import Content

ceph = ceph_module.ceph
harness = rbd_support.harness
fixture = rbd_support.fixture


def test_a_clone_of_an_image_is_rounded_up_to_a_gib(fixture: Fixture) -> None:
    """The size is rounded up to a GiB, and zeros follow the data."""
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
    """A snapshot has the image's size at the time of the snapshot."""
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
def test_an_image_may_have_a_parent_in_a_namespace(
    ceph: Cluster, fixture: Fixture
) -> None:
    """The image is found and cloned."""
    rbd, location = pool_of(fixture).rbd, fixture.image(Content(GiB))
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
def test_a_snapshot_that_is_removed_meanwhile_hides_no_other(
    ceph: Cluster, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot is removed after they were listed."""
    location = fixture.image(Content(GiB))
    assert isinstance(location, RbdLocation)
    ask = snapshots._ask

    def remove_late(pool: Any, key: str, method: str, *data: bytes) -> bytes:
        if method == "get_snapshot_name":
            with contextlib.suppress(pool_of(fixture).rbd.ImageNotFound):
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
    """Any other location is not found, and cloning it creates nothing."""
    found = fixture.image(Content(GiB))
    assert isinstance(found, RbdLocation)
    volume = fixture.volume()
    with opened(fixture, volume) as image:
        image.create_snap("snap")
    volumes = pool_of(fixture).objects.get_pool_name()
    wrong: list[Location] = [
        attrs.evolve(found, fsid=str(uuid.uuid4())),
        attrs.evolve(found, pool="images"),
        attrs.evolve(found, pool="nowhere"),
        attrs.evolve(found, pool=volumes, image=f"volume-{volume.id}"),
        attrs.evolve(found, image=f"{found.image}\0"),
        attrs.evolve(found, image="\ud800"),
        attrs.evolve(found, snapshot="snap\0"),
        attrs.evolve(found, snapshot=""),
        FileLocation(f"/{found.image}"),
    ]
    absent = [
        attrs.evolve(found, image=str(uuid.uuid4())),
        attrs.evolve(found, image=""),
        attrs.evolve(found, snapshot="another"),
    ]
    target = fixture.target()
    for location in wrong:
        with pytest.raises(UnsupportedError):
            fixture.array.find_image(location)
        assert isinstance(location, (RbdLocation, FileLocation))
        with pytest.raises(UnsupportedError):
            fixture.array.clone_image(target.id, location)
    for location in absent:
        assert None is fixture.array.find_image(location)
        with pytest.raises(NotFoundError):
            fixture.array.clone_image(target.id, location)
    fixture.require_absent(target)
    with open_again(ceph, fixture, image_pools={"images", "nowhere"}) as array:
        missing = attrs.evolve(found, pool="nowhere")
        assert None is array.find_image(missing)
    with opened(fixture, volume) as image:
        image.remove_snap("snap")


def test_an_unprotected_snapshot_is_cloned_by_format_2_only(
    fixture: Fixture, request: pytest.FixtureRequest
) -> None:
    """Format 1 raises an error with the remedy, and leaves nothing."""
    content = Content.make(GiB, 4 * MIB, "image")
    location = fixture.image(content)
    assert isinstance(location, RbdLocation)
    with (
        pool_of(fixture).cluster.open_ioctx(location.pool) as pool,
        pool_of(fixture).rbd.Image(pool, location.image) as image,
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
