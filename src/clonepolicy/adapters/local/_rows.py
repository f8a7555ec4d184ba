"""What a cloud lists and gives back."""

from __future__ import annotations

from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    CreateDecision,
    Image,
    Outcome,
    UploadDecision,
    Volume,
)


@attrs.frozen
class Pool:
    """A directory of volumes, and what its file system can do."""

    name: str
    path: Path
    backend: Backend


@attrs.frozen(kw_only=True)
class ImageRow:
    """An image with its name and what it takes on disk."""

    image: Image
    name: str
    locations: tuple[str, ...]
    bytes_on_disk: int
    """Of the image's own file; 0 where a volume is its data."""


@attrs.frozen(kw_only=True)
class VolumeRow:
    """A volume with its name and its file."""

    volume: Volume
    name: str
    bytes_on_disk: int
    """As the file system counts: what clones share is counted for each."""
    path: Path


@attrs.frozen(kw_only=True)
class Created:
    """How creating a volume went."""

    decision: CreateDecision
    outcome: Outcome | None
    """None: the decision was to refuse."""
    volume: VolumeRow | None
    """None: refused; status ``error``: every attempt failed."""


@attrs.frozen(kw_only=True)
class Uploaded:
    """How uploading a volume went."""

    decision: UploadDecision
    outcome: Outcome | None
    """None: the decision was to refuse."""
    image: ImageRow | None
    """None: refused, or no attempt made one that stays."""
