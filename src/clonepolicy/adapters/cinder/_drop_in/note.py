"""A note: the row of Cinder's database that says what a process works on.

It is in the admin metadata of the volume that is created or uploaded.  Its
key contains the image's id.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, Self

import attrs
import sqlalchemy
from cinder import context as cinder_context
from oslo_db import api as oslo_db_api
from oslo_utils import timeutils

from clonepolicy import UnsupportedError
from clonepolicy.adapters._files.process_lock import is_token
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.plan import AddLocation, CloneVolume, UploadImage
from clonepolicy.ports import Phase, check_volume_id

COPYING = UploadImage.__name__
CLONING = CloneVolume.__name__
REGISTERING = AddLocation.__name__
_KEY = "clonepolicy:"


@attrs.frozen(kw_only=True)
class Note:
    """What the value of a row says, in at most 255 characters."""

    host: str
    """The `digest` of the service's host."""
    token: str
    """The lock file of the process."""
    phase: Phase = Phase.ATTEMPTING
    step: str
    """How far it got, as the name of a step.

    COPYING: only the upload itself can be left half made.  CLONING: data may
    have been cloned.  REGISTERING: Glance may know the clone.
    """
    image_volume: str | None = None
    """The volume that an upload creates; None: it creates none."""
    source: str | None = None
    """The volume that a create clones; None: it clones none."""

    def __str__(self) -> str:
        """Write a checksum and the fields."""
        ids = f"{self.image_volume or '-'} {self.source or '-'}"
        text = f"{self.host} {self.token} {self.phase} {self.step} {ids}"
        return f"{zlib.crc32(text.encode()):08x} {text}"

    @classmethod
    def read(cls, value: str) -> Self | None:
        """Read a value; None: it is damaged, and proves nothing."""
        try:
            _, host, token, phase, step, made, source = value.split(" ")
            note = cls(
                host=host,
                token=token,
                phase=Phase(phase),
                step=step,
                image_volume=None if made == "-" else made,
                source=None if source == "-" else source,
            )
        except ValueError:
            return None
        if note.image_volume is None:
            known = step in (
                {COPYING, CLONING} if source == "-" else {CLONING}
            )
        else:
            known = step in {CLONING, REGISTERING} and source == "-"
        ids = {made, source} - {"-"}
        sound = known and all(map(_is_id, ids)) and is_token(token)
        return note if sound and str(note) == value else None


@attrs.frozen(kw_only=True)
class Row:
    """A row, and what it is about."""

    number: int
    volume_id: str
    image_id: str
    value: str

    @property
    def note(self) -> Note | None:
        """What the row says; None: it is damaged."""
        return Note.read(self.value) if _is_id(self.image_id) else None


def _rows() -> Any:
    return installed_release().table("VolumeAdminMetadata")


def digest(host: str) -> str:
    """Shorten a host, which may have 255 characters itself."""
    return hashlib.sha256(host.encode()).hexdigest()[:16]


def insert(volume_id: str, image_id: str, note: Note) -> int:
    """Add a row; return its number, as all of these raise `AdapterError`."""
    added = sqlalchemy.insert(_rows()).values(
        volume_id=volume_id,
        key=f"{_KEY}{image_id}",
        value=str(note),
        created_at=timeutils.utcnow(),
        deleted=False,
    )
    return int(_execute(added).inserted_primary_key[0])


def replace(number: int, old: Note, new: Note) -> bool:
    """Change a row; False: somebody else has changed it."""
    rows = _rows()
    changed = sqlalchemy.update(rows).values(value=str(new))
    is_it = (rows.c.id == number, rows.c.value == str(old))
    return bool(_execute(changed.where(*is_it)).rowcount == 1)


def delete(number: int) -> None:
    """Delete a row; Cinder would only mark it as deleted."""
    rows = _rows()
    _execute(sqlalchemy.delete(rows).where(rows.c.id == number))


def read_all() -> list[Row]:
    """Read the rows of all services, the oldest first.

    A row that Cinder has marked as deleted counts: its work is left.
    """
    own = _rows().c
    columns = (own.id, own.volume_id, own.key, own.value)
    ours = sqlalchemy.select(*columns).where(own.key.like(f"{_KEY}%"))
    return [
        Row(
            number=number,
            volume_id=volume_id,
            image_id=key.removeprefix(_KEY),
            value=value or "",
        )
        for number, volume_id, key, value in _execute(ours.order_by(own.id))
    ]


def _execute(statement: Any) -> Any:
    """Carry out one statement, in a transaction of its own."""
    with translate_errors("reaching the notes in Cinder's database"):
        return _attempt(statement)


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)  # type: ignore[untyped-decorator] # oslo.db's
def _attempt(statement: Any) -> Any:
    admin = cinder_context.get_admin_context()
    with installed_release().transactions.writer.using(admin):
        result = admin.session.execute(statement)
        # rows can be read within the transaction only
        return result.fetchall() if statement.is_select else result


def _is_id(text: str) -> bool:
    try:
        check_volume_id(text)
    except UnsupportedError:
        return False
    return True
