"""Whatever an image says, a volume's bytes come from that image alone."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from oslo_utils.imageutils import format_inspector

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import AdapterError, Image, IntegrityError
from clonepolicy.adapters import _formats
from clonepolicy.adapters._qemu import confine, run
from clonepolicy.adapters._qemu.run import (
    find_qemu_img,
    path_of,
    run_qemu_img,
)
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.adapters.memory import MEMORY_GIB, MemoryArray
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.ports import ArrayBackend
from hostile_images import Member, hostile, others, well_formed
from hostile_images.law import Fill, accepted, outcome, record

needs_qemu_img = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not installed"
)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the host's files."""
    return tmp_path_factory.mktemp("host")


@pytest.fixture
def canaries(host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the host's files, which is current."""
    monkeypatch.chdir(host)
    return host


def by_array(array: ArrayBackend, size: int = 1) -> Fill:
    """Fill volumes of an array."""

    def fill(image: Image, data: bytes) -> Iterator[bytes]:
        volume_id = str(uuid.uuid4())
        try:
            array.write(volume_id, size, image, iter([data]))
            yield from array.read(volume_id)
        finally:
            array.discard(volume_id)

    return fill


def reflink(directory: Path) -> Fill:
    """Fill files."""
    return by_array(ReflinkArray(directory))


def qcow2(directory: Path) -> Fill:
    """Fill qcow2 files."""
    return by_array(Qcow2Array(directory))


def memory(directory: Path) -> Fill:
    """Fill volumes in memory, of any size."""
    del directory
    return by_array(MemoryArray(), (8 << 20) // MEMORY_GIB)


def rbd(directory: Path) -> Fill:
    """Make what would be written to a pool."""
    array = RbdArray.__new__(RbdArray)
    array._conversion_dir = directory
    return lambda image, data: array._disk(
        _formats.Inspector(image), 1, iter([data])
    )


def local(directory: Path) -> Fill:
    """Store images in a cloud, and create volumes from them."""
    root, source = directory / "cloud", directory / "source"
    LocalCloud.init(root).close()

    def fill(image: Image, data: bytes) -> Iterator[bytes]:
        source.write_bytes(data)
        kind = str(image.disk_format)
        with LocalCloud(root) as cloud:
            stored = cloud.add_image(
                source, name="i", project_id="p", disk_format=kind
            )
            made = cloud.create_volume(
                stored.id, name="v", project_id="p", size=1
            )
        if made.outcome is None or made.volume is None:
            raise IntegrityError("the disk is larger than the volume")
        for failure in made.outcome.failures:
            raise failure.error
        volume = made.volume.path
        yield from ReflinkArray(volume.parent).read(made.volume.volume.id)

    return fill


STEPS: dict[Callable[[Path], Fill], int] = {
    reflink: 6,
    qcow2: 40,
    memory: 6,
    rbd: 10,
    local: 12,
}
"""The arrays, and which part of the corpus the default run takes."""

HARMLESS = re.compile(
    # plain disks, which may end early
    r".* as raw, plainly|raw cut to .*"
    # what names no file, but has tables or sizes that make no sense
    r"|qcow2 (table|references|size|extension|header of|snapshots) ?.*"
    r"|vmdk (directory outside|capacity of all)"
    r"|(qcow2|vdi) cut to (512|1000)"
    # known by its file's name, and by no bytes
    r"|dmg (in .*|as raw)|iso behind dmg"
)
"""The members that an array may accept: their bytes are all there is."""


@pytest.fixture(scope="module")
def members(host: Path) -> tuple[Member, ...]:
    """Return the corpus."""
    return hostile(host)


def test_the_corpus_is_large_and_always_the_same(
    canaries: Path, members: tuple[Member, ...]
) -> None:
    """There are over 500 images, each with a name of its own."""
    assert 500 < len({each.name for each in members}) == len(members)
    assert hostile(canaries) == members


@needs_qemu_img
@pytest.mark.parametrize("make", STEPS)
def test_a_volume_comes_from_its_image_alone(
    make: Callable[[Path], Fill],
    tmp_path: Path,
    canaries: Path,
    members: tuple[Member, ...],
) -> None:
    """Every array refuses an image, or reads nothing else."""
    found = accepted(make(tmp_path), members[:: STEPS[make]], canaries)
    check(make, found)


@pytest.mark.deep
@needs_qemu_img
@pytest.mark.parametrize("make", STEPS)
def test_a_volume_comes_from_its_image_alone_always(
    make: Callable[[Path], Fill],
    tmp_path: Path,
    canaries: Path,
    members: tuple[Member, ...],
) -> None:
    """The same, for the whole corpus."""
    check(make, accepted(make(tmp_path), members, canaries))


def check(make: Callable[[Path], Fill], found: set[str]) -> None:
    """Check what an array accepted; one in memory opens no files."""
    assert found
    if make is not memory:
        assert [] == [name for name in found if not HARMLESS.fullmatch(name)]


@needs_qemu_img
def test_what_is_taken_as_raw_is_raw_for_qemu(
    tmp_path: Path, members: tuple[Member, ...]
) -> None:
    """Who guesses a disk's format, guesses right: also with a bit flipped."""
    path, guessed = tmp_path / "disk", set()
    chance = random.Random(1)  # noqa: S311 - any bits will do
    for each in members[::2]:
        data = bytearray(each.data[: 1 << 16].ljust(1 << 16, b"\0"))
        for at in (1 << 15, chance.randrange(128)):
            data[at] ^= 1 << chance.randrange(8)
            if _formats.foreign_format(bytes(data)) is None:
                path.write_bytes(data)
                command = ["qemu-img", "info", "--output=json", str(path)]
                done = subprocess.run(command, capture_output=True, check=True)
                guessed.add(json.loads(done.stdout)["format"])
    assert {"raw"} == guessed


def test_inspection_alone_refuses_what_names_a_file(
    members: tuple[Member, ...],
) -> None:
    """What is left names no file: broken tables, and the disks inside."""
    left = []
    for each in members:
        with contextlib.suppress(AdapterError):
            inspector = _formats.Inspector(record(each))
            deque(inspector.watch([each.data]), 0)
            inspector.finish()
            left.append(each.name)
    whole = re.compile(r".* in .*|vhdx flag without a parent|\w+ cut to 1000")
    assert [] == [
        name
        for name in left
        if not HARMLESS.fullmatch(name) and not whole.fullmatch(name)
    ]


@pytest.fixture
def uninspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let inspection find nothing."""
    monkeypatch.setattr(_formats.Inspector, "watch", lambda _, data: data)
    monkeypatch.setattr(_formats.Inspector, "finish", lambda _: 0)


@pytest.fixture
def unconfined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let qemu-img open any file."""
    plain = tmp_path / "plain.py"
    plain.write_text("import os, sys\nos.execv(sys.argv[4], sys.argv[4:])\n")
    monkeypatch.setattr(confine, "__file__", str(plain))


@needs_qemu_img
@pytest.mark.usefixtures("uninspected", "unconfined")
def test_what_qemu_is_told_alone_keeps_files_out(
    tmp_path: Path, canaries: Path, members: tuple[Member, ...]
) -> None:
    """QEMU opens no other file, or says which one it would open."""
    assert accepted(reflink(tmp_path), naming(members)[::8], canaries)


@pytest.fixture
def landlock() -> None:
    """Let Landlock confine programs."""
    if not confine.landlock():
        pytest.skip("there is no Landlock")


@pytest.fixture
def bubblewrap(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let bubblewrap confine programs, as if there were no Landlock."""
    request.getfixturevalue("unconfined")
    monkeypatch.setattr(confine, "landlock", lambda: 0)
    run.bubblewrap.cache_clear()
    if not run.bubblewrap():
        pytest.skip("there is no working bubblewrap")
    yield
    run.bubblewrap.cache_clear()


@needs_qemu_img
@pytest.mark.parametrize("sandbox", ["landlock", "bubblewrap"])
def test_the_sandbox_alone_keeps_files_out(
    sandbox: str,
    tmp_path: Path,
    canaries: Path,
    members: tuple[Member, ...],
    request: pytest.FixtureRequest,
) -> None:
    """QEMU follows a name, and the kernel opens nothing."""
    request.getfixturevalue(sandbox)

    def fill(image: Image, data: bytes) -> Iterator[bytes]:
        (tmp_path / "image").write_bytes(data)
        (tmp_path / "disk").write_bytes(bytes(2 << 20))
        command = (find_qemu_img("this"), "convert", "-n", "-O", "raw", "-f")
        with (
            (tmp_path / "image").open("rb") as source,
            (tmp_path / "disk").open("r+b") as target,
        ):
            fds = (source.fileno(), target.fileno())
            names = map(path_of, fds)
            kind = str(image.disk_format)
            code, output = run_qemu_img(*command, kind, *names, fds=fds)
        if code:
            refusals.append(output)
            raise IntegrityError(output)
        yield (tmp_path / "disk").read_bytes()

    refusals: list[str] = []
    accepted(fill, naming(members)[::8], canaries)
    # what bubblewrap hides is not there
    why = re.compile("Could not open '.*canary.*': (Permission|No such file)")
    assert any(why.search(each) for each in refusals)


def naming(members: tuple[Member, ...]) -> list[Member]:
    """Select what names the host's files in a format that is converted."""
    return [
        each
        for each in members
        if each.disk_format in {"qcow2", "vmdk"} and b"canary" in each.data
    ]


@needs_qemu_img
@pytest.mark.parametrize("disk_format", well_formed())
@pytest.mark.parametrize("make", [reflink, qcow2, rbd, local])
def test_well_formed_images_are_taken(
    make: Callable[[Path], Fill], disk_format: str, tmp_path: Path
) -> None:
    """An image that names no other file fills a volume."""
    data = well_formed()[disk_format]
    member = Member(disk_format, disk_format, data)
    assert outcome(make(tmp_path), member) is not None


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vdi", "vhdx"])
@pytest.mark.parametrize("piece", [1000, 1 << 16, 1 << 20, 1 << 23])
def test_a_disks_size_is_found(disk_format: str, piece: int) -> None:
    """It is found however the data is cut."""
    data = well_formed()[disk_format]
    inspector = _formats.Inspector(record(Member("x", disk_format, data)))
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    deque(inspector.watch(pieces), 0)
    assert 1 << 20 == inspector.finish()


@pytest.mark.parametrize(
    ("at", "table"),
    [
        (3 << 16, b"regi" + struct.pack("<III", 0, 2047, 0)),
        (3 << 20, b"metadata" + struct.pack("<HH20x", 0, 2047)),
    ],
    ids=["regions", "metadata"],
)
def test_tables_are_searched_once(
    at: int, table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work does not grow with the size of the image."""
    calls, kind = 0, format_inspector.VHDXInspector
    named = kind._guid

    def counted(data: bytes) -> str:
        nonlocal calls
        calls += 1
        return named(data)

    monkeypatch.setattr(kind, "_guid", staticmethod(counted))
    data = bytearray(others.vhdx())
    data[at : at + (1 << 16)] = table.ljust(1 << 16, b"\1")
    inspector = _formats.Inspector(record(Member("x", "vhdx", b"")))
    deque(inspector.watch([bytes(data), bytes(8 << 20)]), 0)
    assert calls < 3 * 2048


def test_an_encrypted_volumes_image_begins_as_luks_does() -> None:
    """It is raw; any other raw image does not begin so."""
    member = Member("luks", "raw", others.luks())
    for key, allowed in (("key", True), (None, False)):
        image = attrs.evolve(record(member), encryption_key_id=key)
        inspector = _formats.Inspector(image)
        deque(inspector.watch([member.data]), 0)
        with contextlib.ExitStack() as stack:
            if not allowed:
                stack.enter_context(pytest.raises(IntegrityError))
            assert len(member.data) == inspector.finish()


def test_how_data_is_cut_changes_nothing(
    members: tuple[Member, ...],
) -> None:
    """The same image is refused in pieces of any size, or taken."""
    for each in (*members[::20], *_good()):
        answers = set()
        for size in (1 << 20, 1000, 7):
            inspector_of = _formats.Inspector
            answer = "refused"
            with contextlib.suppress(AdapterError):
                inspector = inspector_of(record(each))
                pieces = [
                    each.data[at : at + size]
                    for at in range(0, min(len(each.data), 1 << 18), size)
                ]
                deque(inspector.watch(pieces), 0)
                answer = str(inspector.finish())
            answers.add(answer)
        assert 1 == len(answers), each.name


def _good() -> list[Member]:
    late = b"#" * (1 << 16) + b"\nversion=1\n"  # where nobody looks
    return [
        Member("late", "raw", late),
        *(Member(name, name, data) for name, data in well_formed().items()),
    ]
