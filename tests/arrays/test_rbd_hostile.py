"""`RbdArray` refuses hostile images, or reads nothing but them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import ceph as ceph_module
import rbd_support
from rbd_support import format_2

from clonepolicy import Image
from clonepolicy.testing.conformance import Fixture
from hostile_images import hostile
from hostile_images.law import accepted

ceph = ceph_module.ceph
harness = rbd_support.harness
fixture = rbd_support.fixture

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not installed"
)


@format_2
def test_a_volume_comes_from_its_image_alone(
    fixture: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds for a part of the corpus, in a real pool."""
    monkeypatch.chdir(tmp_path)

    def fill(image: Image, data: bytes) -> Iterator[bytes]:
        volume = fixture.target()
        try:
            fixture.array.write(volume.id, 1, image, iter([data]))
            yield from fixture.array.read(volume.id)
        finally:
            fixture.array.discard(volume.id)

    assert accepted(fill, hostile(tmp_path)[::9], tmp_path)
