"""What a cinder-volume is working on, noted where a kill leaves it.

A note is a row in the admin metadata of the volume that is created or
uploaded.  Its key contains the image's id.  It is deleted, not only marked as
deleted, when the work has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import attrs
import sqlalchemy
from cinder import context as cinder_context
from cinder.db import api as db
from cinder.db import models
from oslo_config import cfg
from oslo_db import api as oslo_db_api
from oslo_log import log
from oslo_utils import timeutils

from clonepolicy import AdapterError, NotFoundError
from clonepolicy._text import printable
from clonepolicy.adapters._files.process_lock import ProcessLock, is_token
from clonepolicy.adapters.cinder._errors import traced, translate_errors
from clonepolicy.plan import (
    AddLocation,
    CloneVolume,
    CreateImageVolume,
    Plan,
    PublishVolume,
    Step,
    UploadImage,
    VolumeRef,
)
from clonepolicy.ports import JournalEntry, Phase

LOG = log.getLogger(__name__)

_KEY = "clonepolicy:"
_ROWS = models.VolumeAdminMetadata.__table__
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REGISTERING = frozenset(
    kind.__name__
    for kind in (CreateImageVolume, CloneVolume, PublishVolume, AddLocation)
)
"""The steps of a registration that have something to undo."""


@attrs.frozen(kw_only=True)
class Note:
    """The value of a row: at most 255 characters, the width of the column."""

    host: str
    """A digest of the service's host, which may itself be that long."""
    token: str
    """The lock file of the process."""
    phase: Phase = Phase.ATTEMPTING
    step: str
    """The last step with something to undo that was started or undone."""
    image_volume: str | None = None

    def __str__(self) -> str:
        """Write the fields, after a checksum of them."""
        last = self.image_volume or "-"
        text = f"{self.host} {self.token} {self.phase} {self.step} {last}"
        return f"{zlib.crc32(text.encode()):08x} {text}"

    @classmethod
    def read(cls, value: str) -> Self | None:
        """Read a value; None: it is damaged, and proves nothing."""
        try:
            _, host, token, phase, step, last = value.split(" ")
            note = cls(
                host=host,
                token=token,
                phase=Phase(phase),
                step=step,
                image_volume=None if last == "-" else last,
            )
        except ValueError:
            return None
        if last == "-":
            known = {UploadImage.__name__, CloneVolume.__name__}
            valid = step in known
        else:
            valid = step in _REGISTERING and _ID.fullmatch(last) is not None
        return (
            note if valid and is_token(token) and str(note) == value else None
        )


@attrs.define(kw_only=True)
class Work:
    """The journal of one create or one upload."""

    row: int
    volume_id: str
    image_id: str
    note: Note
    is_newest: bool = True
    """Whether no other work on the volume was noted later."""
    _plan: Plan | None = None
    _settled: bool = True

    @property
    def is_create(self) -> bool:
        """Whether the volume is being created."""
        note = self.note
        return note.image_volume is None and note.step == CloneVolume.__name__

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Note the image volume that the plan creates, if it creates one."""
        self._plan = plan
        for image_volume in ids.values():
            step = CreateImageVolume.__name__
            self._write(step=step, image_volume=image_volume)
            self._settled = False
        return ""

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Note a step of a registration, if it has something to undo."""
        del entry_id
        noted = {Phase.ATTEMPTING, Phase.UNDOING}
        if self.note.image_volume is None or phase not in noted:
            return
        assert self._plan is not None  # noqa: S101 - tells the type
        taken = self._plan.attempts[attempt].steps[step]
        if taken.undo() is not None:
            self._write(phase=phase, step=type(taken).__name__)

    def end(self, entry_id: str) -> None:
        """Remember that nothing is left; `close` deletes the row."""
        del entry_id
        self._settled = True

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Return the plan that `resume` was given."""
        plan, note = self._plan, self.note
        assert plan is not None  # noqa: S101 - tells the type
        if not plan.attempts:
            phase, step = Phase.ABANDONING, 0
        else:
            kinds = [type(taken).__name__ for taken in plan.attempts[0].steps]
            phase, step = note.phase, kinds.index(note.step)
        ids = {ref: str(note.image_volume) for ref in plan.refs}
        return (
            JournalEntry(id="", plan=plan, ids=ids, phase=phase, step=step),
        )

    def resume(self, plan: Plan) -> Self:
        """Return this journal, with the plan that is left of the work."""
        self._plan, self._settled = plan, False
        return self

    def close(self) -> bool:
        """Delete the row, unless something is left; return whether it did."""
        if self._settled:
            gone = sqlalchemy.delete(_ROWS).where(_ROWS.c.id == self.row)
            _execute(gone)
        return self._settled

    def claim(self, host: str, token: str) -> bool:
        """Make the work this process's, unless another one was faster."""
        return self._replace(attrs.evolve(self.note, host=host, token=token))

    def _write(self, **changes: Any) -> None:
        note = attrs.evolve(self.note, **changes)
        if note != self.note and not self._replace(note):
            raise NotFoundError(f"the note on volume {self.volume_id} is gone")

    def _replace(self, note: Note) -> bool:
        changed = (
            sqlalchemy.update(_ROWS)
            .where(_ROWS.c.id == self.row, _ROWS.c.value == str(self.note))
            .values(value=str(note))
        )
        done = _execute(changed).rowcount == 1
        if done:
            self.note = note
        return bool(done)


