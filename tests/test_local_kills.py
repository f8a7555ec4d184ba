"""What holds of a cloud after processes were killed in their work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import local_support

source, xfs = local_support.source, local_support.xfs

_PROGRAM = Path(__file__).parent / "local_support.py"
_DEEP = os.environ.get("CLONEPOLICY_PROFILE") == "deep"


def _outlive(root: Path, source: Path, action: str) -> None:
    step = 1 if _DEEP else 13 if action == "delete" else 7
    done = subprocess.run(
        [sys.executable, _PROGRAM, root, source, action, str(step)],
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert told["kills"] > 5
    assert told["again"] > 5


@pytest.mark.parametrize("action", local_support.ACTIONS)
def test_a_kill_at_any_call_leaves_nothing_half_made(
    action: str, tmp_path: Path, source: Path
) -> None:
    """Killed at system calls and statements all along, recovery included.

    Every one of them in the deep profile, every few else.
    """
    _outlive(tmp_path / "cloud", source, action)


@pytest.mark.parametrize("action", ["clone", "register"])
def test_a_kill_while_data_is_shared_leaves_nothing_half_made(
    action: str, xfs: Path, source: Path
) -> None:
    """The same where a clone is one call of the file system."""
    _outlive(xfs / f"kill-{action}", source, action)
