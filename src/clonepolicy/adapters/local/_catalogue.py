"""The catalogue: an SQLite database, one transaction for each change."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import attrs

from clonepolicy import (
    AdapterError,
    CinderLocation,
    Config,
    ConflictError,
    Location,
    NotFoundError,
    Quota,
    UnavailableError,
    parse_location,
)
from clonepolicy.adapters._files import paths, sparse
from clonepolicy.adapters.local import _reserve
from clonepolicy.wire import loads

Row: TypeAlias = sqlite3.Row

_VERSION = 2
_ROOM = 16 << 20
"""Bytes that are enough for the shared memory, whatever others write."""
_PATIENCE = 20.0
"""In seconds: how long to wait for the others when a process is alone."""
_SCHEMA = """
CREATE TABLE config (one INTEGER PRIMARY KEY CHECK (one = 1), value TEXT);
CREATE TABLE pool (
    name TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    mark TEXT NOT NULL
);
CREATE TABLE quota (
    project_id TEXT PRIMARY KEY,
    volumes INTEGER,
    gigabytes INTEGER,
    per_volume_gigabytes INTEGER
) WITHOUT ROWID;
CREATE TABLE volume (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    status TEXT NOT NULL,
    previous_status TEXT,
    pool TEXT NOT NULL REFERENCES pool (name),
    readonly INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    token TEXT
) WITHOUT ROWID;
CREATE INDEX volume_of_project ON volume (project_id);
CREATE INDEX volume_in_progress ON volume (token) WHERE token IS NOT NULL;
CREATE TABLE metadata (
    volume_id TEXT NOT NULL REFERENCES volume (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (volume_id, key)
) WITHOUT ROWID;
CREATE TABLE image (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    status TEXT NOT NULL,
    disk_format TEXT NOT NULL,
    container_format TEXT NOT NULL,
    size INTEGER,
    virtual_size INTEGER,
    min_disk INTEGER NOT NULL,
    visibility TEXT NOT NULL,
    os_hash_algo TEXT,
    os_hash_value TEXT,
    updated_at TEXT NOT NULL,
    token TEXT
) WITHOUT ROWID;
CREATE INDEX image_in_progress ON image (token) WHERE token IS NOT NULL;
CREATE TABLE location (
    image_id TEXT NOT NULL REFERENCES image (id),
    volume_id TEXT NOT NULL REFERENCES volume (id),
    url TEXT NOT NULL,
    PRIMARY KEY (image_id, url)
);
CREATE INDEX location_of_volume ON location (volume_id);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    plan TEXT NOT NULL,
    ids TEXT NOT NULL,
    phase TEXT NOT NULL DEFAULT 'attempting',
    attempt INTEGER NOT NULL DEFAULT 0,
    step INTEGER NOT NULL DEFAULT 0
);
"""
_VOLUMES = """
SELECT *,
    (SELECT value FROM metadata
     WHERE volume_id = id AND key = 'image_owner') AS image_owner,
    (SELECT value FROM metadata
     WHERE volume_id = id AND key = 'glance_image_id') AS glance_image_id
FROM volume
"""
_QUOTA_LEFT = """
SELECT max(quota.volumes - count(volume.id), 0) AS volumes,
    max(gigabytes - coalesce(sum(size), 0), 0) AS gigabytes,
    per_volume_gigabytes
