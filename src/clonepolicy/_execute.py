"""Carry a plan out over the ports, and finish what a kill interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

import attrs

from clonepolicy._errors import AdapterError, StaleError
from clonepolicy._locations import CinderLocation
from clonepolicy._plans import (
    AddLocation,
    CloneImage,
    CloneVolume,
    CreateImageVolume,
    DeleteImageVolume,
    DiscardImage,
    DiscardVolume,
    DownloadImage,
    ExtendVolume,
    FailVolume,
    Plan,
    PublishVolume,
    Ref,
    RestoreVolume,
    SetVolumeMetadata,
    SetVolumeReadonly,
    Step,
    UnpublishVolume,
    UploadImage,
    VerifyLocation,
    VolumeId,
    WithdrawLocation,
)
from clonepolicy._protocols import Entry, Journal, Observer, Ports
from clonepolicy._records import Image, Volume
from clonepolicy._rules.candidate import READY


@attrs.frozen
class Failure:
    """One step that failed."""

    attempt: str
    step: Step
    error: AdapterError


@attrs.frozen(kw_only=True)
class Outcome:
    """How a plan ended.

    ``attempt`` names the attempt that reached the end; None: none did, and
    the plan was abandoned.  ``settled`` is False when undoing, abandoning or
    closing failed: the journal still holds the plan, and `recover` takes it
    up.
    """

    attempt: str | None
    failures: tuple[Failure, ...]
    settled: bool
    ids: Mapping[Ref, str]
    """The ids of the volumes that the plan made."""


class _NoJournal:
    """Remembers nothing: for plans that nobody needs to recover."""

    def begin(self, _plan: Plan, _ids: Mapping[Ref, str]) -> str:
        return ""

    def mark(
        self, entry_id: str, attempt: int, step: int, *, undoing: bool
    ) -> None:
        pass

    def end(self, entry_id: str) -> None:
        pass

    def interrupted(self) -> tuple[Entry, ...]:
        return ()


def execute(
    plan: Plan,
    ports: Ports,
    *,
    journal: Journal | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Make one attempt after the other until one reaches its end.

    A step that raises `AdapterError` ends its attempt: what was done is
    undone, last first, and the next attempt is made, unless the error says
    that it is not safe to fall back.  Where undoing fails, the attempt is
    finished if what is left of it may be repeated.  Any other exception is
    a defect of a port; it passes through after everything was undone and
    abandoned.  Where that was not possible, and in closing, the plan stays
    in the journal.
    """
    kept = _NoJournal() if journal is None else journal
    ids = {ref: ports.volumes.new_id() for ref in sorted(plan.refs, key=str)}
    run = _Run(
        entry_id=kept.begin(plan, ids),
        plan=plan,
        ids=ids,
        ports=ports,
        journal=kept,
        observer=Observer() if observer is None else observer,
    )
    return run.start()


def recover(
    journal: Journal, ports: Ports, *, observer: Observer | None = None
) -> tuple[Outcome, ...]:
    """Bring every interrupted plan to an end that leaves nothing half made.

    Where all that is left of an attempt may be repeated, it is finished;
    otherwise it is undone and the plan abandoned, or finished after all
    where it cannot be undone.  No data is moved.  What fails stays in the
    journal for the next time.
    """
    return tuple(
        _Run(
            entry_id=entry.id,
            plan=entry.plan,
            ids=entry.ids,
            ports=ports,
            journal=journal,
            observer=Observer() if observer is None else observer,
        ).resume(entry)
        for entry in journal.interrupted()
    )


def changed(relied: Volume, now: Volume) -> bool:
    """Say whether a source is no longer what a decision relied on.

    Going from available to in use and back changes nothing, nor does
    having more clones, nor what status it had before the present one.
    """
    same_status = relied.status == now.status or (
        relied.status in READY and now.status in READY
    )
    return not same_status or relied != attrs.evolve(
        now,
        status=relied.status,
        previous_status=relied.previous_status,
        clones=relied.clones,
    )


