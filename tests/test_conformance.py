"""The kit is tested itself: good arrays pass, and each liar is caught."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import attrs
import pytest

from clonepolicy import (
    ArrayBackend,
    Backend,
    CloneKind,
    UnavailableError,
)
from clonepolicy.adapters.memory import (
    EVERYTHING,
    MEMORY_GIB,
    POOL,
    MemoryArray,
    MemoryCloud,
)
from clonepolicy.testing.conformance import (
    ARRAYS,
    ArrayBench,
    Level,
    Report,
    Status,
    Table,
    check,
    run,
)
from clonepolicy.testing.conformance._array_saboteurs import ARRAY_SABOTEURS
from clonepolicy.testing.conformance._saboteur import Saboteur
from clonepolicy.testing.memory import memory_harness

COPY = CloneKind.FULL_COPY
OFFLOADED = CloneKind.OFFLOADED_COPY
ROWS = {row.id: row for row in ARRAYS.rows}


def statuses(report: Report) -> dict[str, Status]:
    """Give the status of each row."""
    return {result.row.id: result.status for result in report.results}


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
def test_an_array_that_keeps_its_word_is_certified(
    changes: dict[str, object], level: Level
) -> None:
    """Whatever it declares, it is held to that and to no more."""
    declared = attrs.evolve(EVERYTHING, **changes)  # type: ignore[arg-type]  # fields of several types
    report = run(ARRAYS, memory_harness(MemoryArray(declared)))
    assert {} == report.told(Status.FAIL)
    assert (None, level) == (report.problem, report.level)


@pytest.mark.parametrize("limit", [None, 0])
def test_a_run_without_a_clone_is_no_certificate(limit: int | None) -> None:
    """An array that declares no clones keeps its word, and that is little."""
    declared = Backend()
    if limit is not None:
        declared = attrs.evolve(EVERYTHING, clone_limit=limit)
    report = run(ARRAYS, memory_harness(MemoryArray(declared)))
    assert 0 == report.count(Status.FAIL)
    assert Level.STORES == report.level
    assert "no row with a clone was executed and passed" == report.problem


@pytest.mark.parametrize("saboteur", ARRAY_SABOTEURS, ids=lambda s: s.name)
def test_each_saboteur_is_caught(saboteur: Saboteur) -> None:
    """By every row that it names; and none of them holds a certificate."""
    bench = saboteur.make()
    report = run(saboteur.table, bench)
    bench.close()
    found = statuses(report)
    assert dict.fromkeys(saboteur.caught_by, Status.FAIL) == {
        row: found[row] for row in saboteur.caught_by
    }
    assert report.problem is not None


@pytest.mark.parametrize("row", ROWS)
def test_each_row_catches_somebody(row: str) -> None:
    """A row that nobody fails would prove nothing."""
    assert [s.name for s in ARRAY_SABOTEURS if row in s.caught_by]


def test_rows_and_saboteurs_say_what_they_are_about() -> None:
    """Ids are distinct; promises and sins are whole sentences."""
    assert len(ROWS) == len(ARRAYS.rows)
    names = [saboteur.name for saboteur in ARRAY_SABOTEURS]
    assert len(names) == len(set(names))
    for text in (
        *(row.promise for row in ARRAYS.rows),
        *(saboteur.sin for saboteur in ARRAY_SABOTEURS),
    ):
        assert text.endswith(".")
        assert "\n" not in text


def test_what_a_row_measured_is_told() -> None:
    """Numbers, not just that it passed."""
    result = check(ROWS["shares-its-data"], memory_harness())
    assert Status.PASS is result.status
    assert "clones of [4096, 16384] bytes take [0, 0]" == result.detail


def test_a_claim_without_a_measure_fails() -> None:
    """Who claims copy-on-write has to show it."""
    blind = attrs.evolve(memory_harness(), exclusive=None)
    result = check(ROWS["shares-its-data"], blind)
    assert Status.FAIL is result.status
    assert (
        "a kind of clone is claimed; give the bench exclusive" == result.detail
    )


KILLED = [name for name in ROWS if "kill" in name]


@pytest.mark.parametrize("row", KILLED)
def test_who_cannot_be_opened_elsewhere_is_not_killed(row: str) -> None:
    """Pickle cannot tell another process of what is in this one alone."""
    result = check(ROWS[row], memory_harness())
    assert (Status.SKIP, ROWS[row].needs[-1].missing) == (
        result.status,
        result.detail,
    )


@pytest.mark.parametrize("row", KILLED)
def test_an_array_that_does_not_open_elsewhere_fails(row: str) -> None:
    """And what the other process said is told, in one line."""
    again = cast("Callable[[], ArrayBackend]", partial(int, "nothing"))
    result = check(ROWS[row], attrs.evolve(memory_harness(), again=again))
    said = "ValueError: invalid literal for int() with base 10: 'nothing'"
    assert Status.FAIL is result.status
    assert f"another process cannot do it: {said}" == result.detail


def test_what_is_known_to_fail_is_told_and_costs_the_level() -> None:
    """A reason stands beside it, and the level below is held."""
    (liar,) = [s for s in ARRAY_SABOTEURS if s.name == "CopiesInSecret"]
    made = liar.make()
    assert isinstance(made, ArrayBench)
    reasons = dict.fromkeys(liar.caught_by, "the firmware is old")
    report = run(ARRAYS, attrs.evolve(made, xfail=reasons))
    found = {r.row.id: r for r in report.results}
    for row in liar.caught_by:
        assert Status.XFAIL is found[row].status
        assert found[row].detail.startswith("the firmware is old (")
    assert (None, Level.GROWS) == (report.problem, report.level)
    assert Level.SHARES == report.declared


def test_what_is_listed_as_failing_and_passes_fails() -> None:
    """A list of known failures is kept short."""
    bench = attrs.evolve(
        memory_harness(), xfail={"clones-every-byte": "never worked"}
    )
    result = check(ROWS["clones-every-byte"], bench)
    assert Status.FAIL is result.status
    assert "passes, but is listed as failing: never worked" == result.detail


def test_a_defect_is_a_failure_and_not_the_end() -> None:
    """What a row did not expect is told, and the rows after it run."""

    def explode(_volume_id: str) -> int:
        message = "no such tool"
        raise OSError(message)

    bench = attrs.evolve(memory_harness(), size_of=explode)
    report = run(ARRAYS, bench)
    found = {r.row.id: r for r in report.results}
    assert len(ROWS) == len(found)
    detail = found["clones-every-byte"].detail
    assert detail.startswith("raised OSError: no such tool (")


def test_what_an_array_declares_may_fail_too() -> None:
    """Asking whether there is anything to be seen is part of the row."""

    class Dumb(MemoryArray):
        def get_backend(self) -> Backend:
            message = "not now"
            raise UnavailableError(message)

    result = check(ROWS["clones-every-byte"], memory_harness(Dumb()))
    assert Status.FAIL is result.status
    told = "raised UnavailableError: not now (test_conformance.py:"
    assert result.detail.startswith(told)


def test_nothing_of_a_run_stays() -> None:
    """Every row takes down what it made."""
    array = MemoryArray()
    run(ARRAYS, memory_harness(array))
    assert {} == array.volumes
    assert {} == array.images


def test_the_array_of_the_cloud_in_memory_is_certified() -> None:
    """The array that plans are tested on keeps the port's contract, too."""
    cloud = MemoryCloud(gib=MEMORY_GIB)
    report = run(ARRAYS, memory_harness(cloud.arrays[POOL]))
    assert {} == report.told(Status.FAIL)
    assert Level.SHARES == report.declared


def test_a_table_takes_rows_of_others() -> None:
    """An author may have promises of his own."""
    table: Table[ArrayBench] = Table(lambda _: Level.CLONES)

    @table.row(Level.CLONES, clones=True)
    def is_blue(bench: ArrayBench) -> str:
        """The array is blue."""
        return str(bench.gib)

    report = run(table, memory_harness())
    assert {"is-blue": Status.PASS} == statuses(report)
    assert report.problem is None
