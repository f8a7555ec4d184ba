"""The directories of a cloud: taken when empty, known when marked."""

from __future__ import annotations

from pathlib import Path

from clonepolicy import ConflictError, UnavailableError

MARK = ".pool"
"""The file that says that a directory is the pool, and not where it goes."""


def make_empty(directory: Path) -> None:
    """Make a directory, or take one in which nothing is."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in directory.iterdir()}
    except FileExistsError as error:
        message = f"{directory} is not a directory; use a new or empty one"
        raise ConflictError(message) from error
    except OSError as error:
        message = (
            f"the directory {directory} cannot be made: {error.strerror}; "
            "use another place"
        )
        raise UnavailableError(message) from error
    # which a new file system has at its root
    if names - {"lost+found"}:
        message = f"{directory} is not empty; use a new or empty directory"
        raise ConflictError(message)


def check_mark(name: str, path: Path, mark: str) -> None:
    """Do not take a file system that is not mounted for an empty one."""
    try:
        found = (path / MARK).read_text()
    except OSError:
        found = ""
    if found != mark:
        message = (
            f"pool {name} is not at {path}; mount its file system and try "
            "again"
        )
        raise UnavailableError(message)
