"""Damage a cloud at random, and take its inventory."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

Damage: TypeAlias = Callable[["Damager"], None]

_VALUES = (
    *(None, "", "yesterday", -1, 2**62, "\x1b[31m", b"\xff\x00", "error"),
    *(
        "available",
        "creating",
        "deleting",
        "queued",
        "{bad",
        "no-such",
        "..",
        0.5,
    ),
    *(
        "../../etc/passwd",
        "2026-13-45",
        "x" * 5000,
        "'; DROP TABLE volume; --",
    ),
)
_TABLES = ("volume", "image", "location", "journal", "config", "quota")
_CATALOGUE = "catalogue.sqlite"


def inventory(*places: Path) -> dict[str, str]:
    """Return what is at each path: a file's hash, or the kind of a thing."""
    return {
        str(path): _what(path)
        for place in places
        for path in _walk(place)
        if not path.name.startswith(_CATALOGUE)
    }


def _walk(place: Path) -> Iterator[Path]:
    for path in sorted(place.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _what(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return f"kind {path.lstat().st_mode:o}"


def records(root: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of the catalogue, whatever they hold."""
    db = sqlite3.connect(root / _CATALOGUE)
    db.text_factory = bytes
    try:
        return {
            name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr)  # noqa: S608 - our own names
            for name in (*_TABLES, "pool", "metadata")
        }
    finally:
        db.close()


class Damager:
    """Does one kind of damage after another."""

    def __init__(self, root: Path, pools: list[Path], seed: int) -> None:
        """Take the cloud's directories."""
        self.root, self.pools = root, pools
        self.chance = random.Random(seed)  # noqa: S311 - any will do
        self.done: list[str] = []

    def damage(self) -> None:
        """Do one kind of damage, and note which."""
        name, what = self.chance.choice(sorted(DAMAGES.items()))
        self.done.append(name)
        what(self)

    def file(self) -> Path:
        """Choose a file that stores data, or a place for one."""
        found = [
            path
            for place in (*self.pools, self.root / "images")
            if place.is_dir()
            for path in sorted(place.iterdir())
            if path.name != ".pool"
            if path.is_file() or path.is_symlink()
        ]
        return self.chance.choice(found or [self.stray()])

    def stray(self) -> Path:
        """Choose a path without a record."""
        places = [*self.pools, self.root / "images", self.root / "run"]
        place = self.chance.choice([p for p in places if p.is_dir()])
        made = str(uuid.UUID(int=self.chance.getrandbits(128)))
        names = (made, f"volume-{made}", f".spool-{made}", "notes.txt", "x y")
        return place / self.chance.choice(names)

    def edit(self, statement: str, *values: object) -> None:
        """Change the catalogue as no program of ours does."""
        db = sqlite3.connect(self.root / _CATALOGUE, isolation_level=None)
        try:
            db.execute("PRAGMA ignore_check_constraints = ON")
            db.execute(statement, values)
        except sqlite3.Error:
            self.done[-1] += " (forbidden)"
        finally:
            db.close()


def _resize(by: int) -> Damage:
    def resize(damager: Damager) -> None:
        path = damager.file()
        if path.is_file() and not path.is_symlink():
            os.truncate(path, max(path.stat().st_size + by, 0))

    return resize


def _overwrite(damager: Damager) -> None:
    path = damager.file()
    if path.is_file() and not path.is_symlink():
        path.write_bytes(damager.chance.randbytes(1000))


def _instead(make: Callable[[Path], object]) -> Damage:
    def replace(damager: Damager) -> None:
        path = damager.file()
        away = path.with_name(f"kept-{damager.chance.getrandbits(32)}")
        path.rename(away)
        make(path)

    return replace


def _stray(make: Callable[[Path], object]) -> Damage:
    def put(damager: Damager) -> None:
        path = damager.stray()
        if not os.path.lexists(path):
            make(path)

    return put


def _row(damager: Damager) -> None:
    db = sqlite3.connect(damager.root / _CATALOGUE)
    table = damager.chance.choice(_TABLES)
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    db.close()
    name = damager.chance.choice(names)
    # a token that a process could have made proves that it was working
    damager.edit(
        f"UPDATE {table} SET {name} = ?",  # noqa: S608 - our own names
        damager.chance.choice(_VALUES),
    )


def _orphan_rows(damager: Damager) -> None:
    gone = str(uuid.UUID(int=damager.chance.getrandbits(128)))
    table = damager.chance.choice(("volume", "image", "metadata"))
    key = "volume_id" if table == "metadata" else "id"
    damager.edit(f"DELETE FROM {table}")  # noqa: S608 - our own names
    damager.edit(f"UPDATE location SET {key} = ?", gone)  # noqa: S608 - the same


def _journal(damager: Damager) -> None:
    damager.edit(
        "INSERT INTO journal (token, plan, ids, phase, attempt, step) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        damager.chance.choice(("x", "", str(uuid.UUID(int=7)))),
        damager.chance.choice(("{bad", "{}", "[]", "null", "7")),
        damager.chance.choice(("{bad", "{}", "[]", '{"a": 7}')),
        damager.chance.choice(("attempting", "undoing", "dancing")),
        damager.chance.choice((0, -1, 10**9, "x")),
        damager.chance.choice((0, -1, 10**9, b"x")),
    )


def _unknown_pool(damager: Damager) -> None:
    damager.edit("UPDATE volume SET pool = 'nowhere'")


def _directory_away(damager: Damager) -> None:
    places = [*damager.pools, damager.root / "images", damager.root / "run"]
    place = damager.chance.choice(places)
    if place.is_dir():
        place.rename(place.with_name(f"{place.name}-away"))


DAMAGES: dict[str, Damage] = {
    "one byte more": _resize(1),
    "one byte less": _resize(-1),
    "cut to nothing": _resize(-(2**62)),
    "grown": _resize(10_000_000),
    "overwritten": _overwrite,
    "missing": _instead(lambda _: None),
    "a link instead": _instead(lambda path: path.symlink_to("/etc/hostname")),
    "a pipe instead": _instead(os.mkfifo),
    "a directory instead": _instead(Path.mkdir),
    "other data instead": _instead(lambda path: path.write_bytes(b"other")),
    "a stray file": _stray(lambda path: path.write_bytes(b"my notes")),
    "a stray directory": _stray(Path.mkdir),
    "a stray pipe": _stray(os.mkfifo),
    "a stray link": _stray(lambda path: path.symlink_to("/etc/hostname")),
    "an impossible value": _row,
    "orphan rows": _orphan_rows,
    "garbage in the journal": _journal,
    "an unknown pool": _unknown_pool,
    "a directory moved away": _directory_away,
}
