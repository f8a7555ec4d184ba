"""``clonepolicy demo``."""

from __future__ import annotations

import io
from pathlib import Path

import click

from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import examples, json_option
from clonepolicy._terminal.render import console, emit
from clonepolicy.adapters import local

_PIPED_WIDTH = 80


@click.command(
    epilog=examples(
        "clonepolicy demo",
        "clonepolicy demo --image disk.qcow2 --size 2",
        "clonepolicy demo --root cloud3 --json",
        "clonepolicy demo --svg demo.svg",
    )
)
@click.option(
    "--image",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Disk image, raw or qcow2.  [default: the demo makes one]",
)
@click.option(
    "--size",
    "gigabytes",
    type=click.IntRange(min=1),
    metavar="GIB",
    help="Size of the first volume.  [default: what the image needs]",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the cloud in DIR.  [default: a temporary directory]",
)
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the output also as a picture.",
)
@json_option
def demo(
    file: Path | None,
    gigabytes: int | None,
    root: Path | None,
    svg: Path | None,
    *,
    as_json: bool,
) -> None:
    """Show when volumes and images are cloned, when not, and why.

    The demo makes a small cloud, adds a disk image, and creates, uploads and
    clones volumes. Then it compares their bytes. It fails if a step does not
    take the expected path, for example if a clone becomes a download.
    """
    if file is not None and not file.is_file():
        raise CliError(
            Exit.USAGE, f"--image {file}: no such file", "name a disk image"
        )
    import tempfile

    from clonepolicy.cli._demo import DemoScript
    from clonepolicy.cli._demo_steps import DemoSteps

    hidden = io.StringIO() if as_json else None
    out = console(hidden, piped_width=_PIPED_WIDTH)
    out.record = svg is not None
    with (
        tempfile.TemporaryDirectory(prefix="clonepolicy-demo-") as name,
        local.LocalCloud.init(root or Path(name) / "cloud") as cloud,
    ):
        script = DemoScript(out, DemoSteps(cloud), Path(name))
        result = script.run(file, gigabytes)
    if as_json:
        emit({"root": None if root is None else str(root), **result})
    elif root is not None:
        out.print(
            f"The cloud stays in {root}: "
            f"clonepolicy volume list --root {root}",
            soft_wrap=True,
        )
    if svg is not None:
        out.save_svg(str(svg), title="clonepolicy demo")
