"""Check the arguments of users' calls."""

from __future__ import annotations

import uuid

from clonepolicy import FactError, Image

_LARGEST = 2**33 - 1
"""In GiB: a file has less than 2**63 bytes."""
_LONGEST = 255
_COUNT = 2**63 - 1
"""The largest integer that SQLite stores."""
_VISIBILITIES = ("private", "shared", "community", "public")


def check_text(field: str, value: str) -> None:
    """Accept one line of text that terminals, files and SQLite can hold.

    Raises:
        FactError: it is empty, too long, or has unprintable characters.
    """
    if not 0 < len(value) <= _LONGEST or not value.isprintable():
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


def check_count(field: str, value: int | None) -> None:
    """Accept a limit that SQLite can store, or None."""
    if value is not None and value > _COUNT:
        raise FactError(field, value, f"at most {_COUNT}, or None")


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
