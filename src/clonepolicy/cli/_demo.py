"""The script of the demo: the policies at work on a cloud of their own."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

import attrs
from rich.console import Console  # noqa: TC002 - attrs reads it
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from clonepolicy import (
    CinderLocation,
    CloneKind,
    GiB,
    explain,
    explain_to_tenant,
    parse_location,
)
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import Json, seconds, size, table
from clonepolicy._text import printable
from clonepolicy.adapters.local import ImageRow
from clonepolicy.cli._demo_steps import (
    PROJECT,
    DemoSteps,
    make_disk,
    raw_copy,
    sha256,
)
from clonepolicy.cli._here import remedies, reword
from clonepolicy.cli._report import findings, measured, reason_lines
from clonepolicy.cli._storage import detect_format

_SIDE_BY_SIDE = 116
"""Columns of a terminal that shows two explanations beside each other."""


@attrs.frozen
class DemoScript:
    """Runs the steps and prints them."""

    out: Console
    steps: DemoSteps
    scratch: Path
    """A directory for temporary files."""

    def run(self, disk: Path | None, gigabytes: int | None) -> Json:
        """Run all steps; return what happened as JSON types.

        Without ``disk``, a disk image is made.

        Raises:
            CliError: a step did not come out as expected.
        """
        if disk is None:
            disk = self.scratch / "base.raw"
            make_disk(disk)
        base = self._add_image(disk)
        length = base.image.virtual_size or base.image.size or 0
        wanted = gigabytes or max(2, math.ceil(length / GiB))
        self._download(wanted)
        self._register()
        self._clone(wanted)
        self._refuse(wanted - 1)
        explanations = self._explain()
        kind = base.image.disk_format or "raw"
        source = raw_copy(disk, kind, self.scratch / "converted.raw")
        digests = self._compare(source, length)
        self._summary()
        return {
            "clone_kind": str(self._kind),
            "image_bytes": length,
            "steps": [step.to_dict() for step in self.steps.done],
            "explanations": explanations,
            "sha256": digests,
            "ok": True,
        }

    @property
    def _kind(self) -> CloneKind | None:
        return self.steps.cloud.pools[0].backend.clone_kind

    @property
    def _shares(self) -> bool:
        return self._kind is CloneKind.COPY_ON_WRITE

    def _say(self, text: str, *, style: str = "", indent: int = 3) -> None:
        blank = " " * indent
        hang = blank + " " * (len(text) - len(text.removeprefix("- ")))
        lines = textwrap.wrap(
            printable(text),
            self.out.width,
            initial_indent=blank,
            subsequent_indent=hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.out.print(Text("\n".join(lines), style=style), soft_wrap=True)

    def _title(self, text: str) -> None:
        self.out.print()
        self._say(text, style="bold", indent=0)

    def _say_cost(self, word: str) -> None:
        step = self.steps.done[-1]
        moved = "no bytes moved"
        if step.bytes_moved:
            moved = f"{size(step.bytes_moved)} moved"
        self._say(
            f"{word} in {seconds(step.seconds)}, {moved}.", style="green"
        )

    def _add_image(self, disk: Path) -> ImageRow:
        self._say(
            "clonepolicy demo: an image store and a volume service in one "
            "directory",
            style="bold",
            indent=0,
        )
        self.out.print()
        self._say(f"Pool    {self.steps.cloud.pools[0].path}", indent=0)
        self._say(
            "Clones  reflinks: files can share data on this file system"
            if self._shares
            else "Clones  full copies: this file system has no reflinks",
            indent=0,
        )
        kind = detect_format(disk)
        with measured(f"adding {disk.name}", disk.stat().st_size) as meter:
            image = self.steps.cloud.add_image(
                disk,
                name="base",
                project_id=PROJECT,
                disk_format=kind,
                progress=meter.moved_so_far,
            )
        row = self.steps.cloud.find_image(image.id, PROJECT)
        self._say(
            f"Image   base, {kind}, "
            f"{size(image.virtual_size or image.size or 0)}, of which "
            f"{size(row.bytes_on_disk)} is data",
            indent=0,
        )
        return row

    def _download(self, wanted: int) -> None:
        self._title(f"1. Create volume first ({wanted} GiB) from image base")
        self.steps.create("download", "base", "first", wanted)
        self._say_cost("Downloaded")
        self._say("The volume is not a clone, because:")
        for line in reason_lines(self.steps.done[-1].decision):
            self._say(f"- {line}", indent=5)

    def _register(self) -> None:
        self._title("2. Upload volume first to a new image, golden")
        self.steps.upload("register", "first", "golden")
        self._say_cost("Registered")
        self._say(
            "The data of the image is a clone of the volume. The image holds "
            "the location of the clone:"
        )
        cloud = self.steps.cloud
        for url in cloud.find_image("golden", PROJECT).locations:
            self._say(url, indent=5)
            location = parse_location(url)
            if isinstance(location, CinderLocation):
                backing = cloud.find_volume(location.volume_id, None)
                self._say(
                    "The clone is a volume of project "
                    f"{backing.volume.project_id}, so that no tenant can "
                    "change it. Its metadata names the owner of the image: "
                    f"image_owner={backing.volume.image_owner}."
                )

    def _clone(self, wanted: int) -> None:
        larger = wanted + 1
        self._title(
            f"3. Create second ({wanted} GiB) and larger ({larger} GiB) "
            "from image golden"
        )
        self.steps.create("clone", "golden", "second", wanted)
        self._say_cost("Second: cloned")
        self.steps.create("clone", "golden", "larger", larger)
        self._say_cost("Larger: cloned and extended")
        second = self.steps.cloud.find_volume("second", PROJECT)
        self._say(
            "The clones are reflinks: they share the data of the image until "
            "it is overwritten."
            if self._shares
            else "The clones are full copies: the file system copied "
            f"{size(second.bytes_on_disk)} for each, without the holes. Use "
            "--root with a directory on XFS or btrfs to get reflinks."
        )

    def _refuse(self, small: int) -> None:
        self._title(f"4. Request a volume that is too small ({small} GiB)")
        self.steps.create("refuse", "golden", "small", small)
        self._say(
            "Refused before anything was made: clone and download are both "
            "impossible."
        )
        for found in findings(self.steps.done[-1].decision):
            self._say(f"- {found.reason}: {found.meaning}", indent=5)
            for remedy in remedies(found):
                self._say(str(remedy), indent=7)

    def _explain(self) -> Json:
        self._title("5. Explain a decision to the operator and to the tenant")
        decision = self.steps.done[2].decision
        texts = {
            "operator": explain(decision, reword=reword),
            "tenant": explain_to_tenant(decision),
        }
        panels = [
            Panel(Text(text), title=reader) for reader, text in texts.items()
        ]
        if self.out.width >= _SIDE_BY_SIDE:
            beside = Table.grid(padding=(0, 1), expand=True)
            beside.add_column(ratio=3)
            beside.add_column(ratio=2)
            beside.add_row(*panels)
            self.out.print(beside)
        else:
            self.out.print(*panels)
        self._say(
            "The tenant learns nothing that depends on the volumes of other "
            "projects."
        )
        return texts

    def _compare(self, source: Path, length: int) -> Json:
        self._title("6. Compare the bytes")
        files = {"base": source}
        for name in ("first", "second", "larger"):
            files[name] = self.steps.cloud.find_volume(name, PROJECT).path
        digests = {}
        with measured("comparing", len(files) * length) as meter:
            for name, path in files.items():
                digests[name] = sha256(path, length, meter)
        for name, digest in digests.items():
            self._say(f"{name:<7} sha256 {digest[:32]}...")
        wrong = [name for name in digests if digests[name] != digests["base"]]
        if wrong:
            raise CliError(
                Exit.FAILED,
                f"the demo failed: the first {length} bytes of "
                f"{', '.join(wrong)} are not those of the image",
                "this is a defect; please report it",
            )
        self._say(
            f"The {size(length)} of the image are the same in each volume.",
            style="green",
        )
        return digests

    def _summary(self) -> None:
        self._title("Summary")
        rows = (
            (
                step.verdict,
                step.operation,
                seconds(step.seconds),
                size(step.bytes_moved),
                step.times_faster and f"{step.times_faster:.1f} x",
            )
            for step in self.steps.done
        )
        heads = ("verdict", "operation", "time", "moved", "faster")
        self.out.print(table(heads, rows, right=heads[2:]))
        self.out.print()
        self._say(
            '"Moved" counts the bytes that passed through the services. '
            + (
                "Reflinks copied no data."
                if self._shares
                else "The file system made the full copies."
            ),
            indent=0,
        )
        self._say("All checks passed.", style="green", indent=0)
