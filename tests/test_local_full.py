"""A full file system can be read and cleaned, whatever its blocks are."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import AdapterError
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local import LocalCloud
from local_support import (
    MIB,
    add_image,
    faults,
    make_volume,
    mounted,
    write_source,
)

_DEEP = ("ext4", "xfs", "btrfs")


@pytest.fixture(
    params=[
        *("tmpfs", "ext4 with blocks of 1 KiB"),
        *(pytest.param(kind, marks=pytest.mark.deep) for kind in _DEEP),
    ]
)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    size = 320 if request.param in _DEEP else 48
    yield from mounted(request.param, tmp_path, size)


def fill(place: Path) -> None:
    """Leave not one byte free."""
    for size in (4 * MIB, 4096, 1):
        for number in range(100):
            try:
                with (place / f"hog-{size}-{number}").open("wb") as file:
                    while True:
                        file.write(os.urandom(size))
                        file.flush()
            except OSError:
                if not number:
                    continue
                break


def in_a_process(root: Path, work: str) -> int:
    """Work on a cloud in another process; return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _work(root, work)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _work(root: Path, work: str) -> int:
    with LocalCloud(root) as cloud:
        names = {row.name: row.volume.id for row in cloud.list_volumes()}
        try:
            match work:
                case "read":
                    return 0 if names and cloud.check() == () else 1
                case "create":
                    image = cloud.find_image("image", "p").image.id
                    cloud.create_volume(
                        image, name="x", project_id="p", size=1
                    )
                case name:
                    cloud.delete_volume(names[name])
        except AdapterError:
            return 3
    return 0


def test_a_full_file_system_is_read_and_cleaned(
    small: Path, tmp_path: Path
) -> None:
    """Nothing dies, nothing is lost, and each deletion frees space."""
    root = small / "cloud"
    source = write_source(tmp_path / "source", 2 * MIB)
    with LocalCloud.init(root) as cloud:
        image_id = add_image(cloud, source)
        for name in ("v", "w", "kept"):
            make_volume(cloud, image_id, name)
    fill(small)
    assert paths.free(small) < 100_000
    assert in_a_process(root, "read") == 0
    assert in_a_process(root, "create") == 3
    assert in_a_process(root, "read") == 0
    for name in ("v", "w"):
        fill(small)
        assert in_a_process(root, name) == 0
        assert in_a_process(root, "read") == 0
    fill(small)
    assert in_a_process(root, "create") in {0, 3}
    for hog in small.glob("hog-*"):
        hog.unlink()
    with LocalCloud(root) as cloud:
        assert "kept" in {row.name for row in cloud.list_volumes()}
    assert faults(root, source) == []


def test_a_disk_that_fills_up_meanwhile_loses_nothing(
    small: Path, tmp_path: Path
) -> None:
    """A process that began while there was space goes on, or fails."""
    root = small / "cloud"
    source = write_source(tmp_path / "source", 2 * MIB)
    with LocalCloud.init(root) as cloud:
        image_id = add_image(cloud, source)
        volume = make_volume(cloud, image_id)
        fill(small)
        for _ in range(3):
            with pytest.raises(AdapterError, match="space"):
                add_image(cloud, source, "more")
            assert len(cloud.list_images()) == 1
        cloud.delete_volume(volume.id)
        cloud.delete_image(image_id)
        for hog in small.glob("hog-*"):
            hog.unlink()
    assert faults(root, source) == []
