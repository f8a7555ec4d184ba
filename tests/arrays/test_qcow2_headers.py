"""`Qcow2Array` checks the headers of its files before it uses them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import qcow2_support
from harness_qcow2 import breaking, chain, holds, overwrite
from qcow2_support import (
    SIZE,
    clone,
    content,
    data_of,
    fill,
    image,
    names,
    new_id,
    put,
    unopened,
    volume_names,
)

from clonepolicy import IntegrityError, UnavailableError
from clonepolicy.adapters.qcow2 import Qcow2Array, _commands
from clonepolicy.adapters.qcow2._commands import File

small = qcow2_support.small
place = qcow2_support.place
array = qcow2_support.array

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io are not installed; install qemu-utils",
)


def rebase(path: Path, reference: str, kind: str = "qcow2") -> None:
    """Write another backing file's name to a volume's header."""
    command = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", kind]
    subprocess.run([*command, "-b", reference, str(path)], check=True)


def refused(array: Qcow2Array, volume_id: str, match: str) -> None:
    """Check that a volume can be neither cloned nor read nor extended."""
    actions: tuple[Callable[[], object], ...] = (
        lambda: clone(array, volume_id),
        lambda: data_of(array, volume_id),
        lambda: array.extend(volume_id, 2),
    )
    for action in actions:
        with pytest.raises(IntegrityError, match=match):
            action()


LAYER = f"layer-{uuid.UUID(int=1)}"


@pytest.mark.parametrize(
    "reference",
    [
        "{outside}",
        "../outside",
        "file:{outside}",
        'json:{{"driver":"file","filename":"{outside}"}}',
        "nbd://127.0.0.1:1/x",
        "volume-{other}",
        LAYER + ".vmdk",
        LAYER + ".qcow2/../../outside",
    ],
)
def test_a_reference_to_another_file_is_refused(
    array: Qcow2Array, tmp_path: Path, place: Path, reference: str
) -> None:
    """The array never opens a file outside its layers."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret" * 1000)
    source, other = fill(array), fill(array)
    victim = clone(array, source)
    named = reference.format(outside=outside, other=other)
    rebase(array.path(victim), named)
    with unopened(outside), unopened(array.path(other)):
        refused(array, victim, "rests on")
    with unopened(outside):
        array.discard(victim)
    assert volume_names(source, other) == set(holds(place))
    assert content() == data_of(array, other)


def test_a_header_that_changes_after_the_check_is_not_followed(
    array: Qcow2Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """qemu-img opens only the files that the array has checked."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret" * 1000)
    victim = fill(array)
    convert = _commands.convert

    def rebase_first(files: Sequence[File], kind: str, fd: int) -> None:
        rebase(array.path(victim), str(outside), "raw")
        convert(files, kind, fd)

    monkeypatch.setattr(_commands, "convert", rebase_first)
    with unopened(outside):
        assert content() == data_of(array, victim)


def test_a_layer_that_is_a_link_is_refused(
    array: Qcow2Array, tmp_path: Path, place: Path
) -> None:
    """A layer must be a regular file, whatever its name."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret" * 1000)
    victim = fill(array)
    for suffix in ("qcow2", "raw"):
        link = place / f"{LAYER}.{suffix}"
        link.symlink_to(outside)
        rebase(array.path(victim), link.name, suffix)
        with unopened(outside):
            refused(array, victim, "symbolic link")
        link.unlink()
        os.mkfifo(link)
        refused(array, victim, "not a regular file")
        link.unlink()
        refused(array, victim, "is missing")


def test_a_wrong_backing_format_is_refused(
    array: Qcow2Array,
) -> None:
    """No layer is opened in another format or in a guessed one."""
    victim = clone(array, fill(array))
    layer = Path(chain(array.path(victim))[1]["filename"])
    raw = layer.with_suffix(".raw")
    os.link(layer, raw)
    for reference, kind in ((layer, "raw"), (raw, "qcow2")):
        rebase(array.path(victim), reference.name, kind)
        refused(array, victim, "it says that")
    rebase(array.path(victim), layer.name)
    header = array.path(victim).read_bytes()
    unsaid = header.replace(b"\xe2\x79\x2a\xca", b"\x12\x34\x56\x78", 1)
    array.path(victim).write_bytes(unsaid)
    refused(array, victim, "it says that")


