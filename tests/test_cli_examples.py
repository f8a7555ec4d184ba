"""The examples in the help of each command."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_support import CREATE, PROGRAM, make_disk, run, run_program
from clonepolicy import wire
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.cli._program import program
from clonepolicy.scenarios import REGISTERABLE


def _examples(
    command: click.Command = program, path: str = "clonepolicy"
) -> Iterator[tuple[str, str]]:
    epilog = command.epilog or ""
    for line in epilog.splitlines():
        if line.startswith("  clonepolicy"):
            yield path, line.strip()
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _examples(below, f"{path} {name}")


EXAMPLES = tuple(
    dict.fromkeys(
        example
        for _, example in _examples()
        if not {"demo", "lint", "why"} & {*example.split()[1:2]}
    )
)
"""All but those of demo, lint and why, which have tests of their own."""


def test_every_command_has_an_example() -> None:
    """Its help shows the example on one line."""
    with_examples = {path for path, _ in _examples()}

    def walk(command: click.Command, path: str) -> Iterator[str]:
        yield path
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                yield from walk(below, f"{path} {name}")

    for path in walk(program, "clonepolicy"):
        assert path in with_examples
        shown = run(*path.split()[1:], "--help").stdout
        for where, example in _examples():
            if where == path:
                assert f"{example}\n" in shown


OF_CLOUDS = {
    *("image", "volume", "pool", "option", "quota", "check", "discard")
}
IMAGE = {
    "id": "i",
    "status": "active",
    "owner": "demo",
    "min_disk": 0,
    "disk_format": "raw",
    "container_format": "bare",
    "size": 1,
    "virtual_size": None,
    "visibility": "public",
    "os_hidden": False,
    "os_hash_algo": None,
    "os_hash_value": None,
    "updated_at": "2026-01-01T00:00:00Z",
}


def _damage(root: Path, example: str) -> None:
    """Damage a cloud as an example says that it is."""
    if found := re.search("adopt ([0-9a-f-]+)", example):
        (root / "pools" / "pool1" / f"volume-{found[1]}").write_bytes(b"data")
    if found := re.search("cloud/(images/[0-9a-f-]+)", example):
        (root / found[1]).write_bytes(b"data")
    if "journal" in example:
        with contextlib.closing(
            sqlite3.connect(root / "catalogue.sqlite", isolation_level=None)
        ) as db:
            db.execute(
                "INSERT INTO journal (id, token, plan, ids) "
                "VALUES (7, 'x', '{bad', '{}')"
            )


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_help_runs(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It succeeds where its files and names exist."""
    if "qcow2" in example and shutil.which("qemu-img") is None:
        pytest.skip("no qemu-img")
    monkeypatch.chdir(tmp_path)
    make_disk(tmp_path / "disk.raw")
    if "qcow2" in example:
        command = ["qemu-img", "create", "-q", "-f", "qcow2"]
        subprocess.run([*command, "disk.qcow2", "8M"], check=True)
    Path("request.json").write_text(wire.dumps(CREATE))
    Path("upload.json").write_text(wire.dumps(REGISTERABLE))
    Path("image.json").write_text(json.dumps(IMAGE))
    if "decision.json" in example:
        decided = run("decide", "create", "request.json", "--json").stdout
        Path("decision.json").write_text(decided)
    if example.split()[1] in OF_CLOUDS:
        root = tmp_path / "cloud"
        monkeypatch.setenv("CLONEPOLICY_ROOT", str(root))
        with LocalCloud.init(root) as made:
            image = made.add_image(
                tmp_path / "disk.raw", name="base", project_id="demo"
            )
            made.create_volume(
                image.id, name="work", project_id="demo", size=1
            )
        _damage(root, example)
    if not re.search("[|>]", example):
        assert run(*example.split()[1:]).exit_code == 0
        return
    shim = tmp_path / "clonepolicy"
    shim.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    shim.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run_program(
        ["/bin/sh", "-c", example], env={**os.environ, "PATH": path}
    )
    assert (done.returncode, done.stderr) == (0, "")
