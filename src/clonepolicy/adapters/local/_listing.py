"""List images and volumes, and find them by id, prefix or name."""

from __future__ import annotations

from collections.abc import Iterable

from clonepolicy import ConflictError, NotFoundError
from clonepolicy.adapters._files.paths import bytes_on_disk
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._records import (
    as_image,
    as_volume,
    is_visible,
)
from clonepolicy.adapters.local._results import ImageRow, VolumeRow
from clonepolicy.adapters.local._store import Store

_SHORTEST_PREFIX = 8


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
    path = store.volume_path(row)
    return VolumeRow(
        volume=as_volume(row),
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
    long_enough = len(id_or_name) >= _SHORTEST_PREFIX
    found = [
        row
        for row in rows
        if row["name"] == id_or_name
        or row["id"] == id_or_name
        or (long_enough and row["id"].startswith(id_or_name))
    ]
    exact = [row for row in found if row["id"] == id_or_name]
    match exact or found:
        case [row]:
            return row
        case []:
            message = (
                f"there is no {kind} {id_or_name} here; list the {kind}s to "
                "see their names and ids"
            )
            raise NotFoundError(message)
        case several:
            ids = ", ".join(row["id"] for row in several)
            message = (
                f"{id_or_name} fits {len(several)} {kind}s; use one of the "
                f"ids: {ids}"
            )
            raise ConflictError(message)
