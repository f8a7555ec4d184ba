# ruff: noqa: ANN401 - librbd's bindings have no types
"""`RbdArray` undoes what fails, and cleans up after kills."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ceph as ceph_module
import harness_rbd
import rbd_support
from ceph import Cluster
from rbd_support import (
    MIB,
    format_2,
    open_again,
    pool_of,
    source_content,
    start_worker,
)

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    GiB,
    LeftBehindError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.testing.conformance import Fixture
from clonepolicy.testing.conformance._fixture import Content

ceph = ceph_module.ceph
harness = rbd_support.harness
fixture = rbd_support.fixture


def objects_of(fixture: Fixture) -> set[str]:
    """Name the objects of the pool that belong to volumes."""
    lists = {"rbd_directory", "rbd_children", "rbd_info", "rbd_trash"}
    found = {entry.key for entry in pool_of(fixture).objects.list_objects()}
    return found - lists - harness_rbd.OWN


@format_2
@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOENT, NotFoundError, "does not exist"),
        (errno.EEXIST, ConflictError, "discard it first"),
        (errno.ENOTEMPTY, ConflictError, "snapshots"),
        (errno.EBUSY, UnavailableError, "has it open"),
        (errno.EPERM, ForbiddenError, "rbd_user"),
        (errno.EACCES, ForbiddenError, "rbd_user"),
        (errno.ENOSPC, UnavailableError, "no space left"),
        (errno.EDQUOT, UnavailableError, "no space left"),
        (errno.ETIMEDOUT, UnavailableError, "does not answer"),
        (errno.ENOTCONN, UnavailableError, "does not answer"),
        (errno.ESHUTDOWN, UnavailableError, "open the array again"),
        (errno.EOPNOTSUPP, UnsupportedError, "does not support"),
        (errno.EIO, UnavailableError, "cluster failed"),
        (None, UnavailableError, "cluster failed"),
    ],
)
def test_errors_of_librbd_are_adapter_errors(
    number: int | None,
    kind: type[AdapterError],
    words: str,
    fixture: Fixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error has librbd's text and the remedy."""
    rbd = pool_of(fixture).rbd
    error = (
        rbd.Error("reason") if number is None else librbd_error(rbd, number)
    )
    monkeypatch.setattr(rbd.RBD, "create", mock.Mock(side_effect=error))
    with pytest.raises(kind, match=words) as caught:
        fixture.write(fixture.target(), Content(MIB))
    assert kind is type(caught.value)
    assert "reason" in str(caught.value)


def librbd_error(module: Any, number: int) -> Exception:
    """Return an error of librbd."""
    error: Exception = module.OSError("reason", errno=number)
    return error


@format_2
def test_waiting_for_a_silent_cluster_ends(
    ceph: Cluster, fixture: Fixture
) -> None:
    """After rados_connect_timeout, the array is unavailable."""
    volume = fixture.volume()
    with open_again(ceph, fixture, rados_connect_timeout=1) as array:
        ceph.tell("osd pause")
        try:
            with pytest.raises(UnavailableError, match="does not answer"):
                array.stat(volume.id)
        finally:
            ceph.tell("osd unpause")
    fixture.require_intact(volume)


@pytest.mark.parametrize(
    ("harness", "broken"),
    [
        ("1", "RBD.clone"),
        ("1", "Image.protect_snap"),
        ("2", "RBD.clone"),
        ("2", "Image.create_snap"),
        ("2", "Image.remove_snap2"),
    ],
    indirect=["harness"],
)
def test_a_clone_that_fails_is_undone(
    broken: str, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call fails after doing its work."""
    source, target = fixture.volume(), fixture.target()
    held = fixture.harness.holds()
    with monkeypatch.context() as patch:
        fail_after(pool_of(fixture).rbd, broken, patch, once=True)
        with pytest.raises(UnavailableError):
            fixture.array.clone_volume(target.id, source)
    assert held == fixture.harness.holds()
    fixture.require_intact(source)


@pytest.mark.parametrize("broken", ["RBD.clone", "Image.resize"])
def test_a_clone_of_an_image_that_fails_is_undone(
    broken: str, fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call fails after doing its work."""
    location, target = fixture.image(Content(GiB + 512)), fixture.target()
    with monkeypatch.context() as patch:
        fail_after(pool_of(fixture).rbd, broken, patch, once=True)
        with pytest.raises(UnavailableError):
            fixture.array.clone_image(target.id, location)
    fixture.require_unchanged()


def test_a_clone_that_cannot_be_undone_is_left_behind(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LeftBehindError` names the volume; discarding it later cleans up."""
    source, target = fixture.volume(), fixture.target()
    held = fixture.harness.holds()
    with monkeypatch.context() as patch:
        for name in ("RBD.clone", "RBD.remove"):
            fail_after(pool_of(fixture).rbd, name, patch)
        with pytest.raises(LeftBehindError, match=target.id):
            fixture.array.clone_volume(target.id, source)
    fixture.array.discard(target.id)
    assert held == fixture.harness.holds()


def test_an_existing_volume_survives_a_failing_clone(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing removes only its own clone, even if two make the same volume."""
    source, other = fixture.volume(), fixture.volume()
    location = fixture.image(Content(GiB))
    never = mock.Mock(return_value=False)
    for known in (True, False):
        with monkeypatch.context() as patch:
            if not known:
                patch.setattr(type(pool_of(fixture)), "has", never)
            with pytest.raises(ConflictError):
                fixture.array.clone_volume(other.id, source)
            with pytest.raises(ConflictError):
                fixture.array.clone_image(other.id, location)
    fixture.require_intact(source, other)


def fail_after(
    rbd: Any,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    once: bool = False,
) -> None:
    """Make a call of librbd fail after doing its work."""
    kind, method = name.split(".")
    call = getattr(getattr(rbd, kind), method)
    failures: list[str] = []

    def fail(*args: Any, **more: Any) -> Any:
        done = call(*args, **more)
        if once and failures:
            return done
        failures.append(name)
        raise rbd.OSError("broken", errno=errno.EIO)

    if kind == "Image":
        broken = type("Image", (rbd.Image,), {method: fail})
        monkeypatch.setattr(rbd, "Image", broken)
    else:
        monkeypatch.setattr(rbd.RBD, method, fail)


@pytest.mark.parametrize("how", ["lines", "moments"])
@pytest.mark.parametrize(
    "action", ["clone_volume", "clone_image", "write", "extend", "discard"]
)
def test_discard_removes_what_a_kill_at_any_instant_leaves(
    action: str, how: str, ceph: Cluster, fixture: Fixture
) -> None:
    """Kills come between calls of librbd and within them.

    The deep profile kills at every line and at many moments, others at a few.
    """
    location = fixture.image(Content.make(GiB + 512, MIB, "image"))
    before = objects_of(fixture)
    worker = start_worker(ceph, fixture, "kill", action, how, str(location))
    output, errors = worker.communicate(timeout=3000)
    assert (0, "") == (worker.returncode, errors)
    jobs = json.loads(output)
    assert sum(job["killed"] for job in jobs) > 2
    assert not all(job["killed"] for job in jobs)
    for job in jobs:
        if action == "extend":
            (found,) = [s for s in [fixture.array.stat(job["target"])] if s]
            assert found.size in {GiB, 3 * GiB}
        fixture.array.discard(job["target"])
        fixture.array.discard(job["target"])
    for job in jobs:
        if job["source"] is not None:
            content = source_content(job["source"]).copy(GiB)
            content.compare(fixture.array.read(job["source"]), "the source")
            fixture.array.discard(job["source"])
    assert before == objects_of(fixture)
