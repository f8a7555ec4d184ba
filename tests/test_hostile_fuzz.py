"""Images at random, made from hostile ones, for as long as is given."""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy.adapters.reflink import ReflinkArray
from hostile_images import NAMES, Member, hostile, references, well_formed
from hostile_images.law import accepted
from test_hostile_images import (
    by_array,
    canaries,  # noqa: F401 - a fixture
    host,  # noqa: F401 - the same
    needs_qemu_img,
)

SECONDS = float(os.environ.get("CLONEPOLICY_FUZZ_SECONDS", "600"))
_ROUND = 200
_LABELS = ("qcow2", "vmdk", "vdi", "vhd", "vhdx", "raw", "iso")
_NUMBERS = (0, 1, 2, 3, 4, 8, 20, 64, 72, 104, 512, 1 << 12, 1 << 16, 1 << 31)
_WORDS = (
    *(b"parentFileNameHint=", b"createType=", b"monolithicFlat", b"FLAT"),
    *(b"KDMV", b"QFI\xfb", b"# Disk DescriptorFile\n", b"version=1\n", b"\0"),
    *(b"SPARSE", b"parentCID=1234abcd", b"\n", b'"', b"\r", b"RW 2048 "),
)


def mutations(words: tuple[bytes, ...]) -> st.SearchStrategy[list[object]]:
    """Draw changes: of a number, of a string, of the end."""
    at = st.one_of(
        st.integers(0, 128),
        st.integers(0, 1100),
        st.sampled_from([512, 576, 1024, 4096, 196608, 1 << 16]),
        st.integers(0, 1 << 17),
    )
    number = st.sampled_from(_NUMBERS) | st.integers(0, (1 << 64) - 1)
    change = st.one_of(
        st.tuples(at, st.sampled_from(["<I", ">I", "<Q", ">Q", "B"]), number),
        st.tuples(at, st.sampled_from(words), st.booleans()),
        st.tuples(st.just(-1), st.integers(0, 1 << 17)),
        st.tuples(st.just(-2), st.sampled_from(words), st.sampled_from(words)),
    )
    return st.lists(change, min_size=1, max_size=6)


def mutate(data: bytes, changes: list[object]) -> bytes:
    """Apply changes."""
    made = bytearray(data)
    for change in changes:
        match change:
            case (-1, int(size)):
                del made[size:]
            case (-2, bytes(old), bytes(new)):
                made = made.replace(old, new)
            case (int(at), bytes(word), True):
                made[at:at] = word
            case (int(at), bytes(word), False):
                made[at : at + len(word)] = word
            case (int(at), str(form), int(number)):
                size = struct.calcsize(form)
                if at + size <= len(made):
                    number %= 1 << 8 * size
                    struct.pack_into(form, made, at, number)
            case _:
                raise AssertionError(change)
    return bytes(made)


@pytest.mark.deep
@needs_qemu_img
def test_no_mutant_reads_a_file_of_the_host(
    tmp_path: Path,
    canaries: Path,  # noqa: F811 - the fixture
) -> None:
    """The canary never shows up, and no error is but an adapter's."""
    seeds = [each for each in hostile(canaries) if len(each.data) < 1 << 19]
    seeds += [Member(k, k, v) for k, v in well_formed().items()]
    names = [
        path.encode()
        for name in NAMES
        for path in references(canaries, name).values()
    ]
    fill = by_array(ReflinkArray(tmp_path))
    tried = taken = 0

    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.sampled_from(seeds),
        mutations((*_WORDS, *names)),
        st.none() | st.sampled_from(_LABELS),
    )
    def attempt(
        member: Member, changes: list[object], label: str | None
    ) -> None:
        nonlocal tried, taken
        data = mutate(member.data, changes)
        kind = label or member.disk_format
        mutant = Member(f"{member.name} {changes}", kind, data)
        tried += 1
        taken += len(accepted(fill, [mutant], canaries))

    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        seed(number)(attempt)()
        number += 1
    print(f"{tried} mutants, {taken} taken")  # noqa: T201 - the count is wanted
    assert tried > taken > 0
