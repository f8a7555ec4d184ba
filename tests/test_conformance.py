"""The kit's checks of arrays: good arrays pass, broken arrays are caught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import cast

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from broken_adapters import BROKEN_ADAPTERS, BrokenAdapter
from clonepolicy import Backend, CloneKind, UnavailableError
from clonepolicy.adapters.memory import (
    EVERYTHING,
    MEMORY_GIB,
    POOL,
    MemoryArray,
    MemoryCloud,
)
from clonepolicy.ports import ArrayBackend
from clonepolicy.testing.conformance import (
    ARRAYS,
    ArrayHarness,
    Level,
    Report,
    Status,
    Suite,
    run,
    run_check,
)
from clonepolicy.testing.memory import memory_harness

COPY = CloneKind.FULL_COPY
OFFLOADED = CloneKind.OFFLOADED_COPY
CHECKS = {check.id: check for check in ARRAYS.checks}
BROKEN_ARRAYS = [b for b in BROKEN_ADAPTERS if b.suite is ARRAYS]


def statuses(report: Report) -> dict[str, Status]:
    """Return the status of each check."""
    return {result.check.id: result.status for result in report.results}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.SHARES),
        ({"clone_limit": 1}, Level.SHARES),
        ({"clone_limit": 3}, Level.SHARES),
        ({"clone_while_uploading": False}, Level.SHARES),
        (
            {"clone_kind": OFFLOADED, "image_clone_kind": OFFLOADED},
            Level.SHARES,
        ),
        ({"clone_kind": COPY, "image_clone_kind": COPY}, Level.GROWS),
        ({"can_extend": None}, Level.CLONES),
        (
            {"image_schemes": frozenset(), "image_clone_kind": None},
            Level.SHARES,
        ),
    ],
)
def test_an_array_that_keeps_its_promises_is_certified(
    changes: dict[str, object], level: Level
) -> None:
    """The checks ask for what the array declares, and for no more."""
    declared = attrs.evolve(EVERYTHING, **changes)  # type: ignore[arg-type]  # fields of several types
    report = run(ARRAYS, memory_harness(MemoryArray(declared)))
    assert {} == report.details(Status.FAIL)
    assert (None, level) == (report.problem, report.level)


@pytest.mark.parametrize("limit", [None, 0])
def test_a_run_without_a_clone_is_no_certificate(limit: int | None) -> None:
    """An array that declares no clones keeps its promises, but too few."""
    declared = Backend()
    if limit is not None:
        declared = attrs.evolve(EVERYTHING, clone_limit=limit)
    report = run(ARRAYS, memory_harness(MemoryArray(declared)))
    assert 0 == report.count(Status.FAIL)
    assert Level.STORES == report.level
    assert "no check that makes a clone ran and passed" == report.problem


@pytest.mark.parametrize("broken", BROKEN_ARRAYS, ids=lambda b: b.name)
def test_each_broken_array_is_caught(broken: BrokenAdapter) -> None:
    """Every check that it names fails, and it gets no certificate."""
    harness = broken.make()
    report = run(broken.suite, harness)
    harness.close()
    found = statuses(report)
    assert dict.fromkeys(broken.caught_by, Status.FAIL) == {
        check_id: found[check_id] for check_id in broken.caught_by
    }
    assert report.problem is not None


@pytest.mark.parametrize("check_id", CHECKS)
def test_each_check_catches_a_broken_array(check_id: str) -> None:
    """A check that no array fails proves nothing."""
    assert [b.name for b in BROKEN_ARRAYS if check_id in b.caught_by]


def test_checks_and_broken_arrays_are_documented() -> None:
    """Ids and names are distinct; promises and defects are sentences."""
    assert len(CHECKS) == len(ARRAYS.checks)
    names = [broken.name for broken in BROKEN_ARRAYS]
    assert len(names) == len(set(names))
    for text in (
        *(check.promise for check in ARRAYS.checks),
        *(broken.defect for broken in BROKEN_ARRAYS),
    ):
        assert text.endswith(".")
        assert "\n" not in text


def test_a_passed_check_reports_what_it_measured() -> None:
    """The detail has numbers."""
    check = CHECKS["shares-data-between-clone-and-source"]
    result = run_check(check, memory_harness())
    assert Status.PASS is result.status
    assert "clones of [4096, 16384] bytes take [0, 0]" == result.detail


def test_a_capability_that_cannot_be_measured_fails() -> None:
    """An array that declares copy-on-write has to prove it."""
    harness = attrs.evolve(memory_harness(), exclusive=None)
    check = CHECKS["shares-data-between-clone-and-source"]
    result = run_check(check, harness)
    assert Status.FAIL is result.status
    assert (
        "cannot test what the adapter declares: the harness lacks exclusive"
        == result.detail
    )


KILLED = [check_id for check_id in CHECKS if "killed" in check_id]


@pytest.mark.parametrize("check_id", KILLED)
def test_an_array_of_this_process_alone_is_not_killed(check_id: str) -> None:
    """Pickle cannot carry an array in memory to another process."""
    check = CHECKS[check_id]
    result = run_check(check, memory_harness())
    assert (Status.SKIP, check.needs[-1].reason) == (
        result.status,
        result.detail,
    )


@pytest.mark.parametrize("check_id", KILLED)
def test_an_array_that_does_not_open_elsewhere_fails(check_id: str) -> None:
    """The detail has the last line of the other process's error."""
    reopen = cast("Callable[[], ArrayBackend]", partial(int, "nothing"))
    harness = attrs.evolve(memory_harness(), reopen=reopen)
    result = run_check(CHECKS[check_id], harness)
    error = "ValueError: invalid literal for int() with base 10: 'nothing'"
    assert Status.FAIL is result.status
    assert result.detail.endswith(f" failed in another process: {error}")


