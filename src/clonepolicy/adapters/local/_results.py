"""The records that a cloud's methods return."""

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
    """An image with its name and the space that it occupies."""

    image: Image
    name: str
    locations: tuple[str, ...]
    bytes_on_disk: int
    """Of the image's own file; 0 if the image's data is a volume."""


@attrs.frozen(kw_only=True)
class VolumeRow:
    """A volume with its name and its file."""

    volume: Volume
    name: str
    bytes_on_disk: int
    """As the file system counts: data that clones share counts for each."""
    path: Path


@attrs.frozen(kw_only=True)
class Created:
    """The result of creating a volume."""

    decision: CreateDecision
    outcome: Outcome | None
    """None: the request was refused."""
    volume: VolumeRow | None
    """None: the request was refused; status ``error``: all attempts failed."""


@attrs.frozen(kw_only=True)
class Uploaded:
    """The result of uploading a volume."""

    decision: UploadDecision
    outcome: Outcome | None
    """None: the request was refused."""
    image: ImageRow | None
    """None: the request was refused, or every attempt failed."""
