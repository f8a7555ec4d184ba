"""Records of volumes and images, made from the catalogue's rows."""

from __future__ import annotations

import datetime
import sqlite3

from clonepolicy import Host, Image, LocationsFrom, Volume


def host(pool: str) -> Host:
    """Return a pool as a host in Cinder's terms."""
    return Host("local", "files", pool)


def as_volume(row: sqlite3.Row) -> Volume:
    """Make a volume's record of its row."""
    return Volume(
        id=row["id"],
        project_id=row["project_id"],
        size=row["size"],
        status=row["status"],
        previous_status=row["previous_status"],
        host=host(row["pool"]),
        created_at=datetime.datetime.fromisoformat(row["created_at"]),
        image_owner=row["image_owner"],
        glance_image_id=row["glance_image_id"],
    )


def is_visible(row: sqlite3.Row, project_id: str | None) -> bool:
    """Return whether a project, or the operator, sees an image."""
    open_to_all = row["visibility"] in {"public", "community"}
    return open_to_all or project_id in {None, row["owner"]}


def as_image(row: sqlite3.Row, project_id: str | None) -> Image:
    """Make an image's record of its row, for a project or the operator."""
    visible = is_visible(row, project_id)
    return Image(
        id=row["id"],
        status=row["status"],
        owner=row["owner"],
        disk_format=row["disk_format"],
        container_format=row["container_format"],
        size=row["size"],
        virtual_size=row["virtual_size"],
        min_disk=row["min_disk"],
        visibility=row["visibility"],
        visible=visible,
        downloadable=visible,
        os_hash_algo=row["os_hash_algo"],
        os_hash_value=row["os_hash_value"],
        updated_at=datetime.datetime.fromisoformat(row["updated_at"]),
        locations_from=LocationsFrom.LOCATIONS_API,
    )
