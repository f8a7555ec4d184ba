"""Runs the command line in this process or in another, and checks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result

from clonepolicy import wire
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.cli._program import program
from clonepolicy.scenarios import CLONEABLE

PROGRAM = (sys.executable, "-m", "clonepolicy.cli")
MIB = 1 << 20
PATIENCE = 120
"""Seconds after which a test fails, on a loaded machine too."""

CREATE = next(iter(CLONEABLE.values()))
"""A create request that is cloned."""


def run(
    *args: str, stdin: str | bytes | None = None, columns: int | None = None
) -> Result:
    """Run a command in this process; without ``columns`` it is piped."""
    width = None if columns is None else str(columns)
    return CliRunner(env={"COLUMNS": width}).invoke(
        program, args, input=stdin, prog_name="clonepolicy"
    )


def run_json(*args: str) -> Any:  # noqa: ANN401 - any JSON
    """Run a command that succeeds, and read its JSON."""
    result = run(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def run_program(
    command: list[str],
    *,
    env: dict[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run any program to its end, with its output as text."""
    return subprocess.run(
        command,
        env=env,
        stdout=stdout,
        stderr=stderr,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def run_process(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own; ``more`` is its environment."""
    given = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    return run_program([*PROGRAM, *args], env={**given, **more})


def assert_error(code: int, text: str, result: Result) -> None:
    """Expect an exit code and one line on standard error with ``text``."""
    assert (code, 1) == (result.exit_code, result.stderr.count("\n")), (
        result.stderr
    )
    assert result.stderr.startswith("error: ")
    assert text in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


def make_disk(path: Path, size: int = 2 * MIB) -> Path:
    """Make a small disk image with data and a hole."""
    with path.open("wb") as file:
        file.write(b"\x01data" * 1000)
        file.truncate(size)
    return path


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """A cloud with one image, base."""
    root = tmp_path / "cloud"
    with LocalCloud.init(root) as made:
        made.add_image(
            make_disk(tmp_path / "disk.raw"), name="base", project_id="demo"
        )
    return root


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    """A file with a create request that is cloned."""
    path = tmp_path / "request.json"
    path.write_text(wire.dumps(CREATE))
    return path
