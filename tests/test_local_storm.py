"""Processes are killed on slow, failing and full disks; nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support

source = local_support.source
_HERE = Path(__file__).parent
_KILLS = 400


@pytest.fixture(params=["ext4", "xfs", "btrfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Mount a file system that three processes can fill."""
    yield from local_support.mounted(request.param, tmp_path)


def shim(directory: Path) -> str:
    """Compile what delays and fails the calls that write."""
    if shutil.which("cc") is None:
        pytest.skip("cc is not installed")
    made = directory / "storm.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(made)]
    subprocess.run([*command, str(_HERE / "local_storm.c")], check=True)
    return str(made)


@pytest.mark.deep
def test_three_processes_killed_on_a_bad_disk_lose_nothing(
    disk: Path, source: Path, tmp_path: Path
) -> None:
    """Each of the three file systems takes a third of the kills."""
    program = [sys.executable, str(_HERE / "local_storm.py")]
    done = subprocess.run(
        [*program, str(disk / "cloud"), str(source), str(_KILLS), "1"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LD_PRELOAD": shim(tmp_path)},
    )
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["died"] == []
    assert found["kills"] >= _KILLS
