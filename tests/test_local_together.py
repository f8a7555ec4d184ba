"""Several processes in one cloud, and the memory that one takes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from clonepolicy.adapters.local import LocalCloud

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from local_support import MIB, faults

source = local_support.source
agreeing = local_support.agreeing

_RACER = """
import random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])

import local_support
from clonepolicy import (AdapterError)
from clonepolicy.adapters.local import LocalCloud

local_support.shrink()
chance = random.Random(int(sys.argv[3]))
for _ in range(1000):
    with LocalCloud(Path(sys.argv[2])) as cloud:
        for _ in range(chance.randrange(20)):
            images = cloud.list_images("p")
            volumes = cloud.list_volumes("p")
            try:
                match chance.randrange(7):
                    case 0 | 1 | 2:
                        image = chance.choice(images).image
                        cloud.create_volume(
                            image.id, name="v", project_id="p", size=1
                        )
                    case 3 | 4:
                        volume = chance.choice(volumes).volume
                        cloud.upload_volume(
                            volume.id, name="made", project_id="p"
                        )
                    case 5:
                        volume = chance.choice(volumes).volume
                        cloud.delete_volume(volume.id)
                    case _:
                        image = chance.choice(images)
                        if image.name == "made":
                            cloud.delete_image(image.image.id)
            except (AdapterError, IndexError):
                pass
        if len(volumes) > 12:
            for row in volumes[:6]:
                try:
                    cloud.delete_volume(row.volume.id)
                except AdapterError:
                    pass
"""

_DOWNLOADER = """
import json, re, sys
from pathlib import Path
from clonepolicy.adapters.local import LocalCloud

def peak():
    # not ru_maxrss: it includes what the parent had at the fork
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) >> 10

with LocalCloud(Path(sys.argv[1])) as cloud:
    before = peak()
    made = cloud.create_volume(
        cloud.find_image("i", "p").image.id, name="v", project_id="p", size=1
    )
    done = cloud.upload_volume(
        made.volume.volume.id, name="u", project_id="p", disk_format="raw"
    )
    print(json.dumps([str(made.outcome.attempt), before, peak()]))
"""


def _start(root: Path, seed: int) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-c", _RACER, here, root, str(seed)],
        stderr=subprocess.PIPE,
    )


def test_killed_concurrent_processes_lose_nothing(
    tmp_path: Path, source: Path
) -> None:
    """Three processes work in one cloud; one after the other is killed.

    No process fails with another error than an adapter's.
    """
    root = tmp_path / "cloud"
    with LocalCloud.init(root) as cloud:
        cloud.add_image(source, name="image", project_id="p")
    chance = random.Random(7)  # noqa: S311 - no secret
    racers = [_start(root, seed) for seed in range(3)]
    try:
        for seed in range(10, 22):
            time.sleep(chance.uniform(0.3, 0.9))
            victim = racers.pop(0)
            victim.send_signal(signal.SIGKILL)
            _, errors = victim.communicate()
            assert (victim.returncode, errors) == (-signal.SIGKILL, b"")
            racers.append(_start(root, seed))
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    done = subprocess.run(
        [sys.executable, "-c", _CHECKER, Path(__file__).parent, root, source],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == []


_CHECKER = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])

import local_support
local_support.shrink()
print(json.dumps(local_support.faults(Path(sys.argv[2]), Path(sys.argv[3]))))
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Streaming a GiB takes less than 32 MiB."""
    big = tmp_path / "big"
    with big.open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(MIB))
        file.truncate(1 << 30)
    root = tmp_path / "cloud"
    with LocalCloud.init(root) as cloud:
        cloud.add_image(big, name="i", project_id="p")
    done = subprocess.run(
        [sys.executable, "-c", _DOWNLOADER, root],
        check=True,
        capture_output=True,
        text=True,
    )
    attempt, before, after = json.loads(done.stdout)
    assert attempt == "download"
    assert after - before < 32
    assert after < 128
    assert faults(root) == []
