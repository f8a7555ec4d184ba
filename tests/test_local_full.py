"""A full file system can be read and cleaned, whatever its blocks are."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import AdapterError
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local import LocalCloud
from local_support import MIB, add_image, faults, make_volume, write_source

_KINDS = {
    "tmpfs": None,
    "ext4 with blocks of 1 KiB": ("mkfs.ext4", "-q", "-b", "1024"),
}
_DEEP = {
    "ext4": ("mkfs.ext4", "-q"),
    "xfs": ("mkfs.xfs", "-q"),
    "btrfs": ("mkfs.btrfs", "-q"),
}


@pytest.fixture(
    params=[*_KINDS, *(pytest.param(k, marks=pytest.mark.deep) for k in _DEEP)]
)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    kind: str = request.param
    command = {**_KINDS, **_DEEP}[kind]
    place, device = tmp_path / "small", tmp_path / "device"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(place)]
    if command is not None:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        with device.open("wb") as file:
            file.truncate((320 if kind in _DEEP else 48) * MIB)
        made = [*command, str(device)]
        subprocess.run(made, check=True, capture_output=True)
        mount = ["mount", "-o", "loop", str(device), str(place)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no {kind}: {done.stderr.strip()}")
    try:
        yield place
    finally:
        leave = ["umount", "--lazy", str(place)]
        subprocess.run(leave, check=True)


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
    """Work on a cloud in a new process; return its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", _WORK, root, work], check=False, timeout=100
    )
    return done.returncode


_WORK = """
import sys
from pathlib import Path
from clonepolicy import AdapterError
from clonepolicy.adapters.local import LocalCloud

with LocalCloud(Path(sys.argv[1])) as cloud:
    names = {row.name: row.volume.id for row in cloud.list_volumes()}
    try:
        match sys.argv[2]:
            case "read":
                assert names
                assert cloud.check() == ()
            case "create":
                image = cloud.find_image("image", "p").image.id
                cloud.create_volume(image, name="x", project_id="p", size=1)
            case name:
                cloud.delete_volume(names[name])
    except AdapterError as error:
        print(error)
        sys.exit(3)
"""


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
