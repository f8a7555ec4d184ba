"""Carry a plan out, and finish or undo what a kill interrupted."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from clonepolicy._errors import AdapterError
from clonepolicy._execute.outcome import Failure, Outcome
from clonepolicy._execute.perform import Performer
from clonepolicy.plan._steps import Attempt, Plan, Step, VolumeRef
from clonepolicy.ports._journal import Journal, JournalEntry, Phase
from clonepolicy.ports._observer import Observer
from clonepolicy.ports._services import Ports


class _NoJournal:
    """Keep nothing: the caller does not want to recover the plan."""

    def begin(self, plan: Plan, ids: Mapping[VolumeRef, str]) -> str:
        del plan, ids
        return ""

    def mark(
        self, entry_id: str, phase: Phase, attempt: int, step: int
    ) -> None:
        pass

    def end(self, entry_id: str) -> None:
        pass

    def interrupted(self) -> tuple[JournalEntry, ...]:
        return ()


def execute(
    plan: Plan,
    ports: Ports,
    *,
    journal: Journal | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Make one attempt after the other until one succeeds.

    If a step raises `AdapterError`, the attempt fails: its steps are undone,
    last first, and the next attempt is made if the error is
    ``safe_to_fall_back``.  If undoing fails, the attempt is finished, if all
    its remaining steps may be repeated.

    Any other exception is a defect of a port.  The attempt is undone and the
    plan abandoned, then the exception is raised again.  A plan that could
    not be undone or closed stays in the journal.
    """
    kept = _NoJournal() if journal is None else journal
    ids = {ref: ports.volumes.new_id() for ref in sorted(plan.refs, key=str)}
    entry = JournalEntry(id=kept.begin(plan, ids), plan=plan, ids=ids)
    return _run(entry, ports, kept, observer).start()


def recover(
    journal: Journal, ports: Ports, *, observer: Observer | None = None
) -> tuple[Outcome, ...]:
    """End every interrupted plan so that nothing is left half made.

    An attempt is finished if all its remaining steps may be repeated.
    Otherwise it is undone and the plan abandoned.  If undoing fails, the
    attempt is finished after all, if its steps from there on may be repeated.
    No data is moved.  A plan that fails again stays in the journal.
    """
    return tuple(
        _run(entry, ports, journal, observer).resume(entry)
        for entry in journal.interrupted()
    )


def _run(
    entry: JournalEntry,
    ports: Ports,
    journal: Journal,
    observer: Observer | None,
) -> _Run:
    watching = Observer() if observer is None else observer
    return _Run(
        entry_id=entry.id,
        plan=entry.plan,
        performer=Performer(ports=ports, ids=entry.ids, observer=watching),
        journal=journal,
        observer=watching,
    )


@attrs.define(kw_only=True)
class _Run:
    """One plan; ``at`` is the number of the step that was started last."""

    entry_id: str
    plan: Plan
    performer: Performer
    journal: Journal
    observer: Observer
    at: int = 0
    failures: list[Failure] = attrs.field(factory=list)

    def start(self) -> Outcome:
        for number, attempt in enumerate(self.plan.attempts):
            self.observer.attempt_started(attempt)
            error = self._take_steps(number, 0)
            if error is None:
                return self._close(number)
            if not self._undo_steps(number):
                return self._finish(number) or self._unsettled()
            if not error.safe_to_fall_back:
                break
        return self._abandon()

    def resume(self, entry: JournalEntry) -> Outcome:
        number, self.at = entry.attempt, entry.step
        if entry.phase is Phase.CLOSING:
            return self._close(number)
        # a plan without attempts has no attempt to finish or undo
        if entry.phase is Phase.ABANDONING or not self.plan.attempts:
            return self._abandon()
        if entry.phase is Phase.ATTEMPTING:
            finished = self._finish(number)
            if finished is not None:
                return finished
        if not self._undo_steps(number):
            return self._finish(number) or self._unsettled()
        return self._abandon()

    def _finish(self, number: int) -> Outcome | None:
        """Take the remaining steps, if all of them may be repeated."""
        attempt = self.plan.attempts[number]
        if not all(step.repeats for step in attempt.steps[self.at :]):
            return None
        self.observer.attempt_started(attempt)
        if self._take_steps(number, self.at) is not None:
            return None
        return self._close(number)

    def _take_steps(self, number: int, first: int) -> AdapterError | None:
        """Take the steps of an attempt; return the error that ended it."""
        attempt = self.plan.attempts[number]
        for at in range(first, len(attempt.steps)):
            self.at = at
            try:
                self._mark(Phase.ATTEMPTING, number)
                error = self._try(attempt, attempt.steps[at])
            except BaseException:
                if self._undo_steps(number):
                    self._abandon()
                raise
            if error is not None:
                return error
        return None

    def _undo_steps(self, number: int) -> bool:
        """Undo what was started, last first; stop if that fails.

        The steps before a failed undoing stay done, because it may need
        them: a volume must outlive the location that names it.
        """
        attempt = self.plan.attempts[number]
        for at in reversed(range(self.at + 1)):
            undo = attempt.steps[at].undo()
            if undo is None:
                continue
            # the undoing may have an effect even if it fails: resume at
            # this step, because later steps rely on it
            self.at = at
            self._mark(Phase.UNDOING, number)
            if self._try(attempt, undo) is not None:
                return False
        return True

    def _abandon(self) -> Outcome:
        self.at = 0
        self._mark(Phase.ABANDONING, 0)
        return self._end_with(None, self.plan.abandon)

    def _close(self, number: int) -> Outcome:
        if self.plan.closing:
            self.at = 0
            self._mark(Phase.CLOSING, number)
        return self._end_with(self.plan.attempts[number], self.plan.closing)

    def _end_with(
        self, attempt: Attempt | None, steps: tuple[Step, ...]
    ) -> Outcome:
        """Take steps that do not depend on each other, and end the plan."""
        errors = [self._try(attempt, step) for step in steps]
        if any(error is not None for error in errors):
            return self._outcome(attempt, settled=False)
        self.journal.end(self.entry_id)
        return self._outcome(attempt, settled=True)

    def _unsettled(self) -> Outcome:
        return self._outcome(None, settled=False)

    def _outcome(self, attempt: Attempt | None, *, settled: bool) -> Outcome:
        return Outcome(
            attempt=attempt,
            failures=tuple(self.failures),
            settled=settled,
            ids=self.performer.ids,
        )

    def _mark(self, phase: Phase, number: int) -> None:
        self.journal.mark(self.entry_id, phase, number, self.at)

    def _try(self, attempt: Attempt | None, step: Step) -> AdapterError | None:
        self.observer.step_started(step)
        try:
            self.performer.perform(step)
        except AdapterError as error:
            self.failures.append(Failure(attempt, step, error))
            self.observer.step_failed(step, error)
            return error
        self.observer.step_done(step)
        return None
