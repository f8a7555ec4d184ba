"""The operations of the demo; each must come out as expected."""

from __future__ import annotations

from typing import TypeVar

import attrs

from clonepolicy import Decision, GiB, Outcome, wire
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import Json
from clonepolicy.adapters.local import (
    Created,
    ImageRow,
    LocalCloud,
    VolumeRow,
)
from clonepolicy.cli._progress import Meter, measured
from clonepolicy.cli._report import reason_lines, reasons

R = TypeVar("R", ImageRow, VolumeRow)

PROJECT = "demo"


@attrs.frozen(kw_only=True)
class DemoStep:
    """One operation with its decision and its cost."""

    verdict: str
    """The verdict that was expected and carried out, or ``refuse``."""
    operation: str
    decision: Decision
    seconds: float
    bytes_moved: int

    def times_faster(self, than: DemoStep) -> float | None:
        """Compare the time with another step's; None for a refusal."""
        refused = self.verdict == "refuse"
        return None if refused else than.seconds / self.seconds

    def to_dict(self, first: DemoStep) -> Json:
        """Convert the step to JSON types."""
        return {
            "verdict": self.verdict,
            "operation": self.operation,
            "seconds": self.seconds,
            "bytes_moved": self.bytes_moved,
            "times_faster": self.times_faster(first),
            "reasons": [str(reason) for reason in reasons(self.decision)],
            "decision": wire.to_dict(self.decision),
        }


@attrs.frozen
class DemoSteps:
    """Carries out steps on a cloud.

    Each method raises `CliError` if the step does not come out as expected.
    """

    cloud: LocalCloud
    done: list[DemoStep] = attrs.field(factory=list, init=False)

    def create(
        self, expected: str, image: ImageRow, name: str, gigabytes: int
    ) -> VolumeRow:
        """Create a volume from an image."""
        made, step = self._create(expected, image, name, gigabytes)
        return _carried_out(step, made.outcome, made.volume)

    def refuse(self, image: ImageRow, name: str, gigabytes: int) -> DemoStep:
        """Request a volume that the policy must refuse."""
        return self._create("refuse", image, name, gigabytes)[1]

    def upload(self, expected: str, volume: VolumeRow, name: str) -> ImageRow:
        """Upload a volume to a new image."""
        total = volume.volume.size * GiB
        with measured(f"uploading {volume.name}", total) as meter:
            made = self.cloud.upload_volume(
                volume.volume.id, name=name, project_id=PROJECT, observer=meter
            )
        operation = f"volume {volume.name} to image {name}"
        step = self._decided(expected, operation, made.decision, meter)
        return _carried_out(step, made.outcome, made.image)

    def _create(
        self, expected: str, image: ImageRow, name: str, gigabytes: int
    ) -> tuple[Created, DemoStep]:
        with measured(f"creating {name}", image.image.size) as meter:
            made = self.cloud.create_volume(
                image.image.id,
                name=name,
                project_id=PROJECT,
                size=gigabytes,
                observer=meter,
            )
        operation = f"image {image.name} to volume {name}, {gigabytes} GiB"
        step = self._decided(expected, operation, made.decision, meter)
        return made, step

    def _decided(
        self, expected: str, operation: str, decision: Decision, meter: Meter
    ) -> DemoStep:
        step = DemoStep(
            verdict=expected,
            operation=operation,
            decision=decision,
            seconds=meter.seconds,
            bytes_moved=meter.bytes_moved,
        )
        verdict = decision.verdict
        if verdict != expected:
            why = "; ".join(reason_lines(decision)) or "no reason against it"
            raise _unexpected(step, f"the decision was {verdict}: {why}")
        self.done.append(step)
        return step


def _carried_out(step: DemoStep, outcome: Outcome | None, row: R | None) -> R:
    failures = () if outcome is None else outcome.failures
    attempt = None if outcome is None else outcome.attempt
    if row is None or attempt is None or attempt.verdict != step.verdict:
        why = "; ".join(str(failure.error) for failure in failures)
        result = attempt or "nothing"
        raise _unexpected(step, f"the result was {result}: {why}")
    return row


def _unexpected(step: DemoStep, happened: str) -> CliError:
    return CliError(
        Exit.FAILED,
        f"the demo failed: {step.operation}: expected {step.verdict}, but "
        f"{happened}",
        "correct the cause and run the demo again",
    )
