"""`Qcow2Array` undoes a change that fails."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import qcow2_support
from harness_qcow2 import breaking
from qcow2_support import (
    MAKE,
    MIB,
    SIZE,
    Action,
    Site,
    clone,
    content,
    data_of,
    fill,
    image,
    make_clone,
    make_flattened,
    make_image_clone,
    names,
    new_id,
    tmpfs,
    wrap_qemu_img,
)

from clonepolicy import (
    AdapterError,
    CloneLimitError,
    ConflictError,
    LeftBehindError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters._qemu import run
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.ports import StoredVolume

small = qcow2_support.small
place = qcow2_support.place
images = qcow2_support.images
site = qcow2_support.site

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("qemu-img", "qemu-io"))),
    reason="qemu-img and qemu-io are not installed; install qemu-utils",
)


@pytest.mark.parametrize("action", MAKE)
@pytest.mark.parametrize("call", ["fsync", "rename", "link", "unlink"])
def test_a_call_that_fails_changes_nothing(
    site: Site, action: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that the call had begun is undone at once."""
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
    """Make a system call fail whenever a function returns True."""
    real = getattr(os, name)

    def call(*args: object, **more: object) -> object:
        if fails():
            raise OSError(errno.EIO, "broken")
        return real(*args, **more)

    patch.setattr(os, name, call)


def test_a_change_that_cannot_be_undone_raises_left_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next change undoes it."""
    actions: tuple[Action, ...] = (
        make_clone,
        make_image_clone,
        make_flattened,
    )
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
    """qemu-img is killed at each of its calls, before or after its work."""
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


def test_an_extension_is_done_if_the_header_says_so(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If qemu-img dies after its work, extending has succeeded."""
    array = site.array()
    with monkeypatch.context() as patch:
        wrap_qemu_img(tmp_path, patch, "kill -9 $$")
        with pytest.raises(UnavailableError):
            array.extend(site.source, 2)
    assert StoredVolume(size=SIZE) == array.stat(site.source)
    wrap_qemu_img(tmp_path, monkeypatch, '$real "$@"; kill -9 $$')
    array.extend(site.source, 2)
    assert StoredVolume(size=2 * SIZE) == array.stat(site.source)


def test_a_full_file_system_is_unavailable_and_unchanged(
    tmp_path: Path,
) -> None:
    """A full file system makes the array unavailable; nothing is lost."""
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
        # the kernel keeps what qemu-img could open for an instant
        while shutil.disk_usage(place).free < 8 * MIB:
            time.sleep(0.01)
        rest = place / ".rest"
        with rest.open("wb", 0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with pytest.raises(UnavailableError, match="no space left"):
            clone(array, source)
        assert before == names(place) - {rest.name}
        rest.unlink()
        assert content() == data_of(array, clone(array, source))


def test_a_hanging_qemu_img_is_stopped(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A qemu-img that takes too long is stopped, and its work undone."""
    with monkeypatch.context() as patch:
        wrap_qemu_img(tmp_path, patch, "exec sleep 60")
        patch.setattr(run, "_TIMEOUT", 0.001)
        begin = time.monotonic()
        for action in MAKE.values():
            with pytest.raises(UnavailableError, match="took longer"):
                action(site)
        assert time.monotonic() - begin < 10
    site.check()


def test_without_qemu_img_the_remedy_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only operations that need qemu-img fail."""
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        for action in MAKE.values():
            with pytest.raises(UnsupportedError, match="install qemu-utils"):
                action(site)
        assert StoredVolume(size=SIZE) == site.array().stat(site.source)
    site.check()


def test_the_limit_of_hard_links_is_the_limit_of_clones(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit, cloning raises `CloneLimitError`."""

    def full(*_: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        for action in (make_clone, make_image_clone):
            with pytest.raises(CloneLimitError):
                action(site)
    site.check()


def test_a_volume_that_is_being_made_is_not_made_twice(
    site: Site,
) -> None:
    """A second write or clone of the same volume fails; the first goes on."""
    array = site.array()

    def data() -> Iterator[bytes]:
        for action in MAKE.values():
            with pytest.raises(ConflictError):
                action(site)
        yield content()

    array.write(site.target, 1, image(), data())
    site.expected[site.target] = content()
    site.check()
