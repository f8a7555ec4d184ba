"""What qemu-img can reach."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from clonepolicy import UnavailableError
from clonepolicy.adapters._qemu import confine
from clonepolicy.adapters._qemu.run import path_of, run_qemu_img

needs_landlock = pytest.mark.skipif(
    not confine.landlock(), reason="this kernel has no Landlock"
)
_SCRIPT = """
import importlib.util, sys
path, version, given, *others = sys.argv[1:]
spec = importlib.util.spec_from_file_location("confine", path)
confine = importlib.util.module_from_spec(spec)
spec.loader.exec_module(confine)
confine.landlock = lambda: int(version)
file = open(given, "r+b")
confine.confine([file.fileno()], sys.executable)
for path in (f"/proc/self/fd/{file.fileno()}", *others):
    try:
        open(path, "r+b").close()
        print("opened")
    except OSError as error:
        print(error.strerror)
"""


@needs_landlock
@pytest.mark.parametrize(
    "version",
    [each for each in (1, 2, 3, 4, 99) if each <= confine.landlock()]
    + [confine.landlock()],
)
def test_every_version_opens_what_is_given_and_nothing_else(
    version: int, tmp_path: Path
) -> None:
    """The given file needs no name; another one cannot even be read."""
    given, other = tmp_path / "given", tmp_path / "other"
    for path in (given, other):
        path.write_bytes(b"data")
    command = [sys.executable, "-c", _SCRIPT, confine.__file__, str(version)]
    done = subprocess.run(
        [*command, str(given), str(other), "/etc/passwd"],
        capture_output=True,
        text=True,
        check=True,
    )
    denied = "Permission denied"
    assert ["opened", denied, denied] == done.stdout.splitlines()


def test_without_landlock_nothing_is_confined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the limits are in force."""
    monkeypatch.setattr(confine, "landlock", lambda: 0)
    confine.confine([], "/nowhere")
    (tmp_path / "file").write_bytes(b"still written")


@needs_landlock
def test_a_program_finds_the_files_that_it_is_given(tmp_path: Path) -> None:
    """It reads one by its descriptor, and none by its name."""
    path = tmp_path / "file"
    path.write_text("content\n")
    with path.open("rb") as file:
        fd = file.fileno()
        assert (0, "content\n") == run_qemu_img(
            "/bin/cat", path_of(fd), fds=[fd]
        )
    data = next(
        each
        for each in Path("/usr/share").rglob("*")
        if each.is_file() and not each.is_symlink()
    )
    for other in (path, data):
        code, output = run_qemu_img("/bin/cat", str(other), fds=[])
        assert (1, True) == (code, "Permission denied" in output)


def test_a_program_that_cannot_be_started_is_unavailable() -> None:
    """The image is not to blame."""
    with pytest.raises(UnavailableError, match="cannot be confined"):
        run_qemu_img("/nowhere/qemu-img", "info", fds=())


def test_a_program_that_is_killed_is_unavailable() -> None:
    """The image is not to blame if a limit ends the program."""
    with pytest.raises(UnavailableError, match=r"was killed \(-9\)"):
        run_qemu_img("/bin/sh", "-c", "kill -9 $$", fds=())


_PARENT = """
import os, sys
from clonepolicy.adapters._qemu.run import path_of, run_qemu_img
fd = os.open(sys.argv[1], os.O_WRONLY)
script = f"echo started > {path_of(fd)}; exec sleep 60"
run_qemu_img("/bin/sh", "-c", script, fds=[fd])
"""


def test_a_program_ends_with_its_parent(tmp_path: Path) -> None:
    """Of a killed process, nothing goes on with its files."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(fifo)])
    with fifo.open("rb", buffering=0) as held_open:
        assert b"started\n" == held_open.read(100)
        parent.kill()
        parent.wait()
        ready, _, _ = select.select([held_open], [], [], 10)
        assert ready
        assert b"" == held_open.read(100)
