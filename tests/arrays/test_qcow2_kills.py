"""`Qcow2Array` survives kills and concurrent processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import qcow2_support
from harness_qcow2 import chain, holds
from qcow2_support import (
    SIZE,
    Action,
    Site,
    clone,
    content,
    copy_tree,
    data_of,
    make_clone,
    make_flattened,
    make_image_clone,
    make_written,
    record,
    volume_names,
    wrap_qemu_img,
)

import local_support
from clonepolicy.adapters.qcow2 import Qcow2Array

small = qcow2_support.small
place = qcow2_support.place
images = qcow2_support.images
site = qcow2_support.site

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io are not installed; install qemu-utils",
)
_DEEP = os.environ.get("CLONEPOLICY_PROFILE") == "deep"


def _extend(site: Site) -> None:
    site.wide().extend(site.target, 2)


def _discard(site: Site) -> None:
    site.wide().discard(site.target)


def _identify(site: Site) -> None:
    (site.place / ".array-id").unlink()
    site.wide()


KILLED: dict[str, tuple[Action, bool, int]] = {
    "clone": (make_clone, False, 5),
    "flatten": (make_flattened, False, 11),
    "image": (make_image_clone, False, 5),
    "write": (make_written, False, 9),
    "extend": (_extend, True, 5),
    "discard": (_discard, True, 3),
    "identify": (_identify, False, 1),
}
"""The action, whether its target exists before, and the step between kills."""


@pytest.mark.parametrize("name", KILLED)
def test_the_next_change_cleans_up_after_a_kill_at_any_call(
    site: Site, name: str
) -> None:
    """The next operation finds all volumes whole and removes the rest."""
    action, there, step = KILLED[name]
    if there:
        site.wide().clone_volume(site.target, record(site.source))
    template = site.place.with_name("template")
    copy_tree(site.place, template)
    died, call = True, 1
    while died:
        copy_tree(template, site.place)
        died = local_support.killed(lambda: action(site), call)
        check_after_kill(site)
        call += 1 if _DEEP else step
    assert call > 10


def check_after_kill(site: Site) -> None:
    """Check what a kill left."""
    array = site.wide()
    # only files that `discard` of the volume removes may be left
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
    make_clone(site)
    assert site.expected[site.source] == data_of(array, site.target)


def test_the_array_waits_for_a_qemu_img_whose_parent_was_killed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A qemu-img whose parent was killed keeps the lock until it ends."""
    with monkeypatch.context() as patch:
        log = wrap_qemu_img(tmp_path, patch, "sleep 1")
        child = os.fork()
        if child == 0:
            make_image_clone(site)
            os._exit(1)
        while not log.exists():
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    begin = time.monotonic()
    site.array()
    assert time.monotonic() - begin > 0.2
    site.check()


@pytest.mark.parametrize("limit", [2, 8])
def test_two_processes_with_eight_threads_clone_one_source(
    site: Site, limit: int
) -> None:
    """All clones are whole, while other clones are discarded."""
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
