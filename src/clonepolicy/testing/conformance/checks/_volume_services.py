"""The suite of volume services, and what its checks share."""

from __future__ import annotations

import uuid
from contextlib import nullcontext

from clonepolicy.testing.conformance._check import Level, Suite
from clonepolicy.testing.conformance._harness import VolumeHarness

VOLUMES: Suite[VolumeHarness, VolumeHarness] = Suite(
    lambda _: Level.CLONES, nullcontext
)
"""The checks of volume services."""


def new_project() -> str:
    """Make an id that no project has."""
    return f"harness-{uuid.uuid4().hex}"


def image_volume(
    harness: VolumeHarness, *, size: int = 1, project_id: str | None = None
) -> str:
    """Make an image volume; return its id."""
    source = harness.new_volume(size, "available", None)
    volume_id = harness.volumes.new_id()
    harness.volumes.create_image_volume(
        volume_id, source.id, project_id or new_project()
    )
    return volume_id
