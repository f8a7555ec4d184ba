"""The journal of a cinder-volume: a note for each create and upload."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import attrs
from oslo_config import cfg
from oslo_log import log

from clonepolicy import AdapterError, NotFoundError
from clonepolicy._text import printable
from clonepolicy.adapters._files.process_lock import ProcessLock
from clonepolicy.adapters.cinder._drop_in import note as notes
from clonepolicy.adapters.cinder._drop_in.note import Note, Row, digest
from clonepolicy.adapters.cinder._errors import traced, translate_errors
from clonepolicy.plan import AddLocation, CloneVolume, Plan, VolumeRef
from clonepolicy.ports import JournalEntry, Phase

LOG = log.getLogger(__name__)
_NOTHING = Plan(())


@attrs.define(kw_only=True)
class Work:
    """The journal of one create or one upload."""

    row: int
    volume_id: str
    image_id: str
    note: Note
    is_newest: bool = True
    """Whether no other work on the volume was noted later."""
    _plan: Plan = _NOTHING
    _settled: bool = True

    @property
    def is_create(self) -> bool:
        """Whether the volume is being created."""
        note = self.note
        return note.image_volume is None and note.step == notes.CLONING

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        """Note the image volume that the plan creates, if it creates one."""
        self._plan = plan
        for image_volume in ids.values():
            self._write(step=notes.CLONING, image_volume=image_volume)
            self._settled = False
        return ""

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        """Note which location, or which source of a create, is next.

        No other step changes what a recovery has to do.
        """
        del entry_id
        if phase not in {Phase.ATTEMPTING, Phase.UNDOING}:
            return
        taken = self._plan.attempts[attempt].steps[step]
        if isinstance(taken, AddLocation):
            self._write(step=notes.REGISTERING, phase=phase)
        elif isinstance(taken, CloneVolume) and self.is_create:
            self._write(source=taken.source.id)

    def end(self, entry_id: str) -> None:
        """Remember that nothing is left; `close` deletes the note."""
        del entry_id
        self._settled = True

    def interrupted(self) -> tuple[JournalEntry, ...]:
        """Return what `resume` was given."""
        plan, note = self._plan, self.note
        phase, step = Phase.ABANDONING, 0
        if plan.attempts:
            kinds = [type(taken).__name__ for taken in plan.attempts[0].steps]
            phase, step = note.phase, kinds.index(note.step)
        ids = {ref: str(note.image_volume) for ref in plan.refs}
        return (
            JournalEntry(id="", plan=plan, ids=ids, phase=phase, step=step),
        )

    def resume(self, plan: Plan) -> Self:
        """Return this journal, with the plan that is left."""
        self._plan, self._settled = plan, False
        return self

    def close(self) -> bool:
        """Delete the note, unless something is left; return if it did."""
        if self._settled:
            notes.delete(self.row)
        return self._settled

    def claim(self, host: str, token: str) -> bool:
        """Make the work this process's; False: another one was faster."""
        return self._replace(attrs.evolve(self.note, host=host, token=token))

    def _write(self, **changes: Any) -> None:
        note = attrs.evolve(self.note, **changes)
        if note != self.note and not self._replace(note):
            raise NotFoundError(f"the note on volume {self.volume_id} is gone")

    def _replace(self, note: Note) -> bool:
        done = notes.replace(self.row, self.note, note)
        if done:
            self.note = note
        return done


@attrs.frozen
class WorkJournal:
    """The notes of the service of one host, as in ``host@backend``."""

    host: str
    lock: ProcessLock
    unended: set[int] = attrs.field(factory=set)
    """The rows of the work that was taken over and could not be ended."""

    @classmethod
    def of(cls, host: str) -> Self:
        """Keep the lock files in a folder of ``state_path``."""
        return cls(host, ProcessLock(Path(cfg.CONF.state_path, "clonepolicy")))

    def _token(self) -> str:
        with translate_errors("making a lock file"):
            self.lock.directory.mkdir(0o700, parents=True, exist_ok=True)
            return self.lock.token

    @contextlib.contextmanager
    def noted(
        self,
        volume_id: str,
        image_id: str,
        step: str,
        source: str | None = None,
    ) -> Iterator[Work | None]:
        """Note work while it lasts; None: it cannot be noted.

        The note stays if the work leaves something, and after an exception
        that is no `Exception`, because that leaves no time to clean up.

        Args:
            volume_id: the volume that is created or uploaded.
            image_id: the image.
            step: CLONING for a create, COPYING for an upload.
            source: the volume that a create clones first.
        """
        try:
            note = Note(
                host=digest(self.host),
                token=self._token(),
                step=step,
                source=source,
            )
            row = notes.insert(volume_id, image_id, note)
        except AdapterError as error:
            _warn("note its work on", volume_id, error)
            yield None
            return
        work = Work(row=row, volume_id=volume_id, image_id=image_id, note=note)
        try:
            yield work
        except Exception:
            _close(work)
            raise
        _close(work)

    def remove_stale_locks(self) -> None:
        """Remove the lock files of dead processes."""
        if self.lock.directory.exists():
            self.lock.remove_stale()

    def interrupted(self, host: str | None) -> Iterator[Work]:
        """Take over and yield the work that dead processes of a host left.

        Without a host: the work that could not be ended before.

        Raises:
            AdapterError: the database cannot be read or written.
        """
        rows = notes.read_all()
        newest = {row.volume_id: row.number for row in rows}
        for row in rows:
            note = row.note
            if host is None and row.number not in self.unended:
                continue
            if note is None:
                _warn_damaged(row)
                continue
            if host is not None and not self._is_dead(note, host):
                continue
            work = Work(
                row=row.number,
                volume_id=row.volume_id,
                image_id=row.image_id,
                note=note,
                is_newest=newest[row.volume_id] == row.number,
            )
            if work.claim(digest(self.host), self._token()):
                yield work

    def _is_dead(self, note: Note, host: str) -> bool:
        return note.host == digest(host) and self.lock.is_dead(note.token)


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


def _warn_damaged(row: Row) -> None:
    LOG.warning(
        "clonepolicy leaves a damaged note on volume %s as it is: %s",
        row.volume_id,
        printable(f"{row.image_id} {row.value}"),
    )
