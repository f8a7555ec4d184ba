"""What the array of qcow2 files promises, held to the real qemu-img."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from harness_qcow2 import OWN, breaking, chain, exclusive, holds, overwrite

import local_support
from clonepolicy import (
    AdapterError,
    CloneLimitError,
    ConflictError,
    FactError,
    FileLocation,
    Image,
    IntegrityError,
    LeftBehindError,
    NotFoundError,
    StoredImage,
    StoredVolume,
    UnavailableError,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters import _formats, _qemu_img
from clonepolicy.adapters.qcow2 import Qcow2Array, _array, _qemu
from clonepolicy.adapters.qcow2._file import File

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io not installed; install qemu-utils",
)

MIB = 1 << 20
SIZE = 4 * MIB
_DEEP = os.environ.get("CLONEPOLICY_PROFILE") == "deep"
_MORE_CALLS = {
    *("link", "rename", "fork_exec", "fstat", "lstat", "scandir", "listdir"),
    *("waitpid", "write"),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a GiB be 4 MiB, and a kill come at more of the calls."""
    monkeypatch.setattr(_array, "GiB", SIZE)
    monkeypatch.setattr(_formats, "GiB", SIZE)
    calls = local_support._CALLS | _MORE_CALLS
    monkeypatch.setattr(local_support, "_CALLS", calls)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give an empty directory."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def array(place: Path) -> Qcow2Array:
    """Open an array there."""
    return Qcow2Array(place)


def new_id() -> str:
    """Make an id for a volume to come."""
    return str(uuid.uuid4())


def record(volume_id: str, status: str = "available", size: int = 1) -> Volume:
    """Make a volume's record."""
    return Volume(id=volume_id, project_id="p", size=size, status=status)


def image(disk_format: str = "raw") -> Image:
    """Make an image's record."""
    return Image(
        id=new_id(),
        status="active",
        disk_format=disk_format,
        container_format="bare",
    )


def content(seed: int = 1) -> bytes:
    """Make a disk's bytes: islands of data in zeros."""
    found = bytearray(SIZE)
    found[:4] = b"head"
    found[MIB : MIB + 70_000] = random.Random(seed).randbytes(70_000)  # noqa: S311 - any bytes will do
    found[-5:] = b"last!"
    return bytes(found)


def fill(array: Qcow2Array, data: bytes | None = None) -> str:
    """Make a volume of one GiB with data."""
    volume_id = new_id()
    data = content() if data is None else data
    array.write(volume_id, 1, image(), iter([data]))
    return volume_id


def clone(array: Qcow2Array, source: str, size: int = 1) -> str:
    """Clone a volume."""
    volume_id = new_id()
    array.clone_volume(volume_id, record(source, size=size))
    return volume_id


def data_of(array: Qcow2Array, volume_id: str) -> bytes:
    """Read all of a volume."""
    return b"".join(array.read(volume_id))


def put(data: bytes, at: int, piece: bytes) -> bytes:
    """Give data with a piece in it replaced."""
    return data[:at] + piece + data[at + len(piece) :]


def names(place: Path) -> set[str]:
    """Name all files but those of the array itself."""
    return {path.name for path in place.iterdir()} - OWN


def volume_names(*volume_ids: str) -> set[str]:
    """Name the files of volumes."""
    return {f"volume-{volume_id}" for volume_id in volume_ids}


# -- clones, and what is written to them -----------------------------------


def test_what_is_written_stays_apart_in_every_generation(
    array: Qcow2Array,
) -> None:
    """Each of a line of clones, each written to, has bytes of its own."""
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
    """A source that nobody wrote to lends its layer, again and again."""
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
    """However often it is written to and cloned, source and clone alike."""
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


def test_a_copied_source_lends_its_layer_again(place: Path) -> None:
    """Only one clone waits for the copy that shortens the chain."""
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    overwrite(array.path(source), 0, b"more")
    clones = [clone(array, source) for _ in range(3)]
    assert [0, 0, 0] == [exclusive(array.path(each)) for each in clones]
    files = {chain(array.path(each))[1]["filename"] for each in clones}
    assert 1 == len({Path(file).stat().st_ino for file in files})


