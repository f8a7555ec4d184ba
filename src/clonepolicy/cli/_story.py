"""The acts of the demo, each held to what it is told to do."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TypeVar

import attrs

from clonepolicy import Decision, Outcome, verb, wire
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import Json
from clonepolicy.adapters.local import ImageRow, LocalCloud, VolumeRow
from clonepolicy.cli._watch import Tick, Watch, reasons, why_not

R = TypeVar("R", ImageRow, VolumeRow)

PROJECT = "demo"
_PIECE = 1 << 20
_IMAGE_SIZE, _DATA_EVERY = 256 * _PIECE, 3


def make_disk(path: Path) -> None:
    """Make a disk image: random data with holes between."""
    with path.open("wb") as file:
        for at in range(0, _IMAGE_SIZE, _DATA_EVERY * _PIECE):
            file.seek(at)
            file.write(os.urandom(_PIECE))
        file.truncate(_IMAGE_SIZE)


def raw_copy(source: Path, disk_format: str, target: Path) -> Path:
    """Give a disk image in raw form, converted where it is not.

    Raises:
        CliError: qemu-img is not there, or cannot read it.
    """
    if disk_format in {"raw", "iso"}:
        return source
    qemu_img = shutil.which("qemu-img") or "qemu-img"
    kind = {"vhd": "vpc"}.get(disk_format, disk_format)
    command = [qemu_img, "convert", "-f", kind, "-O", "raw"]
    try:
        subprocess.run(  # noqa: S603 - no name comes from outside
            [*command, str(source.resolve()), str(target)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"{source}: qemu-img cannot convert it: {error}"
        raise CliError(
            Exit.FAILED, message, "take a raw or qcow2 image"
        ) from None
    return target


def sha256(path: Path, length: int, tick: Tick) -> str:
    """Hash a file's first bytes."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while length and (piece := file.read(min(length, _PIECE))):
            made.update(piece)
            length -= len(piece)
            tick(len(piece))
    return made.hexdigest()


@attrs.frozen(kw_only=True)
class Act:
    """One operation, what was decided, and what it took."""

    path: str
    """What was expected and happened: download, register, clone, refuse."""
    what: str
    decision: Decision
    seconds: float
    bytes_moved: int

    def to_dict(self, ordinary: float) -> Json:
        """Write it as JSON's own types; ``ordinary`` is what it is beside."""
        return {
            "path": self.path,
            "what": self.what,
            "seconds": self.seconds,
            "bytes_moved": self.bytes_moved,
            "times_faster": (
                None if self.path == "refuse" else ordinary / self.seconds
            ),
            "reasons": [str(reason) for reason in reasons(self.decision)],
            "decision": wire.to_dict(self.decision),
        }


@attrs.frozen
class Story:
    """Acts on one cloud; one that goes otherwise than told ends it."""

    cloud: LocalCloud
    acts: list[Act] = attrs.field(factory=list, init=False)

    def create(
        self,
        image: ImageRow,
        name: str,
        size: int,
        watch: Watch,
        expected: str,
    ) -> VolumeRow:
        """Create a volume on the expected path."""
        made = self.cloud.create_volume(
            image.image.id,
            name=name,
            project_id=PROJECT,
            size=size,
            observer=watch,
        )
        watch.stop()
        what = f"image {image.name} to volume {name}, {size} GiB"
        act = _decided(expected, what, made.decision, watch)
        return self._done(act, made.outcome, made.volume)

    def refuse(self, image: ImageRow, name: str, size: int) -> Act:
        """Have a volume refused."""
        watch = Watch()
        made = self.cloud.create_volume(
            image.image.id, name=name, project_id=PROJECT, size=size
        )
        watch.stop()
        what = f"image {image.name} to volume {name}, {size} GiB"
        act = _decided("refuse", what, made.decision, watch)
        self.acts.append(act)
        return act

    def upload(self, volume: VolumeRow, name: str, watch: Watch) -> ImageRow:
        """Upload a volume by registering a clone of it."""
        made = self.cloud.upload_volume(
            volume.volume.id, name=name, project_id=PROJECT, observer=watch
        )
        watch.stop()
        what = f"volume {volume.name} to image {name}"
        act = _decided("register", what, made.decision, watch)
        return self._done(act, made.outcome, made.image)

    def _done(self, act: Act, outcome: Outcome | None, row: R | None) -> R:
        failures = () if outcome is None else outcome.failures
        taken = "nothing" if outcome is None else str(outcome.attempt)
        # an attempt's name begins with its path
        if row is None or taken.split()[0] != act.path:
            why = "; ".join(str(failure.error) for failure in failures)
            raise _otherwise(act.path, act.what, f"ended in {taken}: {why}")
        self.acts.append(act)
        return row


def _decided(
    expected: str, what: str, decision: Decision, watch: Watch
) -> Act:
    verdict = verb(decision)
    if verdict != expected:
        why = "; ".join(why_not(decision)) or "nothing spoke against it"
        raise _otherwise(expected, what, f"decided {verdict}: {why}")
    return Act(
        path=expected,
        what=what,
        decision=decision,
        seconds=watch.seconds,
        bytes_moved=watch.bytes_moved,
    )


def _otherwise(expected: str, what: str, happened: str) -> CliError:
    return CliError(
        Exit.FAILED,
        f"the demo did not go as told: {what}: expected {expected}, but "
        f"{happened}",
        "correct that and run the demo again",
    )
