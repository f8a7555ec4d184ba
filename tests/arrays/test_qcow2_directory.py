"""`Qcow2Array` identifies its directory and removes unneeded files."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import qcow2_support
from harness_qcow2 import holds, overwrite
from qcow2_support import (
    clone,
    content,
    copy_tree,
    data_of,
    fill,
    names,
    put,
    unopened,
    volume_names,
)

from clonepolicy import IntegrityError, NotFoundError
from clonepolicy.adapters.qcow2 import Qcow2Array

small = qcow2_support.small
place = qcow2_support.place
array = qcow2_support.array

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io are not installed; install qemu-utils",
)


def test_the_directory_has_one_identity(place: Path, tmp_path: Path) -> None:
    """The first array to open the directory makes its identity."""
    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(lambda _: Qcow2Array(place), range(8)))
    found = {array.get_backend().array_id for array in arrays}
    moved = place.rename(tmp_path / "elsewhere")
    found.add(Qcow2Array(moved).get_backend().array_id)
    assert 1 == len(found)
    place.mkdir()
    assert Qcow2Array(place).get_backend().array_id not in found


def test_a_damaged_identity_is_refused(array: Qcow2Array, place: Path) -> None:
    """An array without a valid identity does not open."""
    assert array.get_backend().array_id is not None
    (place / ".array-id").write_bytes(b"\xff")
    with pytest.raises(IntegrityError, match="identity"):
        Qcow2Array(place)


def test_a_missing_directory_is_not_found(place: Path) -> None:
    """The array does not make the directory."""
    with pytest.raises(NotFoundError):
        Qcow2Array(place / "no")
    assert not (place / "no").exists()


def family(array: Qcow2Array) -> dict[str, bytes]:
    """Make a source, two clones of it and a clone of one, all different."""
    source = fill(array)
    first = clone(array, source)
    overwrite(array.path(source), 0, b"source")
    second = clone(array, source)
    overwrite(array.path(first), 0, b"first")
    third = clone(array, first)
    found = {source: b"source", first: b"first"}
    found |= {second: b"source", third: b"first"}
    return {each: put(content(), 0, data) for each, data in found.items()}


def test_volumes_are_discarded_in_every_order(
    array: Qcow2Array, place: Path
) -> None:
    """The others keep their data; after the last nothing remains."""
    expected = family(array)
    template = place.with_name("template")
    copy_tree(place, template)
    for order in itertools.permutations(expected):
        copy_tree(template, place)
        for count, gone in enumerate(order, 1):
            array.discard(gone)
            rest = order[count:]
            assert volume_names(*rest) == set(holds(place))
            if count == 2:
                assert [expected[each] for each in rest] == [
                    data_of(array, each) for each in rest
                ]
        assert set() == names(place)


def test_discarding_opens_no_other_volume(
    array: Qcow2Array, place: Path
) -> None:
    """So discarding takes as long among many volumes as among few."""
    source = fill(array)
    others = [clone(array, source) for _ in range(3)]
    victim = clone(array, source)
    with contextlib.ExitStack() as stack:
        for other in (source, *others):
            stack.enter_context(unopened(array.path(other)))
        array.discard(victim)
    assert volume_names(source, *others) == set(holds(place))


def test_discarding_syncs_the_directory(
    array: Qcow2Array, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is synced if a file was removed."""
    volume_id, found, fsync = fill(array), [], os.fsync

    def record_sync(fd: int) -> None:
        found.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", record_sync)
    for _ in range(2):
        array.discard(volume_id)
        assert [place] == found


def test_cleaning_keeps_the_files_of_other_hosts(
    array: Qcow2Array, place: Path
) -> None:
    """A file ``.spool-*`` stays: another host may be about to fill it."""
    (place / ".lock").write_bytes(b"1")
    stray, spool = place / ".new-stray", place / ".spool-theirs"
    stray.touch()
    spool.touch()
    fill(array)
    assert [False, True] == [stray.exists(), spool.exists()]