def test_a_source_is_copied_once_for_all_who_wait(
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


def test_a_lower_limit_shortens_chains_that_are_there(place: Path) -> None:
    """A chain longer than it may be is read, and copied when it is cloned."""
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


def test_a_source_that_grew_lends_its_layer(array: Qcow2Array) -> None:
    """Its clone is as large as it is now, by zeros."""
    source = fill(array)
    clone(array, source)
    array.extend(source, 3)
    made = clone(array, source, 3)
    assert content() + bytes(2 * SIZE) == data_of(array, made)
    assert 2 == len(chain(array.path(made)))


def test_a_directory_may_have_any_name(tmp_path: Path) -> None:
    """Nothing in it means anything to a shell or to qemu-img."""
    place = tmp_path / "nbd:a,b=$(c) 'd' \"e\" %s"
    place.mkdir()
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    array.extend(source, 2)
    made = clone(array, source, 2)
    assert content() + bytes(SIZE) == data_of(array, made)


def test_a_limit_of_one_file_is_refused(place: Path) -> None:
    """A clone takes two files at least."""
    with pytest.raises(FactError, match="max_chain"):
        Qcow2Array(place, max_chain=1)


def test_a_clone_takes_few_calls_of_qemu_img(
    array: Qcow2Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three to freeze a source and clone it, and one for each clone after."""
    log = wrap_qemu_img(tmp_path, monkeypatch, "")
    source = fill(array)
    counts = []
    for _ in range(2):
        log.write_text("")
        clone(array, source)
        counts.append(log.read_text().split())
    assert [["info", "create", "create"], ["create"]] == counts


def wrap_qemu_img(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> Path:
    """Put a script in the way of qemu-img; give the log of its calls.

    In the script, ``$count`` is the number of the call.
    """
    log, wrapper = tmp_path / "log", tmp_path / "bin" / "qemu-img"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(
        f'#!/bin/sh\necho "$1" >>{log}\ncount=$(wc -l <{log})\n'
        f'real={shutil.which("qemu-img")}\n{script}\nexec $real "$@"\n'
    )
    wrapper.chmod(0o755)
    path = os.pathsep.join((str(wrapper.parent), os.environ["PATH"]))
    monkeypatch.setenv("PATH", path)
    return log


def test_volumes_are_for_the_arrays_user_alone(
    array: Qcow2Array, place: Path
) -> None:
    """No other user reads what is stored."""
    clone(array, fill(array))
    modes = {path.stat().st_mode & 0o777 for path in place.iterdir()}
    assert {0o600} == modes


# -- who has it open --------------------------------------------------------


def test_a_source_in_use_is_refused(array: Qcow2Array, place: Path) -> None:
    """Also one that was in use when it began to upload."""
    source = fill(array)
    before = names(place)
    uploading = attrs.evolve(
        record(source, "uploading"), previous_status="in-use"
    )
    for busy in (record(source, "in-use"), uploading):
        with pytest.raises(ConflictError, match="is in-use"):
            array.clone_volume(new_id(), busy)
    assert before == names(place)


def test_what_a_process_writes_to_is_left_alone(
    array: Qcow2Array, place: Path
) -> None:
    """Whatever the record says, a writer keeps its file for itself."""
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


def test_a_source_without_data_of_its_own_is_cloned_under_its_writer(
    array: Qcow2Array,
) -> None:
    """It lends its layer, and what is written goes to its own file."""
    source = fill(array)
    clone(array, source)
    with writer(array.path(source), b"write -P 7 0 4k\n"):
        made = clone(array, source)
    assert content() == data_of(array, made)
    assert put(content(), 0, bytes([7]) * 4096) == data_of(array, source)


@contextlib.contextmanager
def writer(path: Path, last: bytes = b"") -> Iterator[None]:
    """Have a process hold a volume open to write, as a guest would.

    It is told some commands in the end.
    """
    command = ["qemu-io", "-f", "qcow2", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.read(1)  # the prompt
        yield
        process.communicate(last + b"quit\n")


def test_what_is_read_is_what_there_was_in_the_beginning(
    array: Qcow2Array, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even discarding a volume takes its files from its reader."""
    source = clone(array, fill(array))
    convert = _qemu.convert

    def discard_first(files: Sequence[File], kind: str, fd: int) -> None:
        array.discard(source)
        convert(files, kind, fd)

    monkeypatch.setattr(_qemu, "convert", discard_first)
    assert content() == data_of(array, source)
    assert None is array.stat(source)
    assert 1 == len(list(place.glob("volume-*")))


def test_a_source_that_changes_while_it_is_copied_is_not_replaced(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written meanwhile is kept, and the clone is refused."""
    array = Qcow2Array(place, max_chain=2)
    source = fill(array)
    clone(array, source)
    overwrite(array.path(source), 0, b"more")
    before = names(place)
    convert = _qemu.convert

    def write_then(files: Sequence[File], kind: str, fd: int) -> None:
        convert(files, kind, fd)
        overwrite(array.path(source), 4096, b"late")

    with monkeypatch.context() as patch:
        patch.setattr(_qemu, "convert", write_then)
        with pytest.raises(ConflictError, match="was changed"):
            clone(array, source)
    assert before == names(place)
    expected = put(put(content(), 0, b"more"), 4096, b"late")
    assert expected == data_of(array, source)


# -- what a file says is not believed ---------------------------------------


@contextlib.contextmanager
def unopened(path: Path) -> Iterator[None]:
    """See that nobody opens a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        in_open = 0x20
        assert libc.inotify_add_watch(fd, os.fsencode(path), in_open) >= 0
        yield
        with pytest.raises(BlockingIOError):
            os.read(fd, 4096)
    finally:
        os.close(fd)


def rebase(path: Path, reference: str, kind: str = "qcow2") -> None:
    """Have a volume's header name another backing file."""
    command = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", kind]
    subprocess.run([*command, "-b", reference, str(path)], check=True)


def refused(array: Qcow2Array, volume_id: str, match: str) -> None:
    """See that a volume is neither cloned nor read nor extended."""
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
def test_a_reference_out_of_the_layers_is_refused(
    array: Qcow2Array, tmp_path: Path, place: Path, reference: str
) -> None:
    """Nothing outside is ever opened, whatever a header says."""
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


def test_a_header_that_changes_late_is_not_followed(
    array: Qcow2Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at is what is opened, and nothing else."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret" * 1000)
    victim = fill(array)
    convert = _qemu.convert

    def rebase_first(files: Sequence[File], kind: str, fd: int) -> None:
        rebase(array.path(victim), str(outside), "raw")
        convert(files, kind, fd)

    monkeypatch.setattr(_qemu, "convert", rebase_first)
    with unopened(outside):
        assert content() == data_of(array, victim)


def test_a_layer_that_is_a_link_is_refused(
    array: Qcow2Array, tmp_path: Path, place: Path
) -> None:
    """A name that looks right has to be a plain file."""
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
        refused(array, victim, "no plain file")
        link.unlink()
        refused(array, victim, "is missing")


def test_a_format_that_is_not_the_recorded_one_is_refused(
    array: Qcow2Array,
) -> None:
    """A layer is never opened in another format, or in a guessed one."""
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
    """A chain has an end."""
    victim = clone(array, fill(array))
    layer = Path(chain(array.path(victim))[1]["filename"])
    rebase(layer, layer.name)
    refused(array, victim, "rests on itself")


def test_an_external_data_file_is_refused(
    array: Qcow2Array, tmp_path: Path
) -> None:
    """A header names no place for data either."""
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
def test_what_is_no_qcow2_file_is_refused(
    array: Qcow2Array, place: Path, data: bytes
) -> None:
    """It is not taken for raw either, and hinders nobody else."""
    victim, source = new_id(), fill(array)
    array.path(victim).write_bytes(data)
    refused(array, victim, "not as this array makes files")
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
    """On what it rests is not known, so no layer is taken for unused."""
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


def test_a_disk_that_looks_like_qcow2_is_a_disk(
    place: Path, tmp_path: Path
) -> None:
    """A header that a guest writes is bytes like any other, never probed."""
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
        with pytest.raises(IntegrityError, match="not what its disk_format"):
            array.write(new_id(), 2, image(), iter([made.read_bytes()]))


# -- stored images ----------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Give an empty directory for images."""
    path = tmp_path / "images"
    path.mkdir()
    return path


def test_a_clone_of_an_image_outlives_it(place: Path, images: Path) -> None:
    """It rests on one more name of the file, and is padded with zeros."""
    array = Qcow2Array(place, images=[images])
    path, volume_id = images / "image", new_id()
    data = content() + b"odd"
    path.write_bytes(data)
    location = FileLocation(str(path))
    assert StoredImage(size=2) == array.find_image(location)
    array.clone_image(volume_id, location)
    path.unlink()
    second = clone(array, volume_id, 2)
    overwrite(array.path(volume_id), 0, b"mine")
    expected = data + bytes(2 * SIZE - len(data))
    assert expected == data_of(array, second)
    assert put(expected, 0, b"mine") == data_of(array, volume_id)
    assert 2 == len(chain(array.path(second)))
    for each in (volume_id, second):
        array.discard(each)
    assert set() == names(place)


def test_an_image_that_is_replaced_is_not_cloned(
    place: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured is what is linked."""
    array = Qcow2Array(place, images=[images])
    path, link = images / "image", os.link
    path.write_bytes(content())

    def replace_first(source: Path, target: Path) -> None:
        new = path.with_name("new")
        new.write_bytes(content(2) * 2)
        new.rename(path)
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", replace_first)
        with pytest.raises(ConflictError, match="replaced"):
            array.clone_image(new_id(), FileLocation(str(path)))
    assert set() == names(place)


def test_an_image_is_taken_for_raw(place: Path, images: Path) -> None:
    """What looks like qcow2 in it is not looked at."""
    array = Qcow2Array(place, images=[images])
    path, volume_id = images / "image", new_id()
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
    subprocess.run([*create, "/etc/passwd", str(path)], check=True)
    with unopened(Path("/etc/passwd")):
        array.clone_image(volume_id, FileLocation(str(path)))
        found = data_of(array, volume_id)
    assert path.read_bytes() == found.rstrip(b"\0") + bytes(
        path.stat().st_size - len(found.rstrip(b"\0"))
    )


def test_only_plain_files_in_the_directory_are_images(
    place: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No links, no directories, and nothing elsewhere."""
    array = Qcow2Array(place, images=[images])
    (tmp_path / "image").write_bytes(content())
    (images / "link").symlink_to(tmp_path / "image")
    (images / "below").mkdir()
    (images / "below" / "image").write_bytes(content())
    os.mkfifo(images / "pipe")
    monkeypatch.chdir(images)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    odd = ("socket", "a\0b", "\ud800", "n" * 300, "link/below")
    plain = ("link", "below", "below/image", "pipe", "../image", "no")
    for name in (*plain, *odd):
        location = FileLocation(f"{images}/{name}")
        assert None is array.find_image(location)
        with pytest.raises(NotFoundError):
            array.clone_image(new_id(), location)
    assert set() == names(place)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_an_image_that_cannot_be_opened_is_not_hidden(
    place: Path, images: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and what keeps the array from it is said."""
    array, real = Qcow2Array(place, images=[images]), os.open
    location = FileLocation(f"{images}/image")

    def refuse(path: object, *more: int, **other: int) -> int:
        if str(path) == location.path:
            raise OSError(number, os.strerror(number))
        return real(path, *more, **other)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnavailableError, match="looking at file://"):
        array.find_image(location)
    with pytest.raises(UnavailableError, match="cloning file://"):
        array.clone_image(new_id(), location)
    assert set() == names(place)


@pytest.mark.parametrize("kind", [str, Path])
def test_directories_are_text_or_paths(
    place: Path, images: Path, kind: type[str | Path]
) -> None:
    """But one directory of images is not several."""
    (images / "image").write_bytes(content())
    array = Qcow2Array(kind(place), images=[kind(images)])
    location = FileLocation(f"{images}/image")
    assert StoredImage(size=1) == array.find_image(location)
    with pytest.raises(FactError, match="images: expected "):
        Qcow2Array(place, images=kind(images))  # type: ignore[arg-type]


def test_an_image_on_another_file_system_is_none(
    place: Path, tmp_path: Path
) -> None:
    """What cannot be linked is not there for this array."""
    with tmpfs(tmp_path / "tmpfs", "8M") as other:
        (other / "image").write_bytes(content())
        array = Qcow2Array(place, images=[other])
        assert None is array.find_image(FileLocation(f"{other}/image"))


@contextlib.contextmanager
def tmpfs(path: Path, size: str) -> Iterator[Path]:
    """Mount a small file system."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs: {done.stderr.strip()}")
    try:
        yield path
    finally:
        unmount = ["umount", "--lazy", str(path)]
        subprocess.run(unmount, check=True)


# -- identity ---------------------------------------------------------------


def test_the_directory_has_one_identity(place: Path, tmp_path: Path) -> None:
    """Whoever opens it first makes it, and it moves with the directory."""
    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(lambda _: Qcow2Array(place), range(8)))
    found = {array.get_backend().array_id for array in arrays}
    moved = place.rename(tmp_path / "elsewhere")
    found.add(Qcow2Array(moved).get_backend().array_id)
    assert 1 == len(found)
    place.mkdir()
    assert Qcow2Array(place).get_backend().array_id not in found


def test_a_damaged_identity_is_refused(array: Qcow2Array, place: Path) -> None:
    """An array without an identity is none."""
    assert array.get_backend().array_id is not None
    (place / ".array-id").write_bytes(b"\xff")
    with pytest.raises(IntegrityError, match="identity"):
        Qcow2Array(place)


def test_a_directory_that_is_not_there_is_not_found(place: Path) -> None:
    """It is not made, either."""
    with pytest.raises(NotFoundError):
        Qcow2Array(place / "no")
    assert not (place / "no").exists()


# -- discarding -------------------------------------------------------------


def family(array: Qcow2Array) -> dict[str, bytes]:
    """Make a source, two clones of it and a clone of a clone, all apart."""
    source = fill(array)
    first = clone(array, source)
    overwrite(array.path(source), 0, b"source")
    second = clone(array, source)
    overwrite(array.path(first), 0, b"first")
    third = clone(array, first)
    found = {source: b"source", first: b"first"}
    found |= {second: b"source", third: b"first"}
    return {each: put(content(), 0, said) for each, said in found.items()}


def test_volumes_go_in_every_order(array: Qcow2Array, place: Path) -> None:
    """Those that remain keep their data, and in the end nothing remains."""
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


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory with its links and holes."""
    shutil.rmtree(target, ignore_errors=True)
    copy = ["cp", "-a", str(source), str(target)]
    subprocess.run(copy, check=True)


def test_a_volume_goes_without_a_look_at_others(
    array: Qcow2Array, place: Path
) -> None:
    """Discarding takes as long among many volumes as among few."""
    source = fill(array)
    others = [clone(array, source) for _ in range(3)]
    victim = clone(array, source)
    with contextlib.ExitStack() as stack:
        for other in (source, *others):
            stack.enter_context(unopened(array.path(other)))
        array.discard(victim)
    assert volume_names(source, *others) == set(holds(place))


def test_what_was_discarded_stays_away(
    array: Qcow2Array, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is synced, if anything was removed from it."""
    volume_id, found, fsync = fill(array), [], os.fsync

    def hear(fd: int) -> None:
        found.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", hear)
    for _ in range(2):
        array.discard(volume_id)
        assert [place] == found


def test_cleaning_takes_nothing_from_another_host(
    array: Qcow2Array, place: Path
) -> None:
    """A file that is to lose its name may be about to be filled."""
    (place / ".lock").write_bytes(b"1")
    stray, spool = place / ".new-stray", place / ".spool-theirs"
    stray.touch()
    spool.touch()
    fill(array)
    assert [False, True] == [stray.exists(), spool.exists()]


# -- failures ---------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Site:
    """A directory with volumes, and what must stay true of it."""

    place: Path
    images: Path
    expected: dict[str, bytes]
    source: str
    """A volume that was written to since it was cloned."""
    target: str
    """A volume to be made."""

    def array(self) -> Qcow2Array:
        """Open it; the source's chain is as long as it may be."""
        return Qcow2Array(self.place, images=[self.images], max_chain=2)

    def wide(self) -> Qcow2Array:
        """Open it with room for one more."""
        return Qcow2Array(self.place, images=[self.images])

    def check(self) -> None:
        """See that there is what there was, and nothing else."""
        assert volume_names(*self.expected) == set(holds(self.place))
        array = self.wide()
        found = {each: data_of(array, each) for each in self.expected}
        assert self.expected == found


@pytest.fixture
def site(place: Path, images: Path) -> Site:
    """Make a family of two and an image."""
    (images / "image").write_bytes(content(2))
    array = Qcow2Array(place)
    source = fill(array)
    other = clone(array, source)
    overwrite(array.path(source), 0, b"source")
    return Site(
        place=place,
        images=images,
        expected={
            source: put(content(), 0, b"source"),
            other: content(),
        },
        source=source,
        target=new_id(),
    )


Action: TypeAlias = Callable[[Site], object]


def _clone(site: Site) -> None:
    site.wide().clone_volume(site.target, record(site.source))


def _flatten(site: Site) -> None:
    site.array().clone_volume(site.target, record(site.source))


def _clone_image(site: Site) -> None:
    location = FileLocation(str(site.images / "image"))
    site.array().clone_image(site.target, location)


def _write(site: Site) -> None:
    site.array().write(site.target, 1, image(), iter([content()]))


MAKE: dict[str, Action] = {
    "clone": _clone,
    "flatten": _flatten,
    "image": _clone_image,
    "write": _write,
}


@pytest.mark.parametrize("action", MAKE)
@pytest.mark.parametrize("call", ["fsync", "rename", "link", "unlink"])
def test_a_call_that_fails_changes_nothing(
    site: Site, action: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was begun is taken back, at once."""
    failed = True
    for count in itertools.count(1):
        calls = itertools.count(1)
        with monkeypatch.context() as patch:
            fail_at(patch, call, lambda: next(calls) == count)  # noqa: B023 - called at once
            try:
                MAKE[action](site)
            except AdapterError:
                pass
            else:
                failed = False
        if not failed:
            break
        if action == "write":
            site.array().discard(site.target)
        site.check()
    assert count > (call in {"fsync", "rename"})


def fail_at(
    patch: pytest.MonkeyPatch, name: str, fails: Callable[[], bool]
) -> None:
    """Let a system call fail whenever a function says so."""
    real = getattr(os, name)

    def call(*args: object, **more: object) -> object:
        if fails():
            raise OSError(errno.EIO, "broken")
        return real(*args, **more)

    patch.setattr(os, name, call)


def test_what_cannot_be_taken_back_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next to change something takes it back."""
    actions: tuple[Action, ...] = (_clone, _clone_image, _flatten)
    for action in actions:
        with breaking(), monkeypatch.context() as patch:
            fail_at(patch, "unlink", lambda: True)
            with pytest.raises(LeftBehindError):
                action(site)
        site.array().discard(site.target)
        site.check()


@pytest.mark.parametrize("action", MAKE)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_qemu_img_that_dies_changes_nothing(
    site: Site,
    action: str,
    when: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed at any of its calls, before its work or after it."""
    for count in itertools.count(1):
        real = '$real "$@";' if when == "after" else ""
        script = f"test $count = {count} && {{ {real} kill -9 $$; }}"
        with monkeypatch.context() as patch:
            log = wrap_qemu_img(tmp_path, patch, script)
            log.write_text("")
            try:
                MAKE[action](site)
            except UnavailableError as error:
                assert "(-9)" in str(error)  # noqa: PT017 - some end well
            else:
                break
        site.check()
    assert {"clone": 4, "flatten": 5, "image": 2, "write": 3}[action] == count


def test_growth_is_done_if_the_header_says_so(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A qemu-img that dies before its work is a failure, after it none."""
    array = site.array()
    with monkeypatch.context() as patch:
        wrap_qemu_img(tmp_path, patch, "kill -9 $$")
        with pytest.raises(UnavailableError):
            array.extend(site.source, 2)
    assert StoredVolume(size=SIZE) == array.stat(site.source)
    wrap_qemu_img(tmp_path, monkeypatch, '$real "$@"; kill -9 $$')
    array.extend(site.source, 2)
    assert StoredVolume(size=2 * SIZE) == array.stat(site.source)


def test_a_full_file_system_is_said_and_left_as_it_was(
    tmp_path: Path,
) -> None:
    """No space is no damage, and waiting may help."""
    with tmpfs(tmp_path / "tmpfs", "16M") as place:
        array = Qcow2Array(place)
        source = fill(array)
        before = names(place)
        chance = random.Random(1)  # noqa: S311 - any bytes will do
        with pytest.raises(UnavailableError, match="no space left"):
            array.write(
                new_id(),
                4,
                image(),
                (chance.randbytes(MIB) for _ in range(9)),
            )
        assert before == names(place)
        rest = place / ".rest"
        with rest.open("wb", 0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with pytest.raises(UnavailableError, match="no space left"):
            clone(array, source)
        assert before == names(place) - {rest.name}
        rest.unlink()
        assert content() == data_of(array, clone(array, source))


def test_waiting_for_qemu_img_has_an_end(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes too long is stopped and taken back."""
    with monkeypatch.context() as patch:
        wrap_qemu_img(tmp_path, patch, "exec sleep 60")
        patch.setattr(_qemu_img, "_TIMEOUT", 0.001)
        begin = time.monotonic()
        for action in MAKE.values():
            with pytest.raises(UnavailableError, match="took longer"):
                action(site)
        assert time.monotonic() - begin < 10
    site.check()


def test_without_qemu_img_the_remedy_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes it is refused; what does not is done."""
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        for action in MAKE.values():
            with pytest.raises(UnsupportedError, match="install qemu-utils"):
                action(site)
        assert StoredVolume(size=SIZE) == site.array().stat(site.source)
    site.check()


def test_a_file_without_room_for_names_has_enough_clones(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system's limit of links is the limit of clones."""

    def full(*_: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        for action in (_clone, _clone_image):
            with pytest.raises(CloneLimitError):
                action(site)
    site.check()


def test_a_volume_that_is_being_made_is_not_made_twice(
    site: Site,
) -> None:
    """Neither by writing nor by cloning, and the first goes on."""
    array = site.array()

    def data() -> Iterator[bytes]:
        for action in MAKE.values():
            with pytest.raises(ConflictError):
                action(site)
        yield content()

    array.write(site.target, 1, image(), data())
    site.expected[site.target] = content()
    site.check()


# -- kills ------------------------------------------------------------------


def _extend(site: Site) -> None:
    site.wide().extend(site.target, 2)


def _discard(site: Site) -> None:
    site.wide().discard(site.target)


def _identify(site: Site) -> None:
    (site.place / ".array-id").unlink()
    site.wide()


KILLED: dict[str, tuple[Action, bool, int]] = {
    "clone": (_clone, False, 5),
    "flatten": (_flatten, False, 11),
    "image": (_clone_image, False, 5),
    "write": (_write, False, 9),
    "extend": (_extend, True, 5),
    "discard": (_discard, True, 3),
    "identify": (_identify, False, 1),
}
"""Each with whether its target is there already, and a step that leaves
enough kills."""


@pytest.mark.parametrize("name", KILLED)
def test_a_kill_at_any_call_leaves_nothing(site: Site, name: str) -> None:
    """The next operation finds all volumes whole, and all else it removes."""
    action, there, step = KILLED[name]
    if there:
        site.wide().clone_volume(site.target, record(site.source))
    template = site.place.with_name("template")
    copy_tree(site.place, template)
    died, call = True, 1
    while died:
        copy_tree(template, site.place)
        died = local_support.killed(lambda: action(site), call)
        see_whole(site)
        call += 1 if _DEEP else step
    assert call > 10


def see_whole(site: Site) -> None:
    """See what is left after a kill."""
    array = site.wide()
    # all that may be there is what `discard` of the volume removes
    own = volume_names(site.target) | {
        f".{kind}-{site.target}" for kind in ("part", "raw")
    }
    left = set(holds(site.place)) - volume_names(*site.expected)
    assert left <= own
    if f"volume-{site.target}" in left:
        whole = {
            content(),
            content(2),
            site.expected[site.source],
            site.expected[site.source] + bytes(SIZE),
        }
        assert data_of(array, site.target) in whole
    array.discard(site.target)
    site.check()
    _clone(site)
    assert site.expected[site.source] == data_of(array, site.target)


def test_work_that_outlives_its_killed_process_is_waited_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A qemu-img without a parent keeps the lock until it is done."""
    with monkeypatch.context() as patch:
        log = wrap_qemu_img(tmp_path, patch, "sleep 1")
        child = os.fork()
        if child == 0:
            _clone_image(site)
            os._exit(1)
        while not log.exists():
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    begin = time.monotonic()
    site.array()
    assert time.monotonic() - begin > 0.2
    site.check()


# -- together ---------------------------------------------------------------


@pytest.mark.parametrize("limit", [2, 8])
def test_two_processes_with_eight_threads_clone_one_source(
    site: Site, limit: int
) -> None:
    """All clones are whole, while others are discarded."""
    rounds = 1

    def work(_: int) -> None:
        array = Qcow2Array(site.place, max_chain=limit)
        for _ in range(rounds):
            made = [clone(array, site.source) for _ in range(2)]
            assert site.expected[site.source] == data_of(array, made[0])
            array.discard(made[0])

    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(work, range(8)))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for child in children:
        assert 0 == os.waitpid(child, 0)[1]
    array = site.array()
    known = volume_names(*site.expected)
    made = [name for name in holds(site.place) if name not in known]
    assert 2 * 8 * rounds == len(made)
    for name in made:
        volume_id = name.removeprefix("volume-")
        assert site.expected[site.source] == data_of(array, volume_id)
        assert len(chain(site.place / name)) <= limit + (limit == 8)
        array.discard(volume_id)
    site.check()