FROM quota LEFT JOIN volume USING (project_id) WHERE project_id = ?
"""
_DAMAGED = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
)
_FORBIDDEN = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
_UNWRITABLE = _FORBIDDEN | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}


def now() -> str:
    """Return the time, as the catalogue stores it."""
    return datetime.datetime.now(datetime.UTC).isoformat()


class Catalogue:
    """The database; transactions keep threads and processes apart.

    Usually all processes share memory that SQLite maps from a file.  On a
    full file system that would kill a process (SIGBUS), so with little
    space left a process connects alone and for each use anew.  On btrfs each
    change of a file needs space, at any instant: there SQLite keeps a
    rollback journal, which is slower, and maps nothing.  What cannot be
    written is read without locks, unless changes are pending.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing catalogue."""
        self._path = path
        self._turn = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        action = "opening the cloud"
        with translate_errors(action):
            self._maps = _may_map(path.parent)
        with contextlib.ExitStack() as failing:
            failing.callback(self.close)
            ((version,),) = self.rows(action, "PRAGMA user_version")
            if version == 0:
                raise damaged(action, "it is empty")
            if version != _VERSION:
                message = (
                    f"the cloud's catalogue has version {version}, and this "
                    f"release reads {_VERSION}; use the release that made it"
                )
                raise NotFoundError(message)
            failing.pop_all()

    def _connect(
        self, mode: str = "mode=rw", timeout: float = 60
    ) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self._path.as_uri()}?{mode}",
            uri=True,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        db.row_factory = sqlite3.Row
        # a damaged row must not hide the others
        db.text_factory = functools.partial(str, errors="surrogateescape")
        with contextlib.ExitStack() as failing:
            failing.callback(db.close)
            db.execute("PRAGMA foreign_keys = ON")
            if not self._maps:
                # to keep the journal costs a tenth of making it anew
                db.execute("PRAGMA journal_mode = PERSIST")
            failing.pop_all()
        return db

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            if self._closed:
                message = "the cloud is closed"
                raise sqlite3.ProgrammingError(message)
            if self._db is not None and self._db.in_transaction:
                yield self._db
            elif not self._maps or paths.free(self._path.parent) >= _ROOM:
                if self._db is None:
                    self._db = self._connect()
                yield self._db
            else:
                if self._db is not None:
                    # to disconnect uses the shared memory once more
                    _reserve.release(self._path.parent)
                    self._disconnect()
                    _reserve.restore(self._path.parent)
                self._db = self._connect(timeout=_PATIENCE)
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                try:
                    yield self._db
                finally:
                    self._disconnect()

    @contextlib.contextmanager
    def _read_only(self) -> Iterator[sqlite3.Connection]:
        """Read what nobody can change, while no change is pending in a log."""
        if paths.size_of(Path(f"{self._path}-wal")):
            message = (
                "there are changes in catalogue.sqlite-wal, which can be read "
                "only where the cloud can be written; open a copy of the cloud"
            )
            raise UnavailableError(message)
        with contextlib.closing(self._connect("mode=ro&immutable=1")) as db:
            yield db

    @staticmethod
    def make(
        path: Path, pools: Iterable[tuple[str, str, str]], config: Config
    ) -> None:
        """Make a catalogue; ``pools`` are names, paths and marks."""
        with contextlib.closing(
            sqlite3.connect(path, isolation_level=None)
        ) as db:
            # the draft may be complete already, and only not renamed
            (version,) = db.execute("PRAGMA user_version").fetchone()
            schema = "" if version else _SCHEMA
            db.executescript(f"BEGIN IMMEDIATE; {schema}")
            db.execute("DELETE FROM pool")
            db.execute("DELETE FROM config")
            db.executemany("INSERT INTO pool VALUES (?, ?, ?)", pools)
            db.execute("INSERT INTO config VALUES (1, ?)", (_dump(config),))
            db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute("COMMIT")
            if _may_map(path.parent):
                db.execute("PRAGMA journal_mode = WAL")

    @staticmethod
    def marks(path: Path) -> dict[str, str]:
        """Read the pools' marks by path; of half a catalogue, none."""
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(path)) as db,
        ):
            return dict(db.execute("SELECT path, mark FROM pool"))
        return {}

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextlib.contextmanager
    def transaction(
        self, action: str, *, durable: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """Make all changes of a block, or none.

        With ``durable``, wait for the disk.  A change that precedes the
        removal of a file must survive a power loss.  A block within a block
        is part of that one.
        """
        mode = "FULL" if durable else "NORMAL"
        with translate_errors(action), self._connection() as db:
            if db.in_transaction:
                yield db
                return
            db.execute(f"PRAGMA synchronous = {mode}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def execute(self, action: str, statement: str, *values: object) -> int:
        """Run one statement; return the number of changed rows."""
        with self.transaction(action) as db:
            return db.execute(statement, values).rowcount

    def quota(self, project_id: str) -> Quota:
        """Return the rest of a project's quota."""
        action = f"reading the quota of {project_id}"
        (left,) = self.rows(action, _QUOTA_LEFT, project_id)
        try:
            return Quota(**left)
        except (ValueError, TypeError) as error:
            message = f"{action}: it is damaged: {error}"
            raise UnavailableError(message) from error

    def rows(self, action: str, query: str, *values: object) -> list[Row]:
        """Read rows."""
        with translate_errors(action):
            try:
                with self._connection() as db:
                    return db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                if _code(error) not in _UNWRITABLE or not self._maps:
                    raise
            with self._read_only() as db:
                return db.execute(query, values).fetchall()

    def _row(self, kind: str, query: str, row_id: str) -> Row:
        action = f"reading {kind} {row_id}"
        for row in self.rows(action, f"{query} WHERE id = ?", row_id):
            return row
        raise missing(kind, row_id)

    def volume_row(self, volume_id: str) -> Row:
        """Read a volume's row; raise `NotFoundError` if there is none."""
        return self._row("volume", _VOLUMES, volume_id)

    def volume_rows(self, project_id: str | None) -> list[Row]:
        """Read the volumes of one project, or of all; oldest first."""
        query = f"{_VOLUMES} WHERE project_id = coalesce(?, project_id)"
        return self.rows(
            "listing volumes", f"{query} ORDER BY created_at, id", project_id
        )

    def image_row(self, image_id: str) -> Row:
        """Read an image's row; raise `NotFoundError` if there is none."""
        return self._row("image", "SELECT * FROM image", image_id)

    def image_rows(self) -> list[Row]:
        """Read all images; oldest first."""
        query = "SELECT * FROM image ORDER BY updated_at, id"
        return self.rows("listing images", query)

    def locations(self, image_id: str) -> tuple[Location, ...]:
        """Read an image's locations in the order of registering."""
        query = "SELECT url FROM location WHERE image_id = ? ORDER BY rowid"
        found = self.rows(f"reading image {image_id}", query, image_id)
        return tuple(parse_location(row["url"]) for row in found)

    def backing(self, image_id: str) -> list[Row]:
        """Read the volumes that hold an image's data."""
        return [
            self.volume_row(location.volume_id)
            for location in self.locations(image_id)
            if isinstance(location, CinderLocation)
        ]

    def config(self) -> Config:
        """Read the configuration."""
        rows = self.rows("reading config", "SELECT value FROM config")
        try:
            return _load(rows[0]["value"])
        except (ValueError, TypeError, LookupError) as error:
            message = (
                f"the cloud's options cannot be read: {error}; see "
                "clonepolicy check"
            )
            raise UnavailableError(message) from error

    def set_config(self, config: Config) -> None:
        """Write the configuration."""
        statement = "INSERT OR REPLACE INTO config VALUES (1, ?)"
        self.execute("writing config", statement, _dump(config))


def _may_map(directory: Path) -> bool:
    """Return whether the space of a mapped file can be had beforehand."""
    return not sparse.file_system_id(directory).startswith("btrfs-")


def missing(kind: str, row_id: str) -> NotFoundError:
    """Return the error of an unknown volume or image."""
    return NotFoundError(f"there is no {kind} {row_id}")


def _dump(config: Config) -> str:
    return json.dumps(attrs.asdict(config), default=sorted)


@functools.lru_cache(maxsize=8)
def _load(text: str) -> Config:
    return loads(Config, text)


@contextlib.contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise an error of SQLite or a file as an `AdapterError`.

    The message begins with ``action``.
    """
    with paths.translate_errors(action):
        try:
            yield
        except sqlite3.Error as error:
            raise _translate(action, error) from error


def damaged(action: str, why: str) -> UnavailableError:
    """Return the error of a damaged catalogue."""
    return UnavailableError(
        f"{action}: catalogue.sqlite, the cloud's catalogue, is damaged: "
        f"{why}; restore it from a backup, or init another cloud elsewhere"
    )


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY)
    return code & 0xFF  # the higher bits hold the extended code


def _translate(action: str, error: sqlite3.Error) -> AdapterError:
    if isinstance(error, sqlite3.IntegrityError):
        return ConflictError(f"{action}: the catalogue forbids it: {error}")
    code = _code(error)
    if code in _DAMAGED:
        return damaged(action, str(error))
    if code in _FORBIDDEN:
        message = (
            f"{action}: the cloud's catalogue cannot be used: {error}; check "
            "who may read and write catalogue.sqlite and its directory, and "
            "whether any space is left"
        )
    elif code == sqlite3.SQLITE_FULL:
        message = (
            f"{action}: no space left for the catalogue; delete something"
        )
    else:
        message = (
            f"{action}: the catalogue cannot be used now: {error}; try again; "
            "with little space left, one process at a time can use it"
        )
    return UnavailableError(message)
