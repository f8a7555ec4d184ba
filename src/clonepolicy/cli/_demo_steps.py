"""The operations of the demo, and its disk image."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import attrs

from clonepolicy import Decision, GiB, wire
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import Json
from clonepolicy.adapters.local import Created, LocalCloud, Uploaded
from clonepolicy.cli._report import Meter, findings, measured, reason_lines

PROJECT = "demo"

_PIECE = 1 << 20
_SIZE, _DATA_EVERY = 256 * _PIECE, 3


@attrs.frozen(kw_only=True)
class DemoStep:
    """One operation with its decision and its cost."""

    verdict: str
    """The verdict that was expected and carried out, or ``refuse``."""
    operation: str
    seconds: float
    bytes_moved: int
    times_faster: float | None
    """Than the first step; None for a refusal."""
    decision: Decision

    def to_dict(self) -> Json:
        """Convert the step to JSON types."""
        fields = attrs.asdict(self, recurse=False)
        del fields["decision"]
        return {
            **fields,
            "reasons": [
                str(found.reason) for found in findings(self.decision)
            ],
            "decision": wire.to_dict(self.decision),
        }


@attrs.frozen
class DemoSteps:
    """Carries out steps on a cloud, with images and volumes by name.

    Each method raises `CliError` if the step does not come out as expected.
    """

    cloud: LocalCloud
    done: list[DemoStep] = attrs.field(factory=list, init=False)

    def create(
        self, expected: str, image: str, volume: str, gigabytes: int
    ) -> None:
        """Request a volume from an image."""
        source = self.cloud.find_image(image, PROJECT).image
        with measured(f"creating {volume}", source.size) as meter:
            made = self.cloud.create_volume(
                source.id,
                name=volume,
                project_id=PROJECT,
                size=gigabytes,
                observer=meter,
            )
        operation = f"image {image} to volume {volume}, {gigabytes} GiB"
        self._check(expected, operation, made, meter)

    def upload(self, expected: str, volume: str, image: str) -> None:
        """Upload a volume to a new image."""
        source = self.cloud.find_volume(volume, PROJECT).volume
        with measured(f"uploading {volume}", source.size * GiB) as meter:
            made = self.cloud.upload_volume(
                source.id, name=image, project_id=PROJECT, observer=meter
            )
        operation = f"volume {volume} to image {image}"
        self._check(expected, operation, made, meter)

    def _check(
        self,
        expected: str,
        operation: str,
        made: Created | Uploaded,
        meter: Meter,
    ) -> None:
        decision, outcome = made.decision, made.outcome
        happened = None
        if decision.verdict != expected:
            why = "; ".join(reason_lines(decision)) or "no reason against it"
            happened = f"the decision was {decision.verdict}: {why}"
        elif outcome is not None:
            attempt = outcome.attempt
            if attempt is None or attempt.verdict != expected:
                why = "; ".join(str(each.error) for each in outcome.failures)
                happened = f"the result was {attempt or 'nothing'}: {why}"
        if happened is not None:
            raise CliError(
                Exit.FAILED,
                f"the demo failed: {operation}: expected {expected}, but "
                f"{happened}",
                "correct the cause and run the demo again",
            )
        first = self.done[0].seconds if self.done else meter.seconds
        refused = expected == "refuse"
        self.done.append(
            DemoStep(
                verdict=expected,
                operation=operation,
                seconds=meter.seconds,
                bytes_moved=meter.bytes_moved,
                times_faster=None if refused else first / meter.seconds,
                decision=decision,
            )
        )


def make_disk(path: Path) -> None:
    """Make a disk image of random data with holes in it."""
    with path.open("wb") as file:
        for at in range(0, _SIZE, _DATA_EVERY * _PIECE):
            file.seek(at)
            file.write(os.urandom(_PIECE))
        file.truncate(_SIZE)


def raw_copy(source: Path, disk_format: str, target: Path) -> Path:
    """Return ``source`` if it is raw, or else convert it to ``target``.

    Raises:
        CliError: qemu-img is not installed, or cannot convert the image.
    """
    if disk_format in {"raw", "iso"}:
        return source
    qemu_img = shutil.which("qemu-img") or "qemu-img"
    kind = {"vhd": "vpc"}.get(disk_format, disk_format)
    command = [qemu_img, "convert", "-f", kind, "-O", "raw"]
    try:
        subprocess.run(  # noqa: S603 - paths are absolute
            [*command, str(source.resolve()), str(target)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"{source}: qemu-img cannot convert it: {error}"
        raise CliError(
            Exit.FAILED, message, "use a raw or qcow2 image"
        ) from None
    return target


def sha256(path: Path, length: int, meter: Meter) -> str:
    """Hash the first ``length`` bytes of a file."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while length and (piece := file.read(min(length, _PIECE))):
            made.update(piece)
            length -= len(piece)
            meter.moved(len(piece))
    return made.hexdigest()
