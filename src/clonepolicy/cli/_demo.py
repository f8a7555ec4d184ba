"""The demo: a newcomer's story from end to end, on a cloud of its own."""

from __future__ import annotations

import contextlib
import math
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs
import click
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
from clonepolicy._terminal.errors import CliError, Exit, printable
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import (
    Json,
    console,
    emit,
    seconds,
    size,
    table,
)
from clonepolicy.adapters.local import ImageRow, LocalCloud, VolumeRow
from clonepolicy.cli._cloud import detect_format
from clonepolicy.cli._story import (
    PROJECT,
    Act,
    Story,
    make_disk,
    raw_copy,
    sha256,
)
from clonepolicy.cli._watch import bar, reasons, watching, why_not

_NARROW, _WIDE = 80, 116


@click.command(
    epilog=examples(
        "clonepolicy demo",
        "clonepolicy demo --image disk.qcow2 --size 2",
        "clonepolicy demo --root cloud3 --json",
    )
)
@click.option(
    "--image",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A disk image, raw or qcow2.  [default: one is made]",
)
@click.option(
    "--size",
    "gigabytes",
    type=click.IntRange(min=1),
    metavar="GIB",
    help="Size of the first volume.  [default: what the image takes]",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the cloud in DIR.  [default: a temporary one, removed]",
)
@json_option
def demo(
    file: Path | None,
    gigabytes: int | None,
    root: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show when volumes and images are cloned, when not, and why.

    Makes a small cloud, puts a disk image into it, and creates, uploads,
    clones and compares for real.  Exits with 0 only if everything went as
    it says: a clone that silently became a copy of the bytes is a failure.
    """
    if file is not None and not file.is_file():
        raise CliError(
            Exit.USAGE, f"--image {file}: no such file", "name a disk image"
        )
    out = console(piped_width=_NARROW, quiet=as_json)
    with _places(root) as (scratch, place):
        disk = scratch / "base.raw" if file is None else file
        with LocalCloud.init(place) as cloud:
            told = _Demo(out, cloud, scratch).run(
                disk, gigabytes, make=file is None
            )
    if as_json:
        emit({"root": None if root is None else str(root), **told})
    elif root is not None:
        out.print(
            f"The cloud stays in {root}: "
            f"clonepolicy volume list --root {root}",
            soft_wrap=True,
        )


@contextlib.contextmanager
def _places(root: Path | None) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="clonepolicy-demo-") as name:
        scratch = Path(name)
        yield scratch, scratch / "cloud" if root is None else root


@attrs.frozen
class _Demo:
    """The acts with what is said about them."""

    out: Console
    cloud: LocalCloud
    scratch: Path

    def run(self, disk: Path, gigabytes: int | None, *, make: bool) -> Json:
        """Play all acts; give what happened as JSON's own types."""
        story = Story(self.cloud)
        base = self._prologue(disk, make=make)
        length = base.image.virtual_size or base.image.size or 0
        wanted = gigabytes or max(2, math.ceil(length / GiB))
        first = self._download(story, base, wanted)
        golden = self._register(story, first)
        clones = self._clone(story, golden, wanted)
        self._refuse(story, golden, wanted - 1)
        operator, tenant = self._renderings(story.acts[2])
        kind = base.image.disk_format or "raw"
        source = raw_copy(disk, kind, self.scratch / "converted.raw")
        digests = self._compare(source, (first, *clones), length)
        self._summary(story)
        ordinary = story.acts[0].seconds
        return {
            "clone_kind": str(self._clone_kind),
            "image_bytes": length,
            "steps": [act.to_dict(ordinary) for act in story.acts],
            "renderings": {"operator": operator, "tenant": tenant},
            "sha256": digests,
            "ok": True,
        }

    @property
    def _clone_kind(self) -> CloneKind | None:
        return self.cloud.pools[0].backend.clone_kind

    @property
    def _shares(self) -> bool:
        return self._clone_kind is CloneKind.COPY_ON_WRITE

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

    def _took(self, act: Act, word: str) -> None:
        moved = "no bytes moved"
        if act.bytes_moved:
            moved = f"{size(act.bytes_moved)} moved"
        self._say(f"{word} in {seconds(act.seconds)}, {moved}.", style="green")

    def _prologue(self, disk: Path, *, make: bool) -> ImageRow:
        self._say(
            "clonepolicy demo: an image store and a volume service in one "
            "directory",
            style="bold",
            indent=0,
        )
        self.out.print()
        self._say(f"Pool    {self.cloud.pools[0].path}", indent=0)
        self._say(
            "Clones  reflinks: this file system lets files share data"
            if self._shares
            else "Clones  full copies: this file system has no reflinks",
            indent=0,
        )
        if make:
            make_disk(disk)
        kind = detect_format(disk)
        with watching(f"adding {disk.name}", disk.stat().st_size) as watch:
            done = 0

            def progress(so_far: int, _total: int) -> None:
                nonlocal done
                watch.moved(so_far - done)
                done = so_far

            image = self.cloud.add_image(
                disk,
                name="base",
                project_id=PROJECT,
                disk_format=kind,
                progress=progress,
            )
        row = self.cloud.find_image(image.id, PROJECT)
        self._say(
            f"Image   base, {kind}, "
            f"{size(image.virtual_size or image.size or 0)}, of which "
            f"{size(row.bytes_on_disk)} is data",
            indent=0,
        )
        return row

    def _download(
        self, story: Story, base: ImageRow, wanted: int
    ) -> VolumeRow:
        self._title(f"1. Create volume first ({wanted} GiB) from image base")
        with watching("creating first", base.image.size) as watch:
            first = story.create(base, "first", wanted, watch, "download")
        act = story.acts[-1]
        self._took(act, "Downloaded")
        self._say("No clone, because:")
        for reason in why_not(act.decision):
            self._say(f"- {reason}", indent=5)
        return first

    def _register(self, story: Story, first: VolumeRow) -> ImageRow:
        self._title("2. Upload volume first to a new image, golden")
        with watching("uploading first", first.volume.size * GiB) as watch:
            golden = story.upload(first, "golden", watch)
        self._took(story.acts[-1], "Registered")
        self._say(
            "The image's data is a clone of the volume, and the image says "
            "where it is:"
        )
        for url in golden.locations:
            self._say(url, indent=5)
            location = parse_location(url)
            if isinstance(location, CinderLocation):
                behind = self.cloud.find_volume(location.volume_id, None)
                self._say(
                    f"That volume lies in project {behind.volume.project_id},"
                    " where no tenant can change it, and its metadata names "
                    "the image's owner: "
                    f"image_owner={behind.volume.image_owner}."
                )
        return golden

    def _clone(
        self, story: Story, golden: ImageRow, wanted: int
    ) -> tuple[VolumeRow, VolumeRow]:
        larger = wanted + 1
        self._title(
            f"3. Create second ({wanted} GiB) and larger ({larger} GiB) "
            "from image golden"
        )
        with watching("creating second", None) as watch:
            second = story.create(golden, "second", wanted, watch, "clone")
        self._took(story.acts[-1], "Second: cloned")
        with watching("creating larger", None) as watch:
            third = story.create(golden, "larger", larger, watch, "clone")
        self._took(story.acts[-1], "Larger: cloned and extended")
        self._say(
            "Reflinks: the clones share the image's data until it is written."
            if self._shares
            else f"Full copies: the file system copied "
            f"{size(second.bytes_on_disk)} for each, holes left out. With "
            "--root on XFS or btrfs they would be reflinks."
        )
        return second, third

    def _refuse(self, story: Story, golden: ImageRow, small: int) -> None:
        self._title(f"4. Ask for a volume that is too small ({small} GiB)")
        act = story.refuse(golden, "small", small)
        self._say("Refused, on both paths, before anything was made:")
        for reason in reasons(act.decision):
            about = reason.about
            self._say(f"- {reason}: {about.meaning}", indent=5)
            self._say(f"{about.who}: {about.remedy}", indent=7)

    def _renderings(self, act: Act) -> tuple[str, str]:
        self._title("5. One decision, told to the operator and to the tenant")
        operator = explain(act.decision)
        tenant = explain_to_tenant(act.decision)
        left = Panel(Text(printable(operator)), title="operator")
        right = Panel(Text(printable(tenant)), title="tenant")
        if self.out.width >= _WIDE:
            beside = Table.grid(padding=(0, 1), expand=True)
            beside.add_column(ratio=3)
            beside.add_column(ratio=2)
            beside.add_row(left, right)
            self.out.print(beside)
        else:
            self.out.print(left)
            self.out.print(right)
        self._say(
            "The tenant is told nothing that depends on what other projects "
            "own."
        )
        return operator, tenant

    def _compare(
        self, source: Path, volumes: tuple[VolumeRow, ...], length: int
    ) -> Json:
        self._title("6. Compare the bytes")
        files = {"base": source, **{row.name: row.path for row in volumes}}
        digests = {}
        with bar("comparing", len(files) * length) as tick:
            for name, path in files.items():
                digests[name] = sha256(path, length, tick)
        for name, digest in digests.items():
            self._say(f"{name:<7} sha256 {digest[:32]}...")
        if len(set(digests.values())) > 1:
            names = ", ".join(
                name for name in digests if digests[name] != digests["base"]
            )
            raise CliError(
                Exit.FAILED,
                f"the demo did not go as told: the image's {length} bytes "
                f"differ in {names}",
                "that is a defect; please report it",
            )
        self._say(
            f"The image's {size(length)} are the same everywhere.",
            style="green",
        )
        return digests

    def _summary(self, story: Story) -> None:
        self._title("Summary")
        ordinary = story.acts[0].seconds
        self.out.print(
            table(
                ("path", "what", "time", "moved", "faster"),
                (
                    (
                        act.path,
                        act.what,
                        seconds(act.seconds),
                        size(act.bytes_moved),
                        None
                        if act.path == "refuse"
                        else f"{ordinary / act.seconds:.1f} x",
                    )
                    for act in story.acts
                ),
                right=("time", "moved", "faster"),
            )
        )
        self.out.print()
        self._say(
            "Moved is what passed through the services"
            + (
                "; reflinks copied nothing at all."
                if self._shares
                else "; the full copies stayed inside the file system."
            ),
            indent=0,
        )
        self._say("Everything went as told.", style="green", indent=0)
