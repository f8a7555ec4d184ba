"""The example for driver authors works, and the guide shows all of it."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import pytest
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parent / "guide"))
sys.path.insert(0, str(Path(__file__).parents[1] / "examples/filearray/src"))

import run_guide
from run_guide import alike, blocks, examples

from clonepolicy import (
    AdapterError,
    Backend,
    ConflictError,
    GiB,
    Image,
    LeftBehindError,
    Volume,
)
from clonepolicy.ports import check_array_kind
from clonepolicy.testing.conformance import (
    ARRAYS,
    Level,
    Status,
    run,
    run_check,
)
from filearray import FileArray, _files
from filearray.harness import make_harness

EXAMPLE = run_guide.ROOT / "examples" / "filearray"
PAGE = run_guide.PAGE.read_text(encoding="utf-8")

IMAGE = Image(
    id="image",
    status="active",
    disk_format="raw",
    container_format="bare",
    size=GiB,
)
DATA = b"data" * 1000


def record(volume_id: str, status: str = "available") -> Volume:
    """Make the record of a volume of 1 GiB."""
    return Volume(id=volume_id, project_id="alice", size=1, status=status)


def names(directory: Path) -> set[str]:
    """Name everything that an array holds."""
    return {path.name for path in directory.iterdir()} - {".array-id"}


@pytest.fixture
def array(tmp_path: Path) -> FileArray:
    """Make an empty array."""
    return FileArray(tmp_path)


@pytest.fixture
def source(array: FileArray) -> Volume:
    """Make a volume that can be cloned."""
    volume = record(str(uuid.uuid4()))
    array.write(volume.id, 1, IMAGE, iter([DATA]))
    return volume


# -- the guide --------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "src/filearray/__init__.py",
        "src/filearray/_files.py",
        "src/filearray/harness.py",
        "pyproject.toml",
    ],
)
def test_the_guide_shows_each_file(name: str) -> None:
    """The blocks under a file's heading are the whole file, in order."""
    (section,) = re.findall(
        rf"^### `{re.escape(name)}`\n(.*?)^##", PAGE, re.DOTALL | re.MULTILINE
    )
    kind = "toml" if name.endswith(".toml") else "py"
    shown = [b.text for b in blocks(section) if b.kind == kind]
    written = (EXAMPLE / name).read_text(encoding="utf-8")
    assert without_blanks(written) == without_blanks("".join(shown))


def without_blanks(text: str) -> list[str]:
    """Return the lines of a text that are not empty."""
    return [line for line in text.splitlines() if line]