@attrs.define(kw_only=True)
class _Run:
    """One plan on its way; ``at`` is the step that was begun last."""

    entry_id: str
    plan: Plan
    ids: Mapping[Ref, str]
    ports: Ports
    journal: Journal
    observer: Observer
    at: int = 0
    failures: list[Failure] = attrs.field(factory=list)

    def start(self) -> Outcome:
        for number, attempt in enumerate(self.plan.attempts):
            self.observer.attempt_started(attempt.name)
            error = self._forward(number, 0)
            if error is None:
                return self._close(number)
            if not self._back(number):
                return self._finish(number) or self._unsettled()
            if not error.safe_to_fall_back:
                break
        return self._abandon()

    def resume(self, entry: Entry) -> Outcome:
        number, self.at = entry.attempt, entry.step
        if number > len(self.plan.attempts):
            return self._close(entry.step)
        if number < len(self.plan.attempts):
            finished = None if entry.undoing else self._finish(number)
            if finished is not None:
                return finished
            if not self._back(number):
                return self._finish(number) or self._unsettled()
        return self._abandon()

    def _finish(self, number: int) -> Outcome | None:
        """Take what is left of an attempt, if all of it may be repeated."""
        attempt = self.plan.attempts[number]
        if not all(step.repeats for step in attempt.steps[self.at :]):
            return None
        self.observer.attempt_started(attempt.name)
        if self._forward(number, self.at) is not None:
            return None
        return self._close(number)

    def _forward(self, number: int, first: int) -> AdapterError | None:
        """Take an attempt's steps; give the error that ended it."""
        attempt = self.plan.attempts[number]
        for at in range(first, len(attempt.steps)):
            self.at = at
            try:
                self.journal.mark(self.entry_id, number, at, undoing=False)
                error = self._try(attempt.name, attempt.steps[at])
            except BaseException:
                if self._back(number):
                    self._abandon()
                raise
            if error is not None:
                return error
        return None

    def _back(self, number: int) -> bool:
        """Undo what was begun, last first; stop where that fails.

        What lies further back may be what the failed undoing still needs:
        a volume outlives the location that names it.  There the attempt
        stands, and what cannot be undone may be finished from there.
        """
        attempt = self.plan.attempts[number]
        for at in reversed(range(self.at + 1)):
            undo = attempt.steps[at].undo()
            if undo is None:
                continue
            # a failed undoing may have had its effect: nothing that relies
            # on this step may be taken again before the step itself
            self.at = at
            self.journal.mark(self.entry_id, number, at, undoing=True)
            if self._try(attempt.name, undo) is not None:
                return False
        return True

    def _abandon(self) -> Outcome:
        number = len(self.plan.attempts)
        self.journal.mark(self.entry_id, number, 0, undoing=False)
        return self._last(None, self.plan.abandon)

    def _close(self, number: int) -> Outcome:
        if self.plan.closing:
            closing = len(self.plan.attempts) + 1
            self.journal.mark(self.entry_id, closing, number, undoing=False)
        name = self.plan.attempts[number].name
        return self._last(name, self.plan.closing)

    def _last(self, name: str | None, steps: tuple[Step, ...]) -> Outcome:
        """Take steps that do not depend on each other, and end."""
        errors = [self._try(name or "abandon", step) for step in steps]
        if any(error is not None for error in errors):
            return self._outcome(name, settled=False)
        self.journal.end(self.entry_id)
        return self._outcome(name, settled=True)

    def _unsettled(self) -> Outcome:
        return self._outcome(None, settled=False)

    def _outcome(self, name: str | None, *, settled: bool) -> Outcome:
        return Outcome(
            attempt=name,
            failures=tuple(self.failures),
            settled=settled,
            ids=self.ids,
        )

    def _try(self, attempt: str, step: Step) -> AdapterError | None:
        self.observer.step_started(step)
        try:
            self._do(step)
        except AdapterError as error:
            self.failures.append(Failure(attempt, step, error))
            self.observer.step_failed(step, error)
            return error
        self.observer.step_done(step)
        return None

    def _do(self, step: Step) -> None:  # noqa: C901, PLR0912, PLR0915 - a table
        images, volumes = self.ports.images, self.ports.volumes
        array, name = self.ports.array, self._id
        match step:
            case CloneVolume(target, source, image):
                self._same(image)
                now = volumes.get_volume(source.id)
                if changed(source, now):
                    message = f"volume {source.id} has changed"
                    raise StaleError(message)
                array.clone_volume(name(target), now)
            case CloneImage(target, location, stored, image):
                self._same(image)
                found = array.find_image(location)
                if found is None or stored != attrs.evolve(
                    found, clones=stored.clones
                ):
                    message = f"{location} has changed"
                    raise StaleError(message)
                array.clone_image(name(target), location)
            case ExtendVolume(target, size):
                array.extend(name(target), size)
            case DownloadImage(target, image_id):
                self._download(name(target), image_id)
            case PublishVolume(target):
                volumes.publish(name(target))
            case FailVolume(target):
                volumes.fail(name(target))
            case CreateImageVolume(target, source_id, project_id):
                volumes.create_image_volume(
                    name(target), source_id, project_id
                )
            case SetVolumeMetadata(target, key, value):
                volumes.set_metadata(name(target), key, value)
            case SetVolumeReadonly(target):
                volumes.set_readonly(name(target))
            case AddLocation(image_id, target, store):
                images.add_location(
                    image_id, CinderLocation(name(target), store)
                )
            case VerifyLocation(image_id, target, store):
                images.verify_location(
                    image_id, CinderLocation(name(target), store)
                )
            case WithdrawLocation(image_id, target, store):
                images.withdraw_location(
                    image_id, CinderLocation(name(target), store)
                )
            case UploadImage(image_id, target):
                images.upload(image_id, self._counted(array.read(target)))
            case DiscardImage(image_id):
                images.discard(image_id)
            case RestoreVolume(target):
                volumes.restore(target)
            case DiscardVolume(target):
                array.discard(name(target))
            case DeleteImageVolume(target):
                volumes.delete_image_volume(name(target))
            case UnpublishVolume(target):
                volumes.unpublish(name(target))
            case _:
                assert_never(step)

    def _id(self, volume_id: VolumeId) -> str:
        return volume_id if isinstance(volume_id, str) else self.ids[volume_id]

    def _same(self, relied: Image | None) -> None:
        """See that the image is what the decision saw."""
        if relied is None:
            return
        now = self.ports.images.get_image(relied.id)
        if relied != attrs.evolve(
            now,
            locations_from=relied.locations_from,
            direct_url=relied.direct_url,
        ):
            message = f"image {relied.id} has changed"
            raise StaleError(message)

    def _download(self, volume_id: str, image_id: str) -> None:
        image = self.ports.images.get_image(image_id)
        if image.status != "active":
            message = f"image {image_id} is {image.status}"
            raise StaleError(message)
        size = self.ports.volumes.get_volume(volume_id).size
        data = self._counted(self.ports.images.download(image_id))
        self.ports.array.write(volume_id, size, image, data)

    def _counted(self, data: Iterator[bytes]) -> Iterator[bytes]:
        for piece in data:
            self.observer.moved(len(piece))
            yield piece
