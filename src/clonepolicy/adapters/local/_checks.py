"""What users may call and how large they may make things."""

from __future__ import annotations

from clonepolicy import FactError

LARGEST = 2**33 - 1
"""GiB: a file has less than 2**63 bytes."""
_LONGEST = 255
_COUNT = 2**63 - 1
"""The largest whole number that SQLite keeps."""


def check_text(field: str, value: str) -> None:
    """Take one line of text that any terminal, file and database takes.

    Raises:
        FactError: it is empty, too long, or holds what cannot be printed.
    """
    if not 0 < len(value) <= _LONGEST or not value.isprintable():
        expected = f"1 to {_LONGEST} printable characters"
        raise FactError(field, value, expected)


def check_project(project_id: str | None) -> None:
    """Take a project's id, or None for the operator."""
    if project_id is not None:
        check_text("project_id", project_id)


def check_gigabytes(field: str, value: int) -> None:
    """Take a size that a file can have.

    Raises:
        FactError: it is not a whole number, or beyond that.
    """
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise FactError(field, value, f"a whole number of GiB <= {LARGEST}")


def check_count(field: str, value: int | None) -> None:
    """Take a limit that the catalogue can keep, or None."""
    if value is not None and value > _COUNT:
        raise FactError(field, value, f"at most {_COUNT}, or None")