def test_the_guide_knows_every_capability() -> None:
    """The table has each field of `Backend`, and only existing checks."""
    section = PAGE.partition("## Declaring")[2].partition("\n## ")[0]
    table = [
        line.split("|")[1:4]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    fields = {field.name for field in attrs.fields(Backend)}
    assert fields == {row[0].split("`")[1] for row in table}
    ids = {check.id for check in ARRAYS.checks}
    named = {name for row in table for name in re.findall("`(.*?)`", row[2])}
    assert named <= ids


def test_the_guide_knows_every_method() -> None:
    """The contract's table has each method of the example, and no more."""
    section = PAGE.partition("## The contract")[2].partition("\n### ")[0]
    listed = re.findall(r"^\| `(\w+)\(", section, re.MULTILINE)
    public = [name for name in vars(FileArray) if name.islower()]
    methods = [name for name in public if not name.startswith("_")]
    assert sorted(methods) == sorted(listed)


def test_the_output_of_commands_is_compared() -> None:
    """An ellipsis stands for what varies, and for nothing else."""
    shown = "PASS  one   … ms\n…\n───\nlast"
    assert alike(shown, "PASS one 1.5 ms\nPASS two\nSKIP three\n─\nlast\n")
    assert alike(shown, "PASS one 1.5 ms\n──────\nlast")
    assert not alike(shown, "FAIL one 1.5 ms\n───\nlast")
    assert not alike(shown, "PASS one 1.5 ms\n───\nlast\nmore")
    compared = [text for _, text in examples(PAGE) if text is not None]
    assert len(compared) >= 5


# -- the example ------------------------------------------------------------


def test_it_is_small() -> None:
    """The file has about a hundred lines, and one class."""
    text = (EXAMPLE / "src/filearray/__init__.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 105
    classes = [n for n in ast.parse(text).body if isinstance(n, ast.ClassDef)]
    assert ["FileArray"] == [node.name for node in classes]


def test_its_entry_point_is_there() -> None:
    """It names the class, which is accepted without a warning."""
    with (EXAMPLE / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    target = project["entry-points"]["clonepolicy.array_backends"]["file"]
    module, _, name = target.partition(":")
    kind: Any = getattr(importlib.import_module(module), name)
    assert FileArray is kind
    assert check_array_kind(kind) is None


def test_it_is_certified() -> None:
    """Every check of what it declares passes."""
    harness = make_harness()
    try:
        report = run(ARRAYS, harness)
    finally:
        harness.close()
    for status in (Status.FAIL, Status.XFAIL):
        assert {} == report.details(status)
    assert (None, Level.GROWS) == (report.problem, report.level)


def test_errors_of_the_data_pass_through(
    array: FileArray, tmp_path: Path
) -> None:
    """Even an error that could be the file system's."""

    def broken() -> Iterator[bytes]:
        yield DATA
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        array.write(str(uuid.uuid4()), 1, IMAGE, broken())
    assert set() == names(tmp_path)


def test_a_file_that_cannot_be_removed_is_reported(
    array: FileArray, source: Volume
) -> None:
    """After `LeftBehindError`, nothing else is tried for the volume."""
    stuck = mock.patch.object(Path, "unlink", side_effect=PermissionError)
    full = mock.patch.object(os, "fsync", side_effect=OSError)
    with stuck, full, pytest.raises(LeftBehindError):
        array.clone_volume(str(uuid.uuid4()), source)


def test_a_volume_in_use_is_not_copied(
    array: FileArray, source: Volume
) -> None:
    """Its guest could write during the copy."""
    used = attrs.evolve(source, status="in-use")
    with pytest.raises(
        ConflictError, match="is in-use; it can be cloned when"
    ):
        array.clone_volume(str(uuid.uuid4()), used)


def test_only_one_call_makes_a_volume(
    array: FileArray, source: Volume, tmp_path: Path
) -> None:
    """A second call is refused and removes nothing."""
    volume_id = str(uuid.uuid4())

    def slow() -> Iterator[bytes]:
        yield DATA
        with pytest.raises(ConflictError):
            array.clone_volume(volume_id, source)
        yield DATA

    array.write(volume_id, 1, IMAGE, slow())
    assert {f"volume-{v}" for v in (volume_id, source.id)} == names(tmp_path)


def test_a_failed_extension_is_undone(
    array: FileArray, source: Volume
) -> None:
    """An error means that nothing has changed."""
    full = mock.patch.object(os, "fsync", side_effect=OSError)
    with full, pytest.raises(AdapterError):
        array.extend(source.id, 2)
    found = array.stat(source.id)
    assert found is not None
    assert GiB == found.size


KILLED = """
import os
import sys
from pathlib import Path
from unittest import mock

from clonepolicy import (Volume)
from filearray import FileArray

directory, source_id, volume_id, where, name = sys.argv[1:]
owner = {"os": os, "Path": Path}[where]
call = getattr(owner, name)


def last(*args, **more):
    call(*args, **more)
    os._exit(9)


source = Volume(id=source_id, project_id="alice", size=1, status="available")
array = FileArray(Path(directory))
with mock.patch.object(owner, name, last):
    array.clone_volume(volume_id, source)
"""


@pytest.mark.parametrize(
    ("call", "whole"),
    [
        ("Path touch", False),
        ("os lseek", False),
        ("os fsync", False),
        ("Path rename", True),
    ],
)
def test_a_kill_leaves_what_discard_removes(
    array: FileArray,
    source: Volume,
    tmp_path: Path,
    call: str,
    whole: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A volume exists completely or not at all, whenever the kill comes."""
    volume_id = str(uuid.uuid4())
    paths = [str(EXAMPLE / "src"), *sys.path]
    done = subprocess.run(
        [
            *(sys.executable, "-c", KILLED),
            *(str(tmp_path), source.id, volume_id, *call.split()),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=False,
    )
    assert 9 == done.returncode
    assert len(names(tmp_path)) == 2
    assert whole is (array.stat(volume_id) is not None)
    if whole:
        first = next(array.read(volume_id))
        assert DATA == first[: len(DATA)]
    array.discard(volume_id)
    assert {f"volume-{source.id}"} == names(tmp_path)


# -- beginners' mistakes ----------------------------------------------------


class Linked(FileArray):
    """Makes a hard link instead of a clone."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        self._path(volume_id).hardlink_to(self._path(source.id))


class InPlace(FileArray):
    """Copies under the final name, and leaves a failed copy there."""

    @override
    def clone_volume(self, volume_id: str, source: Volume) -> None:
        try:
            with self._path(volume_id).open("xb") as file:
                for piece in _files.pieces(self._path(source.id)):
                    file.seek(len(piece), os.SEEK_CUR)
                file.truncate(source.size * GiB)
                os.fsync(file.fileno())
        except OSError as error:
            raise ConflictError(str(error)) from error


class Untranslated(FileArray):
    """Does not translate errors of the operating system."""

    @override
    def extend(self, volume_id: str, size: int) -> None:
        os.truncate(self._path(volume_id), size * GiB)


class Named(FileArray):
    """Has the name of its driver as its identity."""

    @override
    def get_backend(self) -> Backend:
        return attrs.evolve(super().get_backend(), array_id="filearray")


class Trusting(FileArray):
    """Does not check ids."""

    @override
    def _path(self, volume_id: str) -> Path:
        return self._directory / f"volume-{volume_id}"


class Replacing(FileArray):
    """Replaces existing data."""

    @override
    def write(
        self, volume_id: str, size: int, image: Image, data: Iterator[bytes]
    ) -> None:
        self.discard(volume_id)
        super().write(volume_id, size, image, data)


@pytest.mark.parametrize(
    ("kind", "check_id"),
    [
        (Linked, "isolates-writes-between-clone-and-source"),
        (InPlace, "leaves-nothing-after-a-failed-clone"),
        (Untranslated, "refuses-to-extend-a-missing-volume"),
        (Untranslated, "refuses-to-shrink-a-volume"),
        (Named, "has-a-stable-and-unique-identity"),
        (Trusting, "isolates-hostile-volume-ids"),
        (Replacing, "refuses-to-write-over-existing-data"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_beginners_mistake_is_caught(
    kind: Callable[[Path], FileArray], check_id: str
) -> None:
    """Each mistake fails a check that the example passes."""
    (check,) = [c for c in ARRAYS.checks if c.id == check_id]
    harness = make_harness()
    right = harness.array
    assert isinstance(right, FileArray)
    other = harness.other
    assert isinstance(other, FileArray)
    wrong = attrs.evolve(
        harness, array=kind(right._directory), other=kind(other._directory)
    )
    try:
        assert Status.FAIL is run_check(check, wrong).status
        assert Status.PASS is run_check(check, harness).status
    finally:
        harness.close()
