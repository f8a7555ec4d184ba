"""A cloud is consistent after its processes were killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_killed
import local_support

source, xfs = local_support.source, local_support.xfs

_PROGRAM = Path(__file__).parent / "local_killed.py"
_DEEP = os.environ.get("CLONEPOLICY_PROFILE") == "deep"


def check_kills(root: Path, source: Path, action: str) -> None:
    """Kill an action at many calls, and check the cloud after each."""
    step = 1 if _DEEP else 13 if action == "delete" else 7
    done = subprocess.run(
        [sys.executable, _PROGRAM, root, source, action, str(step)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["kills"] > 5
    assert found["repairs"] > 5


@pytest.mark.parametrize("action", local_killed.ACTIONS)
def test_a_kill_at_any_call_leaves_a_consistent_cloud(
    action: str, tmp_path: Path, source: Path
) -> None:
    """Processes are killed at system calls and SQL statements, repairs too.

    The deep profile kills at every one, others at every few.
    """
    check_kills(tmp_path / "cloud", source, action)


@pytest.mark.parametrize("action", ["clone", "register"])
def test_a_kill_at_a_reflink_leaves_a_consistent_cloud(
    action: str, xfs: Path, source: Path
) -> None:
    """On XFS, a clone is one system call."""
    check_kills(xfs / f"kill-{action}", source, action)
