"""`Qcow2Array` makes independent clones on chains of limited length."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import qcow2_support
from harness_qcow2 import chain, exclusive, overwrite
from qcow2_support import (
    MIB,
    SIZE,
    clone,
    content,
    data_of,
    fill,
    names,
    new_id,
    put,
    record,
    wrap_qemu_img,
)

from clonepolicy import ConflictError, FactError
from clonepolicy.adapters.qcow2 import Qcow2Array, _commands
from clonepolicy.adapters.qcow2._commands import File

small = qcow2_support.small
place = qcow2_support.place
array = qcow2_support.array

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io are not installed; install qemu-utils",
)


def test_clones_of_clones_are_independent(
    array: Qcow2Array,
) -> None:
    """Each clone of a clone of a clone keeps its own bytes."""
    expected = {fill(array): content()}
    line = list(expected)
    for seed in range(4):
        made = clone(array, line[-1])
        expected[made] = expected[line[-1]]
        for volume_id, byte in ((line[-1], 2 * seed), (made, 2 * seed + 1)):
            piece, at = bytes([byte]) * 5000, MIB // 2 * seed
            overwrite(array.path(volume_id), at, piece)
            expected[volume_id] = put(expected[volume_id], at, piece)
        line.append(made)
    assert expected == {each: data_of(array, each) for each in line}


def test_clones_of_one_source_lengthen_no_chain(
    array: Qcow2Array, place: Path
) -> None:
    """All clones of a source without new data rest on one layer."""
    source = fill(array)
    clones = [clone(array, source) for _ in range(5)]
    clones += [clone(array, clones[-1]) for _ in range(3)]
    depths = {len(chain(array.path(each))) for each in (source, *clones)}
    assert {2} == depths
    assert 0 == sum(exclusive(array.path(each)) for each in clones)
    layers = {p.stat().st_ino for p in place.glob("layer-*")}
    assert 1 == len(layers)


@pytest.mark.parametrize("limit", [2, 3])
def test_no_chain_is_longer_than_the_limit(place: Path, limit: int) -> None:
    """Writing to a source and cloning it again lengthens no chain further."""
    array = Qcow2Array(place, max_chain=limit)
    source, expected = fill(array), content()
    for seed in range(5):
        made = clone(array, source)
        depths = [len(chain(array.path(each))) for each in (source, made)]
        assert max(depths) <= limit
        assert expected == data_of(array, source) == data_of(array, made)
        array.discard(made)
        overwrite(array.path(source), 8192 * seed, bytes([seed + 1]) * 512)
        expected = put(expected, 8192 * seed, bytes([seed + 1]) * 512)
    array.discard(source)
    assert set() == names(place)


def test_clones_share_the_copy_of_a_source(place: Path) -> None:
    """The first clone copies the source; the next ones share the copy."""
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    overwrite(array.path(source), 0, b"more")
    clones = [clone(array, source) for _ in range(3)]
    assert [0, 0, 0] == [exclusive(array.path(each)) for each in clones]
    files = {chain(array.path(each))[1]["filename"] for each in clones}
    assert 1 == len({Path(file).stat().st_ino for file in files})


def test_clones_made_at_once_copy_their_source_once(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clones that are made at the same time share one copy."""
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    overwrite(array.path(source), 0, b"more")
    log = wrap_qemu_img(tmp_path, monkeypatch, "")
    log.write_text("")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: clone(array, source), range(4)))
    assert 1 == log.read_text().split().count("convert")


def test_a_lower_limit_shortens_existing_chains(place: Path) -> None:
    """A chain above the limit is read, and copied when it is cloned."""
    array = Qcow2Array(place)
    volume_id, expected = fill(array), content()
    for _ in range(3):
        clone(array, volume_id)
        overwrite(array.path(volume_id), 0, b"more")
    expected = put(expected, 0, b"more")
    narrow = Qcow2Array(place, max_chain=2)
    assert expected == data_of(narrow, volume_id)
    made = clone(narrow, volume_id)
    assert expected == data_of(narrow, made)
    assert 2 == len(chain(narrow.path(volume_id)))


def test_an_extended_source_lends_its_layer(array: Qcow2Array) -> None:
    """The clone has the new size; zeros follow the old data."""
    source = fill(array)
    clone(array, source)
    array.extend(source, 3)
    made = clone(array, source, 3)
    assert content() + bytes(2 * SIZE) == data_of(array, made)
    assert 2 == len(chain(array.path(made)))


