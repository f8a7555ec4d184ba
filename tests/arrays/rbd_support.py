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

import bench_rbd
import ceph as ceph_module
from ceph import Cluster

from clonepolicy import Image, Volume
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.testing.conformance import ArrayBench, Scene
from clonepolicy.testing.conformance._content import Content

ceph = ceph_module.ceph

MIB = 1 << 20


@pytest.fixture(scope="session", params=["1", "2"], ids="format-{}".format)
def bench(
    ceph: Cluster, request: pytest.FixtureRequest
) -> Iterator[ArrayBench]:
    """Open an array whose clones have format 1 or format 2."""
    conf = ceph.conf_with(rbd_default_clone_format=request.param)
    found = bench_rbd.make_bench(ceph, conf)
    yield found
    found.close()


@pytest.fixture
def scene(bench: ArrayBench) -> Iterator[Scene]:
    """Return an array; check that the test leaves nothing in it."""
    with Scene(bench) as found:
        yield found
    assert found.before == set(bench.holds())


def only(number: str) -> pytest.MarkDecorator:
    """Run a test on an array of one clone format only."""
    return pytest.mark.parametrize(
        "bench", [number], indirect=True, ids=[f"format-{number}"]
    )


format_1, format_2 = only("1"), only("2")


def pool_of(scene: Scene) -> Any:
    """Return the array's pool."""
    assert isinstance(scene.array, RbdArray)
    return scene.array._pool


def open_again(ceph: Cluster, scene: Scene, **options: Any) -> RbdArray:
    """Open the same array again, with other options."""
    pool = pool_of(scene).objects.get_pool_name()
    images = scene.array._image_pools  # type: ignore[attr-defined]
    more = {"rbd_ceph_conf": ceph.conf, "image_pools": images, **options}
    return RbdArray(rbd_pool=pool, **more)


@contextlib.contextmanager
def opened(scene: Scene, volume: Volume) -> Iterator[Any]:
    """Open a volume as a guest's hypervisor does."""
    with pool_of(scene).opened(volume.id) as image:
        yield image


def ancestors(scene: Scene, volume: Volume) -> int:
    """Count an image's ancestors."""
    with opened(scene, volume) as image:
        return next(
            count
            for count in itertools.count()
            if not pool_of(scene).has_ancestors(image, count + 1)
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
    ceph: Cluster, scene: Scene, *arguments: str
) -> subprocess.Popen[str]:
    """Start `rbd_worker` on the same array."""
    pool = pool_of(scene)
    options = {
        "rbd_pool": pool.objects.get_pool_name(),
        "rbd_ceph_conf": pool.cluster.conffile,
        "image_pools": sorted(scene.array._image_pools),  # type: ignore[attr-defined]
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
