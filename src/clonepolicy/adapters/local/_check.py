"""Name all that does not fit together in a cloud, and its remedy."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import attrs

from clonepolicy import AdapterError, CinderLocation, Quota
from clonepolicy.adapters._files import paths
from clonepolicy.adapters._files.process_lock import is_token
from clonepolicy.adapters.local._catalogue import Row
from clonepolicy.adapters.local._journal import read_entry
from clonepolicy.adapters.local._make import EXPECTED
from clonepolicy.adapters.local._records import (
    as_image,
    as_volume,
    printable_id,
)
from clonepolicy.adapters.local._store import WHOLE, Store

_ACTION = "checking the cloud"
_WORKED_ON = frozenset({"creating", "deleting", "uploading"})
_STORED = frozenset({"queued", "saving", "pending_delete"})
_FOREIGN = "does not belong to this cloud", "move it away"
_RESTORE = "restore catalogue.sqlite from a backup"


@attrs.frozen
class Problem:
    """Something that does not fit in a cloud."""

    where: str
    """A path, or a record: ``volume/ID``, ``image/ID``, ``journal/ID``,
    ``quota/PROJECT`` or ``config``."""
    message: str
    remedy: str
    """What the user can do to take it back, or to remove it."""
    discardable: bool = False
    """Whether `LocalCloud.discard` removes it."""

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.where}: {self.message}; {self.remedy}"


def problems(
    store: Store, unrepaired: AdapterError | None = None
) -> tuple[Problem, ...]:
    """Name all that does not fit together."""
    found = list(_look(store))
    if found:
        # what another process is changing fits, or is gone, at a second look
        again = set(_look(store))
        found = [problem for problem in found if problem in again]
    if unrepaired is not None:
        remedy = "remove the cause, and the next command repairs the cloud"
        message = f"not repaired after a crash: {unrepaired}"
        found.append(Problem(str(store.root), message, remedy))
    return tuple(found)


def _look(store: Store) -> Iterator[Problem]:
    # files are listed before records are read: every file that is listed
    # had its record by then
    files = [
        path
        for pool, directory in store.pools.items()
        if pool not in store.absent
        for path in _listed(directory) or ()
    ]
    images, locks = (_listed(store.root / n) for n in ("images", "run"))
    volumes = store.catalogue.volume_rows(None)
    rows = store.catalogue.image_rows()
    volume_ids = {row["id"] for row in volumes}
    image_ids = {row["id"] for row in rows}
    for pool, why in store.absent.items():
        message, _, remedy = why.partition("; ")
        yield Problem(str(store.pools[pool]), message, remedy)
    for name, found in (("images", images), ("run", locks)):
        if found is None:
            path = store.root / name
            remedy = f"put it back, or make a new one: mkdir {_quoted(path)}"
            yield Problem(str(path), "the directory is missing", remedy)
    yield from _look_at_settings(store)
    for row in volumes:
        yield from _look_at_volume(store, row)
    for row in rows:
        yield from _look_at_image(store, row, volume_ids)
    yield from _look_at_strays(store, files, volumes, volume_ids)
    for path in images or ():
        if path.name not in image_ids:
            take = f"clonepolicy image add {_quoted(path)} --name NAME, and"
            yield _stray(path, "image", path.name, take)
    for path in locks or ():
        # a process may be removing its own
        with contextlib.suppress(FileNotFoundError):
            empty = paths.is_empty_file(path.lstat())
            if not empty or not is_token(path.name):
                yield Problem(str(path), *_FOREIGN)


def _listed(directory: Path) -> list[Path] | None:
    """List a directory; None: it is missing."""
    with contextlib.suppress(OSError):
        return [p for p in directory.iterdir() if p.name not in EXPECTED]
    return None


def _look_at_settings(store: Store) -> Iterator[Problem]:
    try:
        store.catalogue.config()
    except AdapterError as error:
        remedy = "clonepolicy discard config sets the defaults"
        yield Problem("config", str(error), remedy, discardable=True)
    for row in store.catalogue.rows(_ACTION, "SELECT * FROM quota"):
        limits = dict(row)
        del limits["project_id"]
        try:
            Quota(**limits)
        except (ValueError, TypeError) as error:
            where = f"quota/{row['project_id']}"
            yield _damaged(where, f"the quota is damaged: {error}")
    for row in store.catalogue.rows(_ACTION, "SELECT * FROM journal"):
        if read_entry(row) is None:
            message = "the plan of an operation is damaged"
            yield _damaged(f"journal/{row['id']}", message)


def _damaged(where: str, message: str) -> Problem:
    remedy = (
        f"{_RESTORE}, or remove the record: clonepolicy discard "
        f"{_quoted(where)}"
    )
    return Problem(where, message, remedy, discardable=True)


def _quoted(word: object) -> str:
    return shlex.quote(_shown(str(word)))


def _shown(text: str) -> str:
    """Return text on one line, whatever a damaged record holds."""
    return text if text.isprintable() else ascii(text)


def _look_at_volume(store: Store, row: Row) -> Iterator[Problem]:
    try:
        as_volume(store, row)
    except AdapterError as error:
        message = str(error.__cause__)
        yield _damaged(f"volume/{printable_id(row)}", message)
        return
    if row["pool"] in store.absent:
        return
    path, status, why = store.volume_path(row), row["status"], None
    volume = f"volume {_shown(row['name'])}"
    misfit = store.misfit(row)
    if status in WHOLE and misfit:
        why = f"the file of {volume} {misfit}"
    elif status == "error" and misfit != "is missing":
        why = f"{volume} has the status error, but has a file"
    elif status in _WORKED_ON and not is_token(row["token"]):
        why = f"{volume} has the status {status}, but no process works on it"
    elif status not in WHOLE | _WORKED_ON | {"error"}:
        why = f"{volume} has the unknown status {_shown(status)}"
    if why:
        words = f"{row['id']} --project {_quoted(row['project_id'])}"
        remedy = (
            f"put the right file there, or take it as it is: clonepolicy "
            f"volume adopt {words}, or remove it: clonepolicy volume delete "
            f"{words}"
        )
        yield Problem(str(path), why, remedy)


def _look_at_strays(
    store: Store,
    files: Iterable[Path],
    volumes: list[Row],
    volume_ids: Container[object],
) -> Iterator[Problem]:
    places = {
        store.pools[row["pool"]] / f"volume-{row['id']}"
        for row in volumes
        if row["pool"] in store.pools
    }
    for path in files:
        if path not in places:
            volume_id, take = path.name.removeprefix("volume-"), None
            if volume_id not in volume_ids:
                words = f"{volume_id} --name NAME --project PROJECT"
                take = f"clonepolicy volume adopt {words}, or"
            prefixed = volume_id != path.name
            yield _stray(path, "volume", prefixed and volume_id, take)


def _stray(path: Path, noun: str, named: object, take: str | None) -> Problem:
    """Name a file without a record, of this cloud if its name has an id."""
    if not is_token(named) or paths.misfit(path):
        return Problem(str(path), *_FOREIGN)
    remedy = f"remove it: clonepolicy discard {_quoted(path)}"
    if take is not None:
        remedy = f"take it back: {take} {remedy}"
    message = f"no {noun} has this file"
    return Problem(str(path), message, remedy, discardable=True)


def _look_at_image(
    store: Store, row: Row, volume_ids: Container[object]
) -> Iterator[Problem]:
    where = f"image/{printable_id(row)}"
    try:
        as_image(row, None)
        places = store.catalogue.locations(row["id"])
    except AdapterError as error:
        yield _damaged(where, str(error.__cause__ or error))
        return
    words = f"{row['id']} --project {_quoted(row['owner'])}"
    remove = f"remove it: clonepolicy image delete {words}"
    if row["status"] in _STORED:
        if not is_token(row["token"]):
            why = f"has the status {row['status']}, but no process works on it"
            yield Problem(where, why, remove)
        return
    for place in places:
        if (
            not isinstance(place, CinderLocation)
            or place.volume_id not in volume_ids
        ):
            message = f"its data should be at {place}, which is missing"
            yield Problem(where, message, f"{_RESTORE}, or {remove}")
    path = store.image_path(row["id"])
    misfit = None if places else paths.misfit(path, row["size"])
    if misfit:
        remedy = (
            "put the right file there, or store it as another image: "
            f"clonepolicy image add {_quoted(path)} --name NAME, or {remove}"
        )
        message = f"the file of image {_shown(row['name'])} {misfit}"
        yield Problem(str(path), message, remedy)
