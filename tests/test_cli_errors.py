"""Bad input, bad usage and failing clouds: one line, and an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import MIB, assert_error, run
from clonepolicy import AdapterError, ConflictError, ForbiddenError
from clonepolicy.adapters.local import LocalCloud

cloud = cli_support.cloud

BAD_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda _path: None,
    "directory": Path.mkdir,
    "empty": Path.touch,
    "not JSON": lambda path: path.write_text("{"),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "bad UTF-8": lambda path: path.write_bytes(b'{"a": "\xff"}'),
    "deep": lambda path: path.write_text("[" * 100_000),
    "deep but closed": lambda path: path.write_text("[" * 500 + "]" * 500),
    "huge": lambda path: path.write_bytes(b" " * (17 * MIB)),
    "long number": lambda path: path.write_text("1" * 5000),
    "NaN": lambda path: path.write_text('{"image": NaN}'),
    "a list": lambda path: path.write_text("[]"),
    "a field twice": lambda path: path.write_text('{"a\\nb": 1, "a\\nb": 2}'),
    "a lone surrogate": lambda path: path.write_text('"\\ud800"'),
    "a control character": lambda path: path.write_text('{"\\u001b[31m": 1}'),
    "another shape": lambda path: path.write_text('{"image": {"id": 1}}'),
}

_CREATE = ("volume", "create", "--root", "cloud", "--image", "base")
_ADD = ("image", "add", "disk.raw", "--root", "cloud")


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize(
    "command", [("decide", "create"), ("decide", "upload"), ("explain",)]
)
def test_a_bad_file_is_one_line_and_no_traceback(
    kind: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    """The line names the file, and control characters are escaped."""
    path = tmp_path / "bad.json"
    BAD_FILES[kind](path)

    result = run(*command, str(path))

    missing = kind == "missing" and command == ("explain",)
    assert_error(4 if missing else 2, "bad.json", result)
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("code", "text", "args"),
    [
        (2, "No such command 'nope'", ("nope",)),
        (2, "No such option", ("schema", "--nope")),
        (2, "--image and --volume", ("decide", "create")),
        (2, "is not one of SAFE", ("rules", "--policy", "nope")),
        (2, "is not one of SAFE", ("rules", "diff", "SAFE", "nope")),
        (2, "after diff", ("rules", "--long", "diff", "SAFE", "SAFE")),
        (2, "is not NAME", ("init", "x", "--pool", "a=")),
        (2, "named twice", ("init", "x", "--pool", "a", "--pool", "a")),
        (2, "pools", ("init", "x", "--pool", "a/b")),
        (2, "no such file", ("image", "add", "nope")),
        (2, "not a file", ("image", "add", ".")),
        (2, "--size", ("volume", "create", "--image", "i", "--size", "-1")),
        (2, "--size", ("volume", "create", "--image", "i", "--size", "x")),
        (2, "size: expected", (*_CREATE, "--size", "9" * 20)),
        (2, "size: expected", (*_CREATE, "--size", "9000000000")),
        (2, "min_disk: expected", (*_ADD, "--min-disk", "9" * 30)),
        (2, "name: expected", (*_ADD, "--name", "x\udcff")),
        (2, "name: expected", (*_ADD, "--name", "a\nb")),
        (2, "name: expected", (*_ADD, "--name", "")),
        (2, "name: expected", (*_CREATE, "--size", "1", "--name", "\x1b")),
        (2, "project_id: expected", (*_ADD, "--project", "x\udcff")),
        (1, "/proc/x cannot be made", ("init", "/proc/x")),
        (2, "no such file", ("demo", "--image", "nope")),
        (4, "not a cloud", ("volume", "list", "--root", "nope")),
        (4, "clonepolicy init", ("image", "list")),
        (4, "no image nope", ("image", "show", "nope", "--root", "cloud")),
        (4, "no volume nope", ("volume", "show", "nope", "--root", "cloud")),
        (4, "no volume nope", ("volume", "delete", "nope", "--root", "cloud")),
        (5, "cloud already", ("init", "cloud")),
        (5, "not empty", ("init", ".")),
        (5, "cloud already", ("demo", "--root", "cloud")),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_bad_usage_is_one_line_with_its_exit_code(
    code: int,
    text: str,
    args: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line is text, or JSON with ``--json``."""
    monkeypatch.chdir(tmp_path)

    assert_error(code, text, run(*args))
    machine = run(*args, "--json")
    assert (code, "", 1) == (
        machine.exit_code,
        machine.stdout,
        machine.stderr.count("\n"),
    )
    assert code == json.loads(machine.stderr)["error"]["code"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device", "/x"), 1),
        (PermissionError(13, "Permission denied", "/x"), 2),
        (ConflictError("busy"), 5),
        (ForbiddenError("no"), 3),
        (AdapterError(), 1),
    ],
)
def test_an_error_of_the_cloud_is_one_line_with_its_exit_code(
    error: Exception,
    code: int,
    cloud: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The type of the error decides the exit code."""

    def fail(*_args: object, **_settings: object) -> None:
        raise error

    monkeypatch.setattr(LocalCloud, "list_volumes", fail)

    assert_error(code, "", run("volume", "list", "--root", str(cloud)))


def test_a_defect_keeps_its_traceback(
    cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only expected errors become one line."""

    def fail(*_args: object, **_settings: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(LocalCloud, "list_volumes", fail)

    result = run("volume", "list", "--root", str(cloud))

    assert isinstance(result.exception, ZeroDivisionError)
