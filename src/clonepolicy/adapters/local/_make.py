"""Make a cloud; if a kill interrupts this, it can be repeated.

The draft of the catalogue comes first and is renamed last.  So a directory
with a draft is a half-made cloud, and this module made all that is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import uuid
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from clonepolicy import (
    Config,
    ConflictError,
    FactError,
    NotFoundError,
    UnavailableError,
)
from clonepolicy.adapters._files import paths
from clonepolicy.adapters.local import _reserve
from clonepolicy.adapters.local._catalogue import Catalogue, translate_errors

CATALOGUE = "catalogue.sqlite"
MARK = ".pool"
"""A file in each pool; it is missing if the file system is not mounted."""
EXPECTED = frozenset({MARK, "lost+found"})
"""Names that a pool may have beside volumes; a new file system has one."""
_DRAFT = "catalogue.draft"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_INSIDE = ("images", "run", "pools")


def make_cloud(
    root: Path, pools: Mapping[str, Path | None], config: Config
) -> None:
    """Make the directories and the catalogue; raise as `LocalCloud.init`."""
    if not pools or not all(map(_NAME.fullmatch, pools)):
        raise FactError("pools", pools, "names of letters, digits, _.-")
    places = {
        name: Path("pools") / name if path is None else path.absolute()
        for name, path in pools.items()
    }
    try:  # the catalogue stores paths as text
        "".join(map(str, places.values())).encode()
    except UnicodeEncodeError:
        raise FactError("pools", pools, "paths that are text") from None
    inside = {
        path.relative_to(root).parts[0]
        for path in (root / place for place in places.values())
        if path != root and path.is_relative_to(root)
    }
    with translate_errors(f"making a cloud in {root}"), _alone(root):
        if (root / CATALOGUE).exists():
            raise ConflictError(f"{root} is a cloud already; open it")
        draft = root / _DRAFT
        begun = draft.exists()
        drafts = {f"{_DRAFT}{end}" for end in ("", "-journal", "-wal", "-shm")}
        mine = {*drafts, _reserve.NAME, *_INSIDE, *inside}
        _make_empty(root, mine if begun else ())
        marks = Catalogue.marks(draft) if begun else {}
        rows = [
            (name, str(place), marks.get(str(place), str(uuid.uuid4())))
            for name, place in places.items()
        ]
        # pools outside first: if one fails, the root stays empty
        for _, place, mark in rows:
            if not (root / place).is_relative_to(root):
                _make_empty(root / place, _marked(root / place, mark))
        Catalogue.make(draft, rows, config)
        for name in _INSIDE:
            _make_empty(root / name, places if name == "pools" else ())
        for _, place, mark in rows:
            _make_empty(root / place, _marked(root / place, mark))
            (root / place / MARK).write_text(mark)
        _reserve.keep(root)
        draft.rename(root / CATALOGUE)
        paths.sync(root)


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Make the root, and keep other processes from making a cloud there."""
    _names(root)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    with paths.closing(os.open(root, flags)) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield


def _marked(pool: Path, mark: str) -> Container[str]:
    """Return the name of a mark that this module wrote, or began to write."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if mark.startswith((pool / MARK).read_text()):
            return (MARK,)
    return ()


def _names(directory: Path) -> set[str]:
    """Make a directory if it is missing; return the names in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return {path.name for path in directory.iterdir()}
    except FileExistsError as error:
        message = f"{directory} is not a directory; use a new or empty one"
        raise ConflictError(message) from error
    except OSError as error:
        raise UnavailableError(
            f"the directory {directory} cannot be made: {error.strerror}; "
            "use another path"
        ) from error


def _make_empty(directory: Path, allowed: Container[str] = ()) -> None:
    """Make a directory, or accept one that has only the allowed names."""
    names = {n for n in _names(directory) if n not in allowed}
    # a new file system has lost+found at its root
    if names - {"lost+found"}:
        message = f"{directory} is not empty; use a new or empty directory"
        raise ConflictError(message)


def check_cloud(root: Path) -> None:
    """Raise `NotFoundError` if a directory is no cloud."""
    if not (root / CATALOGUE).is_file():
        raise NotFoundError(
            f"{root} is not a cloud; make one with LocalCloud.init, or "
            f"clonepolicy init {root}"
        )


def why_absent(name: str, path: Path, mark: str) -> str | None:
    """Say that a pool's file system is not mounted; None: it is."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (path / MARK).read_text() == mark:
            return None
    return f"pool {name} is not at {path}; mount its file system and try again"
