"""The program: help, version, completion, and its output."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import (
    MIB,
    PROGRAM,
    make_disk,
    run,
    run_json,
    run_process,
    run_program,
)
from clonepolicy._terminal.errors import Exit

cloud = cli_support.cloud


def test_the_program_has_help_and_a_version() -> None:
    """The help lists the exit codes."""
    done = run_process("--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit codes:" in done.stdout
    assert run("--version").stdout.startswith("clonepolicy, version ")


def test_a_missing_extra_is_named() -> None:
    """The message says what to install."""
    code = (
        "import sys; sys.modules['click'] = None; "
        "import clonepolicy.cli as cli; cli.main()"
    )

    done = run_program([sys.executable, "-c", code])

    message = "error: there is no module click; install clonepolicy[cli]\n"
    assert (done.returncode, done.stderr) == (2, message)


def test_without_a_command_the_program_shows_its_help() -> None:
    """On standard error, because nothing was done."""
    result = run()

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: clonepolicy ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_writes_a_script(shell: str) -> None:
    """As text and as JSON."""
    made = run_json("completion", shell)

    assert "_CLONEPOLICY_COMPLETE" in made["script"]
    assert made["script"] == run("completion", shell).stdout.rstrip("\n")


def test_completion_completes_policies() -> None:
    """The script of bash sets these variables."""
    done = run_process(
        _CLONEPOLICY_COMPLETE="bash_complete",
        COMP_WORDS="clonepolicy rules --policy cin",
        COMP_CWORD="3",
    )

    assert done.stdout == (
        "plain,CINDER_26\nplain,CINDER_27\nplain,CINDER_28\nplain,CINDER_29\n"
    )


@pytest.mark.parametrize(
    "args",
    [
        ("rules", "--long"),
        ("schema",),
        ("--help",),
        ("--version",),
        ("explain", "nope"),
        ("demo",),
    ],
)
def test_a_closed_pipe_ends_the_program_as_it_ends_others(
    args: tuple[str, ...],
) -> None:
    """By SIGPIPE, which a shell shows as 141, and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run_program([*PROGRAM, *args], stdout=writer)
    finally:
        os.close(writer)

    if args == ("explain", "nope"):
        # nothing was written to the pipe
        assert done.returncode == Exit.NOT_FOUND
    else:
        assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


def test_a_shell_sees_141_of_a_closed_pipe() -> None:
    """``head`` closes the pipe; 50,000 lines do not fit into it."""
    command = " ".join([*PROGRAM, "rules", "--json"])

    done = run_program(
        ["/bin/bash", "-c", f"{command} | true; echo ${{PIPESTATUS[0]}}"]
    )

    assert (done.stdout, done.stderr) == ("141\n", "")


def test_output_to_a_full_disk_is_one_line() -> None:
    """Output that cannot be written is a failure."""
    with Path("/dev/full").open("wb") as full:
        done = run_program([*PROGRAM, "schema"], stdout=full)

    assert done.returncode == 1
    assert done.stderr == "error: No space left on device; free disk space\n"


def test_a_terminal_sees_progress_and_pipes_do_not(
    cloud: Path, tmp_path: Path
) -> None:
    """The bar is on standard error only."""
    disk = make_disk(tmp_path / "large.raw", 64 * MIB)
    controller, terminal = pty.openpty()
    try:
        done = run_program(
            [*PROGRAM, "image", "add", str(disk), "--root", str(cloud)],
            stderr=terminal,
        )
        drawn = os.read(controller, 4096).decode()
    finally:
        os.close(controller)
        os.close(terminal)

    assert done.returncode == 0
    assert "adding large.raw" in drawn
    assert "\x1b" not in done.stdout


def test_closed_standard_streams_do_no_harm() -> None:
    """The exit code is that of an empty input."""
    command = " ".join([*PROGRAM, "decide", "create", "-"])

    done = run_program(["/bin/sh", "-c", f"{command} <&- >&- 2>&-"])

    assert done.returncode == 2


def test_output_fits_any_encoding(cloud: Path, tmp_path: Path) -> None:
    """Characters that the terminal cannot write are escaped."""
    file, root = str(tmp_path / "disk.raw"), ("--root", str(cloud))
    run("image", "add", file, "--name", "caf\u00e9", *root)
    # this release rejects the name, and an earlier one accepted it
    with sqlite3.connect(cloud / "catalogue.sqlite") as db:
        db.execute("UPDATE image SET name = name || '\x1b[31m'")
    db.close()

    done = run_process("image", "list", *root, PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert "caf\\xe9\\x1b[31m" in done.stdout


def test_piped_tables_have_one_line_for_each_row(cloud: Path) -> None:
    """No id is wrapped, and no line has trailing blanks."""
    done = run_process("image", "list", "--root", str(cloud))

    _head, _rule, *rows = done.stdout.splitlines()
    assert len(rows) == 1
    assert "\x1b" not in done.stdout
    assert all(row == row.rstrip() for row in done.stdout.splitlines())
