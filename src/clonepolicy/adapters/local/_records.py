"""Records: of users' arguments and of rows; what users' calls return."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from clonepolicy import (
    Backend,
    ConflictError,
    CreateDecision,
    FactError,
    Host,
    Image,
    LocationsFrom,
    NotFoundError,
    Outcome,
    UnavailableError,
    UnsupportedError,
    UploadDecision,
    Volume,
)
from clonepolicy.adapters._files.paths import bytes_on_disk
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._store import WHOLE, Store
from clonepolicy.adapters.records import image_from_v2
from clonepolicy.ports import check_volume_id

_LARGEST = 2**33 - 1
"""In GiB: a file has less than 2**63 bytes."""
_LONGEST = 255
_VISIBILITIES = ("private", "shared", "community", "public")
_SHORTEST_PREFIX = 8
_SAME = (
    *("id", "project_id", "size", "status", "previous_status"),
    *("image_owner", "glance_image_id"),
)
"""The columns of a volume that its record has too, by the same names."""


@attrs.frozen
class Pool:
    """A directory of volumes, and what its file system can do."""

    name: str
    path: Path
    backend: Backend
    free: int
    """Bytes."""


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


def check_text(field: str, value: str) -> None:
    """Accept one line of text that terminals, files and SQLite can hold.

    Raises:
        FactError: it is empty, too long, or has unprintable characters.
    """
    # a damaged catalogue has other values too
    text: object = value
    is_line = isinstance(text, str) and text.isprintable()
    if not is_line or not 0 < len(value) <= _LONGEST:
        expected = f"1 to {_LONGEST} printable characters"
        raise FactError(field, value, expected)


def check_project(project_id: str | None) -> None:
    """Accept a project's id, or None for the operator."""
    if project_id is not None:
        check_text("project_id", project_id)


def check_gigabytes(field: str, value: int) -> None:
    """Accept a size that a file can have.

    Raises:
        FactError: it is not a whole number of GiB, or too large.
    """
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise FactError(field, value, f"a whole number of GiB <= {_LARGEST}")


def new_image(
    project_id: str,
    disk_format: str,
    container_format: str,
    visibility: str,
    min_disk: int = 0,
) -> Image:
    """Check an image's arguments, and return its record with a new id."""
    check_project(project_id)
    check_text("disk_format", disk_format)
    check_text("container_format", container_format)
    check_gigabytes("min_disk", min_disk)
    if visibility not in _VISIBILITIES:
        expected = "one of " + ", ".join(_VISIBILITIES)
        raise FactError("visibility", visibility, expected)
    return Image(
        id=str(uuid.uuid4()),
        status="queued",
        owner=project_id,
        disk_format=disk_format,
        container_format=container_format,
        visibility=visibility,
        min_disk=min_disk,
    )


def host(pool: str) -> Host:
    """Return a pool as a host in Cinder's terms."""
    return Host("local", "files", pool)


@contextlib.contextmanager
def _sound(kind: str, row: Row) -> Iterator[None]:
    """Turn what the values of a damaged row raise into `UnavailableError`."""
    try:
        check_text("id", row["id"])
        if not isinstance(row["name"], str):
            raise FactError("name", row["name"], "text")
        yield
    except (ValueError, TypeError, NotFoundError, UnsupportedError) as error:
        raise UnavailableError(
            f"the record of {kind} {printable_id(row)} is damaged: {error}; "
            "see clonepolicy check"
        ) from error


def printable_id(row: Row) -> str:
    """Return the id of a row, which may be anything, as one word."""
    found = row["id"]
    is_word = isinstance(found, str) and found.isprintable()
    return found if is_word and found.split() == [found] else repr(found)


def as_volume(store: Store, row: Row) -> Volume:
    """Make a volume's record of its row.

    If the file of a volume that should have data does not fit, the status
    is ``error``.  The catalogue is not changed, so the volume is usable
    again when the right file is back.

    Raises:
        UnavailableError: the row is damaged.
    """
    with _sound("volume", row):
        store.volume_path(row)
        volume = Volume(
            **{column: row[column] for column in _SAME},
            host=host(row["pool"]),
            created_at=datetime.datetime.fromisoformat(row["created_at"]),
        )
        check_gigabytes("size", volume.size)
        if volume.status in WHOLE and store.misfit(row):
            return attrs.evolve(volume, status="error")
        return volume


def is_visible(row: Row, project_id: str | None) -> bool:
    """Return whether a project, or the operator, sees an image."""
    open_to_all = row["visibility"] in {"public", "community"}
    return open_to_all or project_id in {None, row["owner"]}


def as_image(row: Row, project_id: str | None) -> Image:
    """Make an image's record of its row, for a project or the operator."""
    visible = is_visible(row, project_id)
    with _sound("image", row):
        check_volume_id(row["id"])  # a UUID too
        return image_from_v2(
            dict(row),
            visible=visible,
            downloadable=visible,
            locations_from=LocationsFrom.LOCATIONS_API,
        )


def image_row(store: Store, row: Row, project_id: str | None) -> ImageRow:
    """Return an image as a project, or the operator, sees it."""
    return ImageRow(
        image=as_image(row, project_id),
        name=row["name"],
        locations=tuple(map(str, store.catalogue.locations(row["id"]))),
        bytes_on_disk=bytes_on_disk(store.image_path(row["id"])),
    )


def volume_row(store: Store, row: Row) -> VolumeRow:
    """Return a volume with its file."""
    volume = as_volume(store, row)
    path = store.volume_path(row)
    return VolumeRow(
        volume=volume,
        name=row["name"],
        bytes_on_disk=bytes_on_disk(path),
        path=path,
    )


def visible_images(store: Store, project_id: str | None) -> list[Row]:
    """Return the images that a project, or the operator, sees."""
    rows = store.catalogue.image_rows()
    return [row for row in rows if is_visible(row, project_id)]


def find(kind: str, id_or_name: str, rows: Iterable[Row]) -> Row:
    """Find the only row that fits an id, a prefix of it, or a name.

    Raises:
        NotFoundError: no row fits.
        ConflictError: several rows fit.
    """
    is_prefix = len(id_or_name) >= _SHORTEST_PREFIX
    found = [
        row
        for row in rows
        if id_or_name in {row["name"], row["id"]}
        or (is_prefix and str(row["id"]).startswith(id_or_name))
    ]
    match [row for row in found if row["id"] == id_or_name] or found:
        case [row]:
            return row
        case []:
            raise NotFoundError(
                f"there is no {kind} {id_or_name} here; list the {kind}s to "
                "see their names and ids"
            )
        case several:
            ids = ", ".join(map(printable_id, several))
            raise ConflictError(
                f"{id_or_name} fits {len(several)} {kind}s; use one of the "
                f"ids: {ids}"
            )
