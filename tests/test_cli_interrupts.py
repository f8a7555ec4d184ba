"""An interrupted or killed command leaves nothing behind."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_support import (
    MIB,
    PATIENCE,
    PROGRAM,
    make_disk,
    run,
    run_json,
    run_program,
)
from clonepolicy._terminal.errors import Exit
from clonepolicy.adapters.local import LocalCloud

LARGE = 1536 * MIB
"""Bytes of an image that takes seconds to hash."""


def _make_large_cloud(root: Path) -> None:
    with LocalCloud.init(root) as made:
        made.add_image(
            make_disk(root / "disk.raw", LARGE), name="base", project_id="demo"
        )


def _start(*args: str) -> subprocess.Popen[str]:
    # tests that run in the background ignore SIGINT; children inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*PROGRAM, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(args: tuple[str, ...], begun: Callable[[], bool]) -> str:
    """Send SIGINT once the work has begun; return standard error."""
    process = _start(*args)
    deadline = time.monotonic() + PATIENCE
    while not begun() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    return shown


def _files(directory: Path) -> list[Path]:
    # the name of the file that marks a pool begins with a dot
    found = directory.rglob("[!.]*")
    return [path for path in found if path.is_file()]


def test_an_interrupted_image_add_leaves_nothing(tmp_path: Path) -> None:
    """No record and no file."""
    root, images = tmp_path / "cloud", tmp_path / "cloud" / "images"
    LocalCloud.init(root).close()
    disk = make_disk(tmp_path / "disk.raw", LARGE)

    shown = _interrupt(
        ("image", "add", str(disk), "--root", str(root)),
        lambda: bool(_files(images)),
    )

    assert "Traceback" not in shown
    assert _files(images) == []
    assert run_json("image", "list", "--root", str(root)) == {"images": []}


def test_an_interrupted_volume_create_leaves_nothing(tmp_path: Path) -> None:
    """No volume in any state, and no file in the pool."""
    root, pools = tmp_path / "cloud", tmp_path / "cloud" / "pools"
    _make_large_cloud(root)
    create = ("volume", "create", "--image", "base", "--size", "2")

    shown = _interrupt(
        (*create, "--root", str(root)), lambda: bool(_files(pools))
    )

    assert "Traceback" not in shown
    assert _files(pools) == []
    assert run_json("volume", "list", "--root", str(root)) == {"volumes": []}


def test_the_next_command_cleans_up_after_a_kill(tmp_path: Path) -> None:
    """A note on standard error reports it."""
    root, pools = tmp_path / "cloud", tmp_path / "cloud" / "pools"
    _make_large_cloud(root)
    process = subprocess.Popen(
        [
            *(*PROGRAM, "volume", "create", "--image", "base"),
            *("--size", "2", "--root", str(root)),
        ],
    )
    while not _files(pools):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait(timeout=PATIENCE)

    result = run("volume", "list", "--root", str(root))

    assert result.exit_code == 0
    assert result.stderr == "note: cleaned up 1 interrupted operation\n"
    assert _files(pools) == []


def test_an_interruption_during_the_imports_is_no_traceback() -> None:
    """The process dies of SIGINT, as after any interruption."""
    code = """
import sys

class Interrupting:
    def find_spec(name, path=None, target=None):
        if name == "click":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting)
import clonepolicy.cli
clonepolicy.cli.main()
"""

    done = run_program([sys.executable, "-c", code])

    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def _interrupt_at_any_instant(command: str, count: int) -> None:
    """Start a command ``count`` times, and interrupt it somewhere."""
    began = time.monotonic()
    _start(command).communicate(timeout=PATIENCE)
    whole = time.monotonic() - began
    chance = random.Random()  # noqa: S311 - any instant will do
    for _ in range(count):
        process = _start(command)
        after = chance.uniform(0, whole)
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=PATIENCE)
        # until the first line of ours runs, Python shows its own traceback,
        # or ignores the signal
        ours = re.search(r'File "[^"]*clonepolicy', shown)
        assert ours is None, f"after {after} s: {shown}"
        if not shown:
            codes = {0, Exit.INTERRUPTED, -signal.SIGINT}
            assert process.returncode in codes, after


@pytest.mark.parametrize("command", ["--help", "rules"])
def test_an_interruption_at_any_instant_is_no_traceback(command: str) -> None:
    """While Python starts, while modules load, and at the end."""
    _interrupt_at_any_instant(command, 12)


@pytest.mark.deep
@pytest.mark.parametrize("command", ["--help", "rules", "schema", "demo"])
def test_many_interruptions_are_no_traceback(command: str) -> None:
    """The demo has threads, a terminal and files to clean up."""
    _interrupt_at_any_instant(command, 300)
