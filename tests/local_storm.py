"""Three processes work on a cloud; kill them, and let their disk fail.

Usage: ``local_storm.py CLOUD SOURCE KILLS SEED``, with ``local_storm.c``
preloaded for a slow and failing disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from clonepolicy import AdapterError
from clonepolicy.adapters.local import LocalCloud
from local_support import content, faults, shrink

_PROCESSES = 3
_MOST = 12
"""Volumes and images; beyond that, they are deleted."""


def _disturb(seed: int, one_in: int) -> None:
    with contextlib.suppress(AttributeError):  # nothing is preloaded
        ctypes.CDLL(None).storm_set(seed, one_in)


def _race(root: Path, source: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    _disturb(seed, chance.choice((0, 0, 50, 300)))
    while True:
        with contextlib.suppress(AdapterError), LocalCloud(root) as cloud:
            for _ in range(chance.randrange(1, 20)):
                with contextlib.suppress(AdapterError, IndexError):
                    _act(cloud, source, chance)


def _act(cloud: LocalCloud, source: Path, chance: random.Random) -> None:
    images, volumes = cloud.list_images("p"), cloud.list_volumes("p")
    image, volume = chance.choice(images), chance.choice(volumes)
    crowded = len(images) + len(volumes) > _MOST
    match chance.randrange(8):
        case 0 | 1 if not crowded:
            cloud.create_volume(
                image.image.id, name="v", project_id="p", size=1
            )
        case 2 | 3 if not crowded:
            cloud.upload_volume(volume.volume.id, name="made", project_id="p")
        case 4 if not crowded:
            cloud.add_image(source, name="made", project_id="p")
        case 5:
            cloud.check()
        case _:
            if image.name != "keep":
                cloud.delete_image(image.image.id)
            if volume.name != "keep":
                cloud.delete_volume(volume.volume.id)


def _start(root: Path, source: Path, seed: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            _race(root, source, seed)
        except BaseException:  # noqa: BLE001 - told, and counted
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


def _fill(root: Path) -> Path:
    hog = root.parent / "hog"
    with contextlib.suppress(OSError), hog.open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
    return hog


def main(root: Path, source: Path, kills: int, seed: int) -> None:
    """Kill so many processes, and print what was wrong afterwards."""
    shrink()
    with LocalCloud.init(root) as cloud:
        image = cloud.add_image(source, name="keep", project_id="p")
        made = cloud.create_volume(
            image.id, name="keep", project_id="p", size=1
        )
        assert made.volume is not None
        cloud.upload_volume(made.volume.volume.id, name="keep", project_id="p")
        kept = [made.volume.path]
    chance = random.Random(seed)  # noqa: S311 - no secret
    seeds = iter(range(seed * 100_000, (seed + 1) * 100_000))
    found: list[str] = []
    died: list[int] = []
    expected = content(source)
    done = 0
    while done < kills and not found:
        racers = [_start(root, source, next(seeds)) for _ in range(_PROCESSES)]
        full = chance.random() < 0.2
        hog = _fill(root) if full else root
        for _ in range(20):
            time.sleep(chance.uniform(0.005, 0.1))
            victim = racers.pop(0)
            os.kill(victim, signal.SIGKILL)
            _, status = os.waitpid(victim, 0)
            if status != signal.SIGKILL:
                died.append(status)
            racers.append(_start(root, source, next(seeds)))
            done += 1
        for racer in racers:
            os.kill(racer, signal.SIGKILL)
            os.waitpid(racer, 0)
            done += 1
        if full:
            hog.unlink(missing_ok=True)
        found = faults(root, source)
        found += [f"lost: {p}" for p in kept if content(p) != expected]
    print(json.dumps({"kills": done, "died": died, "faults": found}))  # noqa: T201 - for the test that runs this


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5]))