@attrs.frozen
class WorkJournal:
    """The notes of the service of one host, the ``host@backend``."""

    host: str
    lock: ProcessLock

    @classmethod
    def of(cls, host: str) -> Self:
        """Keep lock files in a folder of ``state_path``."""
        return cls(host, ProcessLock(Path(cfg.CONF.state_path, "clonepolicy")))

    def _token(self) -> str:
        with translate_errors("making a lock file"):
            self.lock.directory.mkdir(mode=0o700, exist_ok=True)
            return self.lock.token

    @contextlib.contextmanager
    def noted(
        self, volume_id: str, image_id: str, kind: type[Step]
    ) -> Iterator[Work | None]:
        """Note work while it lasts; None: it cannot be noted.

        The note stays if the work leaves something, and after an exception
        that is no `Exception`, because that leaves no time to clean up.

        Args:
            volume_id: the volume that is created or uploaded.
            image_id: the image.
            kind: `CloneVolume` for a create, `UploadImage` for an upload.
        """
        try:
            work = self._note(volume_id, image_id, kind.__name__)
        except AdapterError as error:
            _warn("note its work on", volume_id, error)
            yield None
            return
        try:
            yield work
        except Exception:
            _close(work)
            raise
        _close(work)

    def _note(self, volume_id: str, image_id: str, step: str) -> Work:
        note = Note(host=_digest(self.host), token=self._token(), step=step)
        added = sqlalchemy.insert(_ROWS).values(
            volume_id=volume_id,
            key=f"{_KEY}{image_id}",
            value=str(note),
            created_at=timeutils.utcnow(),
            deleted=False,
        )
        (row,) = _execute(added).inserted_primary_key
        return Work(row=row, volume_id=volume_id, image_id=image_id, note=note)

    def interrupted(self, host: str) -> Iterator[Work]:
        """Take over and yield the work that dead processes of a host left.

        Raises:
            AdapterError: the database cannot be read.
        """
        for work in self._read_all():
            if (
                work.note.host == _digest(host)
                and self.lock.is_dead(work.note.token)
                and work.claim(_digest(self.host), self._token())
            ):
                yield work

    def _read_all(self) -> list[Work]:
        # a row that Cinder marked as deleted counts, because its work is left
        columns = (_ROWS.c.id, _ROWS.c.volume_id, _ROWS.c.key, _ROWS.c.value)
        ours = sqlalchemy.select(*columns).where(_ROWS.c.key.like(f"{_KEY}%"))
        rows = _execute(ours.order_by(_ROWS.c.id))
        newest = {row.volume_id: row.id for row in rows}
        found = []
        for row in rows:
            note = Note.read(row.value or "")
            image_id = row.key.removeprefix(_KEY)
            if note is None or not _ID.fullmatch(image_id):
                LOG.warning(
                    "clonepolicy leaves a damaged note on volume %s as it is: "
                    "%s",
                    row.volume_id,
                    printable(f"{row.key}={row.value}"),
                )
                continue
            found.append(
                Work(
                    row=row.id,
                    volume_id=row.volume_id,
                    image_id=image_id,
                    note=note,
                    is_newest=newest[row.volume_id] == row.id,
                )
            )
        return found


def _close(work: Work) -> None:
    try:
        work.close()
    except AdapterError as error:
        _warn("delete its note on", work.volume_id, error)


def _warn(action: str, volume_id: str, error: Exception) -> None:
    LOG.warning(
        "clonepolicy could not %s volume %s\n%s",
        action,
        volume_id,
        traced(error),
    )


def _digest(host: str) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:16]


def _execute(statement: Any) -> Any:
    """Carry out one statement, in a transaction of its own."""
    with translate_errors("reaching the journal in Cinder's database"):
        return _attempt(statement)


@oslo_db_api.wrap_db_retry(max_retries=5, retry_on_deadlock=True)  # type: ignore[untyped-decorator] # untyped
def _attempt(statement: Any) -> Any:
    admin = cinder_context.get_admin_context()
    with db.main_context_manager.writer.using(admin):
        result = admin.session.execute(statement)
        # rows can be read within the transaction only
        return result.fetchall() if result.returns_rows else result