def test_a_directory_may_have_any_name(tmp_path: Path) -> None:
    """Neither a shell nor qemu-img interprets the name."""
    place = tmp_path / "nbd:a,b=$(c) 'd' \"e\" %s"
    place.mkdir()
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    array.extend(source, 2)
    made = clone(array, source, 2)
    assert content() + bytes(SIZE) == data_of(array, made)


def test_a_limit_of_one_file_is_refused(place: Path) -> None:
    """A clone consists of at least two files."""
    with pytest.raises(FactError, match="max_chain"):
        Qcow2Array(place, max_chain=1)


def test_a_clone_takes_few_calls_of_qemu_img(
    array: Qcow2Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first clone takes three calls, each further clone one."""
    log = wrap_qemu_img(tmp_path, monkeypatch, "")
    source = fill(array)
    counts = []
    for _ in range(2):
        log.write_text("")
        clone(array, source)
        counts.append(log.read_text().split())
    assert [["info", "create", "create"], ["create"]] == counts


def test_only_the_arrays_user_can_read_volumes(
    array: Qcow2Array, place: Path
) -> None:
    """Other users cannot read any file."""
    clone(array, fill(array))
    modes = {path.stat().st_mode & 0o777 for path in place.iterdir()}
    assert {0o600} == modes


def test_a_source_in_use_is_refused(array: Qcow2Array, place: Path) -> None:
    """A source that is uploading counts as in use if it was before."""
    source = fill(array)
    before = names(place)
    uploading = attrs.evolve(
        record(source, "uploading"), previous_status="in-use"
    )
    for busy in (record(source, "in-use"), uploading):
        with pytest.raises(ConflictError, match="is in-use"):
            array.clone_volume(new_id(), busy)
    assert before == names(place)


def test_a_volume_open_for_writing_is_refused(
    array: Qcow2Array, place: Path
) -> None:
    """The array refuses to use a volume that a process writes to."""
    source = fill(array)
    before = names(place)
    with writer(array.path(source)):
        actions: tuple[Callable[[], object], ...] = (
            lambda: clone(array, source),
            lambda: array.extend(source, 2),
            lambda: data_of(array, source),
        )
        for action in actions:
            with pytest.raises(ConflictError, match="another process"):
                action()
    assert before == names(place)
    assert content() == data_of(array, clone(array, source))


def test_a_source_without_own_data_is_cloned_while_it_is_written_to(
    array: Qcow2Array,
) -> None:
    """The clone rests on the layer; new data goes to the source's file."""
    source = fill(array)
    clone(array, source)
    with writer(array.path(source), b"write -P 7 0 4k\n"):
        made = clone(array, source)
    assert content() == data_of(array, made)
    assert put(content(), 0, bytes([7]) * 4096) == data_of(array, source)


@contextlib.contextmanager
def writer(path: Path, last: bytes = b"") -> Iterator[None]:
    """Hold a volume open for writing in a process, as a guest does.

    At the end, the process runs the commands of ``last``.
    """
    command = ["qemu-io", "-f", "qcow2", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.read(1)  # the prompt
        yield
        process.communicate(last + b"quit\n")


def test_reading_goes_on_after_a_discard(
    array: Qcow2Array, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader gets all data even if the volume is discarded meanwhile."""
    source = clone(array, fill(array))
    convert = _commands.convert

    def discard_first(files: Sequence[File], kind: str, fd: int) -> None:
        array.discard(source)
        convert(files, kind, fd)

    monkeypatch.setattr(_commands, "convert", discard_first)
    assert content() == data_of(array, source)
    assert None is array.stat(source)
    assert 1 == len(list(place.glob("volume-*")))


def test_a_source_that_changes_while_it_is_copied_keeps_its_data(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new data stays, and cloning fails."""
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    overwrite(array.path(source), 0, b"more")
    before = names(place)
    convert = _commands.convert

    def write_then(files: Sequence[File], kind: str, fd: int) -> None:
        convert(files, kind, fd)
        overwrite(array.path(source), 4096, b"late")

    with monkeypatch.context() as patch:
        patch.setattr(_commands, "convert", write_then)
        with pytest.raises(ConflictError, match="was changed"):
            clone(array, source)
    assert before == names(place)
    expected = put(put(content(), 0, b"more"), 4096, b"late")
    assert expected == data_of(array, source)
