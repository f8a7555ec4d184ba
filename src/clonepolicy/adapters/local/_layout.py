"""Make the directories of a cloud, and check them when it is opened."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from clonepolicy import (
    Config,
    ConflictError,
    FactError,
    NotFoundError,
    UnavailableError,
)
from clonepolicy.adapters.local._catalogue import Catalogue, translate_errors

CATALOGUE = "catalogue.sqlite"
_MARK = ".pool"
"""A file in each pool; it is missing if the file system is not mounted."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def make_cloud(
    root: Path, pools: Mapping[str, Path | None], config: Config
) -> None:
    """Make the directories and the catalogue; raise as `LocalCloud.init`."""
    if (root / CATALOGUE).exists():
        message = f"{root} is a cloud already; open it"
        raise ConflictError(message)
    if not pools or not all(map(_NAME.fullmatch, pools)):
        raise FactError("pools", pools, "names of letters, digits, _.-")
    paths = {
        name: Path("pools") / name if path is None else path.absolute()
        for name, path in pools.items()
    }
    try:  # the catalogue stores paths as text
        "".join(map(str, paths.values())).encode()
    except UnicodeEncodeError:
        raise FactError("pools", pools, "paths that are text") from None
    with translate_errors(f"making a cloud in {root}"):
        _make_empty(root)
        # pools outside first: if one fails, the root stays empty
        outside = [path for path in paths.values() if path.is_absolute()]
        inside = [Path("images"), Path("run"), *paths.values()]
        for path in dict.fromkeys((*outside, *inside)):
            _make_empty(root / path)
        rows = [(name, str(p), str(uuid.uuid4())) for name, p in paths.items()]
        for _, place, mark in rows:
            (root / place / _MARK).write_text(mark)
        draft = root / "catalogue.draft"
        Catalogue.make(draft, rows, config)
        draft.rename(root / CATALOGUE)


def _make_empty(directory: Path) -> None:
    """Make a directory, or accept an empty one."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in directory.iterdir()}
    except FileExistsError as error:
        message = f"{directory} is not a directory; use a new or empty one"
        raise ConflictError(message) from error
    except OSError as error:
        message = (
            f"the directory {directory} cannot be made: {error.strerror}; "
            "use another path"
        )
        raise UnavailableError(message) from error
    # a new file system has lost+found at its root
    if names - {"lost+found"}:
        message = f"{directory} is not empty; use a new or empty directory"
        raise ConflictError(message)


def check_cloud(root: Path) -> None:
    """Check that a directory is a cloud, and that it can be repaired.

    Raises:
        NotFoundError: the directory is no cloud.
        UnavailableError: it cannot be written.
    """
    if not (root / CATALOGUE).is_file():
        message = (
            f"{root} is not a cloud; make one with LocalCloud.init, or "
            f"clonepolicy init {root}"
        )
        raise NotFoundError(message)
    for path in (root, root / "run"):
        if path.is_dir() and not os.access(
            path, os.W_OK | os.X_OK, effective_ids=True
        ):
            message = (
                f"{path} cannot be written, and opening a cloud needs that "
                "even for reading; make it writable for this user, or open a "
                "copy of the cloud"
            )
            raise UnavailableError(message)


def check_mounted(name: str, path: Path, mark: str) -> None:
    """Raise `UnavailableError` if a pool's file system is not mounted."""
    try:
        found = (path / _MARK).read_text()
    except OSError:
        found = ""
    if found != mark:
        message = (
            f"pool {name} is not at {path}; mount its file system and try "
            "again"
        )
        raise UnavailableError(message)