def test_known_failures_are_reported_and_cost_the_level() -> None:
    """The detail has the reason, and the array holds the level below."""
    (broken,) = [b for b in BROKEN_ARRAYS if b.name == "CopiesInSecret"]
    made = broken.make()
    assert isinstance(made, ArrayHarness)
    reasons = dict.fromkeys(broken.caught_by, "the firmware is old")
    report = run(ARRAYS, attrs.evolve(made, xfail=reasons))
    found = {r.check.id: r for r in report.results}
    for check_id in broken.caught_by:
        assert Status.XFAIL is found[check_id].status
        assert found[check_id].detail.startswith("the firmware is old (")
    assert (None, Level.GROWS) == (report.problem, report.level)
    assert Level.SHARES == report.declared


def test_a_known_failure_that_passes_fails() -> None:
    """So a list of known failures cannot grow stale."""
    check = CHECKS["clones-every-byte-of-a-volume"]
    harness = attrs.evolve(memory_harness(), xfail={check.id: "never worked"})
    result = run_check(check, harness)
    assert Status.FAIL is result.status
    assert "passes, but xfail lists it: never worked" == result.detail


def test_an_unexpected_error_fails_only_its_check() -> None:
    """The detail has the error, and the later checks run."""

    def explode(_volume_id: str) -> int:
        message = "no such tool"
        raise OSError(message)

    harness = attrs.evolve(memory_harness(), size_of=explode)
    report = run(ARRAYS, harness)
    found = {r.check.id: r for r in report.results}
    assert len(CHECKS) == len(found)
    detail = found["clones-every-byte-of-a-volume"].detail
    assert detail.startswith("raised OSError: no such tool (")


def test_an_error_of_get_backend_fails_the_check() -> None:
    """Asking what the array declares is part of each check."""

    class Dumb(MemoryArray):
        def get_backend(self) -> Backend:
            message = "not now"
            raise UnavailableError(message)

    check = CHECKS["clones-every-byte-of-a-volume"]
    result = run_check(check, memory_harness(Dumb()))
    assert Status.FAIL is result.status
    error = "raised UnavailableError: not now (test_conformance.py:"
    assert result.detail.startswith(error)


def test_a_run_leaves_nothing_behind() -> None:
    """Every check removes what it created."""
    array = MemoryArray()
    run(ARRAYS, memory_harness(array))
    assert {} == array.volumes
    assert {} == array.images


def test_the_array_of_the_cloud_in_memory_is_certified() -> None:
    """The array with which plans are tested keeps the port's contract."""
    cloud = MemoryCloud(gib=MEMORY_GIB)
    report = run(ARRAYS, memory_harness(cloud.arrays[POOL]))
    assert {} == report.details(Status.FAIL)
    assert Level.SHARES == report.declared


def test_authors_can_make_suites_of_their_own() -> None:
    """A suite without a fixture passes the harness to its checks."""
    suite: Suite[ArrayHarness, ArrayHarness] = Suite(
        lambda _: Level.CLONES, nullcontext
    )

    @suite.check(Level.CLONES, clones=True)
    def is_blue(harness: ArrayHarness) -> str:
        """The array is blue."""
        return str(harness.gib)

    report = run(suite, memory_harness())
    assert {"is-blue": Status.PASS} == statuses(report)
    assert report.problem is None


def test_ids_of_checks_are_unique() -> None:
    """A second function of the same name is refused."""
    suite: Suite[ArrayHarness, ArrayHarness] = Suite(
        lambda _: Level.CLONES, nullcontext
    )

    def is_blue(_: ArrayHarness) -> None:
        """The array is blue."""

    suite.check(Level.STORES)(is_blue)
    with pytest.raises(ValueError, match="already has a check is-blue"):
        suite.check(Level.STORES)(is_blue)