def test_a_layer_that_rests_on_itself_is_refused(array: Qcow2Array) -> None:
    """A chain with a cycle is refused."""
    victim = clone(array, fill(array))
    layer = Path(chain(array.path(victim))[1]["filename"])
    rebase(layer, layer.name)
    refused(array, victim, "rests on itself")


def test_an_external_data_file_is_refused(
    array: Qcow2Array, tmp_path: Path
) -> None:
    """The array opens no data file that a header names."""
    outside, victim = tmp_path / "outside", fill(array)
    option = f"data_file={outside},data_file_raw=on"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", option]
    path = str(array.path(victim))
    subprocess.run([*command, path, str(SIZE)], check=True)
    with unopened(outside):
        refused(array, victim, "external data file")


@pytest.mark.parametrize(
    "data", [b"", b"QFI\xfb", b"QFI\xfb" + bytes(200), bytes(9000)]
)
def test_a_file_that_is_not_qcow2_is_refused(
    array: Qcow2Array, place: Path, data: bytes
) -> None:
    """The file is not taken for raw, and other volumes still work."""
    victim, source = new_id(), fill(array)
    array.path(victim).write_bytes(data)
    refused(array, victim, "this array did not make")
    with pytest.raises(IntegrityError):
        array.stat(victim)
    made = clone(array, source)
    array.discard(source)
    assert content() == data_of(array, made)
    array.discard(victim)
    array.discard(made)
    assert set() == names(place)


def test_a_damaged_volume_keeps_its_layers(
    array: Qcow2Array, place: Path
) -> None:
    """Its layers are not known, so no layer is removed."""
    source = fill(array)
    victim = clone(array, source)
    header = array.path(victim).read_bytes()
    array.path(victim).write_bytes(b"damaged!" + header[8:])
    before = names(place)
    with breaking(), pytest.raises(UnavailableError):
        array.write(new_id(), 1, image(), iter([content()]))
    with breaking(), pytest.raises(UnavailableError):
        clone(array, source)
    assert before <= names(place)
    array.path(victim).write_bytes(header)
    assert content() == data_of(array, victim)


def test_a_disk_that_looks_like_qcow2_is_read_as_raw(
    place: Path, tmp_path: Path
) -> None:
    """A guest's data is not probed for a format."""
    array = Qcow2Array(place, max_chain=2)
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret" * 1000)
    trap = tmp_path / "trap"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
    subprocess.run([*create, str(outside), str(trap)], check=True)
    source, expected = fill(array), put(content(), 0, trap.read_bytes())
    with unopened(outside):
        overwrite(array.path(source), 0, trap.read_bytes())
        clones = [clone(array, source)]
        overwrite(array.path(source), 0, trap.read_bytes())
        clones.append(clone(array, source))
        array.extend(source, 2)
        found = [data_of(array, each)[:SIZE] for each in (source, *clones)]
    assert [expected] * 3 == found


def test_volumes_are_filled_from_other_formats(
    array: Qcow2Array, tmp_path: Path
) -> None:
    """An image that is not raw is converted."""
    raw, made = tmp_path / "raw", tmp_path / "made"
    raw.write_bytes(content())
    for disk_format in ("qcow2", "vmdk"):
        option = ["-o", "subformat=monolithicSparse"]
        more = option if disk_format == "vmdk" else []
        command = ["qemu-img", "convert", "-f", "raw", "-O", disk_format]
        subprocess.run([*command, *more, str(raw), str(made)], check=True)
        volume_id = new_id()
        data = iter([made.read_bytes()])
        array.write(volume_id, 2, image(disk_format), data)
        assert content() + bytes(SIZE) == data_of(array, volume_id)
        with pytest.raises(IntegrityError, match="not in its disk_format"):
            array.write(new_id(), 2, image(), iter([made.read_bytes()]))
