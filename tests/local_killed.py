"""Work on a cloud and die of SIGKILL at a chosen call, again and again.

Usage: ``local_killed.py CLOUD SOURCE ACTION STEP``.
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs

from clonepolicy.adapters._files import sparse
from clonepolicy.adapters.local import (
    LocalCloud,
)
from local_support import faults, killed, shrink

Action: TypeAlias = Callable[[LocalCloud], object]


def _find(cloud: LocalCloud, name: str) -> str:
    return cloud.find_image(name, "p").image.id


def _create(cloud: LocalCloud, image: str, size: int) -> str:
    made = cloud.create_volume(
        _find(cloud, image), name="made", project_id="p", size=size
    )
    assert made.outcome is not None
    assert made.outcome.attempt is not None
    assert made.volume is not None
    return made.volume.volume.id


def _upload(cloud: LocalCloud) -> str:
    made = cloud.upload_volume(
        cloud.find_volume("source", "p").volume.id,
        name="made",
        project_id="p",
    )
    assert made.image is not None
    return made.image.image.id


def _upload_bytes(cloud: LocalCloud) -> None:
    cloud.set_config(
        attrs.evolve(cloud.config, image_upload_use_cinder_backend=False)
    )
    _upload(cloud)


def _abandon(cloud: LocalCloud) -> None:
    """Create a volume that cannot be filled."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    vars(sparse)["fill"] = full
    image_id = _find(cloud, "image")
    made = cloud.create_volume(image_id, name="made", project_id="p", size=1)
    assert made.outcome is not None
    assert made.outcome.attempt is None


def _delete(cloud: LocalCloud) -> None:
    image_id = _upload(cloud)
    cloud.delete_volume(_create(cloud, "made", 1))
    cloud.delete_image(image_id)


ACTIONS: dict[str, Action] = {
    "add": lambda cloud: cloud.add_image(
        Path(sys.argv[2]), name="made", project_id="p"
    ),
    "clone": lambda cloud: _create(cloud, "registered", 2),
    "download": lambda cloud: _create(cloud, "image", 1),
    "register": _upload,
    "upload": _upload_bytes,
    "abandon": _abandon,
    "delete": _delete,
}


def _tidy(cloud: LocalCloud) -> None:
    for image in cloud.list_images():
        if image.name == "made":
            cloud.delete_image(image.image.id)
    for volume in cloud.list_volumes():
        if volume.name == "made":
            cloud.delete_volume(volume.volume.id)


def _work(root: Path, action: Action) -> None:
    with LocalCloud(root) as cloud:
        action(cloud)


def main(root: Path, source: Path, name: str, step: int) -> None:
    """Kill an action at every ``step``-th call; print the defects."""
    shrink()
    with LocalCloud.init(root) as cloud:
        cloud.add_image(source, name="image", project_id="p")
        made = cloud.create_volume(
            _find(cloud, "image"), name="source", project_id="p", size=1
        )
        assert made.volume is not None
        volume_id = made.volume.volume.id
        cloud.upload_volume(volume_id, name="registered", project_id="p")
    found: list[str] = []
    kills = again = 0
    call, died = 1, True
    while died and not found:
        died = killed(lambda: _work(root, ACTIONS[name]), call)
        kills += died
        # kill the repair too, later each time, until it finishes first
        at = 1 + call % step
        while killed(lambda: LocalCloud(root).close(), at):
            again += 1
            at += 4 * step
        what = f"killed at call {call} of {name}"
        found = [f"{what}: {fault}" for fault in faults(root, source)]
        with LocalCloud(root) as cloud:
            _tidy(cloud)
        call += step
    print(json.dumps({"kills": kills, "repairs": again, "faults": found}))  # noqa: T201 - for the test that runs this


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
