# ruff: noqa: ANN401 - librbd's bindings have no types
"""A certified `RbdArray` and helpers for tests of it on a real cluster."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_module
import harness_rbd
from ceph import Cluster

from clonepolicy import Image, Volume
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.testing.conformance import ArrayHarness, Fixture
from clonepolicy.testing.conformance._fixture import Content

ceph = ceph_module.ceph

MIB = 1 << 20


@pytest.fixture(scope="session", params=["1", "2"], ids="format-{}".format)
def harness(
    ceph: Cluster, request: pytest.FixtureRequest
) -> Iterator[ArrayHarness]:
    """Open an array whose clones have format 1 or format 2."""
    conf = ceph.conf_with(rbd_default_clone_format=request.param)
    found = harness_rbd.make_harness(ceph, conf)
    yield found
    found.close()


@pytest.fixture
def fixture(harness: ArrayHarness) -> Iterator[Fixture]:
    """Return an array; check that the test leaves nothing in it."""
    with Fixture(harness) as found:
        yield found
    assert found.before == set(harness.holds())


def only(number: str) -> pytest.MarkDecorator:
    """Run a test on an array of one clone format only."""
    return pytest.mark.parametrize(
        "harness", [number], indirect=True, ids=[f"format-{number}"]
    )


format_1, format_2 = only("1"), only("2")


def pool_of(fixture: Fixture) -> Any:
    """Return the array's pool."""
    assert isinstance(fixture.array, RbdArray)
    return fixture.array._pool


def open_again(ceph: Cluster, fixture: Fixture, **options: Any) -> RbdArray:
    """Open the same array again, with other options."""
    pool = pool_of(fixture).objects.get_pool_name()
    images = fixture.array._image_pools  # type: ignore[attr-defined]
    more = {"rbd_ceph_conf": ceph.conf, "image_pools": images, **options}
    return RbdArray(rbd_pool=pool, **more)


@contextlib.contextmanager
def opened(fixture: Fixture, volume: Volume) -> Iterator[Any]:
    """Open a volume as a guest's hypervisor does."""
    with pool_of(fixture).opened(volume.id) as image:
        yield image


def ancestors(fixture: Fixture, volume: Volume) -> int:
    """Count an image's ancestors."""
    with opened(fixture, volume) as image:
        return next(
            count
            for count in itertools.count()
            if not pool_of(fixture).has_ancestors(image, count + 1)
        )


def image_record(disk_format: str, size: int) -> Image:
    """Return an image's record."""
    return Image(
        id=str(uuid.uuid4()),
        status="active",
        disk_format=disk_format,
        container_format="bare",
        size=size,
    )


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield a file's content."""
    with path.open("rb") as file:
        while piece := file.read(64 * 1024):
            yield piece


_WORKER = str(Path(__file__).with_name("rbd_worker.py"))


def start_worker(
    ceph: Cluster, fixture: Fixture, *arguments: str
) -> subprocess.Popen[str]:
    """Start `rbd_worker` on the same array."""
    pool = pool_of(fixture)
    options = {
        "rbd_pool": pool.objects.get_pool_name(),
        "rbd_ceph_conf": pool.cluster.conffile,
        "image_pools": sorted(fixture.array._image_pools),  # type: ignore[attr-defined]
    }
    path = os.pathsep.join(filter(None, (str(ceph.bindings), *sys.path)))
    return subprocess.Popen(
        [sys.executable, _WORKER, json.dumps(options), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def source_content(volume_id: str) -> Content:
    """Return the content of a volume that `rbd_worker` wrote."""
    return Content.make(8 * MIB, MIB, volume_id)
